"""Faults inside residual branches, in a network of GPT-2's names: what is named, what is not."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import initaudit
from initaudit.rulebook import Severity

Weights = dict[str, NDArray[Any]]
DEPTH, WIDTH = 3, 32


def gpt2(seed: int = 0) -> Weights:
    """The arrays of a GPT-2 as its authors draw it."""
    rng = np.random.default_rng(seed)

    def draw(std: float, *shape: int) -> NDArray[Any]:
        return rng.normal(0, std, shape).astype(np.float32)

    ones, zeros = np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.float32)
    end = 0.02 / np.sqrt(2 * DEPTH)
    held: Weights = {"wte.weight": draw(0.02, 60, WIDTH), "wpe.weight": draw(0.02, 16, WIDTH)}
    for i in range(DEPTH):
        held |= {
            f"h.{i}.ln_1.weight": ones, f"h.{i}.ln_1.bias": zeros,
            f"h.{i}.attn.c_attn.weight": draw(0.02, WIDTH, 3 * WIDTH),
            f"h.{i}.attn.c_proj.weight": draw(end, WIDTH, WIDTH),
            f"h.{i}.ln_2.weight": ones, f"h.{i}.ln_2.bias": zeros,
            f"h.{i}.mlp.c_fc.weight": draw(0.02, WIDTH, 4 * WIDTH),
            f"h.{i}.mlp.c_proj.weight": draw(end, 4 * WIDTH, WIDTH),
        }  # fmt: skip
    return {
        f"transformer.{name}": array
        for name, array in (held | {"ln_f.weight": ones, "ln_f.bias": zeros}).items()
    }


def filled(held: Weights, make: Callable[[str, NDArray[Any]], NDArray[Any]]) -> Weights:
    """The arrays with those of the blocks' matrices that ``make`` changes."""
    return {
        name: make(name, array).astype(np.float32) if ".h." in name and array.ndim == 2 else array
        for name, array in held.items()
    }


def said(held: Weights) -> dict[str, Severity]:
    """The worst severity of each rule at warning and above."""
    report = initaudit.audit(held)
    assert report.networks[0].topology == "names"
    assert report.networks[0].stopped == ()
    found: dict[str, Severity] = {}
    for finding in report.findings:
        if finding.severity >= Severity.WARNING:
            found[finding.rule] = max(finding.severity, found.get(finding.rule, Severity.NOTE))
    return found


@pytest.mark.parametrize("seed", range(3))
def test_a_fresh_network_gets_no_warning(seed: int) -> None:
    assert said(gpt2(seed)) == {}


def test_a_branch_may_end_in_zeros() -> None:
    def make(name: str, array: NDArray[Any]) -> NDArray[Any]:
        return array * 0 if "c_proj" in name else array

    assert said(filled(gpt2(), make)) == {}


def test_zeros_in_both_matrices_of_each_mlp_are_an_error() -> None:
    found = said(filled(gpt2(), lambda name, array: array * 0 if ".mlp." in name else array))
    assert found.get("IA101") is Severity.ERROR


def test_positive_weights_in_all_projections_are_named() -> None:
    rng = np.random.default_rng(4)
    found = said(filled(gpt2(), lambda name, array: rng.random(array.shape)))
    assert "IA105" in found


def test_twins_behind_attention_are_named() -> None:
    def make(name: str, array: NDArray[Any]) -> NDArray[Any]:
        if name.endswith("c_attn.weight"):
            values = np.repeat(array[:, 2 * WIDTH : 2 * WIDTH + 1], WIDTH, 1)
            return np.concatenate([array[:, : 2 * WIDTH], values], 1)
        return np.repeat(array[:1], WIDTH, 0) if name.endswith("attn.c_proj.weight") else array

    assert "IA201" in said(filled(gpt2(), make))


def _stored(path: Path, held: Weights) -> None:
    header: dict[str, Any] = {}
    body = b""
    for name, array in held.items():
        raw = array.astype("<f4").tobytes()
        span = [len(body), len(body) + len(raw)]
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": span}
        body += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)


def test_a_nan_in_one_shard_is_an_error(tmp_path: Path) -> None:
    held = gpt2()
    held["transformer.h.2.mlp.c_fc.weight"][3, 5] = np.nan
    names = list(held)
    parts = names[: len(names) // 2], names[len(names) // 2 :]
    index: dict[str, str] = {}
    for i, part in enumerate(parts, 1):
        file = f"model-{i:05}-of-00002.safetensors"
        _stored(tmp_path / file, {name: held[name] for name in part})
        index |= dict.fromkeys(part, file)
    body = json.dumps({"metadata": {}, "weight_map": index})
    (tmp_path / "model.safetensors.index.json").write_text(body)
    report = initaudit.audit(tmp_path)
    assert [f.rule for f in report.findings if f.severity is Severity.ERROR] == ["IA301"]
