"""The line of code in a cure does what it says: its standard deviation is the one recommended."""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import initaudit
from initaudit.auditing import open_network
from initaudit.checkpoint.reading import from_mapping
from initaudit.network import Interval, Layer, Network, Origin, Param, Site, Tensor, Weights
from initaudit.options import Options
from initaudit.remedy import cure, framework, wanted_std
from initaudit.signal import ACTIVATIONS as EVERY
from tests.nets import Array

ACTIVATIONS = ("relu", "leaky_relu", "tanh", "sigmoid", "selu", "gelu", "silu", "elu", "mish",
               "softplus", "linear")  # fmt: skip
FREE = Weights("unknown", Interval.unknown(), Interval.unknown())
NAMES = {
    "torch": "{}.weight", "keras": "{}/kernel:0", "flax": "params/{}/kernel", "numpy": "{}",
}  # fmt: skip


def tensor(name: str, shape: tuple[int, ...]) -> Tensor:
    return Tensor(name, "F32", shape, math.prod(shape), 0.0, 1.0, -1.0, 1.0, 0, 0, 0, 0)


def chain(style: str, activation: str | None, *, depth: int = 3, names: str = "fc{}") -> Network:
    """Return ``depth`` layers of 96 inputs and 32 units, and so on, in a framework's names."""
    layers = [Layer("input", "input")]
    widths = [96, *[32, 96] * depth]
    for i in range(depth):
        name = names.format(i)
        shape = (widths[i + 1], widths[i])
        swapped = style in ("keras", "flax")
        stored = tensor(NAMES[style].format(name), shape[::-1] if swapped else shape)
        layers.append(
            Layer(
                name, "linear", (layers[-1].name,),
                (Param("weight", stored.shape, FREE, stored),),
                {"layout": "io"} if swapped else {},
            )
        )  # fmt: skip
        if i + 1 < depth and activation is not None:
            layers.append(Layer(f"{name}.act", "activation", (name,), (), {"function": activation}))
    return Network("m", tuple(layers), Origin.MEASURED, "names", Site("m"))


@pytest.mark.parametrize("style", NAMES)
def test_the_framework_is_told_by_its_names(style: str) -> None:
    assert framework(chain(style, "relu")) == style


@pytest.mark.parametrize("style", NAMES)
@pytest.mark.parametrize("activation", [*ACTIVATIONS, "unknown", None])
@pytest.mark.parametrize("depth", [1, 3, 8])
def test_every_cure_is_one_line_of_code(style: str, activation: str | None, depth: int) -> None:
    network = chain(style, activation, depth=depth)
    for layer in (None, *network.layers):
        facts, code = cure(network, layer)
        assert facts.keys() == {"activation", "initialiser", "wanted"}
        assert "\n" not in code
        ast.parse(f"f({code})" if style in ("keras", "flax") else code)


def wanted(facts: Mapping[str, Any]) -> float:
    return float(facts["wanted"])


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("depth", [3, 8])
def test_numpy_code_draws_with_the_deviation_it_names(activation: str, depth: int) -> None:
    network = chain("numpy", activation, depth=depth)
    for i in (1, 2):
        facts, code = cure(network, network.layer(f"fc{i}"))
        scope: dict[str, Any] = {"np": np, "rng": np.random.default_rng(0)}
        exec(code, scope)  # noqa: S102
        drawn: Array = scope[f"fc{i}"]
        assert drawn.shape == tuple(network.layer(f"fc{i}").params[0].shape)
        assert drawn.std() == pytest.approx(wanted(facts), rel=0.06)


@pytest.mark.oracle
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("depth", [3, 8])
def test_torch_code_draws_with_the_deviation_it_names(activation: str, depth: int) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    network = chain("torch", activation, depth=depth)
    for i in (1, 2):
        layer = network.layer(f"fc{i}")
        facts, code = cure(network, layer)
        module = torch.nn.Linear(layer.params[0].shape[1], layer.params[0].shape[0])
        exec(code, {"nn": torch.nn, "math": math, f"fc{i}": module})  # noqa: S102
        assert float(module.weight.detach().std()) == pytest.approx(wanted(facts), rel=0.06)


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("fc{}", "fc1.weight"),
        ("{}", "model[1].weight"),
        ("layers.{}", "layers[1].weight"),
        ("net.0.{}.fc", "net[0][1].fc.weight"),
        ("strange-{}", "layer.weight"),
        ("a b{}", "layer.weight"),
        ("class.{}", "layer.weight"),
    ],
)
def test_torch_code_names_the_layer_as_python_does(name: str, target: str) -> None:
    network = chain("torch", "relu", names=name)
    _, code = cure(network, network.layer(name.format(1)))
    assert f"({target}," in code
    ast.parse(code)


@pytest.mark.parametrize(
    ("activation", "depth", "initialiser"),
    [
        ("relu", 3, "He"), ("tanh", 3, "Xavier"), ("selu", 3, "LeCun"), ("sigmoid", 3, "Xavier"),
        ("sigmoid", 8, "4x Xavier"),
    ],
)  # fmt: skip
def test_the_initialiser_is_the_one_for_the_activation(
    activation: str, depth: int, initialiser: str
) -> None:
    network = chain("torch", activation, depth=depth)
    facts, _ = cure(network, network.layer("fc1"))
    assert facts["initialiser"] == initialiser
    assert facts["activation"] == activation


def test_a_cure_for_no_layer_has_the_words_for_the_first_hidden_one_and_no_code() -> None:
    network = chain("torch", "relu")
    facts, code = cure(network, None)
    assert facts == cure(network, network.layer("fc0"))[0]
    assert code == ""


def test_a_network_without_a_place_for_anything_still_has_a_cure() -> None:
    network = Network("m", (), Origin.MEASURED, "names", Site("m"))
    facts, code = cure(network, None)
    assert code == ""
    assert facts["activation"] == "not known"


@pytest.mark.parametrize("activation", sorted(EVERY))
@pytest.mark.parametrize("hidden", [3, 8])
def test_no_rule_on_scales_finds_fault_with_the_cure(activation: str, hidden: int) -> None:
    """What the tool advises it must not name afterwards."""
    widths = [24, *[48] * hidden, 8]
    names = [f"fc{i}.weight" for i in range(len(widths) - 1)]
    shapes = [(b, a) for a, b in pairwise(widths)]
    rng = np.random.default_rng(3)
    first = {n: rng.normal(0, 1, s).astype(np.float32) for n, s in zip(names, shapes, strict=True)}
    options = Options(activation=activation)
    network = open_network(from_mapping(first, "first"), options).network
    cured = {
        param.tensor.name: rng.normal(0, std, param.tensor.shape).astype(np.float32)
        for layer in network.layers
        for param in layer.params
        if param.tensor is not None and (std := wanted_std(network, layer)) is not None
    }
    assert set(names[:-1]) <= set(cured)
    found = initaudit.audit({**first, **cured}, activation=activation, probe=False)
    assert not {f.rule for f in found.findings} & {"IA103", "IA104", "IA106"}
