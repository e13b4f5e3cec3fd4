"""What an initialiser draws, from the arguments of its call."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from initaudit.catalogue import truncation
from initaudit.catalogue.calls import argument
from initaudit.catalogue.entries import Initialiser, Value
from initaudit.network import Fan, Interval, Weights

_POSITIVE = Interval(0.0, math.inf)
_ZERO = Interval.point(0.0)
_ONE = Interval.point(1.0)
_FANS: Mapping[str, Fan] = {
    "fan_in": "in", "fan_out": "out", "fan_avg": "average", "fan_average": "average",
    "none": "none",
}  # fmt: skip
_DISTRIBUTIONS = {
    "uniform": "uniform",
    "normal": "normal",
    "truncated_normal": "truncated",
    "untruncated_normal": "normal",
}
# Squares of torch.nn.init.calculate_gain; paddle.nn.initializer.calculate_gain has the same.
_GAIN_SQUARED = {
    "linear": 1.0, "identity": 1.0, "sigmoid": 1.0, "tanh": 25 / 9, "relu": 2.0, "selu": 9 / 16,
}  # fmt: skip
_LEAKY_SLOPE = 0.01
_ANY_GAIN_SQUARED = Interval(0.0, 25 / 9)


def weights(initialiser: Initialiser, bound: Mapping[str, Value]) -> Weights:
    """Return what a call draws; what it does not tell is a wide interval.

    A mode of fans that is not known leaves the scale unknown.
    """
    match initialiser.law:
        case "zeros":
            return Weights("zeros", _ZERO, _ZERO)
        case "constant":
            return constant(_number(initialiser, bound, "value"))
        case "data" if isinstance(value := _value(initialiser, bound, "value"), Interval):
            return constant(value)
        case "uniform":
            return _uniform(initialiser, bound)
        case "normal" | "truncated" | "scaling":
            return _bell(initialiser, bound)
        case "orthogonal":
            return _orthogonal(initialiser, bound)
        case "identity":
            return Weights("identity", Interval.unknown(), _POSITIVE)
        case "sparse":
            return _sparse(initialiser, bound)
        case _:
            return Weights("unknown", Interval.unknown(), _POSITIVE)


def bias(initialiser: Initialiser, bound: Mapping[str, Value]) -> Weights | None:
    """Return what an initialiser of the form "module" leaves in the bias."""
    value = _value(initialiser, bound, "bias")
    return constant(value) if isinstance(value, Interval) else None


def constant(value: Interval) -> Weights:
    """Return the law of a tensor full of one number."""
    return Weights("zeros" if value == _ZERO else "constant", value, _ZERO)


def scaled(drawn: Weights, factor: Interval) -> Weights:
    """Return what ``factor`` times the draws is."""
    if drawn.law in ("zeros", "constant"):
        return constant(_times(drawn.mean, factor))
    if factor == _ZERO:
        return constant(_ZERO)
    return replace(
        drawn, mean=_times(drawn.mean, factor), scale=_times(drawn.scale, _squared(factor))
    )


def shifted(drawn: Weights, offset: Interval) -> Weights:
    """Return what the draws plus ``offset`` are."""
    mean = Interval(drawn.mean.lo + offset.lo, drawn.mean.hi + offset.hi)
    return constant(mean) if drawn.law in ("zeros", "constant") else replace(drawn, mean=mean)


def _uniform(initialiser: Initialiser, bound: Mapping[str, Value]) -> Weights:
    if "low" in initialiser.numbers or "low" in initialiser.fixed:
        low = _number(initialiser, bound, "low")
        high = _number(initialiser, bound, "high")
        width = Interval(high.lo - low.hi, high.hi - low.lo)
        mean = Interval((low.lo + high.lo) / 2.0, (low.hi + high.hi) / 2.0)
        return Weights("uniform", mean, _divided(_squared(width), 12.0))
    return _relative("uniform", initialiser, bound)


def _bell(initialiser: Initialiser, bound: Mapping[str, Value]) -> Weights:
    if initialiser.law == "scaling":
        return _relative(_distribution(initialiser, bound), initialiser, bound)
    if not _has(initialiser, "std"):
        return _relative(initialiser.law, initialiser, bound)
    mean, std = _number(initialiser, bound, "mean"), _number(initialiser, bound, "std")
    if std == _ZERO:
        return constant(mean)
    if initialiser.law == "normal":
        return Weights("normal", mean, _squared(std))
    if _has(initialiser, "below"):
        cuts = (_number(initialiser, bound, "below"), _number(initialiser, bound, "above"))
        return truncation.relative(mean, std, *cuts)
    cuts = (_number(initialiser, bound, "low"), _number(initialiser, bound, "high"))
    return truncation.absolute(mean, std, *cuts)


def _distribution(initialiser: Initialiser, bound: Mapping[str, Value]) -> str:
    """Return the law that a distribution's name, or a flag "uniform", asks for."""
    match _value(initialiser, bound, "distribution"):
        case True:
            return "uniform"
        case False:
            return str(initialiser.fixed.get("normal", "normal"))
        case "normal" if "normal" in initialiser.fixed:
            return str(initialiser.fixed["normal"])
        case str() as name:
            return _DISTRIBUTIONS.get(name.lower(), "unknown")
        case _:
            return "unknown"


def _relative(law: str, initialiser: Initialiser, bound: Mapping[str, Value]) -> Weights:
    """Return the law of variance gain^2 scale / fan."""
    scale = _times(
        _number(initialiser, bound, "scale", _ONE),
        _squared(_number(initialiser, bound, "gain", _ONE)),
    )
    if _has(initialiser, "slope") or _has(initialiser, "nonlinearity"):
        scale = _times(scale, _gain_squared(initialiser, bound))
    if _has(initialiser, "fan") and _value(initialiser, bound, "fan") is not None:
        return Weights(law, _ZERO, _POSITIVE)
    mode = _value(initialiser, bound, "mode")
    fan = _FANS.get(mode.lower()) if isinstance(mode, str) else None
    if fan is None:
        return Weights(law, _ZERO, _POSITIVE)
    return Weights(law, _ZERO, _within(scale, _POSITIVE), fan)


def _gain_squared(initialiser: Initialiser, bound: Mapping[str, Value]) -> Interval:
    name = _value(initialiser, bound, "nonlinearity")
    if not isinstance(name, str):
        return _ANY_GAIN_SQUARED
    if name.startswith("conv"):
        return _ONE
    if name != "leaky_relu":
        return Interval.point(_GAIN_SQUARED[name]) if name in _GAIN_SQUARED else _ANY_GAIN_SQUARED
    slope = _value(initialiser, bound, "slope")
    if slope is None:
        slope = Interval.point(_LEAKY_SLOPE)
    if not isinstance(slope, Interval):
        return Interval(0.0, 2.0)
    square = _squared(slope)
    return Interval(2.0 / (1.0 + square.hi), 2.0 / (1.0 + square.lo))


def _orthogonal(initialiser: Initialiser, bound: Mapping[str, Value]) -> Weights:
    """Return gain^2 / fan_in: exact up to as many outputs as inputs.

    With more outputs it is the columns that are orthogonal and the variance is gain^2 / fan_out
    (Saxe et al. 2014); `Weights` has no fan for the larger of both.
    """
    gain = _squared(_number(initialiser, bound, "gain", _ONE))
    return Weights("orthogonal", _ZERO, gain, "in")


def _sparse(initialiser: Initialiser, bound: Mapping[str, Value]) -> Weights:
    std, mean = _number(initialiser, bound, "std"), _number(initialiser, bound, "mean", _ZERO)
    zeros = _within(_number(initialiser, bound, "sparsity"), Interval(0.0, 1.0))
    kept = Interval(1.0 - zeros.hi, 1.0 - zeros.lo)
    if mean != _ZERO:
        return Weights("sparse", _times(mean, kept), _POSITIVE)
    return Weights("sparse", _ZERO, _times(_squared(std), kept))


def _has(initialiser: Initialiser, role: str) -> bool:
    return role in initialiser.numbers or role in initialiser.fixed


def _value(initialiser: Initialiser, bound: Mapping[str, Value], role: str) -> Value:
    if role in initialiser.fixed:
        return initialiser.fixed[role]
    return argument(initialiser.parameters, bound, initialiser.numbers.get(role))


def _number(
    initialiser: Initialiser,
    bound: Mapping[str, Value],
    role: str,
    otherwise: Interval | None = None,
) -> Interval:
    if otherwise is not None and not _has(initialiser, role):
        return otherwise
    value = _value(initialiser, bound, role)
    return value if isinstance(value, Interval) else Interval.unknown()


def _times(left: Interval, right: Interval) -> Interval:
    products = [
        0.0 if 0.0 in (a, b) else a * b for a in (left.lo, left.hi) for b in (right.lo, right.hi)
    ]
    return Interval(min(products), max(products))


def _squared(value: Interval) -> Interval:
    ends = (value.lo * value.lo, value.hi * value.hi)
    return Interval(0.0 if value.lo <= 0.0 <= value.hi else min(ends), max(ends))


def _divided(value: Interval, divisor: float) -> Interval:
    return Interval(value.lo / divisor, value.hi / divisor)


def _within(value: Interval, bounds: Interval) -> Interval:
    lo = min(max(value.lo, bounds.lo), bounds.hi)
    return Interval(lo, max(lo, min(value.hi, bounds.hi)))
