"""One all-equal matrix among random ones is told once, not with all that it does to one step."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import initaudit
from tests.nets import Arrays

SIZES = [8, 32, 32, 32, 1]


def drawn(gain: float, **flat: float) -> Arrays:
    """Return a network with some of its matrices of one value throughout."""
    rng = np.random.default_rng(0)
    arrays: Arrays = {}
    for i, (fan_in, fan_out) in enumerate(pairwise(SIZES)):
        std = gain / np.sqrt(fan_in)
        arrays[f"fc{i}.weight"] = rng.normal(0, std, (fan_out, fan_in)).astype(np.float32)
        arrays[f"fc{i}.bias"] = np.zeros(fan_out, np.float32)
    for name, value in flat.items():
        arrays[f"{name}.weight"][:] = value
    return arrays


def found(arrays: Arrays, activation: str) -> list[str]:
    report = initaudit.audit(arrays, activation=activation)
    return sorted(f.rule for f in report.findings if f.severity.name != "NOTE")


@pytest.mark.parametrize("activation", ["tanh", "gelu", "sigmoid"])
@pytest.mark.parametrize("value", [0.0, 0.02, 0.3])
@pytest.mark.parametrize("layer", ["fc1", "fc2"])
def test_a_lone_flat_matrix_is_one_finding(activation: str, value: float, layer: str) -> None:
    assert found(drawn(1.0, **{layer: value}), activation) == ["IA303"]


def test_what_is_wrong_without_it_is_still_found() -> None:
    seen = found(drawn(0.01, fc1=0.3), "tanh")
    assert {"IA303", "IA103", "IA202"} <= set(seen)


def test_under_a_rectifier_a_lone_zero_matrix_is_an_error() -> None:
    assert "IA101" in found(drawn(np.sqrt(2.0), fc1=0.0), "relu")
