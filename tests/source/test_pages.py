"""The source examples of the pages: bad ones fire on the marked lines, good ones never."""

from __future__ import annotations

import re
from typing import Any

import pytest

import initaudit.source.checks  # noqa: F401  (they register themselves)
from initaudit.catalogue import load as load_catalogue
from initaudit.finding import Finding
from initaudit.rulebook import Rule, Severity, load, placeholders
from initaudit.source.linting import check_text, settle

RULES = {key: rule for key, rule in load().items() if "draw" in rule.judges}
CATALOGUE = load_catalogue()
_BLOCK = re.compile(r"^```python source\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(rule: Rule, heading: str) -> list[str]:
    return _BLOCK.findall(rule.sections[heading])


def examples(heading: str) -> list[Any]:
    return [
        pytest.param(rule, code, id=f"{rule.id}-{number}")
        for rule in RULES.values()
        for number, code in enumerate(blocks(rule, heading))
    ]


def linted(rule: Rule, code: str) -> list[Finding]:
    """Return what all rules find that are on, and this one."""
    on = {key: other for key, other in RULES.items() if other.enabled or other is rule}
    checked = check_text(code, "model.py", on, CATALOGUE)
    assert not checked.unread
    return settle([checked], on)


def marked(code: str, rule: str) -> set[int]:
    return {i for i, line in enumerate(code.splitlines(), 1) if re.search(rf"# .*{rule}\b", line)}


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_a_page_shows_source_that_is_bad_and_source_that_is_good(rule: Rule) -> None:
    assert blocks(rule, "Bad")
    assert blocks(rule, "Good")


@pytest.mark.parametrize(("rule", "code"), examples("Bad"))
def test_what_the_page_calls_bad_is_found_on_the_marked_lines(rule: Rule, code: str) -> None:
    found = {f.site.line for f in linted(rule, code) if f.rule == rule.id}
    assert marked(code, rule.id)
    assert found == marked(code, rule.id)


@pytest.mark.parametrize(("rule", "code"), examples("Good"))
def test_what_the_page_calls_good_is_silent(rule: Rule, code: str) -> None:
    found = linted(rule, code)
    loud = [f for f in found if f.rule == rule.id or f.severity >= Severity.WARNING]
    assert loud == []


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_a_message_says_all_that_its_page_names(rule: Rule) -> None:
    code = blocks(rule, "Bad")[0]
    finding = next(f for f in linted(rule, code) if f.rule == rule.id)
    words = rule.source or {"message": rule.message, "cure": rule.cure}
    assert set(placeholders(words["message"] + words["cure"])) <= set(finding.facts)
    assert not re.search(r"[{}]", finding.message)
    assert finding.cure.endswith(".")
    assert finding.severity <= rule.severity
