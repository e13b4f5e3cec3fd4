"""Branches and loops of ONNX graphs: those whose way is known are followed, others end there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.graphs.make import model, node, random, saved
from tests.graphs.seen import Read, end, gradients, read, sent

onnx: Any = pytest.importorskip("onnx")

WEIGHTS = {"first.weight": random(8, 8), "head.weight": random(8, 3, seed=1)}


def body(
    nodes: list[Any], outputs: list[str], inputs: list[str] | None = None, **arrays: Any
) -> Any:
    from onnx import TensorProto, helper, numpy_helper

    def port(name: str, kind: int = TensorProto.FLOAT) -> Any:
        return helper.make_tensor_value_info(name, kind, None)

    kinds = {"i": TensorProto.INT64, "go": TensorProto.BOOL, "goes": TensorProto.BOOL}
    return helper.make_graph(
        nodes, "body",
        [port(n, kinds.get(n, TensorProto.FLOAT)) for n in inputs or ()],
        [port(n, kinds.get(n, TensorProto.FLOAT)) for n in outputs],
        [numpy_helper.from_array(a, n) for n, a in arrays.items()],
    )  # fmt: skip


def branches(condition: str) -> Any:
    """Return an If whose branches call their values alike."""
    return node(
        "If", [condition], "b",
        then_branch=body([node("MatMul", ["a", "w"], "made"), node("Relu", ["made"], "out")],
                         ["out"], w=random(8, 8, seed=2)),
        else_branch=body([node("MatMul", ["a", "w"], "made"), node("Tanh", ["made"], "out")],
                         ["out"], w=random(8, 8, seed=3)),
    )  # fmt: skip


def between(nodes: list[Any], **arrays: Any) -> Any:
    return model(
        [node("MatMul", ["x", "first.weight"], "a"), *nodes, node("MatMul", ["b", "head.weight"])],
        {**WEIGHTS, **arrays}, ("n", 5, 8),
    )  # fmt: skip


def agrees(made: Any, folder: Path) -> Read:
    from onnx.reference import ReferenceEvaluator

    one = read(saved(made, folder / "m.onnx"))
    x = random(3, 5, 8, seed=9)
    tape = sent(one, x.astype(np.float64))
    assert tape.stopped == {}
    last = end(one, tape)
    theirs = ReferenceEvaluator(made).run(None, {"x": x})[0]
    np.testing.assert_allclose(tape.outputs[last], theirs, rtol=1e-4, atol=1e-4)
    found = gradients(one, tape, last, np.ones_like(theirs))
    assert np.abs(found["first.weight"]).max() > 0.0
    return one


def ends(made: Any, folder: Path, said: str) -> Read:
    """Check that the signal reaches nothing behind what is not followed, with its reason."""
    one = read(saved(made, folder / "m.onnx"))
    tape = sent(one, random(3, 5, 8, seed=9).astype(np.float64))
    reached = [layer for layer in one.network.layers if layer.name in tape.outputs]
    assert [layer.op for layer in reached] == ["input", "linear"]
    assert any(said in a.text for a in one.network.assumptions)
    return one


@pytest.mark.parametrize("taken", [True, False])
def test_the_branch_of_a_constant_condition_is_followed(taken: bool, tmp_path: Path) -> None:
    one = agrees(between([branches("c")], c=np.array(taken)), tmp_path)
    functions = [x.attributes["function"] for x in one.network.layers if x.op == "activation"]
    assert functions == ["relu" if taken else "tanh"]
    # The weight of the other branch is no weight of this network.
    assert len(one.network.apart) == 1


def test_a_condition_is_computed_from_shapes(tmp_path: Path) -> None:
    asked = [
        node("Shape", ["a"], "shape"),
        node("Gather", ["shape", "one"], "length"),
        node("Equal", ["length", "five"], "c"),
        branches("c"),
    ]
    agrees(between(asked, one=np.array(1), five=np.array(5)), tmp_path)


def test_a_branch_may_give_what_is_around_it(tmp_path: Path) -> None:
    inner = node("If", ["c"], "inner", then_branch=body([], ["a"]), else_branch=body([], ["x"]))
    outer = node("If", ["c"], "b", then_branch=body([inner], ["inner"]),
                 else_branch=body([node("Neg", ["a"], "out")], ["out"]))  # fmt: skip
    one = agrees(between([outer], c=np.array([True])), tmp_path)
    assert [layer.op for layer in one.network.layers] == ["input", "linear", "linear"]


def test_a_branch_that_depends_on_the_input_ends_the_path(tmp_path: Path) -> None:
    asked = [
        node("ReduceMean", ["a"], "mean", keepdims=0),
        node("Greater", ["mean", "zero"], "c"),
        branches("c"),
    ]
    made = between(asked, zero=np.array(0, np.float32))
    one = read(saved(made, tmp_path / "m.onnx"))
    tape = sent(one, random(3, 5, 8, seed=9).astype(np.float64))
    held = {layer.name for layer in one.network.layers if layer.op == "linear"}
    assert held - set(tape.outputs) == {"head"}


def test_a_condition_of_several_numbers_ends_the_path(tmp_path: Path) -> None:
    ends(between([branches("c")], c=np.array([True, False])), tmp_path,
         "If (1 node) cannot be followed: its condition is not one value")  # fmt: skip


def loop(nodes: list[Any], outputs: list[str], out: list[str], **arrays: Any) -> Any:
    from onnx import helper

    repeated = body(nodes, ["goes", *outputs], ["i", "go", "h"], **arrays)
    return helper.make_node("Loop", ["rounds", "start", "a"], out, body=repeated)


def turning(goes: Any) -> Any:
    return loop(
        [node("MatMul", ["h", "w"], "p"), node("Tanh", ["p"], "out"), goes], ["out"], ["b"],
        w=random(8, 8, seed=2) / 3,
    )  # fmt: skip


def test_a_loop_of_a_known_number_of_rounds_is_followed(tmp_path: Path) -> None:
    goes = node("Identity", ["go"], "goes")
    made = between([turning(goes)], rounds=np.array(3), start=np.array([True]))
    one = agrees(made, tmp_path)
    assert [x.op for x in one.network.layers].count("activation") == 3
    shared = [p.tensor.name for x in one.network.layers for p in x.params
              if p.tensor is not None and p.tensor.name == "w"]  # fmt: skip
    assert len(shared) == 3


def test_a_loop_stops_where_its_condition_says_so(tmp_path: Path) -> None:
    goes = node("Less", ["i", "two"], "goes")
    made = between([turning(goes)], rounds=np.array(9), start=np.array(True), two=np.array(2))
    one = agrees(made, tmp_path)
    assert [x.op for x in one.network.layers].count("activation") == 3


def test_what_each_round_gives_is_stacked(tmp_path: Path) -> None:
    nodes = [
        loop([node("Tanh", ["h"], "out"), node("Neg", ["out"], "row"),
              node("Identity", ["go"], "goes")], ["out", "row"], ["last", "rows"]),
        node("ReduceSum", ["rows", "axis"], "b", keepdims=0),
    ]  # fmt: skip
    made = between(nodes, rounds=np.array(3), start=np.array(True), axis=np.array([0]))
    one = read(saved(made, tmp_path / "m.onnx"))
    x = random(3, 5, 8, seed=9).astype(np.float64)
    tape = sent(one, x)
    # onnx.reference joins rows of more than one axis along one they have; the standard adds one.
    h, wanted = x @ WEIGHTS["first.weight"], np.zeros((3, 5, 8))
    for _ in range(3):
        h = np.tanh(h)
        wanted -= h
    theirs = wanted @ WEIGHTS["head.weight"]
    np.testing.assert_allclose(tape.outputs[end(one, tape)], theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("rounds", "said"),
    [(2**62, "it repeats 3 operations"), (-1, "")],
)
def test_a_loop_without_end_is_not_run(rounds: int, said: str, tmp_path: Path) -> None:
    goes = node("Identity", ["go"], "goes")
    made = between([turning(goes)], rounds=np.array(rounds), start=np.array([True]))
    if said:
        ends(made, tmp_path, said)
    else:
        agrees(made, tmp_path)


def test_loops_in_loops_are_run_a_bounded_number_of_times(tmp_path: Path) -> None:
    from onnx import helper

    turned: Any = body([node("Identity", ["go"], "goes")], ["goes", "h"], ["i", "go", "h"])
    for _ in range(3):
        inner = helper.make_node("Loop", ["rounds", "start", "h"], ["out"], body=turned)
        turned = body([node("Identity", ["go"], "goes"), inner], ["goes", "out"],
                      ["i", "go", "h"])  # fmt: skip
    made = between(
        [helper.make_node("Loop", ["rounds", "start", "a"], ["b"], body=turned)],
        rounds=np.array(1000), start=np.array(True),
    )  # fmt: skip
    ends(made, tmp_path, "repeat too many operations")


def test_a_branch_that_reads_what_nothing_gives_is_told(tmp_path: Path) -> None:
    strange = body([node("Relu", ["nowhere"], "out")], ["out"])
    made = between(
        [node("If", ["c"], "b", then_branch=strange, else_branch=body([], ["a"]))],
        c=np.array(False),
    )  # fmt: skip
    from initaudit.checkpoint import reading

    checkpoint = reading.read_checkpoint(saved(made, tmp_path / "m.onnx"))
    assert checkpoint.graph is None
    assert "reads nowhere, which nothing gives" in checkpoint.unread[0].reason


def test_an_output_left_out_is_not_taken_for_the_next(tmp_path: Path) -> None:
    arrays = {"w": random(1, 16, 8, seed=3) / 3, "r": random(1, 16, 4, seed=4) / 3}
    from onnx import helper

    made = model(
        [node("MatMul", ["x", "first.weight"], "a"), node("Transpose", ["a"], "t", perm=[1, 0, 2]),
         helper.make_node("LSTM", ["t", "w", "r"], ["", "last"], hidden_size=4),
         node("Squeeze", ["last", "axis"], "y")],
        {**WEIGHTS, **arrays, "axis": np.array([0])}, ("n", 5, 8),
    )  # fmt: skip
    agrees(made, tmp_path)
