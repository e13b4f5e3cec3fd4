"""A form finds what its regular expression does."""

from __future__ import annotations

import re

import pytest

from initaudit.source.words import Form


@pytest.mark.parametrize(
    ("word", "rest"),
    [
        ("init", r"\w*\("),
        ("init", ""),
        ("aa", "a*"),
        ("a.b", r"(?!\w)"),
        ("class ", r"(?<=[\n\t ]class )(\w+)"),
        ("_init", r"(?<=[a-z]_init)\b"),
    ],
)
@pytest.mark.parametrize(
    "text",
    [
        "",
        "init",
        "initinit(init()init_weights(",
        "aaaaa aa a aaa",
        "a.b axb a.bc a.b",
        "\nclass A:\n    class B:\nsubclass C class D",
        "weights_init post_init(x)._init __init__",
    ],
)
def test_a_form_matches_where_its_regular_expression_does(word: str, rest: str, text: str) -> None:
    expected = [m.span() for m in re.finditer(re.escape(word) + rest, text)]
    form = Form(word, rest)
    assert [m.span() for m in form.matches(text)] == expected
    assert form.found(text) is bool(expected)
