from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from initaudit.network import Network
from tests.architecture.toy import TOY, VOCABULARY, WIDTH, arrays, assumed, network, written
from tests.nets import Arrays


@pytest.fixture(name="rules")
def _rules(tmp_path: Path) -> Path:
    return written(tmp_path)


def falls_back(made: Network) -> str:
    """The one assumption that says why an architecture was not taken."""
    said = [one.text for one in made.assumptions if one.text.endswith("judged layer by layer")]
    assert len(said) == 1
    assert not any(layer.op == "attention" for layer in made.layers)
    return said[0]


def test_the_steps_stand_in_order_and_are_named_after_their_modules(rules: Path) -> None:
    made = network(arrays(2), rules)
    assert made.topology == "names"
    assert [layer.name for layer in made.layers] == [
        "input", "words",
        "h.0.up", "h.0.split", "h.0.act", "h.0.added",
        "h.1.up", "h.1.split", "h.1.act", "h.1.added",
    ]  # fmt: skip
    assert made.layer("h.1.added").inputs == ("h.0.added", "h.1.act")
    assert made.layer("input").attributes == {"shape": (5,), "tokens": VOCABULARY}


def test_below_a_prefix_the_head_is_tied_to_the_table(rules: Path) -> None:
    head = network(arrays(1, "toy."), rules).layer("head")
    weight = head.param("weight")
    assert weight is not None
    assert weight.tensor is not None
    assert weight.tensor.name == "toy.words.weight"
    assert head.attributes["role"] == "head"


def test_a_block_is_the_first_variant_whose_tensors_are_there(rules: Path) -> None:
    held = arrays(2)
    held["h.1.gate.weight"] = held.pop("h.1.up.weight")
    made = network(held, rules)
    assert made.layer("h.1.gated").op == "multiply"
    assert made.layer("h.0.split").op == "attention"


def test_a_gap_in_the_numbers_is_said(rules: Path) -> None:
    held = arrays(3)
    del held["h.1.up.weight"]
    assert "h.1 is missing" in falls_back(network(held, rules))


def test_a_tensor_that_is_missing_is_said(rules: Path) -> None:
    held = arrays(2)
    held["h.1.gate.bias"] = held.pop("h.1.up.weight")[0]
    assert "h.1.gate.weight is missing" in falls_back(network(held, rules))


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((WIDTH, 3), "h.1.up.weight reads 3 features, its input has 8"),
        ((WIDTH, WIDTH, 2), "which is no linear"),
        ((WIDTH, 0), "h.1.up.weight is empty"),
    ],
)
def test_an_impossible_shape_is_said(rules: Path, shape: tuple[int, ...], said: str) -> None:
    held = {**arrays(2), "h.1.up.weight": np.ones(shape, np.float32)}
    assert said in falls_back(network(held, rules))


def test_what_the_architecture_does_not_use_stands_apart(rules: Path) -> None:
    held: Arrays = {**arrays(1), "probe.weight": np.ones((3, WIDTH), np.float32)}
    made = network(held, rules)
    assert made.apart == (("probe", "no part of the graph of toy"),)


def test_the_weights_win_over_a_configuration_that_contradicts_them(rules: Path) -> None:
    made = network(arrays(1), rules, config={"model_type": "toy", "width": 16, "heads": 3})
    assert made.topology == "config"
    said = assumed(made)
    assert "config.json says width = 16, words.weight has 8: the weights are believed" in said
    assert "config.json says heads = 3, which does not divide 8" in said
    assert made.layer("h.0.split").attributes["heads"] == 2


def test_what_a_configuration_says_is_no_assumption(rules: Path) -> None:
    config = {"model_type": "toy", "width": 8, "heads": 4, "act": "gelu_new"}
    made = network(arrays(1), rules, config=config)
    assert made.layer("h.0.split").attributes["heads"] == 4
    assert made.layer("h.0.act").attributes["function"] == "gelu_tanh"
    assert assumed(made) == "taken for toy: config.json says model_type toy"


def test_without_one_the_guess_is_told(rules: Path) -> None:
    assert "2 heads" in assumed(network(arrays(1), rules))


def test_a_configuration_of_another_file_is_said(rules: Path) -> None:
    held = {k.replace("up", "down"): v for k, v in arrays(1).items()}
    assert "config.json says model_type toy" in falls_back(
        network(held, rules, config={"model_type": "toy"})
    )


BESIDE = TOY.replace('block = ["gated", "block"]', 'block = "expert", join = "add"').replace(
    "[blocks.block]",
    """[blocks.expert]
steps = [
  { name = "up", op = "linear" },
  { as = "own", op = "slice", from = "^words", start = "$ordinal", stop = "$next" },
  { as = "weighted", op = "multiply", from = ["up", "own"] },
]

[blocks.expert.settings]
fan = { extent = ["up.weight", 1] }
half = { quotient = ["fan", 2] }

[blocks.block]""",
)


def test_repetitions_that_are_joined_stand_beside_each_other(tmp_path: Path) -> None:
    made = network(arrays(3), written(tmp_path, BESIDE))
    assert {made.layer(f"h.{i}.up").inputs for i in range(3)} == {("words",)}
    assert [made.layer(f"h.{i}.own").attributes["start"] for i in range(3)] == [0, 1, 2]
    assert made.layer("h").op == "add"
    assert made.layer("h").inputs == tuple(f"h.{i}.weighted" for i in range(3))


SETTINGS = """
blocks = { count = "h.{i}" }
more = { sum = ["blocks", 2] }
fewer = { least = ["more", 4] }
squared = { power = ["fewer", 2] }
third = { share = ["squared", 3] }
fitting = { divisor = ["width", 64, 5, 4, 2] }
stored = { present = "words.weight" }
picked = { case = "stored", cases = { true = "$third", false = 1 } }
followed = { like = "picked", default = 7 }
unknown = { quotient = ["width", 3] }
equal = { equal = ["blocks", 3] }
other = { equal = ["blocks", "width"] }
strides = [1, 2, 4]
depths = [1, 2, 1]
deeper = 1.5
each = { staged = ["strides", "depths", "deeper"] }
long = { length = "each" }
inside = { among = ["blocks", "strides"] }
one = { same = ["words.weight", "h.0.up.weight"] }
"""


def test_settings_follow_from_others(tmp_path: Path) -> None:
    text = TOY.replace("length = 5\n", SETTINGS + "length = 5\n").replace(
        '{ name = "words", op = "embedding" },',
        '{ name = "words", op = "embedding", a = "$more", b = "$fewer", c = "$squared", '
        'd = "$third", e = "$fitting", f = "$followed", g = "$unknown", h = "$one", '
        'i = "$equal", j = "$other", k = "$each", l = "$long", m = "$inside" },',
    )
    attributes = network(arrays(3), written(tmp_path, text)).layer("words").attributes
    found = [attributes.get(name) for name in "abcdefghijklm"]
    staged = (1, 1, 2, 1, 1, 4, 1)
    assert found == [5, 4, 16, 5, 4, 5, None, False, 1, 0, staged, 7, False]


def test_lists_of_stages_that_do_not_meet_tell_nothing(tmp_path: Path) -> None:
    told = "steps = [1, 2]\ndeep = [3]\nhuge = [9e9, 1]\ntwo = 2\n"
    told += 'a = { staged = ["steps", "deep", "two"] }\nb = { staged = ["steps", "huge", "two"] }\n'
    told += 'c = { length = "two" }\n'
    text = TOY.replace("length = 5\n", told + "length = 5\n").replace(
        '{ name = "words", op = "embedding" },',
        '{ name = "words", op = "embedding", a = "$a", b = "$b", c = "$c" },',
    )
    attributes = network(arrays(1), written(tmp_path, text)).layer("words").attributes
    assert [attributes.get(name) for name in "abc"] == [None, None, None]


NUMBERED = """
name = "row"
marks = ["row.0.weight", "row.2.running_mean"]
whole = ["row"]
expect = { width = 8, head = "$width" }
inputs = [{ name = "input", shape = [8] }]
steps = [{ repeat = "row.{i}", block = "unit", gaps = true }]

[settings]
width = { extent = ["row.0.weight", 1] }
head = { extent = ["row.0.weight", 0] }

[blocks.unit]
needs = ["weight"]
without = ["running_mean"]
settings.normed = { present = "^row.{+2}.running_mean" }
settings.fan = { extent = ["weight", 1] }
expect = { fan = 8 }
steps = [
  { name = "^row.{+0}", op = "linear" },
  { as = "^row.{+1}", op = "activation", function = "relu" },
  { name = "^row.{+2}", op = "batch_norm", when = { normed = true } },
]
"""


def row(last: tuple[int, ...] = (8, 8), *extra: str) -> Arrays:
    """Two linear layers of a numbered container, a norm behind the first one."""
    held = {"row.0.weight": (8, 8), "row.4.weight": last}
    held |= {f"row.2.{role}": (8,) for role in ("weight", "running_mean", "running_var")}
    held |= dict.fromkeys(extra, (8, 8))
    return {name: np.full(shape, 0.5, np.float32) for name, shape in held.items()}


def test_a_block_speaks_of_its_own_number_and_of_those_behind_it(tmp_path: Path) -> None:
    made = network(row(), written(tmp_path, NUMBERED, "row.toml"))
    assert [(layer.name, layer.op) for layer in made.layers[1:]] == [
        ("row.0", "linear"), ("row.1", "activation"), ("row.2", "batch_norm"),
        ("row.4", "linear"), ("row.5", "activation"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (row((8, 7)), "the fan of row.4 is 7, not 8"),
        (row((8, 8), "row.2.inner.weight"), "row.2.inner.weight is no part of it"),
        (row() | {"row.0.weight": np.ones((9, 8), np.float32)}, "the head is 9, not 8"),
    ],
    ids=["in a block", "left over", "of another setting"],
)
def test_what_is_not_as_expected_is_said(tmp_path: Path, held: Arrays, said: str) -> None:
    made = network(held, written(tmp_path, NUMBERED, "row.toml"))
    assert f"its names are those of row, but {said}: judged layer by layer" in assumed(made)


def test_a_step_is_passed_over_where_a_setting_has_no_value(tmp_path: Path) -> None:
    text = TOY.replace("length = 5\n", 'length = 5\ncap = { config = ["cap"] }\n').replace(
        '{ name = "act",',
        '{ as = "capped", op = "scale", factor = "$cap", given = ["cap"] },\n{ name = "act",',
    )
    rules = written(tmp_path, text)
    assert network(arrays(1), rules).layer("h.0.act").inputs == ("h.0.split",)
    made = network(arrays(1), rules, config={"model_type": "toy", "cap": 2.0})
    assert made.layer("h.0.capped").attributes["factor"] == 2.0
