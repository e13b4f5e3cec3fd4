"""Findings at the lines of a source, with those lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from initaudit.declaring import guarding
from initaudit.finding import Finding, Report
from initaudit.network import Site, Unread
from initaudit.reading import model, passing


def placed(
    report: Report,
    made: model.Model,
    sites: Mapping[str, Site],
    reading: passing.Reading,
) -> Report:
    """Give findings the lines of their layers, and say where the forward pass was not followed."""
    findings = tuple(
        replace(
            f,
            site=at(f.site, made, sites),
            related=tuple(at(s, made, sites) for s in f.related),
            excerpts=_excerpts(f, made, sites),
        )
        for f in report.findings
    )
    stops = tuple(
        Unread(guarding.line(site or made.site), f"{made.name} is not followed further: {reason}")
        for reason, site in dict.fromkeys(reading.stopped)
    )
    return replace(
        report, findings=findings, unread=(*report.unread, *stops),
        failed=report.failed or bool(stops),
    )  # fmt: skip


def at(site: Site, made: model.Model, sites: Mapping[str, Site]) -> Site:
    """Return a place of a network as its line in the source."""
    parameter = made.parameters.get(site.tensor or "")
    place = parameter.site if parameter is not None else sites.get(site.layer or "", made.site)
    return replace(place, tensor=site.tensor, layer=site.layer)


def _excerpts(finding: Finding, made: model.Model, sites: Mapping[str, Site]) -> tuple[str, ...]:
    places = [at(s, made, sites) for s in (finding.site, *finding.related)]
    return tuple(excerpt(place) for place in places)


@lru_cache(maxsize=16)
def _lines(path: str) -> tuple[str, ...]:
    try:
        return tuple(Path(path).read_text(encoding="utf-8-sig", errors="replace").splitlines())
    except OSError:
        return ()


def excerpt(site: Site) -> str:
    """Return the line of source at a place, empty where it has none."""
    lines = _lines(site.path)
    return lines[site.line - 1] if site.line is not None and site.line <= len(lines) else ""
