"""The formats that other programs read: what they say, what they escape, what they leave out."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as Tree

import pytest
from pydantic_sarif.model import (
    StaticAnalysisResultsFormatSarifVersion210JsonSchema as OfficialModel,
)

from initaudit.finding import Finding, Report, Stale
from initaudit.network import Site, Unread
from initaudit.report import FORMATS, Style
from initaudit.report import markdown as markdown_format
from initaudit.report import sarif as sarif_format
from initaudit.rulebook import Confidence, Severity, load
from tests.command import run

STYLE = Style(width=80, colour=False)
MACHINE = ("concise", "github", "gitlab", "junit", "markdown", "sarif")
NASTY = "100 % of `a|b`\x1b[31m: <b>x</b>,\r\n::error::no \N{SNOWMAN} \N{RIGHT-TO-LEFT OVERRIDE}"


def made(
    site: Site,
    message: str = "The weights are all zero.",
    severity: Severity = Severity.ERROR,
    **more: Any,
) -> Finding:
    return Finding(
        "IA101", "zero-weights", severity, Confidence.HIGH, site, {}, message,
        "Draw them at random.", **more,
    )  # fmt: skip


SOURCE = Site("src/net.py", 12, 9, 14, 30)
STORED = Site("runs/model.safetensors", tensor="fc.weight", layer="fc")
CELL = Site("nb.ipynb", 3, 5, 3, 20, cell=7)


def report(*findings: Finding, **more: Any) -> Report:
    return Report(findings, files=1, version="0.1.0", pages=tuple(load().values()), **more)


def parsed(text: str | bytes) -> Tree.Element:
    return Tree.fromstring(text)  # noqa: S314  (what this project wrote)


def shown(name: str, given: Report) -> str:
    return FORMATS[name](given, STYLE)


@pytest.mark.parametrize("name", MACHINE)
def test_nothing_found_is_said_in_a_form_that_is_read(name: str) -> None:
    text = shown(name, report())
    if name in {"gitlab", "sarif"}:
        json.loads(text)
    if name == "junit":
        parsed(text)
    if name in {"concise", "github"}:
        assert text == ""


@pytest.mark.parametrize("name", MACHINE)
def test_no_format_lets_a_name_move_the_cursor(name: str) -> None:
    text = shown(name, report(made(replace(STORED, tensor=NASTY, path="a\x1b[2Jb.npz"), NASTY)))
    assert "\x1b" not in text
    assert "\r" not in text


def test_concise_is_a_line_a_finding() -> None:
    given = report(made(SOURCE, "first\nsecond"), made(STORED), unread=(Unread(CELL, "why"),))
    assert shown("concise", given).splitlines() == [
        "src/net.py:12:9: IA101 first second",
        "runs/model.safetensors: IA101 fc.weight: The weights are all zero.",
        "nb.ipynb:3:5: not judged: why",
    ]


def test_github_escapes_what_its_commands_are_made_of() -> None:
    text = shown("github", report(made(replace(SOURCE, path="a,b:c%.py"), NASTY)))
    assert text.count("\n") == 1
    head, _, message = text.rstrip("\n").removeprefix("::error ").partition("::")
    given = dict(part.split("=", 1) for part in head.split(","))
    assert given["file"] == "a%2Cb%3Ac%25.py"
    assert (given["line"], given["endLine"]) == ("12", "14")
    # Columns are for places on one line.
    assert "col" not in given
    assert "100 %25 of" in message


def test_github_shows_the_worst_first_and_no_line_of_a_cell() -> None:
    text = shown("github", report(made(CELL, severity=Severity.NOTE), made(STORED)))
    first, second = text.splitlines()
    assert first.startswith("::error file=runs/model.safetensors,title=IA101 zero-weights::")
    assert second.startswith("::notice file=nb.ipynb,title=IA101 zero-weights::cell 7: ")


def test_gitlab_has_all_that_it_asks_for() -> None:
    issues = json.loads(shown("gitlab", report(made(SOURCE), made(SOURCE), made(STORED))))
    for issue in issues:
        assert set(issue) >= {"description", "check_name", "fingerprint", "severity", "location"}
        assert issue["severity"] in {"info", "minor", "major", "critical", "blocker"}
    assert len({issue["fingerprint"] for issue in issues}) == 3
    assert issues[0]["location"] == {"path": "src/net.py", "lines": {"begin": 12, "end": 14}}
    assert issues[2]["location"]["lines"] == {"begin": 1, "end": 1}


def test_junit_counts_what_it_holds() -> None:
    given = report(
        made(SOURCE), made(SOURCE, severity=Severity.NOTE), made(STORED, NASTY),
        unread=(Unread(Site("lost.npz"), "cut off"), Unread(Site("README"), "-", lost=False)),
        judged=("src/net.py", "good.npz"),
    )  # fmt: skip
    root = parsed(shown("junit", given))
    counts = {key: root.get(key) for key in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "6", "failures": "2", "errors": "1", "skipped": "1"}
    suites = {suite.get("name"): suite for suite in root}
    assert set(suites) == {
        "src/net.py", "runs/model.safetensors", "lost.npz", "README", "good.npz"
    }  # fmt: skip
    assert [
        len(suites[name].findall("testcase/failure")) for name in ("src/net.py", "good.npz")
    ] == [1, 0]


def test_junit_holds_nothing_that_xml_cannot() -> None:
    given = report(made(replace(SOURCE, path="a\x00b\ud800.py"), "\x08\ufffe"))
    parsed(shown("junit", given).encode())


def test_markdown_escapes_its_own_signs() -> None:
    text = shown("markdown", report(made(replace(STORED, tensor="a|`b`"), "<img> *x* |")))
    row = next(line for line in text.splitlines() if "zero-weights" in line)
    assert len(re.findall(r"(?<!\\)\|", row)) == 5
    assert "\\<img\\> \\*x\\* \\|" in row
    assert "`` a\\|`b` ``" in row


def test_markdown_tells_what_is_new_gone_and_as_before() -> None:
    stale = (Stale("src/net.py", "IA102", "Net: nn.init.ones_(w)"),)
    text = shown("markdown", report(made(SOURCE), stale=stale, known=1_234, compared=True))
    assert "| new | fixed | unchanged |\n| ---: | ---: | ---: |\n| 1 | 1 | 1,234 |" in text
    assert "IA102 Net: nn.init.ones\\_(w)" in text
    assert "| new |" not in shown("markdown", report(made(SOURCE)))


def test_markdown_stays_below_the_length_of_a_comment() -> None:
    many = [made(replace(SOURCE, line=at), "x" * 400) for at in range(1, 3_000)]
    text = shown("markdown", report(*many))
    assert len(text) < 65_536
    assert f"{2_999 - markdown_format.MOST:,} more are not listed" in text


@pytest.fixture
def both() -> Report:
    """A report with all that SARIF has a place for."""
    related = (Site("src/other.py", 3, 1, 3, 9, layer="fc2"), STORED)
    return report(
        made(SOURCE, related=related), made(STORED), made(CELL),
        unread=(Unread(Site("a b#c.npz"), NASTY), Unread(Site("x"), "-", lost=False)),
        failed=True,
    )  # fmt: skip


def test_sarif_is_what_the_official_schema_describes(both: Report) -> None:
    OfficialModel.model_validate_json(shown("sarif", both))
    OfficialModel.model_validate_json(shown("sarif", report()))


def test_the_official_schema_refuses_what_is_wrong(both: Report) -> None:
    document = json.loads(shown("sarif", both))
    document["runs"][0]["results"][0]["level"] = "fatal"
    with pytest.raises(ValueError, match="level"):
        OfficialModel.model_validate(document)


def test_sarif_has_what_code_scanning_reads(both: Report) -> None:
    run_ = json.loads(shown("sarif", both))["runs"][0]
    (rule,) = run_["tool"]["driver"]["rules"]
    assert rule["properties"]["precision"] in {"very-high", "high", "medium", "low"}
    assert rule["properties"]["problem.severity"] in {"error", "warning", "recommendation"}
    assert "security-severity" not in rule["properties"]
    assert "## Bad" in rule["help"]["markdown"]
    assert len(rule["fullDescription"]["text"]) <= 1_024
    assert len(rule["properties"]["tags"]) <= 20
    source, stored, cell = run_["results"]
    assert not {"partialFingerprints", "fingerprints"} & set(source)
    # An alert is shown in a pull request where all its lines are in the diff.
    region = source["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 12, "startColumn": 9, "endLine": 12}
    assert [r["id"] for r in source["relatedLocations"]] == [1, 2]
    place = stored["locations"][0]["physicalLocation"]
    assert place == {"artifactLocation": {"uri": "runs/model.safetensors"}}
    assert "region" not in cell["locations"][0]["physicalLocation"]
    assert cell["message"]["text"].startswith("cell 7: ")
    (invocation,) = run_["invocations"]
    assert not invocation["executionSuccessful"]
    levels = [n["level"] for n in invocation["toolExecutionNotifications"]]
    assert levels == ["error", "note"]


def test_sarif_writes_paths_as_references(tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert sarif_format.uri(str(tmp_path / "a b" / "n#1.py")) == "a%20b/n%231.py"
    assert sarif_format.uri("./src/../net.py") == "net.py"
    assert sarif_format.uri("/elsewhere/net.py") == "file:///elsewhere/net.py"


def test_sarif_keeps_to_the_limits_of_code_scanning() -> None:
    related = tuple(replace(SOURCE, line=at) for at in range(1, 300))
    notes = [made(replace(SOURCE, line=at), severity=Severity.NOTE) for at in range(1, 5_002)]
    run_ = json.loads(shown("sarif", report(*notes, made(STORED, related=related))))["runs"][0]
    assert len(run_["results"]) == sarif_format.MOST_RESULTS
    assert run_["results"][0]["level"] == "error"
    assert len(run_["results"][0]["relatedLocations"]) == sarif_format.MOST_RELATED
    (note,) = run_["invocations"][0]["toolExecutionNotifications"]
    assert note["message"]["text"].startswith("2 findings beyond")


@pytest.mark.parametrize("name", MACHINE)
@pytest.mark.parametrize(
    ("path", "code"),
    [("fixtures/checkpoints/too-small-tanh", 1), ("fixtures/checkpoints/healthy-he-relu", 0)],
)
def test_no_format_changes_the_exit_code(
    capsys: pytest.CaptureFixture[str], name: str, path: str, code: int
) -> None:
    assert run(capsys, path, "--output-format", name).code == code
