"""The gates of a mixture of experts."""

from __future__ import annotations

import numpy as np

from initaudit.replica.ops.activations import d_softmax, softmax_of
from initaudit.replica.ops.op import Attributes, Cache, Inputs, Op, OpError, Params, number
from initaudit.special import Array


def _forward(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    k, experts = number(attributes, "k", 1), x.shape[-1]
    if not 0 < k <= experts:
        raise OpError(f"it takes {k} of {experts} experts")
    every = softmax_of(x, -1)
    best = np.argpartition(-every, k - 1, -1)[..., :k]
    chosen = np.zeros_like(every)
    np.put_along_axis(chosen, best, 1.0, -1)
    y = every * chosen
    total = None
    if attributes.get("normalise"):
        total = y.sum(-1, keepdims=True)
        y /= total
    return y, (every, chosen, y, total)


def _backward(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    every, chosen, y, total = cache
    d_every = d_output
    if total is not None:
        d_every = (d_output - (d_output * y).sum(-1, keepdims=True)) / total
    return (d_softmax(every, d_every * chosen, -1),), {}


top_k_gates = Op(_forward, _backward, "last")
