"""Stored arrays that stand in the signal's way: positions, constants, biases of attention."""

from __future__ import annotations

import numpy as np

from initaudit.replica.ops.op import (
    Attributes,
    Cache,
    Inputs,
    Op,
    OpError,
    Params,
    need,
    nothing,
    number,
)
from initaudit.special import Array


def _table(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,), (weight,) = inputs, need(params, "weight")
    offset, length = number(attributes, "offset", 0), x.shape[1]
    if weight.ndim != 2 or offset + length > len(weight):
        past = f" from {offset}" if offset else ""
        raise OpError(f"its table of shape {weight.shape} has no {length} rows{past}")
    return weight[None, offset : offset + length], (x.shape, offset)


def _d_table(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    shape, offset = cache
    d_weight = np.zeros(params["weight"].shape, d_output.dtype)
    d_weight[offset : offset + d_output.shape[1]] = d_output[0]
    return (nothing(shape, d_output),), {"weight": d_weight}


def _constant(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    role = "value" if "value" in params else "weight"
    (array,) = need(params, role)
    held = array if attributes.get("batch") is True else array[None]
    return held, ([x.shape for x in inputs], role, array.shape)


def _d_constant(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    shapes, role, shape = cache
    return tuple(nothing(s, d_output) for s in shapes), {role: d_output.reshape(shape)}


table = Op(_table, _d_table, "last")
constant = Op(_constant, _d_constant, "last")
