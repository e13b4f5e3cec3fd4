"""A plain stack whose sizes are left open, judged by arithmetic: intervals of second moments.

q' = sw2 E phi(sqrt(q) Z)^2 + sb2 forward and chi = sw2 E phi'(sqrt(q) Z)^2 backward (Poole et al.
2016, Schoenholz et al. 2017), with sw2 / fan_in the variance of the weights and sb2 that of the
biases. Both are monotone in q for the activations that are read, so that the ends of an interval
go to the ends of the next.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from initaudit.network import Interval, Layer, Network
from initaudit.reading.values import Event, Open, Parameter
from initaudit.signal import ACTIVATIONS, Activation, moments

_PASSED = frozenset({"dropout", "identity", "flatten", "reshape"})
_LARGEST = 1e12
_ONE = Interval.point(1.0)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a plain stack does: the power at its last hidden layer over that at its first.

    ``forward`` is of the signal, ``backward`` of the gradient at the first over that at the last.
    ``chi`` and ``depth`` (the scale 1 / |ln chi|, in layers) are of the last hidden layer.
    """

    hidden: tuple[str, ...]
    powers: tuple[Interval, ...]
    forward: Interval
    backward: Interval
    chi: Interval
    depth: Interval


def predict(network: Network, parameters: Mapping[str, Parameter]) -> Prediction | None:
    """Return what arithmetic tells of a network that is one plain stack; None for any other."""
    chain = _chain(network)
    if chain is None:
        return None
    q, hidden, powers, chis = _ONE, [], [], []
    pending: tuple[Layer, Interval] | None = None
    for layer in chain:
        if layer.op in {"linear", "conv"}:
            if pending is not None:
                return None
            sw2 = _spread(layer, parameters, "weight")
            q = _plus(_times(sw2, q), _bias(layer, parameters))
            pending = (layer, _backwards(layer, parameters))
        elif layer.op == "activation":
            activation = ACTIVATIONS.get(str(layer.attributes.get("function")))
            if activation is None or pending is None:
                return None
            hidden.append(pending[0].name)
            powers.append(q)
            chis.append((pending[1], _moment(activation, q, slope=True)))
            q = _moment(activation, q)
            pending = None
    if len(hidden) < 2:
        return None
    backward = _ONE
    # A gradient meets the weights of every hidden layer but the first, and all slopes but the last.
    for (weight, _), (_, slope) in zip(chis[1:], chis[:-1], strict=True):
        backward = _times(backward, _times(weight, slope))
    last = _times(chis[-1][0], chis[-1][1])
    return Prediction(
        tuple(hidden), tuple(powers), _over(powers[-1], powers[0]), backward, last, _depth(last)
    )


def _chain(network: Network) -> list[Layer] | None:
    layers = [x for x in network.layers if x.op != "input"]
    before = next((x.name for x in network.layers if x.op == "input"), None)
    for layer in layers:
        known = layer.op in {"linear", "conv", "activation"} | _PASSED
        if not known or layer.inputs != (before,):
            return None
        before = layer.name
    return layers or None


def _event(layer: Layer, parameters: Mapping[str, Parameter], role: str) -> Event | None:
    held = layer.param(role)
    parameter = None
    if held is not None and held.tensor is not None:
        parameter = parameters.get(held.tensor.name)
    if parameter is None or not parameter.chain or not parameter.chain[-1].whole:
        return None
    return parameter.chain[-1]


def _shape(layer: Layer, parameters: Mapping[str, Parameter]) -> tuple[int, ...]:
    held = layer.param("weight")
    name = held.tensor.name if held is not None and held.tensor is not None else ""
    found = parameters.get(name)
    return found.shape if found is not None else ()


def _spread(layer: Layer, parameters: Mapping[str, Parameter], role: str) -> Interval:
    """Return the variance of the weights times fan_in, about zero."""
    event, shape = _event(layer, parameters, role), _shape(layer, parameters)
    unknown = Interval(0.0, math.inf)
    if event is None or len(shape) < 2 or event.weights.mean != Interval.point(0.0):
        return unknown
    scale = event.weights.scale
    match event.weights.fan:
        case "in":
            return scale
        case "average" if _square(shape):
            return scale
        case "out" if _square(shape):
            return scale
        case "average":
            return Interval(0.0, 2.0 * scale.hi)
        case "none" if not any(isinstance(n, Open) for n in shape[1:]):
            fan = math.prod(shape[1:])
            return Interval(scale.lo * fan, scale.hi * fan)
        case "none" if event.weights.law == "zeros":
            return Interval.point(0.0)
        case _:
            return unknown


def _backwards(layer: Layer, parameters: Mapping[str, Parameter]) -> Interval:
    """Return the variance of the weights times fan_out."""
    shape = _shape(layer, parameters)
    forwards = _spread(layer, parameters, "weight")
    if _square(shape):
        return forwards
    if len(shape) == 2 and not any(isinstance(n, Open) for n in shape):
        factor = shape[0] / shape[1]
        return Interval(forwards.lo * factor, forwards.hi * factor)
    return Interval(0.0, math.inf)


def _square(shape: tuple[int, ...]) -> bool:
    if len(shape) != 2:
        return False
    keys = [getattr(n, "key", None) for n in shape]
    open_ = [isinstance(n, Open) for n in shape]
    if any(open_):
        return all(open_) and bool(keys[0]) and keys[0] == keys[1]
    return shape[0] == shape[1]


def _bias(layer: Layer, parameters: Mapping[str, Parameter]) -> Interval:
    if layer.param("bias") is None:
        return Interval.point(0.0)
    event = _event(layer, parameters, "bias")
    if event is None:
        return Interval(0.0, math.inf)
    if event.weights.law == "zeros":
        return Interval.point(0.0)
    scale = event.weights.scale
    if event.weights.fan == "none":
        return Interval(scale.lo, scale.hi)
    # A fan is one unit at least.
    return Interval(0.0, scale.hi)


def _moment(activation: Activation, q: Interval, *, slope: bool = False) -> Interval:
    ends = []
    for end in (q.lo, min(q.hi, _LARGEST)):
        found = moments(activation, end)
        ends.append(found.slope if slope else found.second)
    if q.hi > _LARGEST:
        ends.append(0.0 if slope else math.inf)
    if slope:
        ends.append(moments(activation, max(q.lo, 1e-12)).slope)
    return Interval(min(ends), max(ends))


def _times(left: Interval, right: Interval) -> Interval:
    ends = [
        0.0 if 0.0 in (a, b) else a * b for a in (left.lo, left.hi) for b in (right.lo, right.hi)
    ]
    return Interval(min(ends), max(ends))


def _plus(left: Interval, right: Interval) -> Interval:
    return Interval(left.lo + right.lo, left.hi + right.hi)


def _over(left: Interval, right: Interval) -> Interval:
    lo = 0.0 if math.isinf(right.hi) else left.lo / right.hi if right.hi else 0.0
    hi = math.inf if right.lo == 0.0 or math.isinf(left.hi) else left.hi / right.lo
    return Interval(lo, max(lo, hi))


def _depth(chi: Interval) -> Interval:
    """Return the depth scale of the gradient: 1 / |ln chi|, infinite where chi may be 1."""

    def scale(value: float) -> float:
        if value <= 0.0 or math.isinf(value):
            return 0.0
        return math.inf if value == 1.0 else 1.0 / abs(math.log(value))

    ends = [scale(chi.lo), scale(chi.hi)]
    if chi.lo <= 1.0 <= chi.hi:
        ends.append(math.inf)
    return Interval(min(ends), max(ends))
