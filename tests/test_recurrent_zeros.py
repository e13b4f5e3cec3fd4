"""Zero and constant matrices of recurrent layers: what multiplies the input, and what does not.

Measured with PyTorch, two layers, 600 steps of Adam: zeros in all matrices and biases leave the
loss at ln(10); with the biases that PyTorch draws the same zeros are learnt away.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import initaudit
from initaudit.rulebook import Severity

Weights = dict[str, NDArray[Any]]
INTO, WIDTH = 8, 12


def lstm(*, layers: int, both: bool, seed: int = 0) -> Weights:
    """The arrays of an LSTM and a head as PyTorch draws them."""
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> NDArray[Any]:
        return rng.uniform(-1 / np.sqrt(WIDTH), 1 / np.sqrt(WIDTH), shape).astype(np.float32)

    sides = ("", "_reverse") if both else ("",)
    held: Weights = {}
    for layer in range(layers):
        into = WIDTH * len(sides) if layer else INTO
        for side in sides:
            end = f"l{layer}{side}"
            held[f"lstm.weight_ih_{end}"] = draw(4 * WIDTH, into)
            held[f"lstm.weight_hh_{end}"] = draw(4 * WIDTH, WIDTH)
            held[f"lstm.bias_ih_{end}"] = draw(4 * WIDTH)
            held[f"lstm.bias_hh_{end}"] = draw(4 * WIDTH)
    held["fc.weight"] = draw(10, WIDTH * len(sides))
    return held


def emptied(held: Weights, *parts: str, value: float = 0.0) -> Weights:
    """The arrays with all of one value where the name holds one of ``parts``."""
    return {
        name: np.full_like(array, value) if any(part in name for part in parts) else array
        for name, array in held.items()
    }


def found(held: Weights) -> dict[str, Severity]:
    """The severity of each rule that speaks."""
    return {f.rule: f.severity for f in initaudit.audit(held, samples=64).findings}


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
def test_a_fresh_one_is_clean(layers: int, both: bool) -> None:
    assert not {r for r, s in found(lstm(layers=layers, both=both)).items() if s > Severity.NOTE}


@pytest.mark.parametrize("both", [False, True])
def test_zeros_between_steps_are_a_published_start(both: bool) -> None:
    held = emptied(lstm(layers=2, both=both), "weight_hh")
    assert not {"IA101", "IA303"} & found(held).keys()


@pytest.mark.parametrize("both", [False, True])
def test_zeros_everywhere_in_two_layers_never_learn(both: bool) -> None:
    held = emptied(lstm(layers=2, both=both), "lstm")
    assert found(held)["IA101"] is Severity.ERROR


@pytest.mark.parametrize("both", [False, True])
def test_drawn_biases_let_zero_matrices_start(both: bool) -> None:
    held = emptied(lstm(layers=2, both=both), "lstm.weight")
    assert found(held)["IA101"] is Severity.WARNING


@pytest.mark.parametrize("both", [False, True])
def test_one_layer_of_zeros_is_told_as_such(both: bool) -> None:
    said = found(emptied(lstm(layers=1, both=both), "weight_ih"))
    assert said["IA303"] is Severity.WARNING
    assert "IA101" not in said


def test_one_value_between_steps_is_told() -> None:
    said = found(emptied(lstm(layers=1, both=False), "weight_hh", value=0.1))
    assert said["IA303"] is Severity.WARNING


def test_the_table_shows_what_multiplies_the_input() -> None:
    report = initaudit.audit(emptied(lstm(layers=1, both=False), "weight_ih"))
    shown = next(layer for layer in report.networks[0].layers if layer.name.startswith("lstm"))
    assert shown.tensor is not None
    assert shown.tensor.name == "lstm.weight_ih_l0"
    assert shown.tensor.zeros == shown.tensor.count
