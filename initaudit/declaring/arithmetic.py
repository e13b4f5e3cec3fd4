"""Models of open sizes: findings that hold whatever the sizes are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from initaudit import auditing, remedy
from initaudit.claims import Hit, finding
from initaudit.declaring import guarding, opened, placing, realised
from initaudit.finding import Fact, Finding, NetworkReport, Report
from initaudit.network import Interval, Layer, Network, Origin, Site, Unread
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
    found = tuple(_beyond(told, network, made, drawn.sites, rules)) if told is not None else ()
    report = replace(report, findings=(*report.findings, *found))
    networks = tuple(
        opened.shown(x, network, made, told, report.findings, _sound(told, rules))
        for x in report.networks
    )
    return replace(report, networks=networks, **_unsettled(report, networks, made, told))


def _of_any_size(one: Finding, network: Network, rules: Mapping[str, Rule]) -> Finding:
    """Return a finding whose cure tells no number that a size decides."""
    more, code = _cured(network, network.layer(one.site.layer or ""))
    return replace(one, cure=fill(rules[one.rule].cure, {**more, **one.facts}), code=code)


def _cured(network: Network, layer: Layer) -> tuple[Mapping[str, Fact], str]:
    more, code = remedy.cure(network, layer)
    return {**more, "wanted": "its gain / sqrt(fan_in)"}, code


def _beyond(
    told: predicting.Prediction,
    network: Network,
    made: model.Model,
    sites: Mapping[str, Site],
    rules: Mapping[str, Rule],
) -> Iterator[Finding]:
    """Yield what lies beyond its limit whatever the sizes are."""
    for key, (which, sign) in _JUDGED.items():
        if (rule := rules.get(key)) is not None:
            ratio, limit = _ratio(told, which), rule.limits["ratio"]
            if ratio.hi < limit if sign < 0 else ratio.lo > limit:
                value = ratio.hi if sign < 0 else ratio.lo
                yield _settled(rule, network, told, value, limit, made, sites)


def _sound(told: predicting.Prediction | None, rules: Mapping[str, Rule]) -> bool:
    """Return whether the signal stays within all limits whatever the sizes are."""
    if told is None:
        return False
    within = []
    for key, (which, sign) in _JUDGED.items():
        if (rule := rules.get(key)) is not None:
            ratio, limit = _ratio(told, which), rule.limits["ratio"]
            within.append(ratio.lo >= limit if sign < 0 else ratio.hi <= limit)
    return bool(within) and all(within)


def _ratio(told: predicting.Prediction, which: str) -> Interval:
    return told.forward if which == "forward" else told.backward


def _unsettled(
    report: Report,
    networks: Sequence[NetworkReport],
    made: model.Model,
    told: predicting.Prediction | None,
) -> dict[str, Any]:
    """Return what the report says of a signal that was not judged; it fails for lack of a stack."""
    if any(x.verdict != "unjudged" for x in networks):
        return {}
    named = ", ".join(made.opened) or "its sizes"
    if told is not None:
        why = f"{made.name}: {named} left open, and arithmetic does not settle its signal"
    else:
        why = f"{made.name} is not judged: {named} left open, and it is no plain stack of layers"
    note = Unread(guarding.line(made.site), why, lost=told is None)
    return {"unread": (*report.unread, note), "failed": report.failed or told is None}


def _settled(
    rule: Rule,
    network: Network,
    told: predicting.Prediction,
    ratio: float,
    limit: float,
    made: model.Model,
    sites: Mapping[str, Site],
) -> Finding:
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
    margin = abs(math.log10(max(ratio, 1e-300) / limit))
    more, code = _cured(network, layer)
    hit = Hit(Site(made.path, layer=layer.name), facts, layer, margin=margin)
    one = finding(rule, hit, more, code)
    place = placing.at(Site(made.path, layer=layer.name), made, sites)
    return replace(one, site=place, excerpts=(placing.excerpt(place),))
