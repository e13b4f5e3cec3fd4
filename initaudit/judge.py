"""From measurements to findings: the subjects, the registry of checks, severities."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from initaudit.finding import Fact, Finding
from initaudit.network import Layer, Network, Origin, Site, Tensor
from initaudit.replica.trace import Trace
from initaudit.rulebook import Confidence, Rule, Severity, fill

NEAR = 0.5
"""Decades beyond a limit within which a finding is said to be close to it."""

Limits = Mapping[str, float]
Arrays = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Hit:
    """A check's claim that its rule is broken at a place.

    ``severity`` and ``confidence`` step down from the rule page's where the evidence is weaker.
    ``margin`` is how far beyond its limit the number lies, in decades; None where that has no
    meaning. ``layer`` is the layer that the cure is for.
    """

    site: Site
    facts: Mapping[str, Fact]
    layer: Layer | None = None
    severity: Severity | None = None
    confidence: Confidence | None = None
    margin: float | None = None
    related: tuple[Site, ...] = ()


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


Check = Callable[[Any, Limits], Iterable[Hit]]


@dataclass(slots=True)
class _Registry:
    checks: dict[tuple[str, str], Check] = field(default_factory=dict)


_REGISTRY = _Registry()


def check(rule: str, subject: str) -> Callable[[Check], Check]:
    """Register a check for one rule and one subject; a second one for the same is an error."""

    def register(function: Check) -> Check:
        key = (rule, subject)
        if key in _REGISTRY.checks:
            raise ValueError(f"{rule} already has a check for {subject}")
        _REGISTRY.checks[key] = function
        return function

    return register


def registered() -> Mapping[tuple[str, str], Check]:
    """Return the checks by (rule id, subject); `initaudit.checks` must have been imported."""
    return dict(_REGISTRY.checks)


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
        for hit in _REGISTRY.checks[rule.id, kind](subject, rule.limits)
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
            for hit in _REGISTRY.checks[rule.id, "signal"](s, rule.limits)
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
        if kind in rule.judges and origin in rule.origins and (rule.id, kind) in _REGISTRY.checks
    ]


def _finding(rule: Rule, hit: Hit, origin: Origin, cure: Cure) -> Finding:
    severity = min(rule.severity, hit.severity or rule.severity)
    confidence = min(rule.confidence, hit.confidence or rule.confidence)
    more, code = cure(hit.layer)
    facts = {**more, **hit.facts}
    message = fill(rule.message, facts)
    if hit.margin is not None and hit.margin < NEAR:
        confidence = Confidence(max(confidence - 1, Confidence.LOW))
        facts["margin_decades"] = round(hit.margin, 3)
        message += f" This is close to the limit ({hit.margin:.2g} decades beyond it)."
    used = {k: v for k, v in facts.items() if k in hit.facts or k == "margin_decades"}
    return Finding(
        rule=rule.id,
        name=rule.name,
        severity=severity,
        confidence=confidence,
        site=hit.site,
        facts=used,
        message=message,
        cure=fill(rule.cure, facts),
        code=code if origin is not Origin.TRAINED else "",
        related=hit.related,
    )


def _conditional(finding: Finding, under: list[str]) -> Finding:
    names = " or ".join(under)
    return Finding(
        rule=finding.rule,
        name=finding.name,
        severity=Severity.NOTE,
        confidence=Confidence.LOW,
        site=finding.site,
        facts={**finding.facts, "under": ", ".join(under)},
        message=f"Only if the activation is {names}: {finding.message}",
        cure=finding.cure,
        code=finding.code,
        related=finding.related,
    )
