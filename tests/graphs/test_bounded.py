"""Graphs that ask for more memory than there is: the path ends there, and one line says why."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from initaudit.checkpoint import pieces, reading
from initaudit.checkpoint.graphs import onnx_file
from initaudit.checkpoint.stored import CheckpointError
from tests.command import run
from tests.graphs.make import mlp, model, node, number, random, saved
from tests.graphs.seen import read

onnx: Any = pytest.importorskip("onnx")

MEBIBYTES = 600
"""An array of 2^26 numbers in single precision and one of half its size, with some more."""
EMPTY = np.zeros(0, np.float32)


def grown(words: list[int]) -> dict[str, Any]:
    return {"n": np.array(words)}


def doubling() -> Any:
    """Return a loop that joins a constant to itself in each of 60 rounds."""
    from onnx import helper

    from tests.graphs.test_bodies import body

    inner = body(
        [node("Concat", ["h", "h"], "out", axis=0), node("Identity", ["go"], "goes")],
        ["goes", "out"], ["i", "go", "h"],
    )  # fmt: skip
    return helper.make_node("Loop", ["rounds", "start", "one"], ["b"], body=inner)


HUGE: dict[str, tuple[list[Any], dict[str, Any], tuple[int | str, ...]]] = {
    "expand": ([node("Expand", ["a", "n"], "b")], grown([3, 10**6, 10**5, 8]), ("n", 1, 1, 8)),
    "tiled constant": (
        [node("Tile", ["one", "n"], "t"), node("Add", ["a", "t"], "b")],
        {**grown([10**9, 8]), "one": random(1, 1)}, ("n", 8),
    ),
    "range": (
        [node("Range", ["zero", "n", "one"], "r"), node("Add", ["a", "r"], "b")],
        {"n": np.array(10**12), "zero": np.array(0), "one": np.array(1)}, ("n", 8),
    ),
    "range that is no number": (
        [node("Range", ["zero", "n", "one"], "r"), node("Add", ["a", "r"], "b")],
        {"n": number(float("nan")), "zero": number(0.0), "one": number(1.0)}, ("n", 8),
    ),
    "fill": (
        [node("ConstantOfShape", ["n"], "r"), node("Add", ["a", "r"], "b")],
        grown([10**6, 10**6]), ("n", 8),
    ),
    "one hot": (
        [node("OneHot", ["zero", "n", "two"], "r"), node("Add", ["a", "r"], "b")],
        {"n": np.array(10**11), "zero": np.array([0, 1]), "two": random(2)}, ("n", 8),
    ),
    "spread constants": (
        [node("Mul", ["column", "row"], "r"), node("Add", ["a", "r"], "b")],
        {"column": random(10**5, 1), "row": random(1, 10**5)}, ("n", 8),
    ),
    "product of constants": (
        [node("MatMul", ["column", "row"], "r"), node("Add", ["a", "r"], "b")],
        {"column": random(10**5, 2), "row": random(2, 10**5)}, ("n", 8),
    ),
    "resize": (
        [node("Resize", ["a", "none", "n"], "b", mode="linear")],
        {"none": EMPTY, "n": np.array([1, 1, 1e5, 1e5], np.float32)}, ("n", 3, 4, 8),
    ),
    "pad": (
        [node("Pad", ["a", "n"], "b")], grown([0, 0, 0, 0, 0, 0, 10**6, 10**6]), ("n", 3, 4, 8)
    ),
    "loop": (
        [doubling(), node("Add", ["a", "b"], "c"), node("Relu", ["c"], "d")],
        {"rounds": np.array(60), "start": np.array(True), "one": random(8)}, ("n", 8),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HUGE)
def test_what_is_too_large_is_not_made(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nodes, arrays, shape = HUGE[name]
    last = nodes[-1].output[0]
    made = model(
        [node("MatMul", ["x", "fc.weight"], "a"), *nodes, node("MatMul", [last, "head.weight"])],
        {"fc.weight": random(8, 8), "head.weight": random(8, 3, seed=1), **arrays}, shape,
    )  # fmt: skip
    path = saved(made, tmp_path / "m.onnx")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    one = read(path)
    told = [a.text for a in one.network.assumptions if "nothing behind it is reached" in a.text]
    assert any("more than 67,108,864 numbers" in text for text in told)
    ran = run(capsys, path, "--output-format", "json")
    assert ran.code in {0, 1}
    assert ran.report["networks"][0]["layers"][0]["name"] == "fc"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MEBIBYTES << 10


@pytest.mark.parametrize(
    ("text", "put"), [(b"fc1.weight", b"fc1\x8aweight"), (b"MatMul", b"Mat\x8aul")]
)
def test_text_that_is_no_unicode_is_refused(text: bytes, put: bytes, tmp_path: Path) -> None:
    raw = mlp().SerializeToString().replace(text, put)
    path = tmp_path / "m.onnx"
    path.write_bytes(raw)
    with pytest.raises(CheckpointError, match="not a readable ONNX model"):
        reading.read_checkpoint(path)


def test_a_model_larger_than_a_protobuf_can_be_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.onnx"
    with path.open("wb") as file:
        file.truncate(onnx_file._LARGEST + 1)
    monkeypatch.setattr(pieces, "read", None)
    with pytest.raises(CheckpointError, match="larger than the 2 GiB"):
        onnx_file.read_onnx(path)
