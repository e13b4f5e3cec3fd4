from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from initaudit.checkpoint.memory import from_mapping
from initaudit.checkpoint.orientation import out_axes
from initaudit.checkpoint.origin import decide
from initaudit.checkpoint.statistics import measure_all
from initaudit.checkpoint.topology import build
from initaudit.network import Law, Origin, Tensor
from tests.checkpoint.shapes import network, tensor

NAMED = Law("normal", "He normal, fan_in")
NONE = Law("empirical", "none of the known ones")


def drawn(name: str, shape: tuple[int, ...], law: Law | None) -> Tensor:
    return replace(tensor(name, shape), law=law)


def filled(name: str, shape: tuple[int, ...], value: float) -> Tensor:
    made = tensor(name, shape)
    return replace(
        made, mean=value, variance=0.0, minimum=value, maximum=value,
        zeros=0 if value else made.count,
    )  # fmt: skip


def origin(*stored: Tensor) -> Origin:
    return decide(stored, network(stored))[0]


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        pytest.param([drawn("fc.weight", (8, 8), NAMED)], Origin.MEASURED, id="a named law"),
        pytest.param([drawn("fc.weight", (8, 8), NONE)], Origin.TRAINED, id="no named law"),
        pytest.param([drawn("fc.weight", (8, 8), None)], Origin.MEASURED, id="no evidence"),
        pytest.param([filled("fc.weight", (8, 8), 0.0)], Origin.MEASURED, id="all zero"),
        pytest.param([filled("fc.weight", (8, 8), 0.5)], Origin.MEASURED, id="one constant"),
        pytest.param(
            [drawn("fc.weight", (8, 8), NONE), filled("fc.bias", (8,), 0.0)],
            Origin.TRAINED,
            id="a tie is read as trained",
        ),
        pytest.param(
            [
                drawn("fc.weight", (8, 8), NONE),
                filled("fc.bias", (8,), 0.0),
                filled("norm.weight", (8,), 1.0),
                filled("norm.bias", (8,), 0.0),
            ],
            Origin.MEASURED,
            id="gains at one and biases at zero outweigh a law of no name",
        ),
        pytest.param(
            [drawn(f"{i}.weight", (8, 8), NAMED if i else NONE) for i in range(3)],
            Origin.MEASURED,
            id="most matrices follow a named law",
        ),
        pytest.param(
            [
                drawn("0.weight", (8, 8), NONE),
                drawn("1.weight", (8,), NONE),
                drawn("1.bias", (8,), NONE),
                filled("1.running_mean", (8,), 0.0),
                filled("1.running_var", (8,), 1.0),
            ],
            Origin.TRAINED,
            id="running statistics alone do not make a network fresh",
        ),
        pytest.param(
            [replace(drawn("fc.weight", (8, 8), NONE), nans=1), drawn("b.weight", (4, 8), NAMED)],
            Origin.MEASURED,
            id="a matrix with a NaN is no evidence",
        ),
    ],
)
def test_the_majority_of_the_evidence_decides(stored: list[Tensor], expected: Origin) -> None:
    assert origin(*stored) is expected


def test_the_evidence_is_said_with_its_counts() -> None:
    stored = [drawn("fc.weight", (8, 8), NAMED), filled("fc.bias", (8,), 0.0)]
    _, evidence = decide(stored, network(stored))
    assert evidence == (
        "biases: 1 of 1 zero or of a uniform law",
        "weight matrices: 1 of 1 like a named initialiser",
    )


@pytest.mark.parametrize(
    ("stage", "expected"), [("init", Origin.MEASURED), ("trained", Origin.TRAINED)]
)
def test_what_is_told_overrules_the_evidence(stage: Any, expected: Origin) -> None:
    law = NONE if stage == "init" else NAMED
    stored = [drawn("fc.weight", (8, 8), law)]
    assert decide(stored, network(stored), stage) == (expected, (f"as told: --stage {stage}",))


def test_a_bias_that_leaves_the_default_range_was_trained() -> None:
    weight = drawn("fc.weight", (8, 64), None)
    bias = tensor("fc.bias", (8,))
    inside = replace(bias, minimum=-0.1, maximum=0.12)
    assert origin(weight, inside) is Origin.MEASURED
    assert origin(weight, replace(inside, maximum=0.13)) is Origin.TRAINED


def test_a_forget_gate_of_ones_among_zeros_is_fresh() -> None:
    weights = [drawn("lstm/kernel", (4, 32), None), drawn("lstm/recurrent_kernel", (8, 32), None)]
    bias = replace(tensor("lstm/bias", (32,)), mean=0.25, variance=0.1875, minimum=0.0,
                   maximum=1.0, zeros=24)  # fmt: skip
    assert origin(*weights, bias) is Origin.MEASURED
    assert origin(*weights, replace(bias, variance=0.1, law=NONE)) is Origin.TRAINED


def decided(model: Any) -> Origin:
    arrays = from_mapping(model.state_dict(), "model").arrays
    axis = out_axes((array.name, array.shape) for array in arrays)
    measured, _ = measure_all(arrays, axis)
    return decide(measured, build(measured, name="model", path="model"))[0]


def mlp(torch: Any, widths: tuple[int, ...], *, normed: bool) -> Any:
    nn = torch.nn
    layers: list[Any] = []
    for fan, width in pairwise(widths[:-1]):
        layers += [nn.Linear(fan, width), *([nn.BatchNorm1d(width)] if normed else []), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(*widths[-2:]))


@pytest.mark.oracle
@pytest.mark.parametrize("widths", [(64, 64, 64, 10), (8, 16, 16, 2), (300, 100, 10)])
@pytest.mark.parametrize("normed", [False, True], ids=["plain", "normed"])
@pytest.mark.parametrize(
    "law", ["default", "kaiming_normal_", "xavier_uniform_", "zeros_", "constant_", "uniform_"]
)
def test_a_network_as_torch_builds_it_is_fresh(
    widths: tuple[int, ...], law: str, normed: bool
) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    model = mlp(torch, widths, normed=normed)
    for layer in model:
        if law != "default" and isinstance(layer, torch.nn.Linear):
            arguments = (0.5,) if law == "constant_" else ()
            getattr(torch.nn.init, law)(layer.weight, *arguments)
            torch.nn.init.zeros_(layer.bias)
    assert decided(model) is Origin.MEASURED


@pytest.mark.oracle
@pytest.mark.parametrize("widths", [(64, 64, 64, 10), (8, 16, 16, 10), (32, 128, 128, 10)])
@pytest.mark.parametrize("normed", [False, True], ids=["plain", "normed"])
def test_a_network_after_200_steps_of_adam_is_trained(
    widths: tuple[int, ...], normed: bool
) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    model = mlp(torch, widths, normed=normed)
    inputs, labels = torch.randn(256, widths[0]), torch.randint(0, 10, (256,))
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(200):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(model(inputs), labels).backward()
        optimiser.step()
    assert decided(model) is Origin.TRAINED
