"""GitLab's Code Quality report: a JSON list in the form of Code Climate's issues."""

from __future__ import annotations

import json
from collections.abc import Mapping

from initaudit.finding import Report
from initaudit.report import Style
from initaudit.report.fingerprint import fingerprints
from initaudit.report.plain import relative, sentence
from initaudit.rulebook import Severity

_SEVERITIES: Mapping[Severity, str] = {
    Severity.ERROR: "critical",
    Severity.WARNING: "major",
    Severity.NOTE: "info",
}


def render(report: Report, style: Style) -> str:
    """Return the findings as a list; each has a fingerprint by which GitLab compares two runs.

    A place without a line, such as a checkpoint's, is shown at the first. ``style`` changes
    nothing.
    """
    del style
    paths = [relative(f.site.path) for f in report.findings]
    marks = fingerprints(report.findings, paths)
    issues = [
        {
            "type": "issue",
            "check_name": finding.rule,
            "description": f"{finding.rule} {finding.name}: {sentence(finding)}",
            "severity": _SEVERITIES[finding.severity],
            "fingerprint": mark,
            "location": {"path": path, "lines": _lines(finding.site.line, finding.site.end_line)},
        }
        for finding, path, mark in zip(report.findings, paths, marks, strict=True)
    ]
    return json.dumps(issues, indent=2) + "\n"


def _lines(first: int | None, last: int | None) -> dict[str, int]:
    return {"begin": first or 1, "end": max(first or 1, last or 1)}
