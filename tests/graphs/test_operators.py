"""Operators of ONNX, one small graph each, against the reference that the package onnx has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.graphs.make import model, node, number, random, saved
from tests.graphs.seen import Read, end, gradients, read, sent

pytest.importorskip("onnx")

IMAGE, ROWS, WORDS = ("n", 4, 6, 6), ("n", 5, 8), ("n", 7)
Small = tuple[Callable[[], Any], set[str]]


def one(operator: str, shape: tuple[Any, ...], **attributes: Any) -> Callable[[], Any]:
    return lambda: model([node(operator, ["x"], **attributes)], {}, shape)


def over(operator: str, shape: tuple[Any, ...], *arrays: Any, **attributes: Any) -> Any:
    named = {f"m.w{i}": a for i, a in enumerate(arrays)}
    return lambda: model([node(operator, ["x", *named], **attributes)], named, shape)


def written(nodes: Any, arrays: Any, shape: tuple[Any, ...] = ROWS) -> Callable[[], Any]:
    return lambda: model(nodes(), arrays, shape)


def _layer_norm() -> list[Any]:
    return [
        node("ReduceMean", ["x", "axes"], "mean", keepdims=1),
        node("Sub", ["x", "mean"], "d"),
        node("Pow", ["d", "two"], "square"),
        node("ReduceMean", ["square", "axes"], "var", keepdims=1),
        node("Add", ["var", "eps"], "var_eps"),
        node("Sqrt", ["var_eps"], "std"),
        node("Div", ["d", "std"], "unit"),
        node("Mul", ["unit", "n.weight"], "scaled"),
        node("Add", ["scaled", "n.bias"]),
    ]


def _rms_norm() -> list[Any]:
    return [
        node("Pow", ["x", "two"], "square"),
        node("ReduceMean", ["square", "axes"], "mean", keepdims=1),
        node("Add", ["mean", "eps"], "mean_eps"),
        node("Sqrt", ["mean_eps"], "root"),
        node("Reciprocal", ["root"], "inverse"),
        node("Mul", ["x", "inverse"], "unit"),
        node("Mul", ["n.weight", "unit"]),
    ]


def _gelu_erf() -> list[Any]:
    return [
        node("Div", ["x", "root2"], "a"),
        node("Erf", ["a"], "b"),
        node("Add", ["b", "one"], "c"),
        node("Mul", ["x", "c"], "d"),
        node("Mul", ["d", "half"]),
    ]


def _gelu_tanh() -> list[Any]:
    return [
        node("Mul", ["x", "x"], "x2"),
        node("Mul", ["x2", "x"], "x3"),
        node("Mul", ["small", "x3"], "a"),
        node("Add", ["x", "a"], "b"),
        node("Mul", ["b", "root2pi"], "c"),
        node("Tanh", ["c"], "d"),
        node("Add", ["one", "d"], "e"),
        node("Mul", ["x", "half"], "f"),
        node("Mul", ["f", "e"]),
    ]


def _hardswish() -> list[Any]:
    return [
        node("Add", ["x", "three"], "a"),
        node("Clip", ["a", "zero", "six"], "b"),
        node("Mul", ["x", "b"], "c"),
        node("Div", ["c", "six"]),
    ]


def _attention() -> list[Any]:
    named = {n: f"m.{n}.weight" for n in "qkv"}
    nodes = [node("MatMul", ["x", w], n) for n, w in named.items()]
    for n in "qkv":
        nodes += [
            node("Reshape", [n, "apart"], f"{n}4"),
            node("Transpose", [f"{n}4"], f"{n}h", perm=[0, 2, 3, 1] if n == "k" else [0, 2, 1, 3]),
        ]
    return [
        *nodes,
        node("MatMul", ["qh", "kh"], "s"),
        node("Mul", ["s", "half"], "scaled"),
        node("Add", ["scaled", "mask"], "masked"),
        node("Softmax", ["masked"], "p", axis=-1),
        node("MatMul", ["p", "vh"], "o"),
        node("Transpose", ["o"], "t", perm=[0, 2, 1, 3]),
        node("Reshape", ["t", "joined"]),
    ]


def _gru() -> list[Any]:
    return [
        node("Transpose", ["x"], "steps", perm=[1, 0, 2]),
        node("GRU", ["steps", "w", "r", "b"], "all", hidden_size=4),
        node("Squeeze", ["all", "axis"], "one"),
        node("Transpose", ["one"], perm=[1, 0, 2]),
    ]


CAUSAL = np.triu(np.full((5, 5), -np.inf, np.float32), 1)
EIGHT = {"n.weight": random(8, seed=3), "n.bias": random(8, seed=4)}
NORM = {"axes": np.array([-1]), "two": number(2.0), "eps": number(1e-5)}
HEADS = {f"m.{n}.weight": random(8, 8, seed=i) / 3 for i, n in enumerate("qkv")}
SHAPES = {"apart": np.array([0, 0, 2, 4]), "joined": np.array([0, 0, 8])}

ACTIVATIONS: dict[str, dict[str, Any]] = {
    "Relu": {}, "Sigmoid": {}, "Tanh": {}, "Softplus": {}, "Softsign": {}, "HardSwish": {},
    "Mish": {}, "Elu": {}, "Selu": {}, "LeakyRelu": {"alpha": 0.2}, "HardSigmoid": {},
    "Gelu": {"approximate": "tanh"}, "Celu": {},
}  # fmt: skip
SMALL: dict[str, Small] = {
    **{name: (one(name, ROWS, **a), set()) for name, a in ACTIVATIONS.items()},
    "plain gelu": (one("Gelu", ROWS), {"activation"}),
    "prelu": (over("PRelu", ROWS, number(0.3)), {"activation"}),
    "clip": (over("Clip", ROWS, number(-0.5), number(0.7)), {"clip"}),
    "relu6": (over("Clip", ROWS, number(0.0), number(6.0)), {"activation"}),
    "softmax": (one("Softmax", ROWS, axis=1), {"softmax"}),
    "matmul": (over("MatMul", ROWS, random(8, 3)), {"linear"}),
    "gemm": (over("Gemm", ("n", 8), random(3, 8), random(3), transB=1), {"linear"}),
    "gemm alpha": (over("Gemm", ("n", 8), random(8, 3), random(3), alpha=0.5), set()),
    "conv": (over("Conv", IMAGE, random(3, 4, 3, 3), random(3), pads=[1, 1, 1, 1]), {"conv"}),
    "conv groups": (
        over("Conv", IMAGE, random(8, 2, 3, 3), group=2, strides=[2, 1], dilations=[1, 2]),
        {"conv"},
    ),
    "conv same": (
        over("Conv", IMAGE, random(3, 4, 2, 2), auto_pad="SAME_UPPER", strides=[1, 1]),
        {"pad", "conv"},
    ),
    "conv transpose": (
        over("ConvTranspose", IMAGE, random(4, 3, 3, 3), strides=[2, 2], output_padding=[1, 1]),
        {"conv_transpose"},
    ),
    "batch norm": (
        over("BatchNormalization", IMAGE, random(4), random(4), random(4), np.abs(random(4)) + 1),
        {"batch_norm"},
    ),
    "instance norm": (over("InstanceNormalization", IMAGE, random(4), random(4)), {"group_norm"}),
    "group norm": (
        over("GroupNormalization", IMAGE, random(4), random(4), num_groups=2),
        {"group_norm"},
    ),
    "layer norm": (over("LayerNormalization", ROWS, random(8), random(8)), {"layer_norm"}),
    "layer norm of two axes": (
        over("LayerNormalization", ROWS, random(5, 8), random(5, 8), axis=1),
        {"flatten", "reshape", "layer_norm"},
    ),
    "rms norm": (over("RMSNormalization", ROWS, random(8)), {"rms_norm"}),
    "max pool": (one("MaxPool", IMAGE, kernel_shape=[2, 2], strides=[2, 2]), {"max_pool"}),
    "average pool": (
        one("AveragePool", IMAGE, kernel_shape=[3, 3], pads=[1, 1, 1, 1]), {"avg_pool"}
    ),
    "max pool rounded up": (
        one("MaxPool", IMAGE, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1), {"max_pool"}
    ),
    "average pool rounded up": (
        one("AveragePool", IMAGE, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1), {"avg_pool"}
    ),
    "max pool rounded up over padding": (
        one("MaxPool", IMAGE, kernel_shape=[3, 2], strides=[2, 3], pads=[1, 0, 1, 0], ceil_mode=1),
        {"max_pool"},
    ),
    "global pool": (one("GlobalAveragePool", IMAGE), {"global_avg_pool"}),
    "global max": (one("GlobalMaxPool", IMAGE), {"reduce_max"}),
    "mean of places": (over("ReduceMean", IMAGE, np.array([2, 3]), keepdims=0),
                       {"global_avg_pool"}),
    "sum": (over("ReduceSum", ROWS, np.array([1]), keepdims=1), {"reduce_sum"}),
    "length": (over("ReduceL2", ROWS, np.array([-1]), keepdims=1), set()),
    "flatten": (one("Flatten", IMAGE), {"flatten"}),
    "transpose": (one("Transpose", ROWS, perm=[0, 2, 1]), {"transpose"}),
    "samples last and back": (
        written(
            lambda: [
                node("Transpose", ["x"], "a", perm=[1, 2, 0]),
                node("Relu", ["a"], "b"),
                node("Transpose", ["b"], "y", perm=[2, 0, 1]),
            ],
            {},
        ),
        {"activation"},
    ),
    "slice": (over("Slice", ROWS, np.array([1]), np.array([4]), np.array([1])), {"slice"}),
    "every other": (
        over("Slice", ROWS, np.array([0]), np.array([9]), np.array([2]), np.array([2])), {"slice"}
    ),
    "nothing joined to all": (
        written(
            lambda: [
                node("Slice", ["x", "eight", "far", "axis"], "none"),
                node("Relu", ["x"], "all"),
                node("Concat", ["all", "none"], axis=2),
            ],
            {"eight": np.array([8]), "far": np.array([99]), "axis": np.array([2])},
        ),
        {"activation"},
    ),
    "take": (over("Gather", ROWS, np.array(-1), axis=1), {"take"}),
    "places": (over("Gather", ROWS, np.array([4, 0, 2]), axis=1), {"constant", "gather"}),
    "places in a square": (
        over("Gather", ROWS, np.array([[4, 0], [-3, 2]]), axis=1),
        {"constant", "gather", "reshape"},
    ),
    "places in a square of the first axis": (
        written(
            lambda: [
                node("Transpose", ["x"], "a", perm=[1, 2, 0]),
                node("Gather", ["a", "places"], "b", axis=0),
                node("Transpose", ["b"], "y", perm=[3, 2, 1, 0]),
            ],
            {"places": np.array([[4, 0], [-3, 2]])},
        ),
        set(),
    ),
    "places of samples and features joined": (
        written(
            lambda: [
                node("Reshape", ["x", "joined"], "a"),
                node("Gather", ["a", "places"], "y", axis=0),
            ],
            {"joined": np.array([-1]),
             "places": 40 * np.arange(3).reshape(3, 1, 1) + np.array([[7, 0, 7], [39, 1, 2]])},
            (3, 5, 8),
        ),
        set(),
    ),
    "places along two axes": (
        written(
            lambda: [
                node("Transpose", ["x"], "a", perm=[2, 3, 0, 1]),
                node("GatherND", ["a", "places"], "b"),
                node("Transpose", ["b"], "y", perm=[2, 3, 0, 1]),
            ],
            {"places": np.array([[[0, 1], [5, 5]], [[2, 3], [0, 1]], [[-1, 0], [4, 2]]])},
            IMAGE,
        ),
        set(),
    ),
    "windows that meet a table and a mask": (
        written(
            lambda: [
                node("Gather", ["t.weight", "places"], "rows"),
                node("Transpose", ["rows"], "turned", perm=[1, 0]),
                node("Unsqueeze", ["turned", "first"], "bias"),
                node("Neg", ["mask"], "hidden"),
                node("Add", ["bias", "hidden"], "both"),
                node("Reshape", ["x", "windows"], "a"),
                node("Add", ["a", "both"], "b"),
                node("Reshape", ["b", "whole"]),
            ],
            # As many places as windows in all samples.
            {"t.weight": random(5, 3, seed=7), "places": np.array([0, 4, 2, 1, 1, 0, 3, 2]),
             "first": np.array([0]), "mask": np.tile(random(4, 1, 8, seed=8), (2, 1, 1)),
             "windows": np.array([8, 3, 8]), "whole": np.array([2, 4, 3, 8])},
            (2, 4, 3, 8),
        ),
        set(),
    ),
    "pad": (over("Pad", IMAGE, np.array([0, 0, 1, 0, 0, 0, 2, 1])), {"pad"}),
    "nearest": (
        over("Resize", IMAGE, np.zeros(0, np.float32), np.array([1, 1, 2, 2], np.float32),
             coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
        {"upsample"},
    ),
    "linear resize": (
        over("Resize", IMAGE, np.zeros(0, np.float32), np.array([1, 1, 2, 2], np.float32),
             mode="linear"),
        {"upsample"},
    ),
    "linear resize with its corners held": (
        over("Resize", IMAGE, np.zeros(0, np.float32), np.array([1, 1, 2, 3], np.float32),
             mode="linear", coordinate_transformation_mode="align_corners"),
        {"upsample"},
    ),
    "gru that resets before the product": (
        written(_gru, {"w": random(1, 12, 8), "r": random(1, 12, 4, seed=1),
                       "b": random(1, 24, seed=2), "axis": np.array([1])}),
        {"gru"},
    ),
    "cubic resize": (
        over("Resize", IMAGE, np.zeros(0, np.float32), np.array([1, 1, 2, 3], np.float32),
             mode="cubic"),
        {"upsample"},
    ),
    "cubic resize with its corners held": (
        over("Resize", IMAGE, np.zeros(0, np.float32), np.zeros(0, np.float32),
             np.array([3, 4, 9, 5]), mode="cubic",
             coordinate_transformation_mode="align_corners"),
        {"upsample"},
    ),
    "linear resize by half and one and a half": (
        over("Resize", IMAGE, np.zeros(0, np.float32), np.array([1, 1, 0.5, 1.5], np.float32),
             mode="linear"),
        {"upsample"},
    ),
    "pixel shuffle": (one("DepthToSpace", IMAGE, blocksize=2, mode="CRD"), set()),
    "embedding": (
        lambda: model([node("Gather", ["m.weight", "x"])], {"m.weight": random(9, 3)}, WORDS,
                      words=True),
        {"embedding"},
    ),
    "written layer norm": (written(_layer_norm, {**EIGHT, **NORM}), {"layer_norm"}),
    "written rms norm": (
        written(_rms_norm, {"n.weight": random(8, seed=3), **NORM}), {"rms_norm"}
    ),
    "written silu": (
        written(lambda: [node("Sigmoid", ["x"], "a"), node("Mul", ["x", "a"])], {}),
        {"activation"},
    ),
    "written gelu": (
        written(_gelu_erf, {"root2": number(2**0.5), "one": number(1), "half": number(0.5)}),
        {"activation"},
    ),
    "written tanh gelu": (
        written(_gelu_tanh, {"small": number(0.044715), "root2pi": number(0.7978845608),
                             "one": number(1), "half": number(0.5)}),
        {"activation"},
    ),
    "written hard swish": (
        written(_hardswish, {"three": number(3), "zero": number(0), "six": number(6)}),
        {"activation"},
    ),
    "written attention": (
        written(_attention, {**HEADS, **SHAPES, "half": number(0.5), "mask": CAUSAL}),
        {"linear", "attention"},
    ),
}  # fmt: skip


def reference(made: Any, x: Any) -> Any:
    from onnx.reference import ReferenceEvaluator

    return ReferenceEvaluator(made).run(None, {"x": x})[0]


def entering(made: Any) -> Any:
    kind = made.graph.input[0].type.tensor_type
    shape = [d.dim_value or 3 for d in kind.shape.dim]
    if kind.elem_type == 7:
        return np.random.default_rng(5).integers(0, 9, shape)
    return random(*shape, seed=5)


@pytest.mark.parametrize("name", SMALL)
def test_an_operator_does_what_the_reference_does(name: str, tmp_path: Path) -> None:
    make, ops = SMALL[name]
    made = make()
    one_ = read(saved(made, tmp_path / "m.onnx"))
    x = entering(made)
    tape = sent(one_, x if x.dtype == np.int64 else x.astype(np.float64))
    assert tape.stopped == {}
    theirs = reference(made, x)
    ours = tape.outputs[end(one_, tape)]
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)
    found = {layer.op for layer in one_.network.layers} - {"input"}
    assert not ops or found == ops
    gradients(one_, tape, end(one_, tape), np.ones_like(ours))


def function_of(one_: Read) -> list[Any]:
    return [x.attributes["function"] for x in one_.network.layers if x.op == "activation"]


@pytest.mark.parametrize(
    ("name", "function"),
    [("written silu", "silu"), ("written gelu", "gelu"), ("written tanh gelu", "gelu_tanh"),
     ("written hard swish", "hardswish")],
)  # fmt: skip
def test_a_form_written_out_is_one_activation(name: str, function: str, tmp_path: Path) -> None:
    one_ = read(saved(SMALL[name][0](), tmp_path / "m.onnx"))
    assert function_of(one_) == [function]


def test_a_mask_that_hides_what_is_later_makes_attention_causal(tmp_path: Path) -> None:
    one_ = read(saved(SMALL["written attention"][0](), tmp_path / "m.onnx"))
    (attention,) = (x for x in one_.network.layers if x.op == "attention")
    assert attention.attributes == {"heads": 2, "kv_heads": 2, "causal": True}


def test_attention_of_opset_23(tmp_path: Path) -> None:
    made = model(
        [node("Attention", ["q", "k", "v"], q_num_heads=4, kv_num_heads=2, is_causal=1)],
        {}, ROWS,
    )  # fmt: skip
    parts = {"q": random(8, 8), "k": random(8, 4), "v": random(8, 4)}
    made = model(
        [*(node("MatMul", ["x", f"{n}.weight"], n) for n in "qkv"), made.graph.node[0]],
        {f"{n}.weight": w for n, w in parts.items()},
        ROWS,
    )
    one_ = read(saved(made, tmp_path / "m.onnx"))
    x = random(3, 5, 8)
    tape = sent(one_, x.astype(np.float64))
    np.testing.assert_allclose(
        tape.outputs[end(one_, tape)], reference(made, x), rtol=1e-4, atol=1e-5
    )


def test_positions_and_masks_that_enter_are_filled_in(tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    made = model([node("Gather", ["t.weight", "position_ids"], "p"),
                  node("Gather", ["w.weight", "x"], "e"),
                  node("Cast", ["attention_mask"], "m", to=1),
                  node("Unsqueeze", ["m", "last"], "m1"),
                  node("Add", ["e", "p"], "s"), node("Mul", ["s", "m1"])],
                 {"t.weight": random(7, 4), "w.weight": random(9, 4), "last": np.array([-1])},
                 ("n", "length"), words=True)  # fmt: skip
    for name in ("position_ids", "attention_mask"):
        made.graph.input.append(
            helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "length"])
        )
    one_ = read(saved(made, tmp_path / "m.onnx"))
    # The table has 7 rows, so that 4 positions are taken instead of 16.
    assert one_.network.layer("x").attributes == {"shape": (4,), "tokens": 9}
    texts = [a.text for a in one_.network.assumptions]
    assert (
        "the input x has the shape (4,), which the graph leaves open; --input-shape sets it"
        in texts
    )
    assert "the input attention_mask is all ones: nothing is masked" in texts
    tape = sent(one_, np.zeros((2, 4), np.int64))
    assert tape.outputs[end(one_, tape)].shape == (2, 4, 4)
    assert {x.op for x in one_.network.layers} == {"input", "embedding", "table", "add"}


def test_the_place_of_a_token_in_an_unknown_text_ends_the_path(tmp_path: Path) -> None:
    made = model(
        [
            node("Gather", ["w.weight", "x"], "e"),
            node("Equal", ["x", "last"], "found"),
            node("Cast", ["found"], "numbers", to=6),
            node("ArgMax", ["numbers"], "at", axis=1, keepdims=0),
            node("Unsqueeze", ["at", "axis"], "places"),
            node("GatherND", ["e", "places"], batch_dims=1),
        ],
        {"w.weight": random(9, 3), "last": np.array(8), "axis": np.array([1])},
        WORDS,
        words=True,
    )
    one_ = read(saved(made, tmp_path / "m.onnx"))
    told = "the operator ArgMax (1 node) cannot be followed: which position it chooses depends"
    assert any(a.text.startswith(told) for a in one_.network.assumptions)


def test_a_number_does_not_stand_for_the_module_whose_path_it_is_written_in(
    tmp_path: Path,
) -> None:
    made = model(
        [
            node("Strange", ["x"], "a"),
            node("Add", ["a", "eps"], "b"),
            node("Mul", ["x", "b"]),
        ],
        {"eps": number(1e-5)},
        ROWS,
    )
    for i, inside in enumerate(made.graph.node):
        inside.name = f"/net/norm/{inside.op_type}_{i}"
    one_ = read(saved(made, tmp_path / "m.onnx"))
    assert one_.network.layer("net.norm").op == "multiply"
    tape = sent(one_, random(3, 5, 8).astype(np.float64))
    assert "net.norm" not in tape.outputs
