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
    offset, length = number(attributes, "offset", 0), number(attributes, "length", x.shape[1])
    # Hand-written code stores positions as (1, positions, width).
    rows = weight[0] if weight.ndim == 3 and len(weight) == 1 else weight
    if rows.ndim != 2 or offset + length > len(rows):
        past = f" from {offset}" if offset else ""
        raise OpError(f"its table of shape {weight.shape} has no {length} rows{past}")
    return rows[None, offset : offset + length], (x.shape, offset)


def _d_table(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    shape, offset = cache
    weight = params["weight"].shape
    d_rows = np.zeros(weight[-2:], d_output.dtype)
    d_rows[offset : offset + d_output.shape[1]] = d_output[0]
    return (nothing(shape, d_output),), {"weight": d_rows.reshape(weight)}


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
