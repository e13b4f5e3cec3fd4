"""The JSON report: its schema, what the schema refuses, and what stays the same."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from initaudit.finding import Finding, Forward, LayerReport, NetworkReport, Report
from initaudit.network import Origin, Site, Unread
from initaudit.report import FORMATS, Style
from initaudit.report.fingerprint import fingerprint, fingerprints
from initaudit.rulebook import Confidence, Severity

STYLE = Style(width=80, colour=False)
SCHEMA = json.loads((files("initaudit.report") / "report.schema.json").read_text("utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)

CONTRACT = {
    "": ["version", "tool", "findings", "unread", "networks", "summary"],
    "tool": ["name", "version"],
    "finding": [
        "rule", "name", "severity", "confidence", "message", "path", "line", "column", "end_line",
        "end_column", "tensor", "layer", "facts", "fix", "fingerprint",
    ],
    "unread": ["path", "line", "reason"],
    "network": [
        "path", "name", "origin", "topology", "assumptions", "verdict", "forward_ratio",
        "backward_ratio", "effective_rank_min", "effective_rank_min_after_probe", "sensitivity",
        "layers",
    ],
    "layer": ["name", "op", "shape", "activation", "weight", "forward", "backward"],
    "weight": ["mean", "std", "min", "max", "zeros", "nonfinite", "law", "gain"],
    "forward": ["mean", "std", "second_moment", "saturated", "dead", "effective_rank"],
    "backward": ["std", "weight_grad_std"],
    "summary": [
        "files", "networks", "layers", "errors", "warnings", "notes", "unread", "seconds",
    ],
}  # fmt: skip


def refuse(constant: str) -> float:
    raise AssertionError(f"{constant} is not JSON")


def written(report: Report) -> str:
    return FORMATS["json"](report, STYLE)


def read(report: Report) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(written(report), parse_constant=refuse)
    return found


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("block", CONTRACT)
def test_the_schema_demands_what_version_1_promises(block: str) -> None:
    found = SCHEMA if block == "" else SCHEMA["$defs"][block]
    assert set(CONTRACT[block]) <= set(found["required"])
    assert set(found["required"]) == set(found["properties"])


def test_every_report_obeys_the_schema(reports: Mapping[str, Report]) -> None:
    for report in (*reports.values(), Report()):
        VALIDATOR.validate(read(report))


def test_every_key_written_is_in_the_schema(reports: Mapping[str, Report]) -> None:
    def walk(value: Any, schema: dict[str, Any]) -> None:
        for option in schema.get("anyOf", [schema]):
            known = (
                SCHEMA["$defs"][option["$ref"].rpartition("/")[2]] if "$ref" in option else option
            )
            if isinstance(value, dict) and "properties" in known:
                assert set(value) == set(known["properties"])
                for key, part in value.items():
                    walk(part, known["properties"][key])
            if isinstance(value, list) and "items" in known:
                for part in value:
                    walk(part, known["items"])

    for report in reports.values():
        walk(read(report), SCHEMA)


Document = dict[str, Any]


def put(*path: str | int, value: Any) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        at: Any = document
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value

    return change


LAYER = ("networks", 0, "layers", 0)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(put("version", value=2), id="another version"),
        pytest.param(put("tool", "name", value="other"), id="another tool"),
        pytest.param(put("findings", value={}), id="findings are not a list"),
        pytest.param(put("findings", 0, "rule", value="IA999"), id="a rule that cannot be"),
        pytest.param(put("findings", 0, "severity", value="ERROR"), id="a severity in capitals"),
        pytest.param(put("findings", 0, "severity", value=3), id="a severity as a number"),
        pytest.param(put("findings", 0, "confidence", value="sure"), id="an unknown confidence"),
        pytest.param(put("findings", 0, "line", value="12"), id="a line as text"),
        pytest.param(put("findings", 0, "line", value=0), id="a line before the first"),
        pytest.param(put("findings", 0, "path", value=None), id="no path"),
        pytest.param(put("findings", 0, "facts", value={"a": [1]}), id="a fact that is a list"),
        pytest.param(put("findings", 0, "fix", value="yes"), id="a fix as text"),
        pytest.param(put("findings", 0, "fix", value={"safe": True}), id="a fix without edits"),
        pytest.param(put("findings", 0, "fingerprint", value="xyz"), id="no hash"),
        pytest.param(put("findings", 0, "related", value=["fc1"]), id="a place as text"),
        pytest.param(put("networks", 0, "origin", value="guessed"), id="an unknown origin"),
        pytest.param(put("networks", 0, "topology", value="order"), id="an unknown topology"),
        pytest.param(put("networks", 0, "verdict", value="ok"), id="an unknown verdict"),
        pytest.param(put("networks", 0, "forward_ratio", value="inf"), id="a ratio as text"),
        pytest.param(put("networks", 0, "coverage", value=98.2), id="a coverage in percent"),
        pytest.param(put("networks", 0, "assumptions", value=[1]), id="an assumption as number"),
        pytest.param(put(*LAYER, "shape", value="64x64"), id="a shape as text"),
        pytest.param(put(*LAYER, "shape", value=[1.5]), id="half a dimension"),
        pytest.param(put(*LAYER, "weight", value=[]), id="a weight that is a list"),
        pytest.param(put(*LAYER, "weight", "law", value="he"), id="an unknown law"),
        pytest.param(put(*LAYER, "weight", "zeros", value=-1), id="fewer than no zeros"),
        pytest.param(put(*LAYER, "forward", "dead", value=1.5), id="more than all units dead"),
        pytest.param(put(*LAYER, "forward", "std", value=-1.0), id="a negative deviation"),
        pytest.param(put(*LAYER, "law", value="normal"), id="a layer's law as text"),
        pytest.param(put("summary", "errors", value=None), id="no count"),
    ],
)
def test_the_schema_refuses(
    reports: Mapping[str, Report], change: Callable[[Document], None]
) -> None:
    document = read(reports["vanishing"])
    assert VALIDATOR.is_valid(document)
    change(document)
    assert not VALIDATOR.is_valid(document)


def test_the_schema_refuses_a_report_without_any_of_its_keys(
    reports: Mapping[str, Report],
) -> None:
    document = read(reports["vanishing"])
    blocks: list[tuple[str | int, ...]] = [
        (),
        ("tool",),
        ("findings", 1),
        ("findings", 1, "related", 0),
        ("networks", 0),
        LAYER,
        (*LAYER, "law"),
        (*LAYER, "weight"),
        (*LAYER, "forward"),
        (*LAYER, "backward"),
        ("summary",),
    ]
    for block in blocks:
        keys: Any = document
        for step in block:
            keys = keys[step]
        for key in list(keys):
            broken = copy.deepcopy(document)
            at: Any = broken
            for step in block:
                at = at[step]
            del at[key]
            assert not VALIDATOR.is_valid(broken), (block, key)


def test_the_schema_allows_fields_to_be_added(reports: Mapping[str, Report]) -> None:
    document = read(reports["vanishing"])
    document["later"] = document["findings"][0]["later"] = document["networks"][0]["later"] = 1
    assert VALIDATOR.is_valid(document)


def test_numbers_that_are_not_finite_are_null(reports: Mapping[str, Report]) -> None:
    document = read(reports["hostile"])
    network = document["networks"][0]
    assert network["forward_ratio"] is None
    assert network["coverage"] is None
    assert network["layers"][0]["weight"]["gain"] is None
    assert network["layers"][0]["forward"]["std"] is None
    assert network["layers"][0]["backward"]["std"] == 0
    assert document["findings"][0]["facts"] == {"count": 3, "gain": None, "note\x1b": "\x1b[0m"}


def test_bytes_are_safe_for_a_terminal_and_names_survive(reports: Mapping[str, Report]) -> None:
    for report in reports.values():
        shown = written(report)
        assert shown.isascii()
        assert all(c == "\n" or c.isprintable() for c in shown)
    hostile = reports["hostile"]
    assert read(hostile)["networks"][0]["path"] == hostile.networks[0].path
    assert read(hostile)["networks"][0]["layers"][0]["name"] == hostile.networks[0].layers[0].name


def test_text_is_indented_by_two_and_ends_in_one_newline(reports: Mapping[str, Report]) -> None:
    shown = written(reports["vanishing"])
    assert shown.startswith('{\n  "version": 1,\n  "tool": {\n    "name": "initaudit",\n')
    assert shown.endswith("}\n")
    assert not shown.endswith("\n\n")
    assert '"shape": [64, 64],' in shown
    for line in shown.splitlines():
        assert (len(line) - len(line.lstrip(" "))) % 2 == 0


def test_the_same_report_gives_the_same_bytes_in_any_style(reports: Mapping[str, Report]) -> None:
    wide = Style(width=200, colour=True, verbose=True, quiet=True, ascii=True)
    for report in reports.values():
        assert written(report) == FORMATS["json"](report, wide)


def test_facts_are_sorted_and_keys_come_in_the_order_of_the_schema(
    reports: Mapping[str, Report],
) -> None:
    document = read(reports["vanishing"])
    assert list(document["findings"][1]["facts"]) == ["activation", "fan_in", "gain", "std"]
    assert list(document) == list(SCHEMA["properties"])
    for block, value in (
        ("finding", document["findings"][0]),
        ("network", document["networks"][0]),
        ("layer", document["networks"][0]["layers"][0]),
        ("weight", document["networks"][0]["layers"][0]["weight"]),
    ):
        assert list(value) == list(SCHEMA["$defs"][block]["properties"])


def test_summary_agrees_with_the_lists(reports: Mapping[str, Report]) -> None:
    for report in reports.values():
        document = read(report)
        summary = document["summary"]
        assert summary["networks"] == len(document["networks"])
        assert summary["layers"] == sum(len(n["layers"]) for n in document["networks"])
        assert summary["unread"] == len(document["unread"])
        severities = [f["severity"] for f in document["findings"]]
        assert summary["errors"] == severities.count("error")
        assert summary["warnings"] == severities.count("warning")
        assert summary["notes"] == severities.count("note")


def test_declared_weights_have_a_law_and_a_gain_without_stored_values(
    reports: Mapping[str, Report],
) -> None:
    stored = reports["healthy"].networks[0]
    declared = replace(stored, layers=tuple(replace(x, tensor=None) for x in stored.layers))
    document = read(Report(networks=(declared,)))
    VALIDATOR.validate(document)
    first = document["networks"][0]["layers"][0]["weight"]
    assert (first["law"], first["gain"], first["mean"]) == ("normal", 1.41, None)
    pool = next(x for x in document["networks"][0]["layers"] if x["name"] == "pool")
    assert pool["weight"] is None


def test_numbers_of_numpy_are_numbers(reports: Mapping[str, Report]) -> None:
    base = reports["healthy"]
    forward = Forward(
        np.float32(0.5), np.float64(1.5), None, None, None, np.float64(math.nan), None,  # type: ignore[arg-type]
        (np.int64(3), np.int64(4)),  # type: ignore[arg-type]
    )  # fmt: skip
    layer = replace(base.networks[0].layers[0], forward=forward)
    document = read(replace(base, networks=(replace(base.networks[0], layers=(layer,)),)))
    VALIDATOR.validate(document)
    block = document["networks"][0]["layers"][0]["forward"]
    assert (block["mean"], block["std"], block["effective_rank"]) == (0.5, 1.5, None)
    assert block["histogram"] == [3, 4]


# Fingerprints.


def found(rule: str = "IA103", **site: Any) -> Finding:
    where = Site(**{"path": "a/b.py", **site})
    return Finding(rule, "a-rule", Severity.NOTE, Confidence.LOW, where, {"x": 1}, "m", "c")


def test_a_fingerprint_is_known_and_does_not_drift() -> None:
    assert fingerprint(found(tensor="fc.weight", layer="fc")) == "931b8f4904f6200d"


def test_numbers_words_lines_and_slashes_do_not_change_a_fingerprint() -> None:
    one = found(line=3, column=1)
    two = replace(found(line=9, column=7), facts={"x": 2}, message="other", cure="other")
    assert fingerprint(one) == fingerprint(two)
    assert fingerprint(found(path="a\\b.py")) == fingerprint(found(path="a/b.py"))


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(found(rule="IA104"), id="rule"),
        pytest.param(found(path="a/c.py"), id="path"),
        pytest.param(found(layer="fc"), id="layer"),
        pytest.param(found(tensor="fc"), id="tensor"),
    ],
)
def test_a_fingerprint_tells_places_apart_by(other: Finding) -> None:
    assert fingerprint(other) != fingerprint(found())
    assert fingerprint(found(layer="fc")) != fingerprint(found(tensor="fc"))


def test_equal_places_in_one_report_get_different_fingerprints() -> None:
    marks = fingerprints([found(line=1), found(line=2), found(rule="IA104"), found(line=3)])
    assert len(set(marks)) == 4
    assert marks[0] == fingerprint(found())


# Anything at all.


TEXTS = st.text(st.characters(), max_size=20)
NUMBERS = st.one_of(st.none(), st.floats(min_value=0), st.just(math.nan))


@given(TEXTS, TEXTS, NUMBERS, st.dictionaries(TEXTS, st.one_of(TEXTS, st.integers(), st.floats())))
def test_any_value_is_written_so_that_it_can_be_read(
    name: str, reason: str, value: float | None, facts: dict[str, float | int | str]
) -> None:
    site = Site(name, tensor=name, layer=reason)
    finding = replace(found(), site=site, facts=facts, message=reason, code=name, related=(site,))
    forward = Forward(value, value, value, None, None, value, value, (), value, value)
    layer = LayerReport(name, reason, (None, 3), name, None, value, None, forward, None, reason)
    network = NetworkReport(
        name, reason, Origin.DECLARED, "source", (name,), (reason,), "clean", name, (name,),
        value, value, value, value, value, value, 0.5, 0, (layer,), ((name, reason),),
    )  # fmt: skip
    report = Report((finding,), (Unread(site, reason),), (network,), version=name)
    document = read(report)
    VALIDATOR.validate(document)
    assert document["findings"][0]["message"] == reason
    assert document["findings"][0]["related"][0]["path"] == name
    assert document["networks"][0]["layers"][0]["name"] == name
    assert all(c == "\n" or c.isprintable() for c in written(report))
