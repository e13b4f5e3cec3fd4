"""Normalisations: subtract a mean, divide by sqrt(variance + eps), scale and shift."""

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
    epsilon,
    number,
    real,
)
from initaudit.special import Array


def _standardised(x: Array, axes: tuple[int, ...], eps: float) -> tuple[Array, Array]:
    """Return (x - mean) / sqrt(variance + eps) over ``axes``, and what it was divided by."""
    unit = x - x.mean(axes, keepdims=True)
    spread = np.sqrt(np.square(unit).mean(axes, keepdims=True) + eps)
    unit /= spread
    return unit, spread


def _d_standardised(d_unit: Array, unit: Array, spread: Array, axes: tuple[int, ...]) -> Array:
    mean = d_unit.mean(axes, keepdims=True)
    along = (d_unit * unit).mean(axes, keepdims=True)
    d_x: Array = d_unit - mean
    d_x -= unit * along
    d_x /= spread
    return d_x


def _affine(unit: Array, params: Params, shape: tuple[int, ...], plus: float = 0.0) -> Array:
    """Scale and shift; ``shape`` is that of the parameters laid along the array's axes.

    ``plus`` is added to the weight: Gemma stores by how much its factors differ from 1.
    """
    y = unit
    for role in ("weight", "bias"):
        if role not in params:
            continue
        if params[role].size != prod(shape):
            raise OpError(f"its {role} has shape {params[role].shape}, its input {prod(shape)}")
        laid = params[role].reshape(shape)
        y = y * (laid + plus if plus else laid) if role == "weight" else y + laid
    return y


def _d_affine(
    d_output: Array, unit: Array, params: Params, shape: tuple[int, ...], plus: float = 0.0
) -> tuple[Array, dict[str, Array]]:
    shared = tuple(i for i, n in enumerate(shape) if n == 1)
    found: dict[str, Array] = {}
    if "bias" in params:
        found["bias"] = d_output.sum(shared, keepdims=True).reshape(params["bias"].shape)
    if "weight" not in params:
        return d_output, found
    summed = (d_output * unit).sum(shared, keepdims=True)
    found["weight"] = summed.reshape(params["weight"].shape)
    laid = params["weight"].reshape(shape)
    return d_output * (laid + plus if plus else laid), found


def _along(x: Array, kept: int) -> tuple[int, ...]:
    return tuple(n if i == kept else 1 for i, n in enumerate(x.shape))


def _batch(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    kept = axis(attributes, x.ndim)
    shape = _along(x, kept)
    axes = tuple(i for i in range(x.ndim) if i != kept)
    running = "running_mean" in params and "running_var" in params
    if attributes.get("batch_statistics", True) or not running:
        unit, spread = _standardised(x, axes, epsilon(attributes))
    else:
        if params["running_mean"].size != x.shape[kept]:
            raise OpError(f"it has {params['running_mean'].size} channels, not {x.shape[kept]}")
        spread = np.sqrt(params["running_var"].reshape(shape) + epsilon(attributes))
        unit = (x - params["running_mean"].reshape(shape)) / spread
        axes = ()
    return _affine(unit, params, shape), (unit, spread, axes, shape)


def _d_batch(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    unit, spread, axes, shape = cache
    d_unit, d_params = _d_affine(d_output, unit, params, shape)
    d_x = _d_standardised(d_unit, unit, spread, axes) if axes else d_unit / spread
    return (d_x,), d_params


def _trailing(x: Array, params: Params) -> int:
    """Return over how many last axes a layer norm runs: those of its weight."""
    weight = params.get("weight")
    dims = 1 if weight is None else weight.ndim
    if weight is not None and weight.shape != x.shape[x.ndim - dims :]:
        raise OpError(f"its weight has shape {weight.shape}, its input {x.shape[1:]}")
    return dims


def _within(attributes: Attributes, x: Array) -> Array:
    """Return an array with its features in groups, where each head has a norm of its own."""
    heads = number(attributes, "heads", 1)
    if heads < 1 or x.shape[-1] % heads:
        raise OpError(f"{x.shape[-1]} features do not divide into {heads} heads")
    return x if heads == 1 else x.reshape(*x.shape[:-1], heads, -1)


def _layer(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    """Normalise the last axes, or with ``axis`` that one alone: the channels of an image."""
    (given,) = inputs
    along = number(attributes, "axis", -1)
    if not -given.ndim <= along < given.ndim:
        raise OpError(f"it runs over axis {along} of {given.ndim}")
    along %= given.ndim
    given = np.moveaxis(given, along, -1)
    x = _within(attributes, given)
    dims = _trailing(x, params)
    axes = tuple(range(x.ndim - dims, x.ndim))
    unit, spread = _standardised(x, axes, epsilon(attributes))
    shape = (1,) * (x.ndim - dims) + x.shape[x.ndim - dims :]
    plus = real(attributes, "plus", 0.0)
    y = _affine(unit, params, shape, plus).reshape(given.shape)
    return np.moveaxis(y, -1, along), (unit, spread, axes, shape, plus, along)


def _d_layer(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    unit, spread, axes, shape, plus, along = cache
    d_last = np.moveaxis(d_output, along, -1)
    d_unit, d_params = _d_affine(d_last.reshape(unit.shape), unit, params, shape, plus)
    d_x = _d_standardised(d_unit, unit, spread, axes).reshape(d_last.shape)
    return (np.moveaxis(d_x, -1, along),), d_params


def _rms(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (given,) = inputs
    x = _within(attributes, given)
    dims = _trailing(x, params)
    axes = tuple(range(x.ndim - dims, x.ndim))
    spread = np.sqrt(np.square(x).mean(axes, keepdims=True) + epsilon(attributes))
    unit = x / spread
    shape = (1,) * (x.ndim - dims) + x.shape[x.ndim - dims :]
    plus = real(attributes, "plus", 0.0)
    y = _affine(unit, params, shape, plus).reshape(given.shape)
    return y, (unit, spread, axes, shape, plus)


def _d_rms(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    unit, spread, axes, shape, plus = cache
    d_unit, d_params = _d_affine(d_output.reshape(unit.shape), unit, params, shape, plus)
    along = (d_unit * unit).mean(axes, keepdims=True)
    return (((d_unit - unit * along) / spread).reshape(d_output.shape),), d_params


def _group(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    groups = number(attributes, "groups", 1)
    if x.ndim < 2 or groups < 1 or x.shape[1] % groups:
        raise OpError(f"{x.shape[1]} channels do not divide into {groups} groups")
    unit, spread = _standardised(x.reshape(len(x), groups, -1), (2,), epsilon(attributes))
    shape = _along(x, 1)
    flat = unit.reshape(x.shape)
    return _affine(flat, params, shape), (unit, flat, spread, shape)


def _d_group(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    unit, flat, spread, shape = cache
    d_unit, d_params = _d_affine(d_output, flat, params, shape)
    d_x = _d_standardised(d_unit.reshape(unit.shape), unit, spread, (2,))
    return (d_x.reshape(flat.shape),), d_params


batch_norm = Op(_batch, _d_batch)
layer_norm = Op(_layer, _d_layer, axis=-1)
rms_norm = Op(_rms, _d_rms)
group_norm = Op(_group, _d_group)
