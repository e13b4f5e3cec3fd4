"""Small ONNX graphs written node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]


def model(
    nodes: Sequence[Any],
    arrays: Arrays,
    shape: Sequence[int | str],
    *,
    output: str = "y",
    opset: int = 23,
    words: bool = False,
) -> Any:
    """Return a model with one input x, of floats or of words, and one output."""
    from onnx import TensorProto, helper, numpy_helper

    graph = helper.make_graph(
        list(nodes),
        "small",
        [
            helper.make_tensor_value_info(
                "x", TensorProto.INT64 if words else TensorProto.FLOAT, list(shape)
            )
        ],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    made.ir_version = 10
    return made


def node(operator: str, inputs: Sequence[str], output: str = "y", **attributes: Any) -> Any:
    """Return one node."""
    from onnx import helper

    return helper.make_node(operator, list(inputs), [output], **attributes)


def saved(made: Any, path: Path) -> Path:
    """Write a model and return where."""
    path.write_bytes(made.SerializeToString())
    return path


def random(*shape: int, seed: int = 0) -> NDArray[Any]:
    """Return N(0, 1) in single precision."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def number(value: float) -> NDArray[Any]:
    """Return a scalar in single precision."""
    return np.asarray(value, np.float32)


def mlp(*, width: int = 8) -> Any:
    """Return two matrix products with a ReLU between."""
    arrays = {"fc1.weight": random(6, width), "fc2.weight": random(width, 3, seed=1)}
    nodes = [
        node("MatMul", ["x", "fc1.weight"], "a"),
        node("Relu", ["a"], "b"),
        node("MatMul", ["b", "fc2.weight"], "y"),
    ]
    return model(nodes, arrays, ["batch", 6])
