"""The second moment of the signal at each layer by arithmetic, from declared laws alone.

q' = sw2 E phi(sqrt(q) Z)^2 + sb2 (Poole et al. 2016) along every path, with intervals where a step
only bounds it: sums of signals that may be correlated, pools, attention. Inputs are standard
normal, as the replica's are; widths count as large.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from initaudit import fans
from initaudit.graph import NORMS, WEIGHTED
from initaudit.network import Interval, Layer, Network
from initaudit.reading import borders, spreading
from initaudit.reading.intervals import ANY, ONE, ZERO, hull, plus, scaled, times
from initaudit.signal import Activation, moments

Shapes = Mapping[str, tuple[int, ...] | None]

LARGEST = 1e12
"""Second moment beyond which no activation is integrated."""

_CLEAR = 1e3
_INNER = (0.03, 0.1, 0.3, 0.6)
_SAME = frozenset({"dropout", "identity", "flatten", "reshape", "transpose", "take", "slice"})
_MEANS = frozenset({"global_avg_pool", "reduce_mean"})
_BOUNDED = frozenset({"lstm", "gru", "rnn", "softmax"})
_LOOKED_UP = frozenset({"embedding", "table", "constant"})
_SHRINK = frozenset(
    {"relu", "relu6", "leaky_relu", "tanh", "gelu", "gelu_tanh", "quick_gelu", "silu", "mish",
     "elu", "hardtanh", "hardswish", "softsign", "sin", "linear"}
)  # fmt: skip
"""Activations with |phi(z)| <= |z|: whatever the law of z, they add no power."""
_POSITIVE = frozenset({"relu", "relu6", "relu2", "sigmoid", "hardsigmoid", "softplus", "exp"})
_UNIT = frozenset({"sigmoid", "hardsigmoid", "tanh", "hardtanh", "softsign", "sin", "cos"})


@dataclass(frozen=True, slots=True)
class Power:
    """What is known of a layer's output.

    ``q`` is its second moment. ``normal``: its entries are about normal, as those of a product
    with random weights are. ``odd`` are parameters whose common change of sign changes the
    output's; ``read`` are all that it depends on.
    """

    q: Interval
    normal: bool = False
    positive: bool = False
    odd: frozenset[str] = frozenset()
    read: frozenset[str] = frozenset()


Read = Sequence[Power]


def powers(
    network: Network,
    parameters: spreading.Parameters,
    shapes: Shapes | None = None,
    *,
    sized: bool = True,
) -> Mapping[str, Power]:
    """Return what arithmetic tells of each layer's output, by the layer's name.

    ``shapes`` are those of the outputs; without them a convolution's border is only bounded.
    Where sizes are not known (``sized``), neither are the windows of pools.
    """
    found: dict[str, Power] = {}
    for layer in network.layers:
        inputs = [found.get(name, Power(ANY)) for name in layer.inputs]
        found[layer.name] = _power(layer, inputs, parameters, shapes or {})
        if layer.op == "max_pool" and not sized:
            found[layer.name] = Power(ANY, read=found[layer.name].read)
    return found


def _power(layer: Layer, inputs: Read, parameters: spreading.Parameters, shapes: Shapes) -> Power:
    read = frozenset().union(*(x.read for x in inputs))
    if layer.op == "input":
        return Power(ANY if "tokens" in layer.attributes else ONE, normal=True)
    if layer.op in _LOOKED_UP:
        return _looked_up(layer, parameters)
    if not inputs:
        return Power(ANY)
    first = inputs[0]
    if layer.op in WEIGHTED:
        return _weighted(layer, first, parameters, shapes)
    if layer.op in NORMS:
        return _normed(layer, first, parameters)
    if layer.op in _SAME:
        return first
    if layer.op in _MEANS or layer.op == "avg_pool":
        return replace(first, q=Interval(0.0, first.q.hi))
    if layer.op in _BOUNDED:
        return Power(Interval(0.0, 1.0), read=read)
    made = _JOINING.get(layer.op)
    return Power(ANY, read=read) if made is None else replace(made(layer, inputs), read=read)


def _looked_up(layer: Layer, parameters: spreading.Parameters) -> Power:
    parameter = spreading.held(layer, parameters, "weight")
    name = frozenset() if parameter is None else frozenset({parameter.name})
    even = spreading.centred(layer, parameters, "weight")
    q = spreading.power(layer, parameters, "weight")
    return Power(q, normal=even, odd=name if even else frozenset(), read=name)


def _weighted(layer: Layer, x: Power, parameters: spreading.Parameters, shapes: Shapes) -> Power:
    held = spreading.held(layer, parameters, "weight")
    names = {p.tensor.name for p in layer.params if p.tensor is not None}
    own = frozenset(names)
    if held is None or held.name in x.read:
        # A product with weights that the signal has met already is not one with fresh ones.
        return Power(ANY, read=own | x.read)
    sw2 = spreading.forwards(layer, parameters)
    if layer.op != "linear":
        sw2 = times(sw2, borders.share(layer, held.shape, shapes))
    q = plus(times(sw2, x.q), spreading.power(layer, parameters, "bias"))
    unbiased = spreading.centred(layer, parameters, "bias")
    even = unbiased and spreading.centred(layer, parameters, "weight")
    return Power(q, normal=unbiased, odd=own if even else frozenset(), read=own | x.read)


def _normed(layer: Layer, x: Power, parameters: spreading.Parameters) -> Power:
    scale = spreading.power(layer, parameters, "weight") if layer.param("weight") else ONE
    shift = spreading.power(layer, parameters, "bias")
    q = plus(times(scale, _unit(layer, x)), shift)
    odd = x.odd if shift == ZERO else frozenset()
    normal = x.normal and spreading.centred(layer, parameters, "bias")
    return replace(x, q=q, normal=normal, positive=False, odd=odd)


def _unit(layer: Layer, x: Power) -> Interval:
    """Return the power of what a norm has divided: v / (v + eps), of a variance v."""
    eps = layer.attributes.get("eps", 0.0)
    if not isinstance(eps, int | float):
        return Interval(0.0, 1.0)
    if x.q.lo > _CLEAR * eps:
        return ONE
    # Over the features of one sample, what has no mean varies by its power.
    told = layer.op == "rms_norm" or (layer.op in {"layer_norm", "group_norm"} and x.normal)
    return Interval(_part(x.q.lo, eps) if told else 0.0, _part(x.q.hi, eps))


def _part(variance: float, eps: float) -> float:
    return 1.0 if math.isinf(variance) else variance / (variance + eps) if variance else 0.0


def _activation(layer: Layer, inputs: Read) -> Power:
    x, activation = inputs[0], fans.function_of(layer)
    if not isinstance(activation, Activation):
        return Power(ANY)
    positive = activation.name in _POSITIVE
    if x.normal:
        return Power(moment(activation, x.q), positive=positive)
    if activation.name in _UNIT:
        most = min(x.q.hi, 1.0) if activation.name in _SHRINK else 1.0
        return Power(Interval(0.0, most), positive=positive)
    if activation.name in _SHRINK:
        return Power(Interval(0.0, x.q.hi), positive=positive)
    return Power(ANY, positive=positive)


def moment(activation: Activation, q: Interval, *, slope: bool = False) -> Interval:
    """Return E phi^2, or E phi'^2, of normal pre-activations with a second moment in ``q``."""
    top = min(q.hi, LARGEST)
    points = {min(q.lo, LARGEST), top}
    if q.lo < top:
        low = max(q.lo, 1e-12)
        points |= {low * (top / low) ** share for share in _INNER if top > low}
        points |= {low}
    held = [moments(activation, point) for point in points]
    ends = [m.slope if slope else m.second for m in held]
    if q.hi > LARGEST:
        ends.append(0.0 if slope else math.inf)
    return Interval(min(ends), max(ends))


def _sum(layer: Layer, inputs: Read) -> Power:
    made = inputs[0]
    for other in inputs[1:]:
        # A sign that turns one of both and leaves the other: they are uncorrelated.
        apart = bool(made.odd and not made.odd & other.read) or bool(
            other.odd and not other.odd & made.read
        )
        if apart:
            q = plus(made.q, other.q)
        else:
            q = _together(made.q, other.q)
            if made.positive and other.positive:
                q = Interval(made.q.lo + other.q.lo, q.hi)
        free = not made.odd & other.read and not other.odd & made.read
        odd = made.odd | other.odd if made.odd and other.odd and free else frozenset()
        made = Power(
            q, normal=apart and made.normal and other.normal,
            positive=made.positive and other.positive, odd=odd, read=made.read | other.read,
        )  # fmt: skip
    return made


def _together(left: Interval, right: Interval) -> Interval:
    """Return the power of a sum whose parts may be correlated in any way."""
    a, b, c, d = (math.sqrt(x) for x in (left.lo, left.hi, right.lo, right.hi))
    least = max(0.0, a - d, c - b) if math.isfinite(b) and math.isfinite(d) else 0.0
    return Interval(least * least, (b + d) * (b + d))


def _concat(layer: Layer, inputs: Read) -> Power:
    return Power(
        hull(*(x.q for x in inputs)), normal=all(x.normal for x in inputs),
        positive=all(x.positive for x in inputs),
    )  # fmt: skip


def _max_pool(layer: Layer, inputs: Read) -> Power:
    x, kernel = inputs[0], layer.attributes.get("kernel", 1)
    taps = math.prod(kernel) if isinstance(kernel, tuple) else kernel
    most = scaled(x.q, taps).hi if isinstance(taps, int) else math.inf
    return Power(Interval(x.q.lo if x.positive else 0.0, most), positive=x.positive)


def _attention(layer: Layer, inputs: Read) -> Power:
    """Return what averages of values may hold: no more power than the values."""
    values = inputs[2] if len(inputs) > 2 else inputs[-1]
    return Power(Interval(0.0, values.q.hi))


_JOINING: Mapping[str, Callable[[Layer, Read], Power]] = {
    "activation": _activation, "add": _sum, "concat": _concat, "max_pool": _max_pool,
    "attention": _attention,
}  # fmt: skip
