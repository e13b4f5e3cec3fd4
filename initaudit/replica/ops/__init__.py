"""The operations that the replica knows, by the name of a layer's op."""

from __future__ import annotations

from collections.abc import Mapping

from initaudit.replica.ops.activations import activation, softmax
from initaudit.replica.ops.linear import embedding, linear
from initaudit.replica.ops.op import Op
from initaudit.replica.ops.shaping import add, concat, flatten, identity, multiply

OPS: Mapping[str, Op] = {
    "linear": linear,
    "embedding": embedding,
    "activation": activation,
    "softmax": softmax,
    "add": add,
    "multiply": multiply,
    "concat": concat,
    "flatten": flatten,
    "identity": identity,
    "dropout": identity,
}
