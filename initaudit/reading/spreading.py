"""How far declared weights spread: the variance times a fan that the mean field needs."""

from __future__ import annotations

import math
from collections.abc import Mapping

from initaudit.network import Interval, Layer
from initaudit.reading.intervals import ANY, ONE, ZERO, plus, scaled, times
from initaudit.reading.values import Event, Open, Parameter

Parameters = Mapping[str, Parameter]

_UNTOLD = frozenset({"identity", "sparse", "unknown", "empty", "data", "empirical"})
"""Laws whose variance does not tell what a product with them spreads."""


def held(layer: Layer, parameters: Parameters, role: str) -> Parameter | None:
    """Return the declared parameter that a layer has in a role."""
    param = layer.param(role)
    return None if param is None or param.tensor is None else parameters.get(param.tensor.name)


def forwards(layer: Layer, parameters: Parameters) -> Interval:
    """Return the variance of a linear layer's or convolution's weights times fan_in, about zero.

    The fan of a convolution counts every tap, those over its border too.
    """
    parameter = held(layer, parameters, "weight")
    event = _event(parameter)
    if parameter is None or event is None or len(parameter.shape) < 2:
        return ANY
    shape, swapped = parameter.shape, layer.attributes.get("layout") == "io"
    variance = _variance(event, parameter, swapped=swapped)
    into = shape[:-1] if swapped else shape[1:]
    if variance is not None and not any(isinstance(n, Open) for n in into):
        return scaled(variance, math.prod(into))
    return _of_open(event, shape)


def backwards(layer: Layer, parameters: Parameters) -> Interval:
    """Return the variance of a linear layer's weights times fan_out."""
    parameter = held(layer, parameters, "weight")
    if parameter is None:
        return ANY
    shape, into = parameter.shape, forwards(layer, parameters)
    if _square(shape):
        return into
    if len(shape) == 2 and not any(isinstance(n, Open) for n in shape):
        swapped = layer.attributes.get("layout") == "io"
        factor = shape[1] / shape[0] if swapped else shape[0] / shape[1]
        return scaled(into, factor)
    return ANY


def power(layer: Layer, parameters: Parameters, role: str) -> Interval:
    """Return the second moment of a parameter's entries; nothing where the layer has none."""
    if layer.param(role) is None:
        return ZERO
    parameter = held(layer, parameters, role)
    event = _event(parameter)
    if parameter is None or event is None:
        return ANY
    mean = event.weights.mean
    if math.isinf(mean.lo) or math.isinf(mean.hi):
        return ANY
    ends = (abs(mean.lo), abs(mean.hi))
    least = 0.0 if mean.lo <= 0.0 <= mean.hi else min(ends)
    square = Interval(least**2, max(ends) ** 2)
    if event.weights.law in {"zeros", "constant"}:
        return square
    if event.std is not None and not parameter.open:
        return plus(square, Interval.point(event.std**2))
    scale = event.weights.scale
    # A fan is one unit at least.
    return plus(square, scale if event.weights.fan == "none" else Interval(0.0, scale.hi))


def centred(layer: Layer, parameters: Parameters, role: str) -> bool:
    """Return whether a parameter is absent, zero, or as likely its own negative."""
    if layer.param(role) is None:
        return True
    event = _event(held(layer, parameters, role))
    return event is not None and event.weights.mean == ZERO and event.weights.law not in _UNTOLD


def _event(parameter: Parameter | None) -> Event | None:
    """Return the initialisation that alone tells what a parameter starts as."""
    if parameter is None or parameter.held is not None or not parameter.chain:
        return None
    last = parameter.chain[-1]
    return last if last.whole else None


def _variance(event: Event, parameter: Parameter, *, swapped: bool) -> Interval | None:
    """Return the variance of the entries, about zero; None where the open sizes decide it."""
    if event.weights.law == "zeros":
        return ZERO
    if event.weights.mean != ZERO or event.weights.law in _UNTOLD:
        return ANY
    shape = parameter.shape
    if parameter.open:
        return event.weights.scale if event.weights.fan == "none" else None
    if event.weights.law == "orthogonal":
        # The shorter side's lines have unit length (Saxe et al. 2014).
        rows = math.prod(shape[:-1]) if swapped else shape[0]
        longer = max(rows, math.prod(shape) // max(rows, 1))
        return scaled(event.weights.scale, 1.0 / longer)
    return None if event.std is None else Interval.point(event.std**2)


def _of_open(event: Event, shape: tuple[int, ...]) -> Interval:
    """Return the variance times fan_in where sizes are open, from what the law is scaled by."""
    if event.weights.mean != ZERO or event.weights.law in _UNTOLD:
        return ANY
    scale = event.weights.scale
    square = _square(shape)
    match event.weights.fan:
        case "in" if event.weights.law != "orthogonal" or square:
            return scale
        case "average" | "out" if square:
            return scale
        case "average":
            return Interval(0.0, 2.0 * scale.hi)
        case "in":
            # More outputs than inputs: orthogonal columns, of a smaller variance.
            return times(scale, Interval(0.0, ONE.hi))
        case _:
            return ANY


def _square(shape: tuple[int, ...]) -> bool:
    if len(shape) != 2:
        return False
    keys = [getattr(n, "key", None) for n in shape]
    open_ = [isinstance(n, Open) for n in shape]
    if any(open_):
        return all(open_) and bool(keys[0]) and keys[0] == keys[1]
    return shape[0] == shape[1]
