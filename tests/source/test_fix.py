"""Fixes: what each one writes, what it never touches, and that nothing is left for a second run."""

from __future__ import annotations

import ast
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import initaudit
from initaudit.catalogue import load as load_catalogue
from initaudit.finding import Edit, Finding
from initaudit.rulebook import load
from initaudit.source.fix import (
    SAFE,
    UNSAFE,
    edits_for,
    fix_bytes,
    fix_file,
    with_edits,
    write_atomically,
)
from initaudit.source.linting import check_bytes, settle

RULES = load()
CATALOGUE = load_catalogue()
FIXTURES = sorted((Path(__file__).parents[2] / "fixtures" / "source").glob("*.py"))
HEAD = "import torch.nn as nn\nfrom torch.nn import init\n"


def lint(content: bytes) -> list[Finding]:
    return settle([check_bytes(content, "example.py", RULES, CATALOGUE)], RULES)


def fixed(text: str, *, unsafe: bool = True) -> str:
    content, _ = fix_bytes(text.encode(), lint(text.encode()), unsafe=unsafe)
    return content.decode()


def fixable(content: bytes) -> list[str]:
    return [f.fix for f in lint(content) if f.fix in SAFE | UNSAFE]


def made(text: str, edits: tuple[Edit, ...]) -> str:
    lines = text.split("\n")
    starts = [sum(len(line) + 1 for line in lines[:i]) for i in range(len(lines))]
    for edit in sorted(edits, key=lambda e: (e.line, e.column), reverse=True):
        start = starts[edit.line - 1] + edit.column - 1
        end = starts[edit.end_line - 1] + edit.end_column - 1
        text = text[:start] + edit.replacement + text[end:]
    return text


def body(*lines: str) -> str:
    return HEAD + "\n\ndef init_weights(m, n):\n" + "".join(f"    {line}\n" for line in lines)


ONE_LINE = [
    ("init.xavier_uniform(m.weight)", "init.xavier_uniform_(m.weight)"),
    ("nn.init.constant( m.bias , 0 )", "nn.init.constant_( m.bias , 0 )"),
    ("init.normal_(m.weight, 0.02)", "init.normal_(m.weight, std=0.02)"),
    ("init.normal_(m.weight,0.02)  # small", "init.normal_(m.weight,std=0.02)  # small"),
    ("init.trunc_normal_(m.weight, 2e-2,)", "init.trunc_normal_(m.weight, std=2e-2,)"),
    ("m.weight.data.normal_(0.02)", "m.weight.data.normal_(std=0.02)"),
    (
        "if isinstance(m, nn.Linear or nn.Conv2d): init.zeros_(m.bias)",
        "if isinstance(m, (nn.Linear, nn.Conv2d)): init.zeros_(m.bias)",
    ),
    (
        "if isinstance(m, (nn.Linear or nn.Conv1d or nn.Conv2d)): init.zeros_(m.bias)",
        "if isinstance(m, (nn.Linear, nn.Conv1d, nn.Conv2d)): init.zeros_(m.bias)",
    ),
    (
        "return nn.Sequential(*[nn.Linear(8, 8)] * n)",
        "return nn.Sequential(*[nn.Linear(8, 8) for _ in range(n)])",
    ),
    (
        "return nn.ModuleList([nn.Linear(8, 8)] * (n - 1))",
        "return nn.ModuleList([nn.Linear(8, 8) for _ in range((n - 1))])",
    ),
]


@pytest.mark.parametrize(("before", "after"), ONE_LINE)
def test_a_line_is_put_right_with_its_formatting(before: str, after: str) -> None:
    assert fixed(body(before)) == body(after)


def test_a_function_is_passed_instead_of_called() -> None:
    text = HEAD + (
        "\n\ndef init_weights(m):\n    init.zeros_(m.bias)\n\n\n"
        "net = nn.Sequential(nn.Linear(8, 8))\nnet.apply(init_weights())\n"
    )
    assert fixed(text, unsafe=False) == text.replace("apply(init_weights())", "apply(init_weights)")


def test_keras_gets_its_own_name_for_the_standard_deviation() -> None:
    text = "from keras import initializers\n\nkernel = initializers.RandomNormal(0.02, seed=1)\n"
    assert fixed(text) == text.replace("(0.02", "(stddev=0.02")


@pytest.mark.parametrize(
    ("forward", "function"),
    [
        ("F.relu(self.fc(x))", "kaiming_uniform_"),
        ("torch.tanh(self.fc(x))", "xavier_uniform_"),
    ],
)
def test_a_one_sided_uniform_gets_what_fits_the_activation(forward: str, function: str) -> None:
    text = (
        "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n\n\n"
        "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.fc = nn.Linear(64, 64)\n        nn.init.uniform_(self.fc.weight)\n\n"
        f"    def forward(self, x):\n        return {forward}\n"
    )
    assert fixed(text) == text.replace("init.uniform_(", f"init.{function}(")


def test_an_unknown_activation_gets_no_initialiser() -> None:
    text = (
        "import torch.nn as nn\n\n\nclass Net(nn.Module):\n    def __init__(self, act):\n"
        "        super().__init__()\n        self.act = act\n        self.fc = nn.Linear(64, 64)\n"
        "        nn.init.uniform_(self.fc.weight)\n\n    def forward(self, x):\n"
        "        return self.act(self.fc(x))\n"
    )
    assert fixed(text) == text


@pytest.mark.parametrize(("before", "after"), ONE_LINE[2:])
def test_numbers_are_changed_only_when_asked_to(before: str, after: str) -> None:
    assert fixed(body(before), unsafe=False) == body(before)


IMPORTS = [
    (
        "from torch.nn.init import xavier_uniform, constant_\n",
        "from torch.nn.init import xavier_uniform_, constant_\n",
        "",
    ),
    (
        "from torch.nn.init import xavier_uniform, xavier_uniform_\n",
        "from torch.nn.init import xavier_uniform, xavier_uniform_\n",
        "",
    ),
    (
        "from torch.nn.init import (\n    constant,\n    xavier_uniform,  # old\n)\n",
        "from torch.nn.init import (\n    constant,\n    xavier_uniform_,  # old\n)\n",
        "",
    ),
    (
        "from torch.nn.init import xavier_uniform\n",
        "from torch.nn.init import xavier_uniform, xavier_uniform_\n",
        "\n\nTABLE = {'xavier': xavier_uniform}\n",
    ),
    ("from torch.nn.init import *\n", "from torch.nn.init import *\n", ""),
]


@pytest.mark.parametrize(("before", "after", "rest"), IMPORTS)
def test_an_import_follows_the_name(before: str, after: str, rest: str) -> None:
    use = "\n\ndef init_weights(m):\n    {}(m.weight)\n    {}(m.other)\n"
    text = before + use.replace("{}", "xavier_uniform") + rest
    assert fixed(text, unsafe=False) == after + use.replace("{}", "xavier_uniform_") + rest


@pytest.mark.parametrize(
    "line",
    [
        "if isinstance(m, (nn.Linear  # first\n        or nn.Conv2d)): init.zeros_(m.bias)",
        "return nn.Sequential(*[nn.Linear(8, 8), nn.ReLU()] * n)",
        "return nn.Sequential(*[nn.Linear(8, _(8))] * n)",
        "args = (m.weight, 0.02); init.normal_(*args)",
    ],
)
def test_what_no_edit_fits_is_left(line: str) -> None:
    assert fixed(body(line)) == body(line)


def test_a_comprehension_is_not_put_directly_into_a_class() -> None:
    text = (
        HEAD + "\n\nclass Net(nn.Module):\n    dim = 8\n"
        "    layers = nn.ModuleList([nn.Linear(dim, dim)] * 3)\n"
    )
    assert fixable(text.encode()) == ["comprehension"]
    assert fixed(text) == text


def test_a_finding_inside_of_another_is_fixed_too() -> None:
    text = (
        "import keras\n\nmodel = keras.Sequential([keras.layers.Dense(\n    8,  # units\n"
        "    kernel_initializer=keras.initializers.RandomNormal(0.02),\n)] * n)\n"
    )
    both = [f for f in lint(text.encode()) if f.fix]
    result = fix_file(text, both, unsafe=True)
    assert "RandomNormal(stddev=0.02)" in result.text
    assert "keras.layers.Dense(\n    8,  # units\n" in result.text
    assert [f.fix for f in (*result.applied, *result.left)] == ["name-the-std", "comprehension"]


SAMPLE = body(
    "init.xavier_uniform(m.weight)",
    "init.normal_(m.out.weight,\n\t\t 0.02)",
    "x = '\u00e4'; init.normal_(m.other.weight, 0.02)",
    "return nn.Sequential(*[\n        nn.Linear(8, 8),\n    ] * n)",
)
WANTED = body(
    "init.xavier_uniform_(m.weight)",
    "init.normal_(m.out.weight,\n\t\t std=0.02)",
    "x = '\u00e4'; init.normal_(m.other.weight, std=0.02)",
    "return nn.Sequential(*[\n        nn.Linear(8, 8) for _ in range(n)\n    ])",
)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("final", [True, False])
@pytest.mark.parametrize(
    ("prefix", "encoding"),
    [
        (b"", "utf-8"),
        (b"\xef\xbb\xbf", "utf-8"),
        (b"# -*- coding: latin-1 -*-\n", "latin-1"),
        (b"\x0c\n", "utf-8"),
    ],
)
def test_encoding_line_ends_and_the_end_of_the_file_stay(
    newline: str, final: bool, prefix: bytes, encoding: str
) -> None:
    def stored(text: str) -> bytes:
        kept = text if final else text.rstrip("\n")
        head = prefix.replace(b"\n", newline.encode())
        return head + kept.replace("\n", newline).encode(encoding)

    content, result = fix_bytes(stored(SAMPLE), lint(stored(SAMPLE)), unsafe=True)
    assert content == stored(WANTED)
    assert len(result.applied) == 4
    assert fixable(content) == []


def test_line_ends_of_carriage_returns_alone_stay() -> None:
    content = SAMPLE.replace("\n", "\r").encode()
    result, _ = fix_bytes(content, lint(content), unsafe=True)
    assert result == WANTED.replace("\n", "\r").encode()


def test_mixed_line_ends_stay_mixed() -> None:
    content = body("init.normal_(m.weight,\r\n  0.02)", "init.normal_(m.out.weight, 0.02)").encode()
    result, _ = fix_bytes(content, lint(content), unsafe=True)
    assert result == content.replace(b"0.02", b"std=0.02")


@pytest.mark.parametrize("path", FIXTURES, ids=lambda p: p.stem)
def test_a_fixed_fixture_parses_and_has_nothing_left_to_fix(path: Path) -> None:
    content = path.read_bytes()
    found = lint(content)
    result, report = fix_bytes(content, found, unsafe=True)
    ast.parse(result)
    assert len(report.applied) + len(report.left) == len(found)
    again, second = fix_bytes(result, lint(result), unsafe=True)
    assert again == result
    assert second.applied == ()


@pytest.mark.parametrize("path", FIXTURES, ids=lambda p: p.stem)
def test_lines_outside_of_the_edits_are_the_same(path: Path) -> None:
    text = path.read_text("utf-8")
    for finding in lint(text.encode()):
        edits = edits_for(text, finding)
        assert made(text, edits) == fix_file(text, [finding], unsafe=True).text
        lines, kept = text.split("\n"), {n for e in edits for n in range(e.line, e.end_line + 1)}
        after = made(text, edits).split("\n")
        if len(after) == len(lines):
            changed = {i for i, (a, b) in enumerate(zip(lines, after, strict=True), 1) if a != b}
            assert changed <= kept


@given(st.lists(st.sampled_from([line for line, _ in ONE_LINE[:8]]), max_size=6), st.booleans())
@settings(max_examples=40, deadline=None)
def test_any_mix_of_faults_is_put_right_as_each_alone(lines: list[str], unsafe: bool) -> None:
    right = dict(ONE_LINE) if unsafe else dict(ONE_LINE[:2])
    text = body("pass", *lines)
    assert fixed(text, unsafe=unsafe) == body("pass", *(right.get(line, line) for line in lines))


def test_findings_without_a_fix_are_handed_back() -> None:
    text = body("init.normal_(m.weight, 0.02)", "init.uniform_(m.weight, 1.0, 0.5)")
    found = lint(text.encode())
    result = fix_file(text, found, unsafe=False)
    assert result.text == text
    assert result.left == tuple(found)


def test_a_fix_that_would_not_parse_is_not_made() -> None:
    text = body("init.xavier_uniform(m.weight)") + "def broken(:\n"
    found = lint(body("init.xavier_uniform(m.weight)").encode())
    assert fix_file(text, found).text == text


def test_a_place_beyond_the_file_is_left() -> None:
    found = lint(body("pass", "pass", "init.xavier_uniform(m.weight)").encode())
    result = fix_file("x = 1\n", found)
    assert (result.text, result.applied, result.left) == ("x = 1\n", (), tuple(found))


def test_edits_reach_the_findings_of_a_report() -> None:
    text = body("init.normal_(m.weight, 0.02)").encode()
    (finding,) = with_edits(lint(text), lambda path: text)
    assert finding.edits == (Edit(6, 28, 6, 28, "std="),)


def test_a_file_that_is_gone_leaves_its_findings_without_edits() -> None:
    def gone(path: str) -> bytes:
        raise FileNotFoundError(path)

    found = lint(body("init.normal_(m.weight, 0.02)").encode())
    assert with_edits(found, gone) == tuple(found)


def test_writing_keeps_the_mode_and_the_link(tmp_path: Path) -> None:
    target, link = tmp_path / "model.py", tmp_path / "link.py"
    target.write_bytes(b"old")
    target.chmod(0o750)
    link.symlink_to(target)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o750
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link.py", "model.py"]


def test_a_file_that_cannot_be_replaced_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, target: Path) -> Path:
        raise PermissionError(13, "refused", str(target))

    target = tmp_path / "model.py"
    target.write_bytes(b"old")
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(PermissionError):
        write_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_linting_does_not_load_libcst() -> None:
    code = (
        "import sys, initaudit.source.fix, initaudit.source.linting\n"
        "from initaudit.source.linting import check_bytes\n"
        "from initaudit.rulebook import load\nfrom initaudit.catalogue import load as cat\n"
        "text = b'import torch\\ntorch.nn.init.normal_(w.weight, 0.02)\\n'\n"
        "assert check_bytes(text, 'a', load(), cat()).claims\n"
        "print('libcst' in sys.modules)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        cwd=Path(initaudit.__file__).parents[1],
    )  # fmt: skip
    assert run.stdout == "False\n"
