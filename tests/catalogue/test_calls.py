from __future__ import annotations

from typing import Any

import pytest

from initaudit.catalogue import (
    REQUIRED,
    UNKNOWN,
    Parameter,
    Value,
    argument,
    bind,
    filled,
)

PLAIN = (Parameter("x"), Parameter("y", None), Parameter("z", None, "keyword"))
OPEN = (*PLAIN, Parameter("others", REQUIRED, "others"))
VARIADIC = (Parameter("size", REQUIRED, "variadic"), Parameter("out", None, "keyword"))


@pytest.mark.parametrize(
    ("parameters", "positional", "keywords", "bound"),
    [
        pytest.param(PLAIN, ["a"], {}, {"x": "a"}, id="defaults are not filled in"),
        pytest.param(PLAIN, ["a", "b"], {"z": "c"}, {"x": "a", "y": "b", "z": "c"}, id="in order"),
        pytest.param(PLAIN, [], {"y": "b", "x": "a"}, {"x": "a", "y": "b"}, id="by name"),
        pytest.param(PLAIN, ["a", "b", "c"], {}, None, id="keyword-only is not positional"),
        pytest.param(PLAIN, [], {"y": "b"}, None, id="a required one is missing"),
        pytest.param(PLAIN, ["a"], {"x": "b"}, None, id="one given twice"),
        pytest.param(PLAIN, ["a"], {"w": "b"}, None, id="an unknown keyword"),
        pytest.param(PLAIN, [...], {}, None, id="*args"),
        pytest.param(PLAIN, ["a", ...], {}, None, id="more *args"),
        pytest.param(PLAIN, ["a"], {"**": ...}, None, id="**kwargs"),
        pytest.param(OPEN, ["a"], {"w": "b"}, {"x": "a", "w": "b"}, id="other keywords are taken"),
        pytest.param(OPEN, ["a"], {"**": ...}, None, id="**kwargs may hold anything"),
        pytest.param(VARIADIC, ["a", "b"], {}, {"size": ("a", "b")}, id="sizes one by one"),
        pytest.param(VARIADIC, [("a", "b")], {}, {"size": ("a", "b")}, id="sizes as a tuple"),
        pytest.param(VARIADIC, [UNKNOWN], {}, {"size": UNKNOWN}, id="an unknown size or shape"),
        pytest.param(VARIADIC, [], {"size": ("a",)}, {"size": ("a",)}, id="sizes by name"),
        pytest.param(VARIADIC, [...], {}, None, id="*shape"),
        pytest.param(VARIADIC, [], {}, {}, id="no size"),
    ],
)
def test_arguments_are_bound_as_python_does(
    parameters: tuple[Parameter, ...],
    positional: list[Any],
    keywords: dict[str, Any],
    bound: dict[str, Value] | None,
) -> None:
    assert bind(parameters, positional, keywords) == bound


def test_what_was_not_given_has_its_default() -> None:
    parameters = (Parameter("x"), Parameter("y", "b"))
    assert filled(parameters, {"x": "a"}) == {"x": "a", "y": "b"}
    assert argument(parameters, {}, "x") is UNKNOWN
    assert argument(parameters, {}, None) is UNKNOWN
