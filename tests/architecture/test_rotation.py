from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from initaudit.replica.ops.rotary import _speeds, rotary
from tests.architecture.toy import assumed, network
from tests.nets import Arrays

LLAMA3 = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
          "original_max_position_embeddings": 16}  # fmt: skip
LEFT_OUT = "which is left out: attention is measured with positions as they are"


def llama() -> Arrays:
    random = np.random.default_rng(0)
    shapes = {f"self_attn.{x}_proj.weight": (32, 32) for x in "qkvo"}
    shapes |= {"mlp.gate_proj.weight": (48, 32), "mlp.up_proj.weight": (48, 32),
               "mlp.down_proj.weight": (32, 48)}  # fmt: skip
    held: Arrays = {"model.embed_tokens.weight": random.normal(0, 0.02, (40, 32))}
    for i in range(2):
        for name, shape in shapes.items():
            held[f"model.layers.{i}.{name}"] = random.normal(0, 0.02, shape)
        for norm in ("input_layernorm", "post_attention_layernorm"):
            held[f"model.layers.{i}.{norm}.weight"] = np.ones(32)
    held |= {"model.norm.weight": np.ones(32), "lm_head.weight": random.normal(0, 0.02, (40, 32))}
    return {name: array.astype(np.float32) for name, array in held.items()}


def config(**scaling: Any) -> dict[str, Any]:
    told = {"rope_scaling": scaling} if scaling else {}
    return {"model_type": "llama", "num_attention_heads": 4, "num_key_value_heads": 4} | told


@pytest.mark.parametrize(
    ("scaling", "kept"),
    [
        pytest.param({}, None, id="none is told"),
        pytest.param({"rope_type": "default"}, None, id="the default"),
        pytest.param({"rope_type": "llama3", **LLAMA3}, "llama3", id="Llama 3.1"),
        pytest.param({"type": "linear", "factor": 2.0}, "linear", id="an older key"),
    ],
)
def test_a_scaling_that_is_computed(scaling: dict[str, Any], kept: str | None) -> None:
    made = network(llama(), config=config(**scaling))
    turned = [layer for layer in made.layers if layer.op == "rotary"]
    assert len(turned) == 4
    assert {layer.attributes.get("scaling") for layer in turned} == {kept}
    assert LEFT_OUT not in assumed(made)


@pytest.mark.parametrize(
    ("scaling", "kind"),
    [
        pytest.param({"rope_type": "yarn", "factor": 4.0}, "yarn", id="yarn"),
        pytest.param({"rope_type": "longrope", "factor": 4.0}, "longrope", id="longrope"),
        pytest.param({"rope_type": "dynamic", "factor": 4.0}, "dynamic", id="dynamic"),
        pytest.param({"rope_type": "llama3", "factor": 8.0}, "llama3", id="numbers are missing"),
        pytest.param({"rope_type": "linear", "factor": 0}, "linear", id="an impossible number"),
    ],
)
def test_a_scaling_that_is_left_out_is_said_once(scaling: dict[str, Any], kind: str) -> None:
    made = network(llama(), config=config(**scaling))
    assert made.topology == "config"
    assert {x.attributes.get("scaling") for x in made.layers if x.op == "rotary"} == {None}
    assert assumed(made).count(f"config.json scales rotary positions by {kind}, {LEFT_OUT}") == 1


def test_linear_scaling_puts_positions_between() -> None:
    x = np.random.default_rng(0).standard_normal((1, 9, 8))
    few = np.zeros((1, 3, 8))
    few[0] = x[0, ::4]
    wide, _ = rotary.forward({"scaling": "linear", "factor": 4.0}, (x,), {})
    plain, _ = rotary.forward({}, (few,), {})
    assert wide[0, ::4] == pytest.approx(plain[0])


def test_llama3_leaves_fast_turns_and_slows_slow_ones() -> None:
    plain = _speeds(8, 10000.0, None)
    found = _speeds(8, 10000.0, ("llama3", 8.0, 1.0, 4.0, 64.0))
    assert found[0] == plain[0]
    # 64 positions are 1.02 turns at speed 0.1: a share (1.02 - 1) / 3 is kept.
    share = (64 * 0.1 / (2 * np.pi) - 1) / 3
    assert found[1] == pytest.approx(0.1 * (share + (1 - share) / 8))
    assert found[2:] == pytest.approx(plain[2:] / 8)


@pytest.mark.oracle
@pytest.mark.parametrize("original", [16, 64, 8192])
def test_llama3_is_that_of_transformers(original: int) -> None:
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    numbers = LLAMA3 | {"original_max_position_embeddings": original}
    told = transformers.LlamaConfig(
        hidden_size=64, num_attention_heads=4,
        rope_parameters={"rope_type": "llama3", "rope_theta": 500000.0, **numbers},
    )  # fmt: skip
    theirs, factor = ROPE_INIT_FUNCTIONS["llama3"](told, "cpu")
    ours = _speeds(16, 500000.0, ("llama3", 8.0, 1.0, 4.0, float(original)))
    assert factor == 1.0
    assert ours == pytest.approx(theirs.numpy(), rel=1e-5)
