"""Each page against its check: one to one, every limit used, every example run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

import initaudit
import initaudit.checks
import initaudit.source.checks
from initaudit import auditing
from initaudit.claims import registered
from initaudit.finding import Report
from initaudit.network import Origin
from initaudit.options import rules_for
from initaudit.rulebook import Rule, Severity, load, placeholders, rules_folder

PAGES = load()
MEASURED = {"tensor", "network", "signal"}
RULES = {key: rule for key, rule in PAGES.items() if MEASURED & set(rule.judges)}
"""The rules that judge checkpoints; those of source are in tests/source/test_pages.py."""

CURE_FACTS = {"activation", "initialiser", "wanted"}
_BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(rule: Rule, heading: str) -> list[str]:
    return _BLOCK.findall(rule.sections[heading])


def examples(heading: str) -> list[Any]:
    return [
        pytest.param(rule, number, id=f"{rule.id}-{number}")
        for rule in RULES.values()
        for number in range(len(blocks(rule, heading)))
    ]


@cache
def audited(code: str) -> Report:
    scope: dict[str, Any] = {}
    exec(code, scope)  # noqa: S102
    return initaudit.audit(scope["state"], **scope.get("options", {}))


def chain(depth: int = 4, dtype: Any = np.float32) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        f"fc{i}.weight": rng.normal(0, np.sqrt(2 / 16), (16, 16)).astype(dtype)
        for i in range(depth)
    }


def test_every_page_has_a_check_for_each_subject_and_every_check_a_page() -> None:
    pages = {(rule.id, subject) for rule in PAGES.values() for subject in rule.judges}
    assert pages == set(registered())


def test_every_file_in_the_folder_is_a_page_named_after_its_rule() -> None:
    files = {page.stem for page in rules_folder().glob("*.md")}
    assert files == {f"{rule.id}-{rule.name}" for rule in PAGES.values()}


def test_no_two_rules_have_one_name() -> None:
    names = [rule.name for rule in PAGES.values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("rule", PAGES.values(), ids=list(PAGES))
def test_a_page_is_headed_by_its_name(rule: Rule) -> None:
    text = (rules_folder() / f"{rule.id}-{rule.name}.md").read_text("utf-8")
    assert f"\n+++\n\n# {rule.name}\n\n" in text


@pytest.mark.parametrize("rule", PAGES.values(), ids=list(PAGES))
def test_a_page_explains_each_of_its_limits(rule: Rule) -> None:
    assert {key for key in rule.limits if f"`{key}`" not in rule.summary} == set()


@pytest.mark.parametrize("rule", PAGES.values(), ids=list(PAGES))
def test_a_rule_yields_to_other_rules_and_never_in_a_circle(rule: Rule) -> None:
    seen: set[str] = set()
    ahead = set(rule.yields_to)
    while ahead:
        seen |= ahead
        ahead = {other for key in ahead for other in PAGES[key].yields_to} - seen
    assert rule.id not in seen


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_a_rule_about_fresh_weights_applies_to_source_and_checkpoint_alike(rule: Rule) -> None:
    if {"network", "signal"} & set(rule.judges):
        assert {Origin.DECLARED, Origin.MEASURED} <= set(rule.origins)


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_a_page_shows_what_is_bad_and_what_is_good(rule: Rule) -> None:
    assert blocks(rule, "Bad")
    assert blocks(rule, "Good")
    for heading in ("Bad", "Good"):
        fences = re.findall(r"^```", rule.sections[heading], re.MULTILINE)
        source = re.findall(r"^```python source$", rule.sections[heading], re.MULTILINE)
        expected = 2 * (len(blocks(rule, heading)) + len(source))
        assert len(fences) == expected, "a fence that is not ```python"


@pytest.mark.parametrize(("rule", "number"), examples("Bad"))
def test_what_the_page_calls_bad_is_found(rule: Rule, number: int) -> None:
    report = audited(blocks(rule, "Bad")[number])
    found = [f for f in report.findings if f.rule == rule.id]
    assert found, [(f.rule, f.message) for f in report.findings]
    if number == 0:
        assert found[0].severity is rule.severity
    assert not report.failed


@pytest.mark.parametrize(("rule", "number"), examples("Good"))
def test_what_the_page_calls_good_is_silent(rule: Rule, number: int) -> None:
    report = audited(blocks(rule, "Good")[number])
    loud = [
        (f.rule, f.message)
        for f in report.findings
        if f.rule == rule.id or f.severity >= Severity.WARNING
    ]
    assert loud == []
    assert not report.failed
    assert report.networks[0].coverage == 1.0


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_a_message_uses_only_what_its_check_measured_and_shows_numbers(rule: Rule) -> None:
    finding = next(f for f in audited(blocks(rule, "Bad")[0]).findings if f.rule == rule.id)
    assert set(placeholders(rule.message)) <= set(finding.facts)
    assert set(placeholders(rule.cure)) <= set(finding.facts) | CURE_FACTS
    assert re.search(r"\d", finding.message)
    assert not re.search(r"[{}]", finding.message + finding.cure)
    assert finding.message.endswith((".", "it)."))
    assert finding.cure.endswith(".")


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_examples_need_nothing_but_numpy(rule: Rule) -> None:
    for code in (*blocks(rule, "Bad"), *blocks(rule, "Good")):
        tree = ast.parse(code)
        imported = [
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        ]
        assert imported == ["numpy"]
        random = [n for n in ast.walk(tree) if isinstance(n, ast.Attribute) and n.attr == "random"]
        assert len(random) == code.count("np.random.default_rng(0)")


class Watched(Mapping[str, float]):
    """Limits that remember which of them were read."""

    def __init__(self, limits: Mapping[str, float], read: set[str]) -> None:
        self.limits = limits
        self.read = read

    def __getitem__(self, key: str) -> float:
        self.read.add(key)
        return self.limits[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.limits)

    def __len__(self) -> int:
        return len(self.limits)


def transformer() -> dict[str, Any]:
    """A GPT-2 of 24 layers: deep enough for every rule about its branches to look."""
    scope: dict[str, Any] = {}
    exec(blocks(RULES["IA215"], "Good")[0], scope)  # noqa: S102
    state: dict[str, Any] = scope["state"]
    return state


def _states() -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng(0)
    yield chain(dtype=np.float16)
    yield {name: np.full((16, 16), 0.5, np.float32) for name in chain()}
    yield chain() | {"fc1.weight": np.repeat(chain()["fc1.weight"][:8], 2, axis=0)}
    normed: dict[str, Any] = {}
    for name, weight in chain(3).items():
        normed[name] = weight
        normed[name.replace("fc", "norm")] = np.ones(16, np.float32)
        normed[name.replace("fc", "norm").replace("weight", "bias")] = np.zeros(16, np.float32)
    yield normed
    parts = [f"h.{i}.attn.{part}_proj.weight" for i in range(2) for part in "qkv"]
    yield {name: rng.normal(0, 0.25, (16, 16)).astype(np.float32) for name in parts}
    yield transformer()


def test_the_checks_read_all_limits_of_their_pages_and_no_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: dict[str, set[str]] = {key: set() for key in RULES}

    def watched(options: Any) -> Mapping[str, Rule]:
        return {
            key: replace(rule, limits=Watched(rule.limits, read[key]))
            for key, rule in rules_for(options).items()
            if key in RULES
        }

    monkeypatch.setattr(auditing, "rules_for", watched)
    for state in _states():
        for activation in ("relu", "tanh"):
            initaudit.audit(state, activation=activation, samples=32)
    assert read == {key: set(rule.limits) for key, rule in RULES.items()}
