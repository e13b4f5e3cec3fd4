"""The lint from the command line: what is found, silenced, selected, refused, and how it ends."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.command import FIXTURES, Ran, run

BAD = """\
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)
        nn.init.normal_(self.fc.weight, 0.02)
"""
GOOD = BAD.replace("0.02", "std=0.02")
SCHEMA = json.loads((files("initaudit.report") / "report.schema.json").read_text("utf-8"))


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PRE_COMMIT", raising=False)
    Path("net.py").write_text(BAD)
    Path("good.py").write_text(GOOD)
    return tmp_path


def places(ran: Ran) -> list[tuple[str, str, int]]:
    return [(f["rule"], f["path"], f["line"]) for f in ran.report["findings"]]


def lint(capsys: pytest.CaptureFixture[str], *words: object) -> Ran:
    return run(capsys, *words, "--output-format", "json")


# Findings.


def test_a_file_a_folder_and_standard_input_give_the_same_finding(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert places(lint(capsys, "net.py")) == [("IA401", "net.py", 8)]
    assert places(lint(capsys, ".")) == [("IA401", "net.py", 8)]
    for words, name in ((("-",), "-"), (("-", "--stdin-filename", "x/y.py"), "x/y.py")):
        stdin = SimpleNamespace(buffer=io.BytesIO(BAD.encode()), isatty=lambda: False)
        monkeypatch.setattr(sys, "stdin", stdin)
        ran = lint(capsys, *words)
        assert (places(ran), ran.code) == ([("IA401", name, 8)], 1)


def test_source_and_checkpoints_come_into_one_report(capsys: pytest.CaptureFixture[str]) -> None:
    ran = lint(capsys, "net.py", FIXTURES / "too-small-tanh", "--no-probe")
    Draft202012Validator(SCHEMA).validate(ran.report)
    rules = {f["rule"] for f in ran.report["findings"]}
    assert {"IA401", "IA103"} <= rules
    assert ran.report["summary"]["files"] == 2
    assert ran.report["summary"]["networks"] == 1


def test_json_says_where_in_words_and_what_would_fix_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ran = lint(capsys, "net.py")
    Draft202012Validator(SCHEMA).validate(ran.report)
    (found,) = ran.report["findings"]
    assert found["symbol"] == "Net.__init__"
    assert found["source"] == "        nn.init.normal_(self.fc.weight, 0.02)"
    assert (found["column"], found["end_column"]) == (9, 46)
    assert found["fix"] == {
        "safe": False,
        "edits": [{"line": 8, "column": 41, "end_line": 8, "end_column": 41,
                   "replacement": "std="}],
    }  # fmt: skip


TEXT = """\
net.py:8:9: error IA401 std-passed-as-mean
  torch.nn.init.normal_ takes the mean first: this draws around 0.02 with a standard deviation of 1,
  not around 0 with a standard deviation of 0.02.
     8 | nn.init.normal_(self.fc.weight, 0.02)
       | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  cure: Name the argument: `std=0.02`.

1 error in 1 file. Fixable: 1 with --fix --unsafe-fixes.
"""


def test_text_shows_the_line_with_its_span(capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(capsys, "net.py")
    assert (ran.out, ran.code) == (TEXT, 1)


@pytest.mark.parametrize("width", [40, 60, 100])
def test_text_keeps_to_the_width(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    shown = run(capsys, "net.py").out.splitlines()
    assert max(map(len, shown)) <= width
    assert any("^^^" in line for line in shown)


def test_a_cure_is_told_once_unless_all_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    Path("net.py").write_text(BAD + "        nn.init.normal_(self.fc.bias, 0.02)\n")
    only = ("--select", "IA401")
    assert run(capsys, "net.py", *only).out.count("cure:") == 1
    assert run(capsys, "net.py", *only, "-v").out.count("cure:") == 2


def test_characters_are_columns_however_wide_or_many_bytes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("net.py").write_text(BAD.replace("self.fc.weight", 'self.漢é["\t"].weight'))
    (found,) = lint(capsys, "net.py").report["findings"]
    assert (found["column"], found["end_column"]) == (9, 51)
    lines = run(capsys, "net.py").out.splitlines()
    at = next(i for i, line in enumerate(lines) if "漢" in line)
    from rich.cells import cell_len

    assert cell_len(lines[at].rstrip()) == len(lines[at + 1].rstrip())


# Notebooks.


def notebook(*cells: str) -> str:
    return json.dumps({"cells": [{"cell_type": "code", "source": c} for c in cells], "nbformat": 4})


def test_a_notebook_finding_has_its_cell_and_line(capsys: pytest.CaptureFixture[str]) -> None:
    imports = "%matplotlib inline\nimport torch.nn as nn"
    Path("nb.ipynb").write_text(
        notebook(imports, "fc = nn.Linear(8, 8)\nnn.init.normal_(fc.weight, 0.02)")
    )
    (found,) = lint(capsys, "nb.ipynb").report["findings"]
    assert (found["cell"], found["line"], found["end_line"]) == (2, 2, 2)
    assert run(capsys, "nb.ipynb").out.startswith("nb.ipynb:cell 2:2:1: error IA401")


def test_a_broken_cell_is_unread_and_the_others_are_judged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("nb.ipynb").write_text(
        notebook("import torch.nn as nn\nf = nn.Linear(8, 8)", "def f(:",
                 "nn.init.normal_(f.weight, 0.02)")
    )  # fmt: skip
    ran = lint(capsys, "nb.ipynb")
    assert [(f["cell"], f["line"]) for f in ran.report["findings"]] == [(3, 1)]
    assert [(u["cell"], u["line"]) for u in ran.report["unread"]] == [(2, 1)]
    assert ran.code == 2


# What silences a finding.


@pytest.mark.parametrize(
    ("comment", "silent"),
    [("# initaudit: ignore[IA401]", True), ("# noqa: IA401", True), ("# noqa", True),
     ("# initaudit: ignore[IA402]", False), ("# noqa: E501", False)],
)  # fmt: skip
def test_comments_silence_findings(
    comment: str, silent: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("net.py").write_text(BAD.replace("0.02)", f"0.02)  {comment}"))
    ran = lint(capsys, "net.py")
    assert (len(ran.report["findings"]), ran.code) == ((0, 0) if silent else (1, 1))
    assert ran.report["summary"]["ignored"] == int(silent)


def test_comments_that_match_nothing_are_reported_on_request(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("good.py").write_text(GOOD + "x = 1  # initaudit: ignore[IA401]\ny = 2  # noqa\n")
    assert run(capsys, "good.py").code == 0
    ran = lint(capsys, "good.py", "--report-unused-ignores")
    assert ran.report["unused_ignores"] == [
        {"path": "good.py", "line": 9, "cell": None, "text": "# initaudit: ignore[IA401]"}
    ]
    assert ran.code == 1
    shown = run(capsys, "good.py", "--report-unused-ignores")
    assert "good.py:9: # initaudit: ignore[IA401]" in shown.out
    assert run(capsys, "good.py", "--report-unused-ignores", "--fail-on", "error").code == 0
    assert run(capsys, "good.py", "--report-unused-ignores", "--exit-zero").code == 0


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (["--select", "IA4"], 1),
        (["--select", "IA1"], 0),
        (["--select", "IA1", "--extend-select", "IA401"], 1),
        (["--ignore", "std-passed-as-mean"], 0),
        (["--per-file-ignores", "net.py:IA401"], 0),
        (["--per-file-ignores", "*.py:IA403,IA4"], 0),
        (["--per-file-ignores", "other/*:IA401"], 1),
        (["--exclude", "net.py"], 0),
        (["--exclude", "other.py"], 1),
    ],
)
def test_what_is_selected(words: list[str], count: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(lint(capsys, ".", *words).report["findings"]) == count


@pytest.mark.parametrize(("words", "count"), [((), 1), (("--force-exclude",), 0)])
def test_standard_input_is_excluded_by_its_name_only_by_force(
    words: tuple[str, ...],
    count: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stdin = SimpleNamespace(buffer=io.BytesIO(BAD.encode()), isatty=lambda: False)
    monkeypatch.setattr(sys, "stdin", stdin)
    named = ("--stdin-filename", "gen/net.py", "--exclude", "gen")
    ran = lint(capsys, "-", *named, *words)
    assert (len(ran.report["findings"]), ran.code) == (count, count)


@pytest.mark.parametrize(("pattern", "count"), [("gen/*:IA401", 0), ("net.py:IA401", 1)])
def test_standard_input_is_ignored_by_its_name(
    pattern: str,
    count: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stdin = SimpleNamespace(buffer=io.BytesIO(BAD.encode()), isatty=lambda: False)
    monkeypatch.setattr(sys, "stdin", stdin)
    ran = lint(capsys, "-", "--stdin-filename", "gen/x.py", "--per-file-ignores", pattern)
    assert len(ran.report["findings"]) == count


def test_the_configuration_says_all_that_the_options_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("sub").mkdir()
    Path("sub/net.py").write_text(BAD)
    Path("gen").mkdir()
    Path("gen/net.py").write_text(BAD)
    Path("pyproject.toml").write_text(
        """\
[tool.initaudit]
select = ["IA1"]
extend-select = ["IA401"]
exclude = ["gen/"]
cache-dir = "kept"
jobs = 1
report-unused-ignores = true

[tool.initaudit.per-file-ignores]
"sub/*" = ["IA401"]
"""
    )
    assert places(lint(capsys, ".")) == [("IA401", "net.py", 8)]
    assert Path("kept/lint.jsonl").exists()
    os.chdir("sub")
    assert places(lint(capsys, "..")) == [("IA401", "../net.py", 8)]


def test_all_mistakes_of_a_configuration_are_told_at_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("pyproject.toml").write_text(
        """\
[tool.initaudit]
select = "IA1"
exclude = [1]
per-file-ignores = ["a"]
jobs = 0
cache = "no"
baseline = 3
colour = true
"""
    )
    ran = run(capsys, "net.py")
    assert ran.code == 2
    for key in ("select", "exclude", "per-file-ignores", "jobs", "cache", "baseline", "colour"):
        assert f"pyproject.toml: tool.initaudit.{key}: " in ran.err
    Path("pyproject.toml").write_text(
        '[tool.initaudit]\nextend-select = ["IA9"]\n'
        '[tool.initaudit.per-file-ignores]\n"a" = ["IA8"]\n'
    )
    ran = run(capsys, "net.py")
    assert ran.code == 2
    assert "'IA9' names no rule" in ran.err
    assert "per-file-ignores: 'a': 'IA8' names no rule" in ran.err


def test_statistics_count_the_rules(capsys: pytest.CaptureFixture[str]) -> None:
    Path("other.py").write_text(BAD)
    shown = run(capsys, ".", "--statistics", "-q").out
    assert "\n2  IA401  std-passed-as-mean\n" in shown
    assert lint(capsys, ".").report["summary"]["rules"] == {"IA401": 2}


# Fixes.


def test_fixes_are_shown_and_made_only_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(capsys, "net.py", "--diff", "--unsafe-fixes")
    assert "-        nn.init.normal_(self.fc.weight, 0.02)\n" in ran.out
    assert "+        nn.init.normal_(self.fc.weight, std=0.02)\n" in ran.out
    assert ran.code == 1
    assert run(capsys, "net.py", "--fix").code == 1
    assert Path("net.py").read_text() == BAD
    ran = run(capsys, "net.py", "--fix", "--unsafe-fixes")
    assert (ran.out, ran.code) == ("No findings in 1 file, 1 fixed.\n", 0)
    assert Path("net.py").read_text() == GOOD
    assert run(capsys, "net.py", "--diff", "--unsafe-fixes").out == ""


def test_what_a_comment_or_the_baseline_knows_is_not_fixed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ignored = BAD.replace("0.02)", "0.02)  # noqa: IA401")
    Path("ignored.py").write_text(ignored)
    run(capsys, "net.py", "--write-baseline", "known.json")
    ran = run(capsys, ".", "--fix", "--unsafe-fixes", "--baseline", "known.json")
    assert ran.code == 0
    assert (Path("net.py").read_text(), Path("ignored.py").read_text()) == (BAD, ignored)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write every file")
def test_a_file_that_cannot_be_written_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    Path("net.py").chmod(0o400)
    ran = lint(capsys, "net.py", "--fix", "--unsafe-fixes")
    assert ran.code == 2
    assert [u["path"] for u in ran.report["unread"]] == ["net.py"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["net.py", "--unsafe-fixes"], "--unsafe-fixes goes with --fix or --diff"),
        (["-", "--fix"], "--fix cannot write to standard input"),
        (["net.py", "--fix", "--write-baseline", "b"], "use one of them"),
        (["net.py", "--per-file-ignores", "IA401"], "write PATTERN:RULE"),
        (["net.py", "--jobs", "0"], "--jobs"),
        (["net.py", "--baseline", "absent.json"], "absent.json: cannot be read"),
        (["net.py", "--output-file", "good.py"], "the report may not replace it"),
    ],
)
def test_misuse_is_refused(
    words: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"")))
    ran = run(capsys, *words)
    assert ran.code == 2
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert (Path("net.py").read_text(), Path("good.py").read_text()) == (BAD, GOOD)


# Bad input: one clear line each, and everything else is still judged.

TORCH = b"import torch\ntorch.nn.init.zeros_(w)\n"
DEEP = {
    "brackets": b"x = " + b"[" * 10_000 + b"]" * 10_000,
    "parentheses": b"x = " + b"(" * 10_000 + b")" * 10_000,
    "signs": b"x = " + b"-" * 10_000 + b"1",
    "sums": b"x = " + b"1 + " * 10_000 + b"1",
    "attributes": b"x = a" + b".b" * 10_000,
    "calls": b"x = f" + b"()" * 10_000,
    "lambdas": b"x = " + b"lambda: " * 10_000 + b"1",
    "elifs": b"if a: pass\n" + b"elif a: pass\n" * 10_000,
    "blocks": b"".join(b" " * i + b"if a:\n" for i in range(10_000)) + b" " * 10_000 + b"pass",
    "strings": b"x = " + b"f'{" * 10_000,
}
BROKEN: dict[str, tuple[bytes, str, int | None]] = {
    "Python 2": (TORCH + b'print "loss"\n', "is not Python 3 that can be parsed", 3),
    "syntax": (TORCH + b"def f(:\n", "is not Python 3 that can be parsed", 3),
    "indent": (TORCH + b"  x = 1\n", "is not Python 3 that can be parsed", 3),
    "merge": (TORCH + b"<<<<<<< HEAD\n", "is not Python 3 that can be parsed", 3),
    "encoding": (b"# coding: klingon\n" + TORCH, "unknown encoding: klingon", 1),
    "not UTF-8": (TORCH + b"# \xe9\n", "is not utf-8: byte 0xe9", 3),
    "NUL": (TORCH + b"\0", "holds NUL bytes", 3),
    "UTF-16": (TORCH.decode().encode("utf-16"), "holds NUL bytes", 1),
    "surrogates": (TORCH + b"x = '\xed\xa0\x80'\n", "is not utf-8", 3),
}


@pytest.mark.parametrize("case", BROKEN)
def test_bad_source_is_one_line_and_the_rest_is_judged(
    case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    content, reason, line = BROKEN[case]
    Path("bad.py").write_bytes(content)
    ran = lint(capsys, "bad.py", "net.py")
    (entry,) = ran.report["unread"]
    assert (entry["path"], entry["line"]) == ("bad.py", line)
    assert reason in entry["reason"]
    assert "\n" not in entry["reason"]
    assert places(ran) == [("IA401", "net.py", 8)]
    assert ran.code == 2
    in_folder = lint(capsys, ".")
    assert len(in_folder.report["unread"]) == 1
    assert in_folder.code == 1
    assert lint(capsys, ".", "--strict").code == 2


@pytest.mark.parametrize("case", DEEP)
def test_deep_nesting_ends_nothing(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("deep.py").write_bytes(TORCH + DEEP[case] + b"\n")
    ran = run(capsys, "deep.py", "net.py", "--output-format", "json")
    assert places(ran) == [("IA401", "net.py", 8)]
    assert all(u["path"] == "deep.py" for u in ran.report["unread"])
    assert ran.code == (2 if ran.report["unread"] else 1)


def test_a_large_generated_file_is_judged(capsys: pytest.CaptureFixture[str]) -> None:
    lines = "".join(f"w{i} = np.zeros(({i % 7}, 3)) + {i}\n" for i in range(100_000))
    Path("generated.py").write_text(f"import numpy as np\n{lines}y = w1 @ w2\n{BAD}")
    assert Path("generated.py").stat().st_size > 3_000_000
    ran = lint(capsys, "generated.py")
    assert ran.report["unread"] == []
    assert [rule for rule, *_ in places(ran)] == ["IA401"]


def test_a_file_that_holds_nothing_to_judge_is_parsed_where_it_is_named_or_all_is_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Path("sub").mkdir()
    Path("sub/old.py").write_text('print "no framework"\n')
    assert lint(capsys, "sub").report["unread"] == []
    assert lint(capsys, "sub", "--strict").code == 2
    assert lint(capsys, "sub/old.py").code == 2


def make_loop(path: Path) -> None:
    path.symlink_to(path.name)


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (make_loop, "cannot be read: Too many levels of symbolic links"),
        (make_pipe, "is no regular file"),
        (make_device, "is no regular file"),
        (Path.mkdir, None),
        (lambda path: path.symlink_to("absent"), "cannot be read: No such file or directory"),
    ],
    ids=["loop", "pipe", "device", "folder", "dangling"],
)
def test_what_is_no_file_is_told_and_never_waited_for(
    make: Any, reason: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    make(Path("odd.py"))
    ran = lint(capsys, ".")
    assert places(ran) == [("IA401", "net.py", 8)]
    assert [u["reason"] for u in ran.report["unread"]] == [] if reason is None else [reason]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    Path("closed.py").write_text(BAD)
    Path("closed.py").chmod(0)
    ran = lint(capsys, "closed.py", "net.py")
    assert [u["reason"] for u in ran.report["unread"]] == ["cannot be read: Permission denied"]
    assert ran.code == 2


def test_a_failing_check_leaves_the_others_their_say(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from initaudit import claims
    from initaudit.source import linting

    def fails(subject: object, limits: object) -> list[object]:
        raise KeyError("no such\nthing")

    broken = {**claims.registered(), ("IA403", "draw"): fails}
    monkeypatch.setattr(linting, "registered", lambda: broken)
    ran = lint(capsys, "net.py", "--no-cache")
    assert places(ran) == [("IA401", "net.py", 8)]
    (entry,) = ran.report["unread"]
    assert "could not be judged by IA403" in entry["reason"]
    assert "KeyError" in entry["reason"]
    assert ran.code == 2


# What a run costs before there is anything to do.


def loaded(*words: str) -> set[str]:
    code = (
        "import sys\nfrom initaudit.cli import main\n"
        f"try:\n    main({list(words)!r})\nexcept SystemExit:\n    pass\n"
        "print('loaded:', *sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(ran.stdout.rpartition("loaded:")[2].split())


def test_source_alone_needs_neither_numpy_nor_libcst() -> None:
    assert not loaded("net.py", "--no-cache") & {"numpy", "libcst", "safetensors"}
    assert not loaded(".", "--jobs", "1") & {"numpy", "libcst", "safetensors"}
    assert "libcst" in loaded("net.py", "--diff", "--unsafe-fixes")


def test_a_clean_run_draws_nothing_and_needs_no_rich() -> None:
    assert not loaded("good.py", "--no-cache") & {"rich.console", "rich.text"}


def test_the_same_run_gives_the_same_bytes_cached_or_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    outputs = {
        run(capsys, ".", "--output-format", "json", *words).out
        for words in (("--no-cache",), (), (), ("--jobs", "2", "--no-cache"))
    }
    assert len(outputs) == 1
