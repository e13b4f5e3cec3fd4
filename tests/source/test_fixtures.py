"""Every source fixture says on its lines what is found there, and nothing else is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import initaudit.source.checks  # noqa: F401  (they register themselves)
from initaudit.catalogue import load as load_catalogue
from initaudit.rulebook import Severity, load
from initaudit.source.linting import check_text, settle

FOLDER = Path(__file__).parents[2] / "fixtures" / "source"
FIXTURES = sorted(FOLDER.rglob("*.py"))
RULES = {key: rule for key, rule in load().items() if "draw" in rule.judges}
CATALOGUE = load_catalogue()
_EXPECTED = re.compile(r"#\s*((?:IA\d{3}[ ,]*)+)")
_SILENT = re.compile(r"#\s*ok:\s*((?:IA\d{3}[ ,]*)+)")


def marks(pattern: re.Pattern[str], text: str) -> set[tuple[int, str]]:
    return {
        (number, rule)
        for number, line in enumerate(text.splitlines(), start=1)
        if (match := pattern.search(line))
        for rule in re.findall(r"IA\d{3}", match[1])
    }


def test_every_rule_of_source_has_a_fixture() -> None:
    assert {rule.name for rule in RULES.values()} == {path.stem for path in FIXTURES}


@pytest.mark.parametrize("path", FIXTURES, ids=lambda p: p.stem)
def test_a_fixture_gets_exactly_what_its_lines_say(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    on = {key: rule for key, rule in RULES.items() if rule.enabled or rule.name == path.stem}
    checked = check_text(text, str(path), on, CATALOGUE)
    assert not checked.unread
    own = next(rule.id for rule in RULES.values() if rule.name == path.stem)
    # A fixture fills one weight again and again: notes on that are the business of their rules.
    loud = [f for f in settle([checked], on) if f.rule == own or f.severity >= Severity.WARNING]
    assert {(f.site.line or 0, f.rule) for f in loud} == marks(_EXPECTED, text)


@pytest.mark.parametrize("path", FIXTURES, ids=lambda p: p.stem)
def test_a_fixture_shows_what_fires_and_what_looks_like_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    own = next(rule.id for rule in RULES.values() if rule.name == path.stem)
    assert own in {rule for _, rule in marks(_EXPECTED, text)}
    assert own in {rule for _, rule in marks(_SILENT, text)}
