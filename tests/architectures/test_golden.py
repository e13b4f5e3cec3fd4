"""Architectures rebuilt from their names, next to what PyTorch saw, where it is not installed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.architectures.compare import GRADIENT, STD
from tests.architectures.golden import FOLDER, MOST, drawn, files, load, packed, unpacked

LEAST = 81
"""Examples that are rebuilt and differ in more than their weights."""


@pytest.mark.parametrize("path", files(), ids=lambda path: path.stem)
def test_every_named_layer_is_as_pytorch_saw_it(path: Path) -> None:
    golden = load(path)
    seen = golden.compared()
    assert seen.failed == ""
    assert seen.stopped == {}
    assert seen.lacking == ()
    assert {row.name for row in seen.backward} == set(golden.gradients)
    assert min(len(seen.forward), len(seen.backward)) >= 3
    assert max(row.error for row in seen.forward) < STD
    assert max(row.error for row in seen.backward) < GRADIENT


def test_the_files_are_many_and_small() -> None:
    assert len(files()) >= LEAST
    assert sum(path.stat().st_size for path in files()) < 500_000
    assert max(path.stat().st_size for path in files()) <= MOST


@pytest.mark.parametrize("part", ["stds", "gradients"])
def test_a_number_that_differs_is_seen(tmp_path: Path, part: str) -> None:
    held = json.loads((FOLDER / "lstm.json").read_text())
    name = next(name for name, told in held[part].items() if isinstance(told, float))
    held[part][name] *= 1 + 3 * (STD if part == "stds" else GRADIENT)
    path = tmp_path / "lstm.json"
    path.write_text(json.dumps(held))
    assert not load(path).compared().agrees


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"a": 1, "b.c": 2}, id="names without numbers"),
        pytest.param({f"h.{i}.w": i for i in range(4)}, id="counted from 0"),
        pytest.param({f"h.{i}.w": [3, 2] for i in range(4)}, id="all the same"),
        pytest.param({"h.3.w": 1, "h.7.w": 2}, id="with gaps"),
        pytest.param({"3.h.0.w": 1, "3.h.1.w": 2, "4": 5}, id="numbers at the ends"),
        pytest.param({"l2.1": 1, "l2.0": 1, "lstm.weight_l0": 3}, id="numbers within words"),
        pytest.param({}, id="nothing"),
    ],
)
def test_names_are_packed_and_unpacked(values: dict[str, Any]) -> None:
    places: list[str] = []
    assert unpacked(packed(values, places), places) == values


def test_weights_are_a_function_of_their_names() -> None:
    weight = drawn("fc.weight", (3, 400))
    assert weight.dtype == np.float32
    assert np.array_equal(weight, drawn("fc.weight", (3, 400)))
    assert not np.array_equal(weight, drawn("fd.weight", (3, 400)))
    assert weight.std() == pytest.approx(1 / 20, rel=0.1)
    assert drawn("norm.weight", (400,)).mean() == pytest.approx(1, abs=0.05)
    assert drawn("fc.bias", (400,)).mean() == pytest.approx(0, abs=0.05)
    # The first number, as it was drawn when the files were written.
    assert float(weight[0, 0]) == pytest.approx(FIRST, rel=1e-6)


FIRST = 0.023789215832948685
