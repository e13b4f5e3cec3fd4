from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from initaudit.architecture.rotation import scaled
from initaudit.network import Attribute, Layer, Network
from initaudit.replica.ops.op import OpError
from initaudit.replica.ops.rotary import rotary
from initaudit.replica.ops.turning import Scaling, scaling_of, speeds
from tests.architecture.toy import assumed, llama, network

LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 16}  # fmt: skip
YARN = {"factor": 4.0, "original_max_position_embeddings": 16}
LONGROPE = {"factor": 4.0, "original_max_position_embeddings": 16,
            "short_factor": [1.0, 1.5, 2.0, 2.5], "long_factor": [1.0, 2.0, 4.0, 8.0]}  # fmt: skip
LEFT_OUT = "which is left out: attention is measured with positions as they are"


def config(**scaling: Any) -> dict[str, Any]:
    told = {"rope_scaling": scaling} if scaling else {}
    return {"model_type": "llama", "num_attention_heads": 4, "num_key_value_heads": 4} | told


def turned(made: Network) -> list[Layer]:
    return [layer for layer in made.layers if layer.op == "rotary"]


@pytest.mark.parametrize(
    ("scaling", "kept"),
    [
        pytest.param({}, None, id="none is told"),
        pytest.param({"rope_type": "default"}, None, id="the default"),
        pytest.param({"rope_type": "llama3", **LLAMA3}, "llama3", id="Llama 3.1"),
        pytest.param({"type": "linear", "factor": 2.0}, "linear", id="an older key"),
        pytest.param({"rope_type": "yarn", **YARN}, "yarn", id="yarn"),
        pytest.param({"rope_type": "longrope", **LONGROPE}, "longrope", id="longrope"),
        pytest.param({"type": "su", **LONGROPE}, "longrope", id="longrope's first name"),
        pytest.param({"type": "yarn", **LONGROPE}, "longrope", id="divisors make it longrope"),
    ],
)
def test_a_scaling_that_is_computed(scaling: dict[str, Any], kept: str | None) -> None:
    made = network(llama(), config=config(**scaling))
    assert len(turned(made)) == 4
    assert {layer.attributes.get("scaling") for layer in turned(made)} == {kept}
    assert LEFT_OUT not in "".join(assumed(made))


@pytest.mark.parametrize(
    ("scaling", "kind"),
    [
        pytest.param({"rope_type": "yarn"}, "yarn", id="no factor, no lengths"),
        pytest.param({"rope_type": "yarn", "factor": 4.0}, "yarn", id="no first length"),
        pytest.param({"rope_type": "longrope", **YARN}, "longrope", id="no divisors"),
        pytest.param(
            {"rope_type": "longrope", **LONGROPE, "long_factor": [1.0, 2.0]},
            "longrope",
            id="divisors for another width",
        ),
        pytest.param(
            {"rope_type": "longrope", **LONGROPE, "short_factor": [1.0, 0, 1.0, 1.0]},
            "longrope",
            id="an impossible divisor",
        ),
        pytest.param({"rope_type": "dynamic", "factor": 4.0}, "dynamic", id="no length"),
        pytest.param({"rope_type": "llama3", "factor": 8.0}, "llama3", id="numbers are missing"),
        pytest.param({"rope_type": "linear", "factor": 0}, "linear", id="an impossible number"),
        pytest.param({"rope_type": "linear", "factor": "2"}, "linear", id="a word"),
        pytest.param({"rope_type": "spiral", "factor": 2.0}, "spiral", id="a kind not known"),
        pytest.param(
            {"full_attention": {"rope_type": "linear", "factor": 8.0}},
            "kinds of layer",
            id="another one for each kind of layer",
        ),
    ],
)
def test_a_scaling_that_is_left_out_is_said_once(scaling: dict[str, Any], kind: str) -> None:
    made = network(llama(), config=config(**scaling))
    assert made.topology == "config"
    assert {x.attributes.get("scaling") for x in turned(made)} == {None}
    assert assumed(made).count(f"config.json scales rotary positions by {kind}, {LEFT_OUT}") == 1


def test_a_scaling_by_length_says_which_length() -> None:
    told = config(rope_type="dynamic", factor=4.0) | {"max_position_embeddings": 2048}
    made = network(llama(), config=told)
    assert {x.attributes["original"] for x in turned(made)} == {2048}
    said = "scales rotary positions by dynamic, which leaves sequences of up to 2,048 positions"
    assert f"config.json {said} alone" in assumed(made)
    made = network(llama(), config=config(rope_type="longrope", **LONGROPE))
    said = "scales rotary positions by longrope, sequences of up to 16 positions by short_factor"
    assert f"config.json {said}" in assumed(made)


def test_the_length_beside_the_scaling_is_the_first_one() -> None:
    told = config(rope_type="yarn", factor=4.0, original_max_position_embeddings=64)
    told |= {"original_max_position_embeddings": 32, "max_position_embeddings": 128}
    assert {x.attributes["original"] for x in turned(network(llama(), config=told))} == {32}


def test_a_scaling_of_the_file_beside_does_not_replace_one_of_the_step() -> None:
    given: dict[str, Attribute] = {"scaling": "linear", "factor": 2.0}
    assert scaled(given, config(rope_type="yarn", **YARN), 32) == (given, None)


def test_linear_scaling_puts_positions_between() -> None:
    x = np.random.default_rng(0).standard_normal((1, 9, 8))
    few = np.zeros((1, 3, 8))
    few[0] = x[0, ::4]
    wide, _ = rotary.forward({"scaling": "linear", "factor": 4.0}, (x,), {})
    plain, _ = rotary.forward({}, (few,), {})
    assert wide[0, ::4] == pytest.approx(plain[0])


def test_llama3_leaves_fast_turns_and_slows_slow_ones() -> None:
    plain = speeds(8, 10000.0, 16, None)
    found = speeds(8, 10000.0, 16, Scaling("llama3", 8.0, 1.0, 4.0, 64.0))
    assert found[0] == plain[0]
    # 64 positions are 1.02 turns at speed 0.1: a share (1.02 - 1) / 3 is kept.
    share = (64 * 0.1 / (2 * np.pi) - 1) / 3
    assert found[1] == pytest.approx(0.1 * (share + (1 - share) / 8))
    assert found[2:] == pytest.approx(plain[2:] / 8)


def test_yarn_keeps_the_first_pairs_and_slows_the_last() -> None:
    plain = speeds(16, 10000.0, 16, None)
    found = speeds(16, 10000.0, 16, Scaling("yarn", 4.0, 1.0, 32.0, 4096.0))
    # 4096 positions take 32 turns at pair 2.6 and one at pair 5.6: whole pairs 2 and 6.
    assert found[:3] == pytest.approx(plain[:3])
    assert found[4] == pytest.approx(plain[4] * (0.5 + 0.5 / 4))
    assert found[6:] == pytest.approx(plain[6:] / 4)


def test_dynamic_leaves_what_is_short_enough_and_turns_the_slowest_as_linear_does() -> None:
    plain = speeds(16, 10000.0, 16, None)
    scaling = Scaling("dynamic", 4.0, original=16.0)
    assert np.array_equal(speeds(16, 10000.0, 16, scaling), plain)
    # At twice the length the slowest pair turns over 4 * 2 - 3 = 5 times as many positions.
    longer = speeds(16, 10000.0, 32, scaling)
    assert longer[0] == plain[0]
    assert longer[-1] == pytest.approx(plain[-1] / 5)
    assert np.array_equal(speeds(2, 10000.0, 32, scaling), speeds(2, 10000.0, 32, None))


def test_longrope_divides_by_the_list_for_the_length() -> None:
    plain = speeds(4, 10000.0, 16, None)
    scaling = Scaling("longrope", original=16.0, short=(1.0, 2.0), long=(3.0, 4.0))
    assert speeds(4, 10000.0, 16, scaling) == pytest.approx(plain / (1, 2))
    assert speeds(4, 10000.0, 17, scaling) == pytest.approx(plain / (3, 4))
    with pytest.raises(OpError, match="2 divisors for 4 pairs"):
        speeds(8, 10000.0, 16, scaling)


def test_a_magnitude_grows_what_is_turned_and_its_gradient() -> None:
    random = np.random.default_rng(0)
    x, d = random.standard_normal((2, 1, 5, 8))
    given: dict[str, Attribute] = {
        "scaling": "yarn",
        "factor": 4.0,
        "original": 16,
        "high": 32.0,
        "dims": 4,
    }
    plain, _ = rotary.forward(given, (x,), {})
    grown, cache = rotary.forward({**given, "magnitude": 1.5}, (x,), {})
    assert grown[..., :4] == pytest.approx(1.5 * plain[..., :4])
    assert grown[..., 4:] == pytest.approx(plain[..., 4:])
    # A turn is linear: <d, T x> = <T^t d, x>.
    (back,), _ = rotary.backward(cache, {}, d)
    assert float((back * x).sum()) == pytest.approx(float((d * grown).sum()))


_THEIRS: list[tuple[str, dict[str, Any]]] = [
    *(("llama3", LLAMA3 | {"original_max_position_embeddings": n}) for n in (16, 64, 8192)),
    ("linear", {"factor": 3.0}),
    ("dynamic", {"factor": 4.0}),
    *(("yarn", YARN | {"original_max_position_embeddings": n}) for n in (16, 64, 8192)),
    ("yarn", YARN | {"attention_factor": 0.7, "beta_fast": 16.0, "beta_slow": 2.0}),
    ("yarn", YARN | {"mscale": 0.7, "mscale_all_dim": 1.3, "truncate": False}),
    ("yarn", YARN | {"mscale": 0.7}),
    ("longrope", {k: v for k, v in LONGROPE.items() if k != "factor"}),
    ("longrope", LONGROPE),
    ("longrope", LONGROPE | {"attention_factor": 1.25}),
]


@pytest.mark.oracle
@pytest.mark.parametrize("length", [16, 64, 100])
@pytest.mark.parametrize(("kind", "numbers"), _THEIRS)
def test_speeds_and_magnitude_are_those_of_transformers(
    kind: str, numbers: dict[str, Any], length: int
) -> None:
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    told = transformers.LlamaConfig(
        hidden_size=32, num_attention_heads=4, max_position_embeddings=64,
        rope_parameters={"rope_type": kind, "rope_theta": 500000.0, **numbers},
    )  # fmt: skip
    theirs, factor = ROPE_INIT_FUNCTIONS[kind](told, "cpu", seq_len=length)
    attributes, _ = scaled({"heads": 4, "base": 500000.0}, told.to_dict(), 32)
    ours = scaling_of(attributes)
    assert ours is not None
    assert ours.magnitude == pytest.approx(factor)
    assert speeds(8, 500000.0, length, ours) == pytest.approx(theirs.numpy(), rel=1e-5)
