"""A checkpoint whose parts, or whose ``config.json``, say two things at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from initaudit.architecture.reading import ArchitectureError, read
from tests.architecture.toy import TOY, assumed, llama, network, written

CONFIG = {"model_type": "llama", "num_attention_heads": 4, "num_hidden_layers": 2}
BLOCK = "model.layers.1."


def test_a_configuration_that_agrees_is_no_assumption() -> None:
    config = CONFIG | {"num_key_value_heads": 4, "vocab_size": 40, "hidden_size": 32}
    assert assumed(network(llama(), config=config)) == (
        "taken for llama: config.json says model_type llama"
    )


@pytest.mark.parametrize(
    ("config", "said"),
    [
        pytest.param({"num_hidden_layers": 7}, "num_hidden_layers = 7, the weights make it 2",
                     id="more blocks than are stored"),
        pytest.param({"num_key_value_heads": 2}, "num_key_value_heads = 2, the weights make it 4",
                     id="heads of keys that their width does not make"),
        pytest.param({"vocab_size": 7}, "vocab_size = 7, the weights make it 40",
                     id="fewer tokens than the table has"),
        pytest.param({"hidden_size": 48}, "hidden_size = 48, model.embed_tokens.weight has 32",
                     id="another width"),
        pytest.param({"model_type": "bert"}, "model_type bert, but "
                     "embeddings.word_embeddings.weight and the like are missing",
                     id="another family"),
    ],
)  # fmt: skip
def test_the_weights_are_believed_and_the_report_says_so(config: dict[str, Any], said: str) -> None:
    made = network(llama(), config=CONFIG | config)
    assert f"config.json says {said}: the weights are believed" in assumed(made)
    assert any(layer.op == "attention" for layer in made.layers)


@pytest.mark.parametrize("value", [0, -1.0, "x", True, float("inf")])
def test_a_number_that_cannot_be_is_not_taken(value: Any) -> None:
    made = network(llama(), config=CONFIG | {"rms_norm_eps": value})
    said = f"config.json says rms_norm_eps = {value}, which is no number above 0: 1e-06 is taken"
    assert said in assumed(made)
    assert made.layer("model.norm").attributes["eps"] == 1e-6


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [
        pytest.param("mlp.up_proj", (47, 32), "model.layers.1.mlp.gated joins 47 and 48 features",
                     id="a gate and a value of two widths"),
        pytest.param("mlp.down_proj", (31, 48), "model.layers.1.out joins 31 and 32 features",
                     id="a branch that is narrower than the stream"),
        pytest.param("self_attn.k_proj", (30, 32),
                     "model.layers.1.self_attn.k_rotary turns 30 features in 4 heads",
                     id="keys that fall into no heads"),
        pytest.param("self_attn.k_proj", (16, 32),
                     "model.layers.1.self_attn.heads sets 32 features in 4 heads beside 16 in 4",
                     id="keys narrower than the queries"),
    ],
)  # fmt: skip
def test_widths_that_do_not_fit_each_other_are_said_in_one_line(
    name: str, shape: tuple[int, int], said: str
) -> None:
    held = {**llama(), f"{BLOCK}{name}.weight": np.ones(shape, np.float32)}
    made = network(held, config=CONFIG)
    assert assumed(made) == f"its names are those of llama, but {said}: judged layer by layer"
    assert not any(layer.op == "attention" for layer in made.layers)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("", "one of extent, count and like"),
        (", count = 'h.{i}', like = 'width'", "one of extent, count and like"),
        (", like = 'depth'", "depth"),
    ],
)
def test_what_a_key_agrees_with_has_to_be_there(tmp_path: Path, told: str, said: str) -> None:
    text = TOY.replace(', extent = ["words.weight", 1] }]', told + " }]", 1)
    path = written(tmp_path, text) / "architectures" / "toy.toml"
    with pytest.raises(ArchitectureError, match=said):
        read(path)


FOREIGN: dict[str, dict[str, tuple[int, ...]]] = {
    "qwen2_moe": {
        "mlp.gate.weight": (4, 32), "mlp.experts.0.gate_proj.weight": (16, 32),
        "mlp.experts.0.up_proj.weight": (16, 32), "mlp.experts.0.down_proj.weight": (32, 16),
        "mlp.shared_expert.gate_proj.weight": (24, 32),
        "mlp.shared_expert.up_proj.weight": (24, 32),
        "mlp.shared_expert.down_proj.weight": (32, 24), "mlp.shared_expert_gate.weight": (1, 32),
        "self_attn.q_proj.weight": (32, 32), "self_attn.k_proj.weight": (32, 32),
        "self_attn.v_proj.weight": (32, 32), "self_attn.o_proj.weight": (32, 32),
    },
    "deepseek_v3": {
        "mlp.gate.weight": (4, 32), "mlp.experts.0.gate_proj.weight": (16, 32),
        "mlp.experts.0.up_proj.weight": (16, 32), "mlp.experts.0.down_proj.weight": (32, 16),
        "mlp.shared_experts.gate_proj.weight": (24, 32),
        "mlp.shared_experts.up_proj.weight": (24, 32),
        "mlp.shared_experts.down_proj.weight": (32, 24),
        "self_attn.q_a_proj.weight": (16, 32), "self_attn.q_b_proj.weight": (64, 16),
        "self_attn.kv_a_proj_with_mqa.weight": (24, 32), "self_attn.kv_b_proj.weight": (64, 16),
        "self_attn.o_proj.weight": (32, 32),
    },
    "mamba": {
        "mixer.A_log": (64, 8), "mixer.D": (64,), "mixer.conv1d.weight": (64, 1, 4),
        "mixer.in_proj.weight": (128, 32), "mixer.x_proj.weight": (18, 64),
        "mixer.dt_proj.weight": (64, 2), "mixer.out_proj.weight": (32, 64),
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_family_that_no_file_describes_is_judged_layer_by_layer(kind: str) -> None:
    random = np.random.default_rng(0)
    shapes = {f"model.layers.{i}.{k}": s for i in range(2) for k, s in FOREIGN[kind].items()}
    shapes |= {f"model.layers.{i}.input_layernorm.weight": (32,) for i in range(2)}
    shapes["model.embed_tokens.weight"] = (40, 32)
    held = {
        name: (np.ones(shape) if len(shape) < 2 else random.normal(0, 0.02, shape)).astype("f4")
        for name, shape in shapes.items()
    }
    made = network(held, config={"model_type": kind})
    said = f"config.json says model_type {kind}, whose graph is not known: judged layer by layer"
    assert said in assumed(made)
    assert made.topology == "names"
    apart = dict(made.apart)
    assert {layer.name for layer in made.layers} == set(apart)
    assert all(apart.values())


def test_a_chain_that_names_tell_is_not_said_to_be_judged_layer_by_layer() -> None:
    random = np.random.default_rng(0)
    held = {f"fc{i}.weight": random.normal(0, 0.2, (32, 32)).astype("f4") for i in range(3)}
    assert "layer by layer" not in assumed(network(held, config={"model_type": "mine"}))
