from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from initaudit import audit
from initaudit.network import Network
from tests.architecture.toy import TOY, WIDTH, arrays, network, written
from tests.nets import Arrays

DEPTH, LENGTH, VOCABULARY = 3, 8, 40


def gpt2(*, biases: bool = True) -> Arrays:
    """A GPT-2 as transformers initialises it."""
    random = np.random.default_rng(0)
    shapes = {"attn.c_attn": (64, 192), "attn.c_proj": (64, 64),
              "mlp.c_fc": (64, 256), "mlp.c_proj": (256, 64)}  # fmt: skip
    held: Arrays = {
        "wte.weight": random.normal(0, 0.02, (VOCABULARY, 64)),
        "wpe.weight": random.normal(0, 0.02, (LENGTH, 64)),
    }
    for i in range(DEPTH):
        for norm in ("ln_1", "ln_2"):
            held[f"h.{i}.{norm}.weight"], held[f"h.{i}.{norm}.bias"] = np.ones(64), np.zeros(64)
        for name, shape in shapes.items():
            std = 0.02 / np.sqrt(2 * DEPTH) if name.endswith("c_proj") else 0.02
            held[f"h.{i}.{name}.weight"] = random.normal(0, std, shape)
            if biases:
                held[f"h.{i}.{name}.bias"] = np.zeros(shape[1])
    held["ln_f.weight"], held["ln_f.bias"] = np.ones(64), np.zeros(64)
    return {name: array.astype(np.float32) for name, array in held.items()}


def found(held: Arrays) -> set[str]:
    return {finding.rule for finding in audit(held, probe=False).findings}


def rows(made: Network, layer: str) -> tuple[int, int]:
    weight = made.layer(layer).param("weight")
    assert weight is not None
    assert weight.tensor is not None
    assert weight.tensor.rows is not None
    return weight.tensor.rows.count, weight.tensor.rows.duplicated


@pytest.mark.parametrize("biases", [True, False])
def test_a_healthy_gpt2_has_no_duplicated_units(biases: bool) -> None:
    assert "IA108" not in found(gpt2(biases=biases))


@pytest.mark.parametrize("biases", [True, False])
def test_twin_output_units_of_a_conv1d_are_duplicated(biases: bool) -> None:
    held = gpt2(biases=biases)
    for i in range(DEPTH):
        held[f"h.{i}.mlp.c_fc.weight"][:, 1::2] = held[f"h.{i}.mlp.c_fc.weight"][:, ::2]
    assert "IA108" in found(held)
    assert rows(network(held), "h.0.mlp.c_fc") == (256, 256)


@pytest.mark.parametrize("biases", [True, False])
def test_equal_inputs_of_a_conv1d_are_no_duplicated_units(biases: bool) -> None:
    held = gpt2(biases=biases)
    for i in range(DEPTH):
        held[f"h.{i}.mlp.c_fc.weight"][1::2] = held[f"h.{i}.mlp.c_fc.weight"][::2]
    assert "IA108" not in found(held)
    assert rows(network(held), "h.0.mlp.c_fc") == (256, 0)


@pytest.mark.parametrize("layout", ["io", "oi"])
def test_the_layout_of_a_users_architecture_tells_the_axis(tmp_path: Path, layout: str) -> None:
    turned = TOY.replace('"up", op = "linear"', f'"up", op = "linear", layout = "{layout}"')
    held = arrays()
    held["h.0.up.weight"][:, 1::2] = held["h.0.up.weight"][:, ::2]
    made = network(held, written(tmp_path, turned))
    assert rows(made, "h.0.up") == (WIDTH, WIDTH if layout == "io" else 0)
