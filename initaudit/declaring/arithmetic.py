"""Models of open sizes: findings that hold whatever the sizes are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from initaudit import auditing, remedy
from initaudit.claims import Hit, finding
from initaudit.declaring import guarding, opened, placing, realised
from initaudit.finding import Fact, Finding, Report
from initaudit.network import Layer, Network, Origin, Site, Unread
from initaudit.options import Options, Progress, quiet
from initaudit.reading import model, predicting
from initaudit.reading.values import StopError
from initaudit.rulebook import Rule, fill

_JUDGED = {
    "IA203": ("forward", -1), "IA204": ("forward", 1),
    "IA205": ("backward", -1), "IA206": ("backward", 1),
}  # fmt: skip
"""Rules that arithmetic can settle: which ratio, and whether a small or a large one is a fault."""
_FEW = 16
"""Samples that tell whether a gradient is exactly zero."""
_ANY_SIZE = ("IA101", "IA102")
"""Rules on weights of one value in a row, whose messages tell no sizes."""


def by_arithmetic(
    made: model.Model, options: Options, rules: Mapping[str, Rule], progress: Progress = quiet
) -> Report:
    """Judge a model of open sizes: by its laws where they hold one value, else by arithmetic.

    Its weights are drawn with numbers that could stand for the sizes. That a weight holds one value
    throughout does not depend on them; of what does, nothing is reported but intervals.

    Raises:
        StopError: it has no forward pass, or what is built in it depends on an open size.
    """
    drawn = realised.drawn(made, options, sized=False)
    if made.state.guesses:
        raise StopError(realised.guessed(made), made.state.guesses[0])
    some = {key: rules[key] for key in _ANY_SIZE if key in rules}
    few = replace(options, samples=min(options.samples, _FEW), probe=False, suggest=False)
    report = auditing.audit_one(
        lambda: drawn.checkpoint, made.path, few, some, progress, Origin.DECLARED
    )
    network = replace(drawn.plan.network(()), origin=Origin.DECLARED)
    findings = tuple(_of_any_size(f, network, some) for f in report.findings)
    report = replace(report, findings=findings)
    report = placing.placed(report, made, drawn.sites, drawn.reading)
    told = predicting.predict(network, made.parameters)
    bounds = [] if told is None else list(_bounded(told, rules))
    if told is not None:
        found = (_settled(x, network, told, made, drawn.sites) for x in bounds if x.beyond)
        report = replace(report, findings=(*report.findings, *found))
    sound = bool(bounds) and all(x.within for x in bounds)
    networks = tuple(
        opened.shown(x, network, made, told, report.findings, sound) for x in report.networks
    )
    report = replace(report, networks=networks)
    if any(x.verdict != "unjudged" for x in networks):
        return report
    note = _unsettled(made, told)
    return replace(report, unread=(*report.unread, note), failed=report.failed or note.lost)


def _of_any_size(one: Finding, network: Network, rules: Mapping[str, Rule]) -> Finding:
    """Return a finding whose cure tells no number that a size decides."""
    more, code = _cured(network, network.layer(one.site.layer or ""))
    return replace(one, cure=fill(rules[one.rule].cure, {**more, **one.facts}), code=code)


def _cured(network: Network, layer: Layer) -> tuple[Mapping[str, Fact], str]:
    more, code = remedy.cure(network, layer)
    return {**more, "wanted": "its gain / sqrt(fan_in)"}, code


@dataclass(frozen=True, slots=True)
class _Bounded:
    """A ratio's end that a rule's limit is for, and the other; ``sign`` is -1 for a least ratio."""

    rule: Rule
    sign: int
    near: float
    far: float

    @property
    def beyond(self) -> bool:
        """Whether the ratio is beyond the limit whatever the sizes are."""
        return self.sign * self.far > self.sign * self.rule.limits["ratio"]

    @property
    def within(self) -> bool:
        """Whether it is within the limit whatever the sizes are."""
        return self.sign * self.near <= self.sign * self.rule.limits["ratio"]


def _bounded(told: predicting.Prediction, rules: Mapping[str, Rule]) -> Iterator[_Bounded]:
    for key, (which, sign) in _JUDGED.items():
        if (rule := rules.get(key)) is not None:
            ratio = told.forward if which == "forward" else told.backward
            ends = (ratio.lo, ratio.hi) if sign < 0 else (ratio.hi, ratio.lo)
            yield _Bounded(rule, sign, *ends)


def _unsettled(made: model.Model, told: predicting.Prediction | None) -> Unread:
    """Return what is said of a signal that was not judged; it is lost for lack of a stack."""
    if told is not None:
        why = f"{made.name}: {made.left_open} left open, and arithmetic does not settle its signal"
    else:
        why = f"{made.name} is not judged: {made.left_open} left open, "
        why += "and it is no plain stack of layers"
    return Unread(guarding.line(made.site), why, lost=told is None)


def _settled(
    bound: _Bounded,
    network: Network,
    told: predicting.Prediction,
    made: model.Model,
    sites: Mapping[str, Site],
) -> Finding:
    rule, ratio = bound.rule, bound.far
    first, last = told.hidden[0], told.hidden[-1]
    backwards = rule.id in {"IA205", "IA206"}
    layer = network.layer(first if backwards else last)
    ends = [math.sqrt(min(q.hi, 1e30)) for q in (told.powers[0], told.powers[-1])]
    if backwards:
        ends = [math.sqrt(min(ratio, 1e30)), 1.0]
    facts: dict[str, Fact] = {
        "ratio": ratio, "first": first, "last": last, "first_std": ends[0], "last_std": ends[1],
        "layers": len(told.hidden),
    }  # fmt: skip
    margin = abs(math.log10(max(ratio, 1e-300) / rule.limits["ratio"]))
    more, code = _cured(network, layer)
    hit = Hit(Site(made.path, layer=layer.name), facts, layer, margin=margin)
    one = finding(rule, hit, more, code)
    place = placing.at(Site(made.path, layer=layer.name), made, sites)
    return replace(one, site=place, excerpts=(placing.excerpt(place),))
