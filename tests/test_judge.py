"""How claims become findings: severities, confidence near a limit, open activations, one cause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import initaudit
from initaudit import claims, judge
from initaudit.auditing import one_cause
from initaudit.claims import Hit
from initaudit.finding import Fact, Finding
from initaudit.judge import Built, Sent
from initaudit.network import Layer, Network, Origin, Site
from initaudit.propagate import propagate
from initaudit.replica.trace import Trace
from initaudit.rulebook import Confidence, Rule, Severity, load
from tests.nets import he, mlp, normal, xavier

RULES = load()
SITE = Site("m", tensor="a.weight", layer="a")
FACTS: Mapping[str, Fact] = {
    "layers": 1, "std": 0.1, "fan_in": 8, "gain": 0.3, "wanted_std": 0.5, "ratio": 0.01,
    "decades": 5.0, "sensitivity": 1e3, "first": "a", "last": "b", "first_std": 1.0,
    "last_std": 1e-4,
}  # fmt: skip


def network(origin: Origin = Origin.MEASURED) -> Network:
    layers = (Layer("input", "input"), Layer("a", "linear", ("input",)))
    return Network("m", layers, origin, "names", Site("m"))


def cure(_: Layer | None) -> tuple[Mapping[str, Fact], str]:
    return {"activation": "relu", "initialiser": "He", "wanted": "0.5"}, "draw(a)"


def claiming(monkeypatch: pytest.MonkeyPatch, rule: str, kind: str, hits: Any) -> None:
    """Let one rule's check make these claims, by what it is shown."""
    known = dict(claims.registered())
    known[rule, kind] = lambda subject, limits: iter(hits(subject))
    monkeypatch.setattr(judge, "registered", lambda: known)


def only(rule: str, **changes: Any) -> dict[str, Rule]:
    return {rule: replace(RULES[rule], **changes)}


def judged(monkeypatch: pytest.MonkeyPatch, hit: Hit, origin: Origin = Origin.MEASURED) -> Finding:
    claiming(monkeypatch, "IA103", "network", lambda _: [hit])
    subject = Built(network(origin), lambda name: None)
    (found,) = judge.judge(subject, only("IA103"), cure)
    return found


def test_a_finding_has_its_pages_words_and_the_claims_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = judged(monkeypatch, Hit(SITE, FACTS))
    assert (found.rule, found.name) == ("IA103", "too-small")
    assert (found.severity, found.confidence) == (Severity.WARNING, Confidence.HIGH)
    assert "fan_in 8" in found.message
    assert "{" not in found.message + found.cure
    assert found.facts == FACTS
    assert found.code == "draw(a)"


@pytest.mark.parametrize("severity", [None, *Severity])
def test_a_claim_lowers_a_severity_and_never_raises_it(
    monkeypatch: pytest.MonkeyPatch, severity: Severity | None
) -> None:
    found = judged(monkeypatch, Hit(SITE, FACTS, severity=severity))
    assert found.severity == min(severity or Severity.WARNING, Severity.WARNING)


@pytest.mark.parametrize(
    ("margin", "close"), [(0.0, True), (0.49, True), (0.5, False), (3.0, False), (None, False)]
)
def test_close_to_its_limit_a_finding_says_so_and_loses_confidence(
    monkeypatch: pytest.MonkeyPatch, margin: float | None, close: bool
) -> None:
    found = judged(monkeypatch, Hit(SITE, FACTS, margin=margin))
    assert ("close to the limit" in found.message) == close
    assert ("margin_decades" in found.facts) == close
    assert found.confidence == (Confidence.MEDIUM if close else Confidence.HIGH)
    assert found.severity == Severity.WARNING


def test_confidence_does_not_fall_below_low(monkeypatch: pytest.MonkeyPatch) -> None:
    hit = Hit(SITE, FACTS, confidence=Confidence.LOW, margin=0.1)
    assert judged(monkeypatch, hit).confidence == Confidence.LOW


def test_trained_weights_are_not_told_how_to_be_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    claiming(monkeypatch, "IA202", "signal", lambda _: [Hit(SITE, {
        "rank": 1.0, "after": "", "input_rank": 20.0, "layers": 3,
    })])  # fmt: skip
    trace = Trace({}, 0, None, None, None, None, None)
    sent = Sent(network(Origin.TRAINED), trace, None)
    (found,) = judge.judge(sent, only("IA202"), cure)
    assert found.code == ""


def test_a_rule_judges_only_the_origins_of_its_page(monkeypatch: pytest.MonkeyPatch) -> None:
    claiming(monkeypatch, "IA103", "network", lambda _: [Hit(SITE, FACTS)])
    subject = Built(network(Origin.TRAINED), lambda name: None)
    assert judge.judge(subject, only("IA103"), cure) == ()


def opened(monkeypatch: pytest.MonkeyPatch, hits: Mapping[str, Hit]) -> tuple[Finding, ...]:
    claiming(
        monkeypatch, "IA203", "signal",
        lambda subject: [hits[subject.activation]] if subject.activation in hits else [],
    )  # fmt: skip
    trace = Trace({}, 0, None, None, None, None, None)
    names = ("relu", "tanh", "sigmoid", "gelu")
    sent = [Sent(network(), trace, None, name) for name in names]
    return judge.judge_open(sent, only("IA203"), cure)


def test_what_holds_under_every_activation_is_found_as_it_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hits = {name: Hit(SITE, FACTS) for name in ("relu", "tanh", "sigmoid", "gelu")}
    (found,) = opened(monkeypatch, hits)
    assert found.severity == Severity.WARNING
    assert "Only if" not in found.message


def test_of_several_the_weakest_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    hits = {name: Hit(SITE, FACTS) for name in ("relu", "tanh", "sigmoid", "gelu")}
    hits["gelu"] = Hit(SITE, FACTS, severity=Severity.NOTE)
    (found,) = opened(monkeypatch, hits)
    assert found.severity == Severity.NOTE


def test_what_holds_under_some_is_a_note_that_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = opened(monkeypatch, {"tanh": Hit(SITE, FACTS), "relu": Hit(SITE, FACTS)})
    assert (found.severity, found.confidence) == (Severity.NOTE, Confidence.LOW)
    assert found.message.startswith("Only if the activation is relu or tanh: ")
    assert found.facts["under"] == "relu, tanh"


def test_what_holds_under_none_is_not_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert opened(monkeypatch, {}) == ()


def at(rule: str, layer: str | None, *related: str) -> Finding:
    page = RULES[rule]
    others = tuple(Site("m", layer=name) for name in related)
    site = Site("m", layer=layer)
    return Finding(rule, page.name, page.severity, page.confidence, site, {}, "", "",
                   related=others)  # fmt: skip


def test_a_finding_yields_to_its_cause_at_the_same_layer() -> None:
    cause, effect, elsewhere = at("IA201", "a", "b"), at("IA108", "b"), at("IA108", "c")
    assert one_cause([cause, effect, elsewhere], RULES) == (cause, elsewhere)


def test_a_finding_without_a_layer_yields_to_none() -> None:
    both = at("IA201", None), at("IA108", None)
    assert one_cause(both, RULES) == both


def test_a_rule_yields_to_no_rule_that_yields_to_it() -> None:
    for rule in RULES.values():
        for other in rule.yields_to:
            assert rule.id not in RULES[other].yields_to
            assert RULES[other].severity >= rule.severity or "IA1" in other


# The same through the whole audit


@pytest.mark.parametrize(
    ("fill", "depth", "found", "open_"),
    [
        # A sigmoid collapses behind Xavier weights, the others do not.
        (xavier, 10, {"sigmoid": "error"}, "note"),
        (normal(1e-3), 6, dict.fromkeys(("relu", "tanh", "gelu"), "warning"), "warning"),
        (he, 3, {}, None),
    ],
    ids=["under one", "under all", "under none"],
)
def test_a_verdict_without_an_activation_is_the_one_that_all_share(
    fill: Any, depth: int, found: Mapping[str, str], open_: str | None
) -> None:
    arrays = mlp(np.random.default_rng(0), [64, *[64] * depth, 10], fill)
    for activation in ("relu", "tanh", "sigmoid", "gelu"):
        report = initaudit.audit(arrays, activation=activation)
        worst = max((f.severity for f in report.findings if f.rule in {"IA103", "IA202"}),
                    default=None)  # fmt: skip
        if activation in found:
            assert worst is not None
            assert worst.name.lower() == found[activation]
    report = initaudit.audit(arrays)
    shared = [f for f in report.findings if f.rule in {"IA103", "IA202"}]
    assert max((f.severity.name.lower() for f in shared), default=None) == open_
    assert report.networks[0].measured_under is not None
    assert report.networks[0].activations == ("relu", "tanh", "sigmoid", "gelu")
    assert any("which one is not stored" in text for text in report.networks[0].assumptions)


def test_a_close_warning_is_settled_by_more_samples(monkeypatch: pytest.MonkeyPatch) -> None:

    asked: list[Any] = []

    def counted(*args: Any, **options: Any) -> Any:
        asked.append(options.get("samples"))
        return propagate(*args, **options)

    monkeypatch.setattr("initaudit.sending.propagate", counted)
    # Ten layers that halve the power leave 1e-3 of it; the limits are moved next to that.
    arrays = mlp(np.random.default_rng(0), [64, *[64] * 10, 10], xavier)
    plain = initaudit.audit(arrays, activation="relu", samples=32)
    ratio = plain.networks[0].forward_ratio
    assert asked == [None]
    assert ratio is not None
    asked.clear()
    limits = {"IA203": {"ratio": ratio * 2}}
    close = initaudit.audit(arrays, activation="relu", samples=32, limits=limits)
    assert asked == [None, 128]
    (finding,) = (f for f in close.findings if f.rule == "IA203")
    assert "close to the limit" in finding.message
