"""Fans, gains and the variance that a layer ought to have, from its weight's shape and law."""

from __future__ import annotations

import math

from initaudit import graph
from initaudit.network import (
    UNKNOWN_ACTIVATION,
    Interval,
    Layer,
    Network,
    Tensor,
    whole_numbers,
)
from initaudit.signal import ACTIVATIONS, Activation, leaky_relu

# The squares of the gains in theory.md 4.1 lie in [1, 23], the sigmoid's backward gain on top.
ANY_GAIN_SQUARED = Interval(1.0, 23.0)


def weight_of(layer: Layer) -> Tensor | None:
    """Return the stored weight of a layer."""
    param = layer.param("weight")
    return None if param is None else param.tensor


def fans(layer: Layer) -> tuple[int, int] | None:
    """Return (fan_in, fan_out) of a linear layer or convolution; None for other layers.

    A transposed convolution with stride s reaches an output from 1 in s taps an axis.
    """
    tensor = weight_of(layer)
    if (
        tensor is None
        or layer.op not in graph.WEIGHTED
        or len(tensor.shape) < 2
        or not tensor.count
    ):
        return None
    shape = tensor.shape
    swapped = layer.attributes.get("layout") == "io"
    if layer.op == "linear":
        return (shape[0], shape[1]) if swapped else (shape[1], shape[0])
    first, second, taps = (
        (shape[-1], shape[-2], math.prod(shape[:-2]))
        if swapped
        else (shape[0], shape[1], math.prod(shape[2:]))
    )
    if layer.op == "conv":
        return second * taps, first * taps // _groups(layer)
    strides = _strides(layer, len(shape) - 2)
    into = first if not swapped else second
    out = second if not swapped else first
    return max(into // _groups(layer) * taps // strides, 1), out * taps


def units(layer: Layer) -> int | None:
    """Return the number of output units (features or channels)."""
    tensor = weight_of(layer)
    if tensor is None or layer.op not in graph.WEIGHTED or len(tensor.shape) < 2:
        return None
    swapped = layer.attributes.get("layout") == "io"
    if layer.op == "conv_transpose":
        return tensor.shape[-1] if swapped else tensor.shape[1] * _groups(layer)
    return tensor.shape[-1] if swapped else tensor.shape[0]


def power_gain(layer: Layer) -> float | None:
    """Return fan_in * E[W^2]: the factor of the second moment through the weights."""
    both, tensor = fans(layer), weight_of(layer)
    if both is None or tensor is None or tensor.variance is None or tensor.mean is None:
        return None
    return both[0] * (tensor.variance + tensor.mean * tensor.mean)


def gain(layer: Layer) -> float | None:
    """Return std(W) * sqrt(fan_in)."""
    both, tensor = fans(layer), weight_of(layer)
    if both is None or tensor is None or tensor.std is None:
        return None
    return tensor.std * math.sqrt(both[0])


def wanted_power(network: Network, layer: Layer) -> Interval:
    """Return the fan_in * E[W^2] that keep the power of the signal, or of the gradient.

    The activation in question is the one that the layer's input comes from: its output has the
    second moment E phi^2 for a pre-activation of 1. The first layer needs 1.
    """
    before = activation_before(network, layer)
    if before is None:
        return Interval.point(1.0)
    if not isinstance(before, Activation):
        return ANY_GAIN_SQUARED
    # What keeps the signal and what keeps the gradient differ; both are right.
    both = before.gain_forward**2, before.gain_backward**2
    return Interval(min(both), max(both))


def activation_before(network: Network, layer: Layer) -> Activation | str | None:
    """Return the activation that a layer's input goes through, its unknown mark, or None."""
    layers = graph.by_name(network)
    current = layer
    while len(current.inputs) == 1:
        current = layers[current.inputs[0]]
        if current.op == "activation":
            return function_of(current)
        if current.op not in graph.UNITWISE:
            return None
    return None


def function_of(layer: Layer) -> Activation | str:
    """Return the activation of an activation layer, or the mark for an unknown one."""
    name = str(layer.attributes.get("function", UNKNOWN_ACTIVATION))
    slope = layer.attributes.get("slope")
    if name in {"leaky_relu", "prelu"} and isinstance(slope, int | float):
        return leaky_relu(float(slope), name)
    return ACTIVATIONS.get(name, UNKNOWN_ACTIVATION)


def _groups(layer: Layer) -> int:
    groups = layer.attributes.get("groups", 1)
    return groups if isinstance(groups, int) and groups > 0 else 1


def _strides(layer: Layer, dimensions: int) -> int:
    stride = layer.attributes.get("stride", 1)
    if whole_numbers(stride):
        return math.prod(stride)
    return stride**dimensions if isinstance(stride, int) else 1
