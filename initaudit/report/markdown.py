"""Markdown for a comment on a pull request or the summary of a job."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from initaudit.finding import Finding, NetworkReport, Report
from initaudit.report import Style
from initaudit.report.placing import worst_first
from initaudit.report.plain import one_line, relative, within
from initaudit.report.wording import count, tally
from initaudit.rulebook import Severity

MOST = 50
"""Findings that are listed: GitHub cuts a comment at 65,536 characters."""

_SIGNS: Mapping[Severity, str] = {
    Severity.ERROR: "\N{LARGE RED CIRCLE}",
    Severity.WARNING: "\N{LARGE YELLOW CIRCLE}",
    Severity.NOTE: "\N{LARGE BLUE CIRCLE}",
}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~@$])")


def render(report: Report, style: Style) -> str:
    """Return the report: what changed against a baseline, findings, networks, what was not judged.

    ``style`` changes nothing.
    """
    del style
    parts = [f"### initaudit: {_headline(report)}", *_compared(report)]
    parts += _findings(report)
    parts += _networks(report.networks)
    parts += _not_judged(report)
    return "\n\n".join(parts) + "\n"


def _headline(report: Report) -> str:
    files = count(report.files, "file")
    found = tally(report.findings)
    new = "new: " if report.compared and found else ""
    return f"{new}{found} in {files}" if found else f"nothing {'new ' * report.compared}in {files}"


def _compared(report: Report) -> list[str]:
    if not report.compared:
        return []
    numbers = (len(report.findings), len(report.stale), report.known)
    table = "| new | fixed | unchanged |\n| ---: | ---: | ---: |\n| {:,} | {:,} | {:,} |"
    parts = [table.format(*numbers)]
    if report.stale:
        gone = [f"- {_code(s.path)} {s.rule} {escaped(s.place)}" for s in report.stale[:MOST]]
        parts.append(_folded(f"{count(len(report.stale), 'finding')} fixed", "\n".join(gone)))
    return parts


def _findings(report: Report) -> list[str]:
    found = worst_first(report.findings)
    if not found:
        return []
    rows = ["| | rule | where | what |", "| --- | --- | --- | --- |"]
    rows += [_row(finding) for finding in found[:MOST]]
    parts = ["\n".join(rows)]
    if len(found) > MOST:
        parts.append(f"{len(found) - MOST:,} more are not listed here.")
    cures = {f.cure: f.rule for f in reversed(found) if f.cure}
    lines = [f"- **{rule}**: {escaped(one_line(cure))}" for cure, rule in reversed(cures.items())]
    return [*parts, _folded("What to do", "\n".join(lines))] if lines else parts


def _row(finding: Finding) -> str:
    site = finding.site
    line = f":{site.line}" if site.line is not None else ""
    inside = within(site)
    where = _code(f"{relative(site.path)}{line}") + (f" {_code(inside)}" if inside else "")
    what = escaped(one_line(finding.message))
    return f"| {_SIGNS[finding.severity]} | {finding.rule} {finding.name} | {where} | {what} |"


def _networks(networks: Sequence[NetworkReport]) -> list[str]:
    if not networks:
        return []
    lines = []
    for one in networks:
        name = relative(one.path) + (f" ({one.name})" if one.name else "")
        lines.append(f"- {_code(name)}: {escaped(one_line(one.verdict))}")
        lines += [f"  - assumed: {escaped(one_line(text))}" for text in one.assumptions]
    return [_folded(count(len(networks), "network"), "\n".join(lines))]


def _not_judged(report: Report) -> list[str]:
    if not report.unread:
        return []
    lines = [f"- {_code(relative(u.site.path))}: {escaped(one_line(u.reason))}"
             for u in report.unread[:MOST]]  # fmt: skip
    more = len(report.unread) - MOST
    lines += [f"- and {more:,} more"] * (more > 0)
    return ["**Not judged**\n\n" + "\n".join(lines)]


def _folded(title: str, body: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{body}\n\n</details>"


def escaped(text: str) -> str:
    """Return text that Markdown shows as it stands."""
    return _SPECIAL.sub(r"\\\1", text)


def _code(text: str) -> str:
    """Return text as code, in a fence longer than any in it; a table's bar is escaped."""
    shown = one_line(text).replace("|", "\\|")
    longest = max((len(run) for run in re.findall("`+", shown)), default=0)
    if not longest:
        return f"`{shown}`"
    fence = "`" * (longest + 1)
    return f"{fence} {shown} {fence}"
