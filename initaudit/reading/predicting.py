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

from initaudit import fans
from initaudit.network import Interval, Layer, Network
from initaudit.reading import spreading
from initaudit.reading.intervals import ONE, over, times
from initaudit.reading.powers import Shapes, moment, powers
from initaudit.reading.values import Parameter
from initaudit.signal import Activation

_PASSED = frozenset({"dropout", "identity", "flatten", "reshape"})


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


def predict(
    network: Network, parameters: Mapping[str, Parameter], shapes: Shapes | None = None
) -> Prediction | None:
    """Return what arithmetic tells of a network that is one plain stack; None for any other.

    ``shapes`` are those of the layers' outputs, as `initaudit.reading.powers.powers` takes them.
    """
    chain = _chain(network)
    if chain is None:
        return None
    told = powers(network, parameters, shapes)
    hidden, qs, chis = [], [], []
    pending: tuple[Layer, Interval] | None = None
    for layer in chain:
        if layer.op in {"linear", "conv"}:
            if pending is not None:
                return None
            pending = (layer, spreading.backwards(layer, parameters))
        elif layer.op == "activation":
            activation = fans.function_of(layer)
            if not isinstance(activation, Activation) or pending is None:
                return None
            q = told[pending[0].name].q
            hidden.append(pending[0].name)
            qs.append(q)
            chis.append((pending[1], moment(activation, q, slope=True)))
            pending = None
    if len(hidden) < 2:
        return None
    backward = ONE
    # A gradient meets the weights of every hidden layer but the first, and all slopes but the last.
    for (weight, _), (_, slope) in zip(chis[1:], chis[:-1], strict=True):
        backward = times(backward, times(weight, slope))
    last = times(chis[-1][0], chis[-1][1])
    return Prediction(tuple(hidden), tuple(qs), over(qs[-1], qs[0]), backward, last, _depth(last))


def _chain(network: Network) -> list[Layer] | None:
    layers = [x for x in network.layers if x.op != "input"]
    before = next((x.name for x in network.layers if x.op == "input"), None)
    for layer in layers:
        known = layer.op in {"linear", "conv", "activation"} | _PASSED
        if not known or layer.inputs != (before,):
            return None
        before = layer.name
    return layers or None


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
