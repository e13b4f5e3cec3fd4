"""Faults that neighbouring tools pass, planted in one layer of a sound network, are found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import initaudit
from initaudit.finding import Finding, Report
from initaudit.rulebook import Severity
from tests.command import run, stored
from tests.nets import Array, Arrays, Fill, he, mlp, torch_default, xavier

Plant = Callable[[np.random.Generator, Array], Array]
QUICK = ("--no-probe", "--samples", "32")
ACTIVATIONS = ("relu", "tanh", "sigmoid", "gelu", None)


def half_dead(rng: np.random.Generator, weight: Array) -> Array:
    weight[rng.permutation(len(weight))[: len(weight) // 2]] = 0
    return weight


def with_nan(dtype: Any) -> Plant:
    def plant(rng: np.random.Generator, weight: Array) -> Array:
        changed = weight.astype(dtype)
        changed[rng.integers(len(weight)), rng.integers(weight.shape[1])] = np.nan
        return np.asarray(changed)

    return plant


def drawn(std: float, dtype: Any = np.float32) -> Plant:
    return lambda rng, weight: rng.normal(0, std, weight.shape).astype(dtype)


# What is planted, and rules of which one must name it.
PLANTED: dict[str, tuple[Plant, set[str]]] = {
    "NaN in BF16": (with_nan(ml_dtypes.bfloat16), {"IA301"}),
    "NaN in C64": (with_nan(np.complex64), {"IA301"}),
    "NaN in F8_E4M3": (with_nan(ml_dtypes.float8_e4m3fn), {"IA301"}),
    "NaN in F8_E5M2": (with_nan(ml_dtypes.float8_e5m2), {"IA301"}),
    "all zero": (lambda rng, weight: weight * 0, {"IA101", "IA303"}),
    "constant": (lambda rng, weight: weight * 0 + np.float32(0.5), {"IA102", "IA303"}),
    "half the rows dead": (half_dead, {"IA108"}),
    "identical rows": (lambda rng, weight: weight * 0 + weight[:1], {"IA108", "IA201"}),
    "std 10": (drawn(10), {"IA104"}),
    "std 1e-6": (drawn(1e-6), {"IA103"}),
    "F16 subnormals": (drawn(1e-5, np.float16), {"IA302"}),
}


def planted(
    plant: Plant, seed: int, *, depth: int, width: int = 256, fill: Fill = he, bias: str = "torch"
) -> Arrays:
    """Return a network of ``depth`` layers with the fault in its middle one."""
    rng = np.random.default_rng([seed, depth])
    arrays = mlp(rng, [64, *[width] * (depth - 1), 10], fill, bias=bias)
    middle = f"fc{(depth + 1) // 2}.weight"
    return {**arrays, middle: plant(rng, arrays[middle])}


def named(report: Report) -> set[str]:
    return {f.rule for f in report.findings if f.severity >= Severity.WARNING}


def places(finding: Finding) -> set[str | None]:
    return {finding.site.tensor, *(site.tensor for site in finding.related)}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("fault", PLANTED)
def test_a_fault_in_the_middle_of_three_layers_is_found(fault: str, activation: str | None) -> None:
    plant, rules = PLANTED[fault]
    for seed in range(2):
        for fill, bias in ((he, "zero"), (torch_default, "torch")):
            arrays = planted(plant, seed, depth=3, fill=fill, bias=bias)
            report = initaudit.audit(arrays, activation=activation, seed=seed, samples=64,
                                     probe=False)  # fmt: skip
            assert named(report) & rules
            assert not report.unread
            for finding in report.findings:
                if finding.rule in rules:
                    assert places(finding) == {"fc2.weight"}


@pytest.mark.parametrize(
    ("fault", "activation", "width"),
    [
        # Where the activation is open, 64 inputs with std 10 are within a sigmoid's gain.
        (fault, activation, 256 if (fault, activation) == ("std 10", None) else 64)
        for fault in PLANTED
        for activation in ("relu", None)
    ],
)
def test_a_fault_in_the_middle_of_ten_layers_is_found(
    fault: str, activation: str | None, width: int
) -> None:
    plant, rules = PLANTED[fault]
    arrays = planted(plant, 0, depth=10, width=width, fill=xavier)
    report = initaudit.audit(arrays, activation=activation, samples=64, probe=False)
    found = [f for f in report.findings if f.rule in rules and f.severity >= Severity.WARNING]
    assert found
    assert "fc5.weight" in places(found[0])


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_same_networks_without_a_fault_are_silent(activation: str | None) -> None:
    for seed in range(2):
        arrays = planted(lambda rng, weight: weight, seed, depth=3)
        assert not named(initaudit.audit(arrays, activation=activation, seed=seed))


NAMES = {"float32": "F32", "float16": "F16", "bfloat16": "BF16", "complex64": "C64",
         "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2"}  # fmt: skip


@pytest.mark.parametrize("fault", PLANTED)
def test_a_file_with_a_fault_fails_the_gate_and_names_the_tensor(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, fault: str
) -> None:
    plant, rules = PLANTED[fault]
    arrays = planted(plant, 1, depth=3)
    path = stored(
        tmp_path / "model.safetensors",
        {name: (NAMES[a.dtype.name], a.shape, a.tobytes()) for name, a in arrays.items()},
    )
    ran = run(capsys, path, "--output-format", "json", *QUICK)
    assert ran.code == 1
    by_rule = {f["rule"]: f for f in ran.report["findings"]}
    (rule,) = by_rule.keys() & rules
    assert by_rule[rule]["tensor"] == "fc2.weight"
    assert by_rule[rule]["severity"] in ("warning", "error")
    text = run(capsys, path, *QUICK)
    assert text.code == 1
    assert rule in text.out


@pytest.mark.parametrize("wrong_bytes", [31, 33])
def test_four_bit_floats_of_a_wrong_size_are_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, wrong_bytes: int
) -> None:
    path = stored(tmp_path / "m.safetensors", {"a.weight": ("F4", (8, 8), bytes(wrong_bytes))})
    ran = run(capsys, path)
    assert ran.code == 2
    assert "needs 32 bytes" in " ".join(ran.out.split())


@pytest.mark.parametrize("dtype", ["F8_E5M2", "F8_E4M3", "F6_E2M3", "F6_E3M2", "F4"])
def test_valid_small_floats_are_read(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, dtype: str
) -> None:
    bits = {"F8": 8, "F6": 6, "F4": 4}[dtype[:2]]
    codes = np.random.default_rng(0).integers(0, 120, 64 * 64 * bits // 8, np.uint8).tobytes()
    path = stored(tmp_path / "m.safetensors", {"a.weight": (dtype, (64, 64), codes)})
    ran = run(capsys, path, "--output-format", "json", *QUICK)
    assert ran.code in (0, 1)
    assert ran.report["unread"] == []
    (weight,) = (x["weight"] for x in ran.report["networks"][0]["layers"] if x["weight"])
    assert weight["std"] > 0
