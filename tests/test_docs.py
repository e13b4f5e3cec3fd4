"""The documents: what they show is what happens."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.command import FIXTURES, ROOT, good, run
from tests.documents import alike, ran
from tests.tables import TABLES, filled

DOCS = ROOT / "docs"
STEPS = DOCS / "first-steps.md"
REFERENCE = DOCS / "reference.md"


def test_the_first_steps_print_what_they_say(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = tmp_path / "steps"
    folder.mkdir()
    told, anew = ran(STEPS.read_text("utf-8"), folder)
    if request.config.getoption("--update"):
        STEPS.write_text(anew, "utf-8")
        return
    assert len(told) >= 7
    for one in told:
        assert alike(one.expected, one.printed), f"{one.command}\n{one.printed}"
    codes = [one.printed.split()[-1] for one in told if "exit code" in one.command]
    assert codes == ["1", "0", "1", "0"], "broken, put right, broken, put right"


@pytest.mark.parametrize("name", TABLES)
def test_the_reference_holds_every_table(name: str) -> None:
    assert f"<!-- table: {name} -->" in REFERENCE.read_text("utf-8")


def test_the_tables_are_those_of_the_tool(request: pytest.FixtureRequest) -> None:
    written = REFERENCE.read_text("utf-8")
    made = filled(written)
    if request.config.getoption("--update"):
        REFERENCE.write_text(made, "utf-8")
        return
    assert written == made, "python -m pytest tests/test_docs.py --update writes it anew"


@pytest.mark.parametrize("path", [REFERENCE, ROOT / "README.md"], ids=lambda p: p.name)
def test_the_exit_codes_are_those_of_the_tool(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = re.findall(r"^\| (\d) \| (.+) \|$", path.read_text("utf-8"), re.MULTILINE)
    assert [code for code, _ in told] == ["0", "1", "2"]
    healthy, faulty = good(tmp_path / "good.safetensors"), FIXTURES / "too-small-tanh"
    words = ("--activation", "relu", "--no-probe")
    assert "nothing" in told[0][1]
    assert run(capsys, healthy, *words).code == 0
    assert "findings" in told[1][1]
    assert run(capsys, faulty, *words).code == 1
    assert "misuse" in told[2][1]
    assert run(capsys, "--no-such-option").code == 2
    assert run(capsys, tmp_path / "none.safetensors").code == 2
    # 2 beats 1.
    assert run(capsys, faulty, tmp_path / "none.safetensors", *words).code == 2


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a 1.00 █▏ b", "a 1.01 ██ b", True),
        ("a 1.00 b", "a 1.20 b", False),
        ("a b", "a c", False),
        ("a b", "a b c", False),
        ("(0.189; x1.91e-24)", "(0.190; x1.90e-24)", True),
        ("10 layers", "11 layers", False),
    ],
)
def test_outputs_agree_in_words_and_closely_in_numbers(one: str, other: str, same: bool) -> None:
    assert alike(one, other) is same


def test_links_between_the_documents_lead_somewhere() -> None:
    for path in (ROOT / "README.md", *DOCS.glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text("utf-8")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"
