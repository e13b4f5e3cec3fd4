"""The replica against PyTorch: float64, batch norm as each network states, cotangent at the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from initaudit.replica.engine import backward, forward, loader
from tests.replica.golden.networks import EXAMPLES, Example, cotangent

GOLDEN = Path(__file__).parent / "golden" / "golden.npz"
Seen = dict[str, NDArray[Any]]
LIMIT = 1e-5


def replicated(example: Example) -> Seen:
    """Everything the replica computes, under the keys of the golden file."""
    built = example.built
    network, load = built.network, loader(built.load)
    tape = forward(network, load, {"input": example.x}, batch_statistics=example.training)
    assert tape.stopped == {}
    seen = {f"{name} forward": y for name, y in tape.outputs.items() if name != "input"}
    end = network.layers[-1].name
    for step in backward(network, load, tape, {end: cotangent(tape.outputs[end].shape)}):
        if step.layer.name == "input":
            continue
        seen[f"{step.layer.name} backward"] = step.d_output
        for role, gradient in step.d_params.items():
            seen[f"{step.layer.name}.{role} gradient"] = gradient
    return seen


# A bias in front of batch norm has an exact gradient of 0, which both sides round to 1e-16.
ROUNDING = 1e-10


def disagreement(ours: NDArray[Any], theirs: NDArray[Any]) -> float:
    """Largest difference, relative to the root mean square of the array."""
    size = max(float(np.sqrt(np.square(theirs).mean())), ROUNDING)
    return float(np.abs(ours - theirs).max()) / size


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_layer_agrees_with_what_torch_hooks_saw(name: str) -> None:
    ours = replicated(EXAMPLES[name]())
    with np.load(GOLDEN) as stored:
        keys, numbers = list(stored[f"{name}:keys"]), stored[f"{name}:numbers"]
    assert keys == sorted(ours)
    ends = np.cumsum([ours[key].size for key in keys])
    assert ends[-1] == numbers.size
    for key, theirs in zip(keys, np.split(numbers, ends[:-1]), strict=True):
        shaped = theirs.reshape(ours[key].shape)
        assert disagreement(ours[key], shaped) < LIMIT, key


@pytest.mark.oracle
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_layer_agrees_with_torch_hooks_live(name: str) -> None:
    pytest.importorskip("torch")
    from tests.replica.golden.hooks import observe

    example = EXAMPLES[name]()
    ours, theirs = replicated(example), observe(name, example)
    assert sorted(ours) == sorted(theirs)
    for key in theirs:
        assert disagreement(ours[key], theirs[key]) < LIMIT, key


def test_there_are_six_mlps_and_six_cnns() -> None:
    kinds = [name.split("_")[0] for name in EXAMPLES]
    assert (kinds.count("mlp"), kinds.count("cnn")) == (6, 6)


def test_the_comparison_can_fail() -> None:
    example = EXAMPLES["mlp_relu"]()
    ours = replicated(example)
    example.built.arrays["fc1.weight"][0, 0] += 1e-3
    moved = replicated(example)
    assert disagreement(moved["fc1 forward"], ours["fc1 forward"]) > LIMIT
    assert disagreement(moved["fc1 backward"], ours["fc1 backward"]) == 0.0
    assert disagreement(moved["fc0 backward"], ours["fc0 backward"]) > LIMIT
