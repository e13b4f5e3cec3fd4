"""The graphs that are kept as files: torch's own outputs, without torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import initaudit
from tests.command import FIXTURES
from tests.graphs.seen import end, read, sent

FOLDER = FIXTURES / "graphs"
GRAPHS = ("cnn.onnx", "block.onnx", "cnn.pt2", "block.pt2")


def needed(name: str) -> Path:
    if name.endswith(".onnx"):
        pytest.importorskip("onnx")
    return FOLDER / name


@pytest.mark.parametrize("name", GRAPHS)
def test_outputs_are_those_of_torch(name: str) -> None:
    path = needed(name)
    one = read(path)
    with np.load(FOLDER / "outputs.npz") as outputs:
        x, theirs = outputs[f"{path.stem} input"], outputs[path.stem]
    tape = sent(one, x.astype(np.float64))
    assert tape.stopped == {}
    np.testing.assert_allclose(tape.outputs[end(one, tape)], theirs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", GRAPHS)
def test_a_graph_is_judged_in_full(name: str) -> None:
    report = initaudit.audit(needed(name))
    (network,) = report.networks
    assert (network.topology, network.coverage) == ("graph", 1.0)
    assert network.stopped == ()
    assert network.assumptions == ()
    assert not report.unread
    assert not report.failed


def test_both_formats_make_the_same_layers() -> None:
    pytest.importorskip("onnx")
    for stem in ("cnn", "block"):
        both = [read(FOLDER / f"{stem}.{form}").network for form in ("onnx", "pt2")]
        ours, theirs = ([(x.name, x.op) for x in n.layers if x.op != "input"] for n in both)
        assert ours == theirs


def test_written_out_attention_and_gelu_are_one_layer_each() -> None:
    network = read(FOLDER / "block.pt2").network
    attention = network.layer("attention")
    assert (attention.op, attention.attributes["heads"]) == ("attention", 2)
    assert network.layer("act").attributes["function"] == "gelu"
    assert network.layer("o").attributes["role"] == "residual_last"
