"""Models of open sizes: findings that arithmetic alone can settle."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from initaudit import remedy
from initaudit.claims import Hit, finding
from initaudit.declaring import guarding, placing, realised
from initaudit.finding import Fact, Finding, Report
from initaudit.network import Network, Origin, Site, Unread
from initaudit.options import Options
from initaudit.reading import model, passing, predicting
from initaudit.rulebook import Rule
from initaudit.version import VERSION

_JUDGED = {
    "IA203": ("forward", -1), "IA204": ("forward", 1),
    "IA205": ("backward", -1), "IA206": ("backward", 1),
}  # fmt: skip
"""Rules that arithmetic can settle: which ratio, and whether a small or a large one is a fault."""


def by_arithmetic(made: model.Model, options: Options, rules: Mapping[str, Rule]) -> Report:
    """Judge a model of open sizes by the moments of its signal, where it is one plain stack."""
    named = ", ".join(made.opened) or "its sizes"
    _, stored_of = passing.declared(made, options.seed)
    _, plan, sites = realised.planned(made, stored_of, options)
    network = replace(plan.network(()), origin=Origin.DECLARED)
    told = predicting.predict(network, made.parameters)
    if told is None:
        return guarding.left(
            made.cls, f"{named} left open, and it is no plain stack of layers", made.site
        )
    findings = []
    for key, (which, sign) in _JUDGED.items():
        rule = rules.get(key)
        ratio = told.forward if which == "forward" else told.backward
        if rule is None:
            continue
        limit = rule.limits["ratio"]
        beyond = ratio.hi < limit if sign < 0 else ratio.lo > limit
        if beyond:
            value = ratio.hi if sign < 0 else ratio.lo
            findings.append(_settled(rule, network, told, value, limit, made, sites))
    bounds = f"signal power x[{told.forward.lo:.3g}, {told.forward.hi:.3g}]"
    bounds += f", gradient power x[{told.backward.lo:.3g}, {told.backward.hi:.3g}]"
    bounds += f", chi [{told.chi.lo:.3g}, {told.chi.hi:.3g}]"
    bounds += f", depth scale [{told.depth.lo:.3g}, {told.depth.hi:.3g}] layers"
    text = f"{made.name}: {named} left open: judged by arithmetic alone, {bounds}"
    note = Unread(
        guarding.line(made.site), f"{text} over {len(told.hidden)} hidden layers", lost=False
    )
    return Report(findings=tuple(findings), unread=(note,), version=VERSION)


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
    more, code = remedy.cure(network, layer)
    more = {**more, "wanted": "its gain / sqrt(fan_in)"}
    hit = Hit(Site(made.path, layer=layer.name), facts, layer, margin=margin)
    one = finding(rule, hit, more, code)
    place = placing.at(Site(made.path, layer=layer.name), made, sites)
    return replace(one, site=place, excerpts=(placing.excerpt(place),))
