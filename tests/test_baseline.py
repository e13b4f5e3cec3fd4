"""The baseline: what it knows stays known when lines move, and what is gone is told."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from initaudit.baseline import BaselineError, read, without, written
from initaudit.finding import Finding, Report
from initaudit.network import Site
from initaudit.rulebook import Confidence, Severity
from tests.command import FIXTURES, run

CALL = "nn.init.normal_(self.fc.weight, 0.02)"
NET = """\
import torch.nn as nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)
        {call}
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(NET.format(call=CALL))
    return tmp_path


@pytest.fixture
def known(capsys: pytest.CaptureFixture[str]) -> Path:
    ran = run(capsys, ".", "--write-baseline", "known.json")
    assert (ran.code, ran.out) == (0, "")
    assert ran.err == "known.json: 1 finding written\n"
    return Path("known.json")


def summary(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, int, int, int]:
    """Return findings left, known, entries that match nothing, and the exit code."""
    ran = run(capsys, *(words or (".",)), "--baseline", "known.json", "--output-format", "json")
    report = ran.report
    counts = len(report["findings"]), report["summary"]["known"], len(report["stale_baseline"])
    return (*counts, ran.code)


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    "change",
    [
        lambda text: text,
        lambda text: "\n# moved\n" * 20 + text,
        lambda text: text.replace("fc = nn.Linear(8, 8)", "fc = nn.Linear(16, 8)"),
        lambda text: text.replace("weight, 0.02", "weight,  0.02"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text + "\n\nclass Other(nn.Module):\n    pass\n",
    ],
)
def test_a_finding_stays_known_when_its_line_moves(
    change: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(change)
    Path("net.py").write_text(change(Path("net.py").read_text()), newline="")
    assert summary(capsys) == (0, 1, 0, 0)


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("change", "left", "kept", "stale"),
    [
        (lambda t: t + "        nn.init.normal_(self.fc.bias, 0.02)\n", 1, 1, 0),
        (lambda t: t + f"        {CALL}\n", 1, 1, 0),
        (lambda t: t.replace("weight, 0.02", "weight, 0.03"), 1, 0, 1),
        (lambda t: t.replace("class Net", "class Other"), 1, 0, 1),
        (lambda t: t.replace("0.02", "std=0.02"), 0, 0, 1),
    ],
    ids=["another line", "the same line again", "another number", "another class", "fixed"],
)
def test_what_is_new_is_found_and_what_is_gone_is_told(
    change: object, left: int, kept: int, stale: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(change)
    Path("net.py").write_text(change(Path("net.py").read_text()))
    findings = ["--select", "IA401"]
    assert summary(capsys, ".", *findings) == (left, kept, stale, 1 if left else 0)


@pytest.mark.usefixtures("known")
def test_only_what_was_looked_at_can_be_gone(capsys: pytest.CaptureFixture[str]) -> None:
    Path("other.py").write_text("x = 1\n")
    Path("net.py").write_text(NET.format(call="pass"))
    assert summary(capsys, "other.py") == (0, 0, 0, 0)
    assert summary(capsys, "net.py", "--select", "IA403") == (0, 0, 0, 0)
    assert summary(capsys, "net.py") == (0, 0, 1, 0)
    Path("net.py").unlink()
    assert summary(capsys, "other.py") == (0, 0, 1, 0)


@pytest.mark.usefixtures("known")
def test_text_names_what_is_gone(capsys: pytest.CaptureFixture[str]) -> None:
    assert "1 known from the baseline" in run(capsys, ".", "--baseline", "known.json").out
    Path("net.py").write_text(NET.format(call="pass"))
    shown = run(capsys, ".", "--baseline", "known.json").out
    assert "Entries of the baseline that match nothing any more" in shown
    assert f"net.py: IA401 Net.__init__: {CALL}" in " ".join(shown.split())


@pytest.mark.usefixtures("known")
def test_a_run_from_another_folder_knows_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    Path("sub").mkdir()
    os.chdir("sub")
    ran = run(capsys, "..", "--baseline", "../known.json", "--output-format", "json")
    assert (ran.report["summary"]["known"], ran.code) == (1, 0)


def test_a_baseline_may_come_from_the_configuration(
    known: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("pyproject.toml").write_text('[tool.initaudit]\nbaseline = "known.json"\n')
    assert run(capsys, ".").code == 0
    known.write_text(written(Report(), known))
    assert run(capsys, ".").code == 1


def test_checkpoints_have_a_baseline_too(capsys: pytest.CaptureFixture[str]) -> None:
    words = (str(FIXTURES / "too-small-tanh"), "--no-probe")
    run(capsys, *words, "--write-baseline", "known.json")
    assert len(read(Path("known.json"))) > 1
    assert summary(capsys, *words)[::3] == (0, 0)


def test_a_file_is_one_entry_a_line_sorted_and_says_what_it_knows(known: Path) -> None:
    (entry,) = read(known)
    assert (entry.path, entry.rule) == ("net.py", "IA401")
    assert entry.place == f"Net.__init__: {CALL}"
    finding = Finding(
        "IA401", "n", Severity.ERROR, Confidence.HIGH, Site("z.py", line=1), {}, "m", "c",
        excerpts=("x",),
    )  # fmt: skip
    other = Finding(
        "IA401", "n", Severity.ERROR, Confidence.HIGH, Site("a.py", line=1), {}, "m", "c",
        excerpts=("x",),
    )  # fmt: skip
    text = written(Report((finding, other)), Path("b.json"))
    rows = [line for line in text.splitlines() if '"path"' in line]
    assert [json.loads(row.strip().rstrip(","))["path"] for row in rows] == ["a.py", "z.py"]
    assert written(Report((other, finding)), Path("b.json")) == text


def test_equal_lines_are_counted_not_merged() -> None:
    one = Finding(
        "IA401", "n", Severity.ERROR, Confidence.HIGH, Site("a.py", line=1), {}, "m", "c",
        excerpts=("x",),
    )  # fmt: skip
    path = Path("b.json")
    path.write_text(written(Report((one, one)), path))
    known = read(path)
    assert len({entry.fingerprint for entry in known}) == 2
    report = without(Report((one, one, one), judged=("a.py",)), known, path)
    assert (len(report.findings), report.known) == (1, 2)
    report = without(Report((one,), judged=("a.py",)), known, path)
    assert (report.known, len(report.stale)) == (1, 1)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"version": 2, "findings": []}', '{"version": 1}',
     '{"version": 1, "findings": [1]}', '{"version": 1, "findings": [{"path": "a"}]}',
     "[" * 100_000],
)  # fmt: skip
def test_what_is_no_baseline_is_refused_in_one_line(
    content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("known.json").write_text(content)
    with pytest.raises(BaselineError) as refused:
        read(Path("known.json"))
    assert "\n" not in str(refused.value)
    ran = run(capsys, ".", "--baseline", "known.json")
    assert (ran.code, ran.out) == (2, "")
    assert "is no baseline" in ran.err
