"""Global response normalisation: channels compete by their norms over all places.

Woo et al. 2023, "ConvNeXt V2" (arXiv 2301.00808), equations 1 to 3: y = x + b + w x n, where n is
the Euclidean norm of a channel over the places, divided by the mean of these over the channels.
"""

from __future__ import annotations

import numpy as np

from initaudit.replica.ops.op import (
    Attributes,
    Cache,
    Inputs,
    Op,
    OpError,
    Params,
    along,
    axis,
    epsilon,
    need,
)
from initaudit.special import Array


def _forward(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,), (weight, bias) = inputs, need(params, "weight", "bias")
    kept = axis(attributes, x.ndim)
    places = tuple(i for i in range(1, x.ndim) if i != kept)
    if weight.size != x.shape[kept] or bias.size != x.shape[kept]:
        raise OpError(f"its weight has shape {weight.shape}, its input {x.shape[1:]}")
    laid = along(kept, x.shape)
    size = np.sqrt(np.square(x).sum(places, keepdims=True))
    level = size.mean(kept, keepdims=True) + epsilon(attributes)
    share = size / level
    y = x + bias.reshape(laid) + weight.reshape(laid) * (x * share)
    return y, (x, kept, places, size, level, share)


def _backward(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    x, kept, places, size, level, share = cache
    laid = along(kept, x.shape)
    weight, shared = params["weight"].reshape(laid), tuple(i for i in range(x.ndim) if i != kept)
    met = d_output * x
    d_share = (met * weight).sum(places, keepdims=True)
    d_size = (d_share - (d_share * share).mean(kept, keepdims=True)) / level
    # As PyTorch takes it, the norm of zeros has the slope 0.
    slope = np.divide(d_size, size, out=np.zeros_like(size), where=size > 0.0)
    d_x = d_output * (1.0 + weight * share) + x * slope
    return (d_x,), {
        "weight": (met * share).sum(shared).reshape(params["weight"].shape),
        "bias": d_output.sum(shared).reshape(params["bias"].shape),
    }


response_norm = Op(_forward, _backward)
