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


def test_two_zero_factors_of_a_branch_are_still_an_error() -> None:
    rng = np.random.default_rng(1)
    arrays: Arrays = {}
    width = 16
    for i in range(3):
        for part in ("mlp.c_fc", "mlp.c_proj"):
            shape = (4 * width, width) if part == "mlp.c_fc" else (width, 4 * width)
            arrays[f"transformer.h.{i}.{part}.weight"] = np.zeros(shape, np.float32)
            arrays[f"transformer.h.{i}.{part}.bias"] = np.zeros(shape[0], np.float32)
        for part, rows in (("attn.c_attn", 3 * width), ("attn.c_proj", width)):
            drawn_ = rng.normal(0, 0.2, (rows, width)).astype(np.float32)
            arrays[f"transformer.h.{i}.{part}.weight"] = drawn_
            arrays[f"transformer.h.{i}.{part}.bias"] = np.zeros(rows, np.float32)
        for norm in ("ln_1", "ln_2"):
            arrays[f"transformer.h.{i}.{norm}.weight"] = np.ones(width, np.float32)
            arrays[f"transformer.h.{i}.{norm}.bias"] = np.zeros(width, np.float32)
    arrays["transformer.wte.weight"] = rng.normal(0, 0.2, (40, width)).astype(np.float32)
    arrays["transformer.wpe.weight"] = rng.normal(0, 0.2, (32, width)).astype(np.float32)
    arrays["transformer.ln_f.weight"] = np.ones(width, np.float32)
    arrays["transformer.ln_f.bias"] = np.zeros(width, np.float32)
    arrays["lm_head.weight"] = rng.normal(0, 0.2, (40, width)).astype(np.float32)
    report = initaudit.audit(arrays)
    assert [f.severity.name for f in report.findings if f.rule == "IA101"] == ["ERROR"]


def test_under_a_rectifier_a_lone_zero_matrix_is_an_error() -> None:
    assert "IA101" in found(drawn(np.sqrt(2.0), fc1=0.0), "relu")
