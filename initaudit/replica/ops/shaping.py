"""Operations without arithmetic of their own: merging, flattening, passing on."""

from __future__ import annotations

from math import prod

import numpy as np

from initaudit.replica.ops.op import (
    Attributes,
    Cache,
    Inputs,
    Op,
    OpError,
    Params,
    axis,
)
from initaudit.special import Array


def _narrow(d_output: Array, shape: tuple[int, ...]) -> Array:
    """Return the gradient of an array that was broadcast to the shape of ``d_output``."""
    spread = tuple(i for i, n in enumerate(shape) if n == 1 and d_output.shape[i] != 1)
    return d_output.sum(spread, keepdims=True) if spread else d_output


def _aligned(inputs: Inputs) -> Inputs:
    """Let (N, C) meet (N, C, *spatial): a gate per channel."""
    ndim = max(x.ndim for x in inputs)
    met = tuple(x.reshape(x.shape + (1,) * (ndim - x.ndim)) if x.ndim == 2 else x for x in inputs)
    sizes = [x.shape for x in met]
    if len({len(s) for s in sizes}) > 1 or any(len(set(n) - {1}) > 1 for n in zip(*sizes)):  # noqa: B905
        raise OpError(f"its inputs have shapes {' and '.join(str(x.shape[1:]) for x in inputs)}")
    return met


def _add(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    met = _aligned(inputs)
    total = met[0]
    for x in met[1:]:
        total = total + x
    return total, [(x.shape, y.shape) for x, y in zip(inputs, met, strict=True)]


def _d_add(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    return tuple(_narrow(d_output, met).reshape(given) for given, met in cache), {}


def _multiply(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    met = _aligned(inputs)
    total = met[0]
    for x in met[1:]:
        total = total * x
    return total, (met, [x.shape for x in inputs])


def _d_multiply(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    met, shapes = cache
    gradients = []
    for i, shape in enumerate(shapes):
        others = d_output
        for j, x in enumerate(met):
            others = others if i == j else others * x
        gradients.append(_narrow(others, met[i].shape).reshape(shape))
    return tuple(gradients), {}


def _concat(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    along = axis(attributes, inputs[0].ndim)
    bounds = np.cumsum([x.shape[along] for x in inputs])[:-1]
    return np.concatenate(inputs, along), (along, bounds)


def _d_concat(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    along, bounds = cache
    return tuple(np.split(d_output, bounds, along)), {}


def _flatten(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    return x.reshape(len(x), prod(x.shape[1:])), x.shape


def _d_flatten(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    return (d_output.reshape(cache),), {}


def _pass(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    return x, None


def _d_pass(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    return (d_output,), {}


add = Op(_add, _d_add)
multiply = Op(_multiply, _d_multiply)
concat = Op(_concat, _d_concat)
flatten = Op(_flatten, _d_flatten, "first")
identity = Op(_pass, _d_pass)
