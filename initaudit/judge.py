"""From measurements to findings: what checks see, and what an open activation does to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from initaudit.claims import Hit, finding, registered
from initaudit.finding import Fact, Finding
from initaudit.network import Layer, Network, Origin, Tensor
from initaudit.replica.trace import Trace
from initaudit.rulebook import Confidence, Rule, Severity

Arrays = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Stored:
    """Subject ``tensor``: all stored arrays of one checkpoint and the layers that hold them."""

    network: Network
    tensors: tuple[Tensor, ...]
    holder: Mapping[str, Layer]


@dataclass(frozen=True, slots=True)
class Built:
    """Subject ``network``: a network's weights in their places; ``arrays`` reads one by name."""

    network: Network
    arrays: Arrays


@dataclass(frozen=True, slots=True)
class Sent:
    """Subject ``signal``: what random inputs and gradients measured.

    ``probed`` is the same after the probe, None where there was none. ``activation`` stands in
    for the unknown ones, None where all are known.
    """

    network: Network
    trace: Trace
    probed: Trace | None
    activation: str | None = None


Cure = Callable[[Layer | None], tuple[Mapping[str, Fact], str]]
"""From the layer at fault to facts for the cure's template and a line of code."""


def judge(
    subject: Stored | Built | Sent, rules: Mapping[str, Rule], cure: Cure
) -> tuple[Finding, ...]:
    """Return the findings of all rules in ``rules`` that judge this subject and its origin."""
    kind = {Stored: "tensor", Built: "network", Sent: "signal"}[type(subject)]
    origin = subject.network.origin
    return tuple(
        _finding(rule, hit, origin, cure)
        for rule in _applicable(rules, kind, origin)
        for hit in registered()[rule.id, kind](subject, rule.limits)
    )


def judge_open(
    subjects: Sequence[Sent], rules: Mapping[str, Rule], cure: Cure
) -> tuple[Finding, ...]:
    """Judge one network whose activation is unknown, measured under several.

    A fault that holds under all of them is found as it stands, with its weakest severity; one
    that holds under some is a note that names those.
    """
    origin = subjects[0].network.origin
    found: list[Finding] = []
    for rule in _applicable(rules, "signal", origin):
        hits = {
            s.activation or "": hit
            for s in subjects
            for hit in registered()[rule.id, "signal"](s, rule.limits)
        }
        if not hits:
            continue
        made = [_finding(rule, hit, origin, cure) for hit in hits.values()]
        weakest = min(made, key=lambda f: (f.severity, f.confidence))
        if len(hits) == len(subjects):
            found.append(weakest)
        else:
            found.append(_conditional(weakest, sorted(hits)))
    return tuple(found)


def _applicable(rules: Mapping[str, Rule], kind: str, origin: Origin) -> list[Rule]:
    return [
        rule
        for rule in rules.values()
        if kind in rule.judges and origin in rule.origins and (rule.id, kind) in registered()
    ]


def _finding(rule: Rule, hit: Hit, origin: Origin, cure: Cure) -> Finding:
    more, code = cure(hit.layer)
    return finding(rule, hit, more, code if origin is not Origin.TRAINED else "")


def _conditional(one: Finding, under: list[str]) -> Finding:
    names = " or ".join(under)
    return Finding(
        rule=one.rule,
        name=one.name,
        severity=Severity.NOTE,
        confidence=Confidence.LOW,
        site=one.site,
        facts={**one.facts, "under": ", ".join(under)},
        message=f"Only if the activation is {names}: {one.message}",
        cure=one.cure,
        code=one.code,
        related=one.related,
    )
