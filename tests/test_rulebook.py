from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initaudit.rulebook import (
    Confidence,
    Rule,
    RulebookError,
    Severity,
    chosen,
    fill,
    load,
    parse_page,
    placeholders,
    rules_folder,
    show,
    unmatched,
    with_limits,
)

PAGE = """\
+++
id = "IA150"
name = "odd-weights"
severity = "warning"
confidence = "high"
judges = ["network"]
origins = ["declared", "measured"]
yields_to = ["IA101"]
message = "{layers} odd layers of std {std}."
cure = "Draw them from {initialiser}."

[limits]
low = 0.5
high = 3
+++

# odd-weights

What and why.

## Bad

bad text

## Good

good text

## When it is right

right text

## References

reference text
"""


def parsed(old: str = "", new: str = "") -> Rule:
    assert old in PAGE
    return parse_page(PAGE.replace(old, new, 1), "rules/page.md")


def write(folder: Path, text: str = PAGE, name: str = "IA150-odd-weights.md") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def built_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = write(tmp_path / "builtin")
    monkeypatch.setattr("initaudit.rulebook.rules_folder", lambda: folder)
    return folder


def test_a_page_becomes_a_rule_with_all_it_states() -> None:
    rule = parsed()
    assert (rule.id, rule.name) == ("IA150", "odd-weights")
    assert rule.severity is Severity.WARNING
    assert rule.confidence is Confidence.HIGH
    assert rule.judges == ("network",)
    assert rule.origins == ("declared", "measured")
    assert rule.yields_to == ("IA101",)
    assert rule.limits == {"low": 0.5, "high": 3.0}
    assert rule.message == "{layers} odd layers of std {std}."
    assert rule.cure == "Draw them from {initialiser}."
    assert rule.summary == "What and why."
    assert rule.sections == {
        "Bad": "bad text",
        "Good": "good text",
        "When it is right": "right text",
        "References": "reference text",
    }


def test_limits_and_yields_to_may_be_left_out() -> None:
    rule = parse_page(
        PAGE.replace('yields_to = ["IA101"]\n', "").replace("[limits]\nlow = 0.5\nhigh = 3\n", ""),
        "page.md",
    )
    assert rule.limits == {}
    assert rule.yields_to == ()


@pytest.mark.parametrize(
    ("line", "enabled"), [("", True), ("enabled = true\n", True), ("enabled = false\n", False)]
)
def test_a_rule_is_on_unless_its_page_says_otherwise(line: str, enabled: bool) -> None:
    assert parsed("yields_to", line + "yields_to").enabled is enabled


def test_the_title_line_may_be_left_out() -> None:
    assert parsed("# odd-weights\n\n").summary == "What and why."


def test_the_page_as_markdown_has_a_title_and_the_headings_in_order() -> None:
    lines = parsed().markdown.splitlines()
    assert lines[0] == "# odd-weights (IA150)"
    assert [x for x in lines if x.startswith("## ")] == [
        "## Bad",
        "## Good",
        "## When it is right",
        "## References",
    ]
    assert "+++" not in lines


COMPLAINTS = [
    ("+++\nid", "id", "a page begins with TOML between +++ lines"),
    ("\n+++\n\n#", "\n\n#", "a page begins with TOML between +++ lines"),
    ('id = "IA150"', 'id = "IA150', "front matter is not TOML"),
    ('id = "IA150"', 'id = "IA150"\nid = "IA151"', "front matter is not TOML"),
    ('id = "IA150"', 'id = "IA150"\nsevere = 1', "unknown key 'severe'"),
    ('cure = "Draw them from {initialiser}."\n', "", "key 'cure' is missing"),
    ('id = "IA150"', "id = 150", "'id' must be a string"),
    ('"odd-weights"', "7", "'name' must be a string"),
    ('severity = "warning"', "severity = 2", "'severity' must be a string"),
    ('confidence = "high"', "confidence = true", "'confidence' must be a string"),
    ('"{layers} odd layers of std {std}."', "[]", "'message' must be a string"),
    ('"Draw them from {initialiser}."', "{}", "'cure' must be a string"),
    ("IA150", "XX150", "id must be IA1xx to IA4xx"),
    ("IA150", "IA950", "id must be IA1xx to IA4xx"),
    ("IA150", "IA1500", "id must be IA1xx to IA4xx"),
    ('"odd-weights"', '"Odd weights"', "name must be lower-case words and hyphens"),
    ('"odd-weights"', '"odd--weights"', "name must be lower-case words and hyphens"),
    ('"warning"', '"fatal"', "severity is error, warning or note"),
    ('"high"', '"certain"', "confidence is high, medium or low"),
    ('["network"]', '["graph"]', "judges must list some of"),
    ('["network"]', "[]", "judges must list some of"),
    ('["network"]', '"network"', "judges must list some of"),
    ('["declared", "measured"]', '["guessed"]', "origins must list some of"),
    ('["declared", "measured"]', "[]", "origins must list some of"),
    ("low = 0.5", 'low = "0.5"', "[limits] must hold numbers"),
    ("low = 0.5", "low = true", "[limits] must hold numbers"),
    ("low = 0.5", "low = [1]", "[limits] must hold numbers"),
    ('["IA101"]', '["zero-weights"]', "yields_to must list rule ids"),
    ('["IA101"]', '"IA101"', "yields_to must list rule ids"),
    ('["IA101"]', "[101]", "yields_to must list rule ids"),
    ("yields_to", 'enabled = "false"\nyields_to', "enabled must be true or false"),
    ("yields_to", "enabled = 0\nyields_to", "enabled must be true or false"),
    ("{layers}", "{gain.__class__}", "placeholder {gain.__class__} is not a plain identifier"),
    ("{layers}", "{layers!r}", "placeholder {layers!r} is not a plain identifier"),
    ("{layers}", "{layers:>9}", "placeholder {layers:>9} is not a plain identifier"),
    ("{layers}", "{0}", "placeholder {0} is not a plain identifier"),
    ("{layers}", "{}", "placeholder {} is not a plain identifier"),
    ("{initialiser}", "{layer[0]}", "placeholder {layer[0]} is not a plain identifier"),
    ("## Good", "## Fine", "the headings must be Bad, Good, When it is right, References"),
    ("## Good\n\ngood text\n\n", "", "the headings must be"),
    ("## Good", "## More\n\ntext\n\n## Good", "the headings must be"),
    ("What and why.\n", "", "a section is empty"),
    ("right text\n", "", "a section is empty"),
]


@pytest.mark.parametrize(
    ("old", "new", "complaint"), COMPLAINTS, ids=[f"{c[1]!r}: {c[2]}" for c in COMPLAINTS]
)
def test_a_broken_page_is_refused_with_its_name_and_the_reason(
    old: str, new: str, complaint: str
) -> None:
    with pytest.raises(RulebookError) as raised:
        parsed(old, new)
    text = str(raised.value)
    assert text.startswith("rules/page.md: ")
    assert complaint in text
    assert "\n" not in text


@pytest.mark.parametrize(
    "key", ["id", "name", "severity", "confidence", "judges", "origins", "message", "cure"]
)
def test_every_required_key_is_asked_for(key: str) -> None:
    line = next(x for x in PAGE.splitlines(keepends=True) if x.startswith(f"{key} ="))
    with pytest.raises(RulebookError, match=f"key '{key}' is missing"):
        parsed(line)


def test_the_headings_must_stand_in_their_order() -> None:
    swapped = PAGE.replace("## Bad", "## X").replace("## Good", "## Bad").replace("## X", "## Good")
    with pytest.raises(RulebookError, match="the headings must be"):
        parse_page(swapped, "page.md")


def test_a_heading_inside_a_code_block_of_lower_rank_is_text() -> None:
    rule = parsed("bad text", "```python\n# a comment\n### more\n```")
    assert rule.sections["Bad"] == "```python\n# a comment\n### more\n```"


def test_the_built_in_folder_lies_beside_the_package_or_inside_it() -> None:
    folder = rules_folder()
    assert folder.name == "rules"
    assert any(folder.glob("IA*.md"))


def test_rules_are_loaded_by_id_in_order(built_in: Path) -> None:
    write(built_in, PAGE.replace("IA150", "IA120", 1), "IA120-odd-weights.md")
    (built_in / "notes.md").write_text("not a page", encoding="utf-8")
    assert list(load()) == ["IA120", "IA150"]


@pytest.mark.usefixtures("built_in")
def test_a_folder_replaces_a_page_and_adds_pages_and_the_last_one_wins(tmp_path: Path) -> None:
    first = write(tmp_path / "first", PAGE.replace("low = 0.5", "low = 0.25"))
    write(first, PAGE.replace("IA150", "IA151", 1), "IA151-odd-weights.md")
    second = write(tmp_path / "second", PAGE.replace("low = 0.5", "low = 0.125"))
    assert load()["IA150"].limits["low"] == 0.5
    assert load([first])["IA150"].limits["low"] == 0.25
    merged = load([first, second])
    assert list(merged) == ["IA150", "IA151"]
    assert merged["IA150"].limits["low"] == 0.125


@pytest.mark.usefixtures("built_in")
def test_a_folder_may_rename_a_rule(tmp_path: Path) -> None:
    renamed = write(
        tmp_path / "ours", PAGE.replace("odd-weights", "strange", 1), "IA150-strange.md"
    )
    assert load([renamed])["IA150"].name == "strange"


def test_a_page_must_be_named_after_its_rule(built_in: Path) -> None:
    write(built_in, PAGE, "IA150-other.md")
    with pytest.raises(RulebookError, match=r"must be named IA150-odd-weights\.md"):
        load()


def test_two_pages_of_one_id_in_a_folder_are_refused(built_in: Path) -> None:
    write(built_in, PAGE.replace("odd-weights", "strange", 1), "IA150-strange.md")
    with pytest.raises(RulebookError, match="IA150 has two pages in one folder"):
        load()


def _latin(page: Path) -> None:
    page.write_bytes(PAGE.encode().replace(b"right text", b"right \xe9"))


def _folder(page: Path) -> None:
    page.unlink()
    page.mkdir()


def _dangling(page: Path) -> None:
    page.unlink()
    page.symlink_to(page.parent / "nowhere.md")


@pytest.mark.parametrize("spoil", [_latin, _folder, _dangling])
def test_a_page_that_cannot_be_read_is_an_error_that_names_it(
    built_in: Path, spoil: Callable[[Path], None]
) -> None:
    page = built_in / "IA150-odd-weights.md"
    spoil(page)
    with pytest.raises(RulebookError, match=r"IA150-odd-weights\.md: cannot be read"):
        load()


def _rules() -> dict[str, Rule]:
    pages = {
        "IA101": "zero-weights",
        "IA102": "constant-weights",
        "IA201": "symmetric-units",
        "IA301": "non-finite",
    }
    return {
        key: parse_page(PAGE.replace("IA150", key, 1).replace("odd-weights", name, 1), key)
        for key, name in pages.items()
    }


@pytest.mark.parametrize(
    ("select", "ignore", "on"),
    [
        ((), (), "IA101 IA102 IA201 IA301"),
        (("IA1",), (), "IA101 IA102"),
        (("IA1", "IA3"), (), "IA101 IA102 IA301"),
        (("IA101", "non-finite"), (), "IA101 IA301"),
        ((), ("IA1",), "IA201 IA301"),
        ((), ("symmetric-units",), "IA101 IA102 IA301"),
        (("IA",), ("IA1",), "IA201 IA301"),
        (("IA1",), ("IA102",), "IA101"),
        (("IA102",), ("IA1",), "IA102"),
        (("constant-weights",), ("IA102",), "IA102"),
        (("IA102",), ("constant-weights",), ""),
        (("IA102",), ("IA102",), ""),
        (("IA9",), (), ""),
        ((), ("IA",), ""),
        (("I", "IA101"), ("IA1",), "IA101 IA201 IA301"),
    ],
)
def test_the_more_exact_of_select_and_ignore_wins(
    select: tuple[str, ...], ignore: tuple[str, ...], on: str
) -> None:
    assert sorted(chosen(_rules(), select, ignore)) == on.split()


@pytest.mark.parametrize(
    ("select", "ignore", "on"),
    [
        ((), (), "IA101 IA201 IA301"),
        (("IA1",), (), "IA101"),
        (("IA",), (), "IA101 IA201 IA301"),
        (("IA102",), (), "IA102"),
        (("constant-weights",), (), "IA102"),
        (("IA1", "IA102"), (), "IA101 IA102"),
        (("IA1", "constant-weights"), ("IA101",), "IA102"),
        (("IA102",), ("IA1",), "IA102"),
        (("IA102",), ("IA102",), ""),
    ],
)
def test_a_rule_that_is_off_is_on_only_where_it_is_selected_by_its_id_or_name(
    select: tuple[str, ...], ignore: tuple[str, ...], on: str
) -> None:
    rules = {**_rules(), "IA102": replace(_rules()["IA102"], enabled=False)}
    assert sorted(chosen(rules, select, ignore)) == on.split()


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        (("IA1", "zero-weights", "IA301"), []),
        (("IA9", "IA1"), ["IA9"]),
        (("zero", "ia101", ""), ["zero", "ia101", ""]),
        (("IA1011",), ["IA1011"]),
        ((), []),
    ],
)
def test_patterns_that_select_nothing_are_named(patterns: tuple[str, ...], left: list[str]) -> None:
    assert unmatched(_rules(), patterns) == left


def test_replaced_limits_change_one_value_of_one_rule_and_leave_the_original() -> None:
    rules = _rules()
    changed = with_limits(rules, {"IA101": {"low": 9.0}})
    assert changed["IA101"].limits == {"low": 9.0, "high": 3.0}
    assert changed["IA102"] == rules["IA102"]
    assert rules["IA101"].limits == {"low": 0.5, "high": 3.0}


def test_a_template_is_filled_with_numbers_in_short_form() -> None:
    template = "{layers} layers, std {std}, {what}."
    assert placeholders(template) == ["layers", "std", "what"]
    filled = fill(template, {"layers": 1234, "std": 0.0123456, "what": "a {name} of theirs"})
    assert filled == "1,234 layers, std 0.0123, a {name} of theirs."


def test_a_fact_that_is_missing_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="std"):
        fill("{std}", {"layers": 1})


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0"),
        (12, "12"),
        (1234567, "1,234,567"),
        (0.5, "0.5"),
        (1.23456, "1.23"),
        (123456.0, "1.23e+05"),
        (1.5e-20, "1.5e-20"),
        (0.0, "0"),
        (float("inf"), "inf"),
        (float("nan"), "nan"),
        ("0.5000001", "0.5000001"),
    ],
)
def test_numbers_are_shown_with_three_significant_digits(value: float | str, shown: str) -> None:
    assert show(value) == shown


@given(st.floats(min_value=-1.79e308, max_value=1.79e308))
def test_a_shown_number_is_within_half_a_unit_of_its_third_digit(value: float) -> None:
    assert float(show(value)) == pytest.approx(value, rel=5.001e-3, abs=5e-324)


def test_severities_are_ordered_as_fail_on_needs_them() -> None:
    assert Severity.NOTE < Severity.WARNING < Severity.ERROR
    assert Confidence.LOW < Confidence.MEDIUM < Confidence.HIGH
