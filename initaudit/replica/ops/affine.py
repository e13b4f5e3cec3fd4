"""Factors and offsets along the features: LayerScale, scaled embeddings, stored biases."""

from __future__ import annotations

from initaudit.replica.ops.op import (
    Attributes,
    Cache,
    Inputs,
    Op,
    OpError,
    Params,
    Shape,
    along,
    axis,
    narrow,
    need,
    real,
)
from initaudit.special import Array


def _laid(weight: Array, shape: Shape, features: int) -> Shape:
    """Return the shape in which a weight meets an array: along its features, or as it stands."""
    if weight.size == 1:
        return (1,) * len(shape)
    if weight.size == shape[features]:
        return along(features, shape)
    fits = weight.ndim <= len(shape) and all(
        n in {1, m} for n, m in zip(weight.shape[::-1], shape[::-1], strict=False)
    )
    if not fits:
        raise OpError(f"its weight has shape {weight.shape}, its input {shape[1:]}")
    return (1,) * (len(shape) - weight.ndim) + weight.shape


def _scale(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    factor = real(attributes, "factor", 1.0)
    if "weight" not in params:
        return x * factor, (None, None, factor)
    laid = _laid(params["weight"], x.shape, axis(attributes, x.ndim))
    weight = params["weight"].reshape(laid)
    return x * (weight if factor == 1.0 else weight * factor), (x, laid, factor)


def _d_scale(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    x, laid, factor = cache
    if laid is None:
        return (d_output * factor,), {}
    weight = params["weight"]
    d_weight = narrow(d_output * x, laid).reshape(weight.shape) * factor
    return (d_output * (weight.reshape(laid) * factor),), {"weight": d_weight}


def _bias(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,), (weight,) = inputs, need(params, "weight")
    laid = _laid(weight, x.shape, axis(attributes, x.ndim))
    return x + weight.reshape(laid), laid


def _d_bias(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    weight = params["weight"]
    return (d_output,), {"weight": narrow(d_output, cache).reshape(weight.shape)}


scale = Op(_scale, _d_scale)
bias = Op(_bias, _d_bias)
