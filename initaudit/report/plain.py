"""What every format for machines says of a finding: its place, one line of text, its page."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from initaudit.finding import Finding, Report
from initaudit.network import Site
from initaudit.rulebook import Rule


def one_line(text: str) -> str:
    """Return text with each run of white space as one space, and nothing that moves a cursor."""
    shown = " ".join(text.split())
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)


def relative(path: str) -> str:
    """Return a path as seen from the working folder, with forward slashes, where it lies in it."""
    seen = os.path.relpath(path) if Path(path).is_absolute() else path
    outside = seen == os.pardir or seen.startswith(os.pardir + os.sep)
    shown = path if outside else os.path.normpath(seen)
    return shown.replace(os.sep, "/")


def within(site: Site) -> str:
    """Return what a place is called inside its file where a line does not say it."""
    parts = [f"cell {site.cell}"] if site.cell is not None else []
    # A tensor's name holds its layer's.
    parts += [name for name in (site.tensor or site.layer,) if name]
    return ", ".join(parts)


def sentence(finding: Finding) -> str:
    """Return the message on one line, with the place in front where no line tells it."""
    place = within(finding.site)
    text = one_line(finding.message)
    return f"{one_line(place)}: {text}" if place else text


def pages(report: Report, findings: Iterable[Finding]) -> Mapping[str, Rule | None]:
    """Return the pages of the rules that findings break, by id; None where there is none."""
    known = {rule.id: rule for rule in report.pages}
    return {rule: known.get(rule) for rule in sorted({f.rule for f in findings})}
