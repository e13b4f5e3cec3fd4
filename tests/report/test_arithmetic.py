"""What arithmetic tells of a declared network, as the reports show it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from importlib.resources import files

import pytest
from jsonschema import Draft202012Validator

from initaudit.finding import Arithmetic, Forward, LayerReport, NetworkReport, Report
from initaudit.network import Interval, Origin
from initaudit.report import FORMATS, Style
from initaudit.report.arithmetic import bounds, predicted_std, sentence

WIDE = Style(width=120, colour=False)
POINT = Interval.point
FORWARD = Forward(0.0, 0.5, 0.25, None, None, 20.0, 0.1)
LAYERS = tuple(
    LayerReport(name, "linear", (8, 8), "relu", None, 1.0, None, FORWARD, None, predicted=told)
    for name, told in (("a", POINT(0.25)), ("b", Interval(0.0, 4.0)), ("c", None))
)
NETWORK = NetworkReport(
    "net.py", "Net", Origin.DECLARED, "source", (), (), "clean", None, ("relu",), 8.0, 0.5, 0.1,
    5.0, None, 1.0, 1.0, 192, LAYERS,
    arithmetic=Arithmetic(POINT(0.5), Interval(0.1, math.inf), POINT(1.0), POINT(math.inf), 3),
)  # fmt: skip


def shown(network: NetworkReport, form: str) -> str:
    return FORMATS[form](Report(networks=(network,), files=1), WIDE)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (POINT(0.5), "0.5"),
        (POINT(math.inf), "no end"),
        (Interval(1.0, 1.001), "1"),
        (Interval(0.0, 2.0), "under 2"),
        (Interval(0.5, 2.0), "0.5 to 2"),
        (Interval(0.5, math.inf), "over 0.5"),
        (Interval(0.0, math.inf), "not bounded"),
    ],
)
def test_an_interval_is_said_by_the_ends_it_has(value: Interval, text: str) -> None:
    assert bounds(value) == text


def test_a_layer_whose_output_has_a_mean_is_not_given_a_deviation() -> None:
    moved = replace(FORWARD, mean=3.0, second_moment=9.25)
    assert predicted_std(LAYERS[0]) == "0.5"
    assert predicted_std(replace(LAYERS[0], forward=moved)) == ""
    assert predicted_std(replace(LAYERS[0], op="add")) == ""
    assert predicted_std(LAYERS[2]) == ""


def test_the_text_has_a_column_and_a_line_where_there_is_arithmetic() -> None:
    text = shown(NETWORK, "text")
    assert "by arithmetic" in text
    assert "under 2" in text
    assert "arithmetic: signal power x0.5, gradient power over 0.1, chi 1" in text
    bare = replace(
        NETWORK, arithmetic=None, layers=tuple(replace(x, predicted=None) for x in LAYERS)
    )
    assert "arithmetic" not in shown(bare, "text")
    assert not sentence(bare)


def test_the_page_has_a_column_where_there_is_arithmetic() -> None:
    assert ">std by arithmetic<" in shown(NETWORK, "html")
    bare = replace(NETWORK, layers=tuple(replace(x, predicted=None) for x in LAYERS))
    assert ">std by arithmetic<" not in shown(bare, "html")


def test_the_json_holds_both_ends_and_null_for_none() -> None:
    found = json.loads(shown(NETWORK, "json"))
    schema = json.loads((files("initaudit.report") / "report.schema.json").read_text("utf-8"))
    Draft202012Validator(schema).validate(found)
    network = found["networks"][0]
    assert network["arithmetic"]["backward_ratio"] == {"low": 0.1, "high": None}
    assert network["arithmetic"]["layers"] == 3
    assert [x["predicted"] for x in network["layers"]] == [
        {"second_moment": {"low": 0.25, "high": 0.25}},
        {"second_moment": {"low": 0.0, "high": 4.0}},
        None,
    ]
