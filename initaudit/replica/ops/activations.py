"""Elementwise functions, and the softmax over the features."""

from __future__ import annotations

import numpy as np

from initaudit.network import Attribute
from initaudit.replica.ops.op import (
    Attributes,
    Cache,
    Inputs,
    Op,
    OpError,
    Params,
    axis,
)
from initaudit.replica.ops.piecewise import in_pieces
from initaudit.signal import ACTIVATIONS, Activation, leaky_relu
from initaudit.special import Array


def function_of(attributes: Attributes) -> Activation:
    """Return the activation that a layer's attributes name; OpError where it is not known."""
    name: Attribute = attributes.get("function")
    activation = ACTIVATIONS.get(str(name))
    if activation is None:
        raise OpError(f"the activation {name!r} is not known")
    slope = attributes.get("slope")
    if name in {"leaky_relu", "prelu"} and isinstance(slope, (int, float)):
        return leaky_relu(float(slope), str(name))
    return activation


def _forward(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    activation = function_of(attributes)
    return in_pieces(activation.function, x), (x, activation)


def _backward(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    x, activation = cache
    return (in_pieces(lambda x, d: activation.derivative(x) * d, x, d_output),), {}


def softmax_of(x: Array, along: int) -> Array:
    """Return the softmax along an axis."""
    y: Array = x - x.max(along, keepdims=True)
    np.exp(y, out=y)
    y /= y.sum(along, keepdims=True)
    return y


def d_softmax(y: Array, d_y: Array, along: int) -> Array:
    """Return the gradient of what a softmax took, from what it gave and the gradient of that."""
    spread: Array = y * d_y
    spread -= y * spread.sum(along, keepdims=True)
    return spread


def _softmax(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    along = axis(attributes, x.ndim)
    y = softmax_of(x, along)
    return y, (y, along)


def _d_softmax(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    y, along = cache
    return (d_softmax(y, d_output, along),), {}


activation = Op(_forward, _backward)
softmax = Op(_softmax, _d_softmax)
