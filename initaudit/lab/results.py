"""What an experiment hands back: claims, pictures and what the audit says, all of them values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from initaudit.finding import Finding, Report

Number = float | None


@dataclass(frozen=True, slots=True)
class Claim:
    """What theory says, what was measured, and whether that agrees."""

    expected: str
    measured: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Named:
    """What the audit says of one of the networks, saved as a checkpoint.

    ``rules`` maps the rules that fire to their names and severities; ``wanted`` are those of
    which one at least belongs to the failure, none for a sound network, which then has no warning.
    """

    network: str
    verdict: str
    rules: Mapping[str, tuple[str, str]]
    wanted: tuple[str, ...]

    @property
    def as_expected(self) -> bool:
        """Whether all that are wanted fire; of a sound network, that nothing above a note does."""
        if self.wanted:
            return set(self.wanted) <= set(self.rules)
        return all(severity == "note" for _, severity in self.rules.values())


@dataclass(frozen=True, slots=True)
class Bars:
    """One bar for each label; on a logarithmic scale unless ``linear``."""

    title: str
    rows: tuple[tuple[str, Number], ...]
    unit: str = ""
    linear: bool = False


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts in equal bins over [low, high]."""

    label: str
    counts: tuple[int, ...]
    low: float
    high: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Histograms:
    """One histogram for each layer, each over its own range."""

    title: str
    rows: tuple[Histogram, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Curves:
    """Lines over a common axis."""

    title: str
    across: str
    series: tuple[Series, ...]
    log: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """A network's answer over the plane, and the points that it was asked about.

    ``classes`` are rows from the top down over ``reach`` = (left, right, bottom, top); ``points``
    are (x, y, class).
    """

    label: str
    classes: tuple[tuple[int, ...], ...]
    points: tuple[tuple[float, float, int], ...]
    reach: tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Plane:
    """Decision boundaries side by side."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Heat:
    """A table of numbers as colours, from 0 to ``most``; ``texts`` stand in the cells."""

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[tuple[Number, ...], ...]
    texts: tuple[tuple[str, ...], ...]
    most: float


@dataclass(frozen=True, slots=True)
class Table:
    """Words and numbers in columns."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Picture: TypeAlias = Bars | Histograms | Curves | Plane | Heat | Table


@dataclass(frozen=True, slots=True)
class Result:
    """One experiment as it was run; ``numbers`` are what the claims rest on."""

    name: str
    title: str
    about: str
    claims: tuple[Claim, ...]
    pictures: tuple[Picture, ...]
    named: tuple[Named, ...]
    numbers: Mapping[str, float] = field(default_factory=dict)
    lesson: str = ""


def named(network: str, report: Report, wanted: Sequence[str] = ()) -> Named:
    """Return what the report of one checkpoint says, worst first."""
    rules: dict[str, tuple[str, str]] = {}
    for finding in sorted(report.findings, key=_worst_first):
        rules.setdefault(finding.rule, (finding.name, finding.severity.name.lower()))
    verdict = report.networks[0].verdict if report.networks else "unjudged"
    return Named(network, verdict, rules, tuple(wanted))


def as_found(network: str, report: Report) -> Named:
    """Return what the report of one checkpoint says, where nothing in particular is expected."""
    found = named(network, report)
    return replace(found, wanted=tuple(found.rules))


def _worst_first(finding: Finding) -> tuple[int, str]:
    return -int(finding.severity), finding.rule


def claim(expected: str, measured: str, *, holds: bool) -> Claim:
    """Return a claim; ``holds`` by name, for it reads better."""
    return Claim(expected, measured, bool(holds))


def shown(value: float | None) -> str:
    """Return a number as a person reads it."""
    if value is None:
        return "-"
    if value == 0.0:
        return "0"
    size = abs(value)
    return f"{value:.3g}" if 1e-3 <= size < 1e5 else f"{value:.1e}"
