"""Attention with linear biases (Press et al. 2022): scores fall with the distance of a key."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from initaudit.replica.ops.op import (
    Attributes,
    Cache,
    Inputs,
    Op,
    OpError,
    Params,
    nothing,
    number,
    real,
)
from initaudit.special import Array


def slopes(heads: int, dtype: DTypeLike) -> Array:
    """Return each head's slope: powers of 2^(-8 / n), n the power of two not above ``heads``.

    Further heads take every second slope of twice as many.
    """
    n = 1 << (heads.bit_length() - 1)
    first = [2.0 ** (-8.0 * i / n) for i in range(1, n + 1)]
    between = [2.0 ** (-4.0 * i / n) for i in range(1, 2 * (heads - n) + 1, 2)]
    return np.asarray([*first, *between], dtype)


def _forward(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    heads = number(attributes, "heads", 1)
    if heads < 1 or x.ndim < 3:
        raise OpError(f"{heads} heads over an input of shape {x.shape[1:]}")
    # A softmax is the same whether the distance to the key or the key's place is counted.
    along = np.arange(x.shape[1], dtype=x.dtype) * real(attributes, "factor", 1.0)
    return (slopes(heads, x.dtype)[:, None, None] * along)[None], x.shape


def _backward(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    return (nothing(cache, d_output),), {}


alibi_bias = Op(_forward, _backward, "last")
