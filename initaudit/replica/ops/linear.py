"""Matrix products: y = x W^T + b over the last axis, and rows of a table."""

from __future__ import annotations

import numpy as np

from initaudit.replica.ops.op import Attributes, Cache, Inputs, Op, OpError, Params, need, real
from initaudit.replica.ops.product import Gradient, Product, Rows, dense
from initaudit.special import Array


def _forward(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,), (weight,) = inputs, need(params, "weight")
    swapped = attributes.get("layout", "oi") == "io"
    if weight.ndim != 2:
        raise OpError(f"its weight has shape {weight.shape}, not two dimensions")
    matrix = weight if swapped else weight.T
    if x.shape[-1] != matrix.shape[0]:
        raise OpError(f"its weight reads {matrix.shape[0]} features, its input has {x.shape[-1]}")
    # One product of two matrices: NumPy takes one of three axes apart, sample by sample.
    y: Array = x.reshape(-1, x.shape[-1]) @ matrix
    if "bias" in params:
        y += params["bias"]
    return y.reshape(*x.shape[:-1], y.shape[-1]), (x, swapped)


def _backward(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    d_inputs, d_params = _products(cache, params, d_output)
    return d_inputs, {role: dense(gradient) for role, gradient in d_params.items()}


def _products(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Gradient]]:
    x, swapped = cache
    matrix = params["weight"] if swapped else params["weight"].T
    rows, d_rows = x.reshape(-1, x.shape[-1]), d_output.reshape(-1, d_output.shape[-1])
    d_params: dict[str, Gradient] = {
        "weight": Product(rows, d_rows) if swapped else Product(d_rows, rows)
    }
    if "bias" in params:
        d_params["bias"] = d_rows.sum(0)
    return ((d_rows @ matrix.T).reshape(x.shape),), d_params


def _look_up(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (tokens,), (table,) = inputs, need(params, "weight")
    if not np.issubdtype(tokens.dtype, np.integer):
        raise OpError("it looks up whole numbers, its input is not")
    if table.ndim != 2 or tokens.max(initial=0) >= len(table):
        raise OpError(f"its table of shape {table.shape} does not hold every token")
    factor = real(attributes, "factor", 1.0)
    y = table[tokens]
    return (y if factor == 1.0 else y * factor), (tokens, factor)


def _scatter(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    d_inputs, d_params = _rows(cache, params, d_output)
    return d_inputs, {role: dense(gradient) for role, gradient in d_params.items()}


def _rows(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Gradient]]:
    tokens, factor = cache
    values = d_output.reshape(-1, d_output.shape[-1])
    values = values if factor == 1.0 else values * factor
    d_table = Rows(tokens.ravel(), values, len(params["weight"]))
    return (np.zeros(tokens.shape, d_output.dtype),), {"weight": d_table}


linear = Op(_forward, _backward, "last", lazy=_products)
embedding = Op(_look_up, _scatter, "last", lazy=_rows)
