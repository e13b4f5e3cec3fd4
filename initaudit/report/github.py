"""Workflow commands of GitHub Actions, which show a finding beside the line of a pull request."""

from __future__ import annotations

from collections.abc import Mapping

from initaudit.finding import Finding, Report
from initaudit.network import Site
from initaudit.report import Style
from initaudit.report.placing import worst_first
from initaudit.report.plain import one_line, relative, sentence
from initaudit.rulebook import Severity

_COMMANDS: Mapping[Severity, str] = {
    Severity.ERROR: "error",
    Severity.WARNING: "warning",
    Severity.NOTE: "notice",
}


def render(report: Report, style: Style) -> str:
    """Return a command a finding, the worst first: GitHub shows ten of each kind in a step.

    In a notebook the line is that of the cell, which is no line of the file: it is left out.
    ``style`` changes nothing.
    """
    del style
    lines = [_command(finding) for finding in worst_first(report.findings)]
    for unread in report.unread:
        given = _properties(unread.site, "initaudit: not judged")
        lines.append(f"::warning {given}::{_data(one_line(unread.reason))}")
    return "".join(f"{line}\n" for line in lines)


def _command(finding: Finding) -> str:
    title = f"{finding.rule} {finding.name}"
    text = f"{sentence(finding)} {one_line(finding.cure)}".rstrip()
    given = _properties(finding.site, title)
    return f"::{_COMMANDS[finding.severity]} {given}::{_data(text)}"


def _properties(site: Site, title: str) -> str:
    given: dict[str, object] = {"file": one_line(relative(site.path))}
    if site.cell is None and site.line is not None:
        one = site.end_line in {None, site.line}
        given |= {"line": site.line, "endLine": site.end_line}
        # Columns are only allowed where a place begins and ends on one line.
        given |= {"col": site.column, "endColumn": site.end_column} if one else {}
    given["title"] = title
    return ",".join(f"{k}={_property(str(v))}" for k, v in given.items() if v is not None)


def _data(text: str) -> str:
    """Escape a message as actions/toolkit's command.ts reads it back."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
