"""SARIF 2.1.0 as GitHub code scanning takes it.

What GitHub reads, and its limits: docs.github.com, "SARIF support for code scanning".
Fingerprints are left to the uploader, which warns of any others; ``security-severity`` is left
out, since it would make a security alert of each finding.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from initaudit.finding import Finding, Report
from initaudit.network import Site, Unread
from initaudit.report import Style
from initaudit.report.placing import worst_first
from initaudit.report.plain import one_line, pages, relative, sentence, within
from initaudit.rulebook import Confidence, Rule, Severity

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
MOST_RESULTS = 5_000
MOST_RELATED = 100
_LONGEST = 1_024

_LEVELS: Mapping[Severity, str] = {
    Severity.ERROR: "error",
    Severity.WARNING: "warning",
    Severity.NOTE: "note",
}
_PROBLEMS: Mapping[Severity, str] = {
    Severity.ERROR: "error",
    Severity.WARNING: "warning",
    Severity.NOTE: "recommendation",
}
_PRECISION: Mapping[Confidence, str] = {
    Confidence.HIGH: "very-high",
    Confidence.MEDIUM: "high",
    Confidence.LOW: "medium",
}
_TAGS: Mapping[str, str] = {
    "IA1": "weights",
    "IA2": "signal",
    "IA3": "numbers",
    "IA4": "source",
}


def render(report: Report, style: Style) -> str:
    """Return one run with its rules, results and what was not judged; ``style`` changes nothing.

    GitHub keeps the first 5,000 results: the worst come first, what is beyond is told as a
    notification.
    """
    del style
    found = worst_first(report.findings)
    kept = found[:MOST_RESULTS]
    told = pages(report, kept)
    order = {rule: at for at, rule in enumerate(told)}
    driver = {
        "name": "initaudit",
        "semanticVersion": report.version,
        "rules": [_rule(rule, page, kept) for rule, page in told.items()],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(report, len(found) - len(kept))],
        "results": [_result(finding, order) for finding in kept],
    }
    document = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(document, indent=2) + "\n"


def _rule(rule: str, page: Rule | None, found: Iterable[Finding]) -> dict[str, Any]:
    first = next(f for f in found if f.rule == rule)
    severity = first.severity if page is None else page.severity
    confidence = first.confidence if page is None else page.confidence
    summary = first.message if page is None else page.summary
    text, markdown = (first.cure, first.cure) if page is None else (_help(page), page.markdown)
    return {
        "id": rule,
        "name": first.name,
        "shortDescription": {"text": _cut(first.name.replace("-", " "))},
        "fullDescription": {"text": _cut(one_line(summary))},
        "help": {"text": text, "markdown": markdown},
        "defaultConfiguration": {"level": _LEVELS[severity]},
        "properties": {
            "tags": ["initialisation", _TAGS.get(rule[:3], "weights")],
            "precision": _PRECISION[confidence],
            "problem.severity": _PROBLEMS[severity],
        },
    }


def _help(page: Rule) -> str:
    return f"{page.summary}\n\nWhen it is right: {page.sections['When it is right']}"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3].rstrip() + "..."


def _result(finding: Finding, order: Mapping[str, int]) -> dict[str, Any]:
    text = f"{sentence(finding)}\n\n{one_line(finding.cure)}".rstrip()
    result = {
        "ruleId": finding.rule,
        "ruleIndex": order[finding.rule],
        "level": _LEVELS[finding.severity],
        "message": {"text": text},
        "locations": [_location(finding.site, whole=False)],
    }
    if finding.related:
        result["relatedLocations"] = [
            {"id": at, **_location(site), "message": {"text": _said(site)}}
            for at, site in enumerate(finding.related[:MOST_RELATED], start=1)
        ]
    return result


def _said(site: Site) -> str:
    """Return what a related place is called."""
    return one_line(within(site)) or "the same cause"


def _location(site: Site, *, whole: bool = True) -> dict[str, Any]:
    """Return a place; one that may be shown in a pull request keeps to its first line.

    An alert is shown there only if all its lines are in the diff.
    """
    physical: dict[str, Any] = {"artifactLocation": {"uri": uri(site.path)}}
    if site.cell is None and site.line is not None:
        physical["region"] = _region(site, whole=whole)
    location: dict[str, Any] = {"physicalLocation": physical}
    name = within(site)
    if name:
        location["logicalLocations"] = [{"name": name, "kind": "member"}]
    return location


def _region(site: Site, *, whole: bool) -> dict[str, int]:
    one = not whole and site.end_line not in {None, site.line}
    numbers = {
        "startLine": site.line,
        "startColumn": site.column,
        "endLine": site.line if one else site.end_line,
        "endColumn": None if one else site.end_column,
    }
    return {key: value for key, value in numbers.items() if value is not None}


def uri(path: str) -> str:
    """Return a path as a relative reference where it lies in the working folder, else absolute."""
    seen = relative(path)
    data = quote(seen.encode("utf-8", "surrogateescape"), safe="/~")
    return f"file://{data}" if seen.startswith("/") else data


def _invocation(report: Report, left: int) -> dict[str, Any]:
    notes = [_notification(unread) for unread in report.unread]
    if left:
        text = f"{left:,} findings beyond the first {MOST_RESULTS:,} are left out"
        notes.append({"level": "warning", "message": {"text": text}})
    made: dict[str, Any] = {"executionSuccessful": not report.failed}
    return made | ({"toolExecutionNotifications": notes} if notes else {})


def _notification(unread: Unread) -> dict[str, Any]:
    return {
        "level": "error" if unread.lost else "note",
        "message": {"text": f"not judged: {one_line(unread.reason)}"},
        "locations": [_location(unread.site)],
    }
