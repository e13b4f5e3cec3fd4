"""What a check claims, and the registry of checks; nothing here needs an array."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from initaudit.finding import Fact, Finding
from initaudit.network import Layer, Site
from initaudit.rulebook import Confidence, Rule, Severity, fill

NEAR = 0.5
"""Decades beyond a limit within which a finding is said to be close to it."""

Limits = Mapping[str, float]

Doubt = tuple[str, ...]
"""A question about the other files of a project whose answer yes withdraws a claim."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A check's claim that its rule is broken at a place.

    ``severity`` and ``confidence`` step down from the rule page's where the evidence is weaker.
    ``margin`` is how far beyond its limit the number lies, in decades; None where that has no
    meaning. ``layer`` is the layer that the cure is for, ``fix`` the name of a fixer of source.
    """

    site: Site
    facts: Mapping[str, Fact]
    layer: Layer | None = None
    severity: Severity | None = None
    confidence: Confidence | None = None
    margin: float | None = None
    related: tuple[Site, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    fix: str | None = None


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
    """Return the checks by (rule id, subject), of the packages that have been imported."""
    return dict(_REGISTRY.checks)


def finding(rule: Rule, hit: Hit, more: Mapping[str, Fact], code: str) -> Finding:
    """Return the finding that a claim comes to.

    ``more`` are facts that the page's texts may use besides the claim's own.
    """
    confidence = min(rule.confidence, hit.confidence or rule.confidence)
    texts = {**more, **hit.facts}
    facts = dict(hit.facts)
    words = rule.source if hit.site.line is not None else {}
    message = fill(words.get("message", rule.message), texts)
    if hit.margin is not None and hit.margin < NEAR:
        confidence = Confidence(max(confidence - 1, Confidence.LOW))
        facts["margin_decades"] = round(hit.margin, 3)
        message += f" This is close to the limit ({hit.margin:.2g} decades beyond it)."
    return Finding(
        rule=rule.id,
        name=rule.name,
        severity=min(rule.severity, hit.severity or rule.severity),
        confidence=confidence,
        site=hit.site,
        facts=facts,
        message=message,
        cure=fill(words.get("cure", rule.cure), texts),
        code=code,
        related=hit.related,
    )
