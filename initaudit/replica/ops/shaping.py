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
    Shape,
    axis,
    narrow,
    number,
)
from initaudit.special import Array


def _aligned(inputs: Inputs) -> Inputs:
    """Let (N, C) meet (N, C, *spatial), a gate per channel, and all else as NumPy broadcasts."""
    widest = max(inputs, key=lambda x: x.ndim)
    met = tuple(_laid(x, widest.shape) for x in inputs)
    if any(len(set(sizes) - {1}) > 1 for sizes in zip(*(x.shape for x in met), strict=True)):
        raise OpError(f"its inputs have shapes {' and '.join(str(x.shape[1:]) for x in inputs)}")
    return met


def _laid(x: Array, shape: Shape) -> Array:
    missing = (1,) * (len(shape) - x.ndim)
    gate = missing and x.ndim == 2 and x.shape[1] == shape[1] and len(x) in {1, shape[0]}
    return x.reshape(x.shape + missing if gate else missing + x.shape) if missing else x


def _add(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    met = _aligned(inputs)
    total = met[0]
    for x in met[1:]:
        total = total + x
    return total, [(x.shape, y.shape) for x, y in zip(inputs, met, strict=True)]


def _d_add(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    return tuple(narrow(d_output, met).reshape(given) for given, met in cache), {}


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
        gradients.append(narrow(others, met[i].shape).reshape(shape))
    return tuple(gradients), {}


def _concat(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    along = axis(attributes, inputs[0].ndim)
    samples = max(len(x) for x in inputs)
    met = [np.broadcast_to(x, (samples, *x.shape[1:])) if len(x) == 1 else x for x in inputs]
    bounds = np.cumsum([x.shape[along] for x in inputs])[:-1]
    return np.concatenate(met, along), (along, bounds, [x.shape for x in inputs])


def _d_concat(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    along, bounds, shapes = cache
    parts = np.split(d_output, bounds, along)
    return tuple(narrow(part, shape) for part, shape in zip(parts, shapes, strict=True)), {}


def _flatten(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    return x.reshape(len(x), prod(x.shape[1:])), x.shape


def _d_flatten(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    return (d_output.reshape(cache),), {}


def _shuffle(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    groups = number(attributes, "groups", 1)
    if groups < 1 or x.shape[1] % groups:
        raise OpError(f"{x.shape[1]} channels do not divide into {groups} groups")
    return _dealt(x, groups), groups


def _d_shuffle(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    return (_dealt(d_output, d_output.shape[1] // cache),), {}


def _dealt(x: Array, groups: int) -> Array:
    parts = x.reshape(len(x), groups, -1, *x.shape[2:])
    return np.swapaxes(parts, 1, 2).reshape(x.shape)


def _pass(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    return x, None


def _d_pass(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    return (d_output,), {}


add = Op(_add, _d_add)
multiply = Op(_multiply, _d_multiply)
concat = Op(_concat, _d_concat)
flatten = Op(_flatten, _d_flatten, "first")
channel_shuffle = Op(_shuffle, _d_shuffle, "first")
identity = Op(_pass, _d_pass)
