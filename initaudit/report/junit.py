"""JUnit's XML, which most continuous integration shows as tests: one suite for each input."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree as Tree

from initaudit.finding import Finding, Report
from initaudit.network import Unread
from initaudit.report import Style
from initaudit.report.plain import one_line, sentence
from initaudit.rulebook import Severity

# Characters that XML 1.0 cannot hold, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(report: Report, style: Style) -> str:
    """Return a suite for each path; a finding is a failed test, a note a passed one that says so.

    What was not judged is an error, or skipped where nothing that was asked for is missing.
    ``style`` changes nothing.
    """
    del style
    root = Tree.Element("testsuites", name="initaudit")
    suites = [_suite(path, report) for path in _paths(report)]
    for key in ("tests", "failures", "errors", "skipped"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in suites)))
    root.extend(suites)
    Tree.indent(root)
    body = Tree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _paths(report: Report) -> Iterable[str]:
    found = (finding.site.path for finding in report.findings)
    lost = (unread.site.path for unread in report.unread)
    return dict.fromkeys((*found, *lost, *report.judged))


def _suite(path: str, report: Report) -> Tree.Element:
    suite = Tree.Element("testsuite", name=_text(path))
    cases = [_finding(f) for f in report.findings if f.site.path == path]
    cases += [_unread(u) for u in report.unread if u.site.path == path]
    if not cases:
        cases = [Tree.Element("testcase", name="initaudit", classname=_text(path))]
    suite.extend(cases)
    suite.set("tests", str(len(cases)))
    for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(key, str(sum(case.find(tag) is not None for case in cases)))
    return suite


def _finding(finding: Finding) -> Tree.Element:
    site = finding.site
    case = Tree.Element("testcase", name=_text(_name(finding)), classname=_text(site.path))
    case.set("file", _text(site.path))
    if site.line is not None:
        case.set("line", str(site.line))
    told = f"{sentence(finding)}\n{one_line(finding.cure)}"
    if finding.severity is Severity.NOTE:
        Tree.SubElement(case, "system-out").text = _text(told)
    else:
        failed = Tree.SubElement(case, "failure", message=_text(sentence(finding)))
        failed.set("type", finding.severity.name.lower())
        failed.text = _text(told)
    return case


def _name(finding: Finding) -> str:
    site = finding.site
    where = site.layer or site.tensor or (f"line {site.line}" if site.line else "")
    if site.cell is not None:
        where = f"cell {site.cell}, {where}"
    return f"{finding.rule} {finding.name}" + (f" at {where}" if where else "")


def _unread(unread: Unread) -> Tree.Element:
    case = Tree.Element("testcase", name="read", classname=_text(unread.site.path))
    tag = "error" if unread.lost else "skipped"
    Tree.SubElement(case, tag, message=_text(one_line(unread.reason)))
    return case


def _text(text: str) -> str:
    """Return text without what XML cannot hold; each such character is shown by its number."""
    return _FORBIDDEN.sub(lambda m: f"\\x{ord(m[0]):02x}", text)
