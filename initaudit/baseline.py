"""Findings that are known: written to a file once, left out afterwards, reported when gone.

An entry is known by its fingerprint with the path taken from the baseline's own folder, so that
a line that moves stays known and a run from another folder finds the same.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from initaudit.finding import Finding, Report, Stale
from initaudit.report.fingerprint import fingerprints

VERSION = 1


class BaselineError(ValueError):
    """A baseline that cannot be used, as one line."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One known finding; only the fingerprint counts, the rest is for a person."""

    path: str
    rule: str
    place: str
    fingerprint: str


def read(path: Path) -> tuple[Entry, ...]:
    """Return the entries of a baseline.

    Raises:
        BaselineError: for a file that cannot be read or is no baseline.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        hint = " (--write-baseline writes one)" if isinstance(error, FileNotFoundError) else ""
        raise BaselineError(f"{path}: cannot be read: {error.strerror}{hint}") from None
    except (ValueError, RecursionError) as error:
        raise BaselineError(f"{path}: is no baseline: {error}") from None
    if not isinstance(document, dict) or document.get("version") != VERSION:
        raise BaselineError(f"{path}: is no baseline of version {VERSION}")
    found = document.get("findings")
    if not isinstance(found, list) or not all(map(_is_entry, found)):
        raise BaselineError(f"{path}: is no baseline: an entry has path, rule, place, fingerprint")
    return tuple(Entry(*(one[name] for name in Entry.__slots__)) for one in found)


def written(report: Report, path: Path) -> str:
    """Return the findings of a report as a baseline, one entry a line, sorted."""
    entries = sorted(
        (shown, f.rule, _place(f), mark) for f, shown, mark in _marked(report.findings, path)
    )
    lines = [json.dumps(dict(zip(Entry.__slots__, entry, strict=True))) for entry in entries]
    listed = ",\n    ".join(lines)
    inner = f"\n    {listed}\n  " if lines else ""
    return f'{{\n  "version": {VERSION},\n  "findings": [{inner}]\n}}\n'


def without(report: Report, known: Sequence[Entry], path: Path) -> Report:
    """Return the report without the findings that a baseline holds.

    Entries that match nothing are reported where their file was judged by their rule, or is gone.
    """
    marks = {entry.fingerprint for entry in known}
    left = []
    seen = set()
    for finding, _, mark in _marked(report.findings, path):
        if mark in marks:
            seen.add(mark)
        else:
            left.append(finding)
    judged = {_relative(one, path) for one in report.judged}
    stale = tuple(
        Stale(entry.path, entry.rule, entry.place)
        for entry in known
        if entry.fingerprint not in seen
        and (entry.path in judged or not (path.absolute().parent / entry.path).exists())
        and (not report.rules or entry.rule in report.rules)
    )
    return replace(
        report,
        findings=tuple(left),
        known=len(report.findings) - len(left),
        stale=stale,
        compared=True,
    )


def _marked(findings: Sequence[Finding], path: Path) -> list[tuple[Finding, str, str]]:
    paths = [_relative(f.site.path, path) for f in findings]
    return list(zip(findings, paths, fingerprints(findings, paths), strict=True))


def _relative(shown: str, path: Path) -> str:
    return os.path.relpath(shown, path.absolute().parent).replace(os.sep, "/")


def _place(finding: Finding) -> str:
    """Return what a person finds the place by: symbol and line of source, or the tensor."""
    site = finding.site
    if finding.excerpts:
        line = " ".join(finding.excerpts[0].split())
        return f"{finding.symbol}: {line}" if finding.symbol else line
    return site.tensor or site.layer or ""


def _is_entry(one: object) -> bool:
    return isinstance(one, dict) and all(isinstance(one.get(n), str) for n in Entry.__slots__)
