"""Calls whose arguments do not mean what was meant."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator

from initaudit.catalogue import Value
from initaudit.claims import Hit, Limits, check
from initaudit.finding import Fact
from initaudit.network import Interval
from initaudit.rulebook import Severity, show
from initaudit.source.draws import Draw
from initaudit.source.file import File
from initaudit.source.fold import point
from initaudit.source.parents import walk
from initaudit.source.targets import is_bias, is_gain, is_weight

_NORMAL = frozenset({"normal", "truncated"})
_GAIN = frozenset({"gain", "scale", "std"})


@check("IA401", "draw")
def std_passed_as_mean(subject: File, limits: Limits) -> Iterator[Hit]:
    """A lone number where the mean stands first: the standard deviation stays at its default."""
    for draw in subject.draws:
        if draw.callee.first_number != "mean" or "std" in _given(draw) or not _positional(draw):
            continue
        mean = _number(draw, "mean")
        if mean is None or not 0 < mean <= limits["most"] or not is_weight(subject, draw):
            continue
        if mean == 1.0 and is_gain(subject, draw):
            continue
        yield Hit(
            subject.site(draw.node),
            {
                "number": mean,
                "std": _spread(draw),
                "callee": draw.callee.name,
                "word": draw.callee.numbers.get("std", "std"),
            },
            severity=Severity.NOTE if subject.is_test else None,
            fix="name-the-std",
        )


@check("IA417", "draw")
def kaiming_slope_as_gain(subject: File, limits: Limits) -> Iterator[Hit]:
    """A slope of Kaiming's initialiser that is meant as a gain: it makes the weights smaller."""
    for draw in subject.draws:
        parameter = draw.callee.numbers.get("slope")
        if parameter is None or parameter not in draw.bound or not _leaky(draw):
            continue
        given = _argument(draw, parameter)
        slope = point(draw.bound[parameter])
        if given is None or not (_is_gain(given) if slope is None else _too_steep(slope, limits)):
            continue
        yield Hit(
            subject.site(given),
            {"slope": ast.unparse(given), "factor": _factor(slope), "callee": draw.callee.name},
            severity=Severity.NOTE if subject.is_test else None,
        )


@check("IA418", "draw")
def reversed_bounds(subject: File, limits: Limits) -> Iterator[Hit]:
    """A lower bound above the upper one, or a spread that is not above zero."""
    for draw in subject.draws:
        what = _reversed(draw) or _no_spread(subject, draw)
        if what is None or not is_weight(subject, draw):
            continue
        yield Hit(
            subject.site(draw.node),
            {"what": what, "callee": draw.callee.name},
            severity=Severity.NOTE if subject.is_test else None,
        )


@check("IA429", "draw")
def truncation_cutoff(subject: File, limits: Limits) -> Iterator[Hit]:
    """Cuts of a truncated normal that are values, next to a spread as large as they are."""
    for draw in subject.draws:
        if draw.callee.law != "truncated" or "low" not in draw.callee.numbers:
            continue
        low, high = _number(draw, "low"), _number(draw, "high")
        mean, std = _number(draw, "mean"), _number(draw, "std")
        if low is None or high is None or mean is None or low >= high:
            continue
        given = _given(draw)
        wide = std is not None and std >= limits["std"] and "std" in given
        wide = wide and not {"low", "high"} & given
        if not wide and low <= mean <= high:
            continue
        yield Hit(
            subject.site(draw.node),
            {
                "low": low,
                "high": high,
                "mean": mean,
                "std": "unknown" if std is None else std,
                "spread": _spread(draw),
                "callee": draw.callee.name,
            },
        )


def _given(draw: Draw) -> set[str]:
    """Return the roles of the numbers that the call gives."""
    roles = {parameter: role for role, parameter in draw.callee.numbers.items()}
    return {roles[name] for name in draw.bound if name in roles}


def _positional(draw: Draw) -> bool:
    return not any(k.arg == draw.callee.numbers.get("mean") for k in draw.node.keywords)


def _value(draw: Draw, role: str) -> Value:
    """Return what the number of a role is: given, fixed or the default."""
    parameter = draw.callee.numbers.get(role)
    if parameter is None:
        return draw.callee.fixed.get(role)
    if parameter in draw.bound:
        return draw.bound[parameter]
    default = next((p.default for p in draw.callee.parameters if p.name == parameter), None)
    return default if isinstance(default, Interval) else None


def _number(draw: Draw, role: str) -> float | None:
    return point(_value(draw, role))


def _spread(draw: Draw) -> Fact:
    """Return the standard deviation that the call comes to, as a number or a range."""
    variance = draw.weights.scale
    if draw.weights.fan != "none" or not math.isfinite(variance.hi) or variance.lo < 0:
        return "unknown"
    low, high = math.sqrt(variance.lo), math.sqrt(variance.hi)
    return low if low == high else f"{show(low)} to {show(high)}"


def _argument(draw: Draw, parameter: str) -> ast.expr | None:
    """Return the expression given for a parameter."""
    for keyword in draw.node.keywords:
        if keyword.arg == parameter:
            return keyword.value
    names = [p.name for p in draw.callee.parameters]
    index = names.index(parameter)
    return draw.node.args[index] if index < len(draw.node.args) else None


def _leaky(draw: Draw) -> bool:
    """Return whether the slope counts: with any other nonlinearity torch does not look at it."""
    parameter = draw.callee.numbers.get("nonlinearity")
    return draw.bound.get(parameter or "", "leaky_relu") == "leaky_relu"


def _too_steep(slope: float, limits: Limits) -> bool:
    # sqrt(5) is how torch's own layers write U(-1/sqrt(fan_in), 1/sqrt(fan_in)).
    return slope > limits["slope"] and not math.isclose(slope, math.sqrt(5), rel_tol=0.02)


def _is_gain(given: ast.expr) -> bool:
    """Return whether an expression that is not known is called a gain, a scale or a spread."""
    for node in walk(given):
        name = node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")
        if _GAIN & set(name.lower().split("_")):
            return True
    return False


def _factor(slope: float | None) -> str:
    """Return the gain that torch computes from a slope."""
    return "sqrt(2 / (1 + a^2))" if slope is None else show(math.sqrt(2 / (1 + slope**2)))


def _reversed(draw: Draw) -> str | None:
    low, high = _number(draw, "low"), _number(draw, "high")
    if draw.callee.law not in {"uniform", "truncated"} or low is None or high is None:
        return None
    if low <= high or not {"low", "high"} & _given(draw):
        return None
    return f"the lower bound {show(low)} lies above the upper bound {show(high)}"


def _no_spread(file: File, draw: Draw) -> str | None:
    std = _number(draw, "std")
    if draw.callee.law not in _NORMAL or std is None or "std" not in _given(draw) or std > 0:
        return None
    # Zero biases and gains that all stand at one are what those are started with.
    if std == 0 and (is_bias(draw) or is_gain(file, draw)):
        return None
    return f"the standard deviation {show(std)} is not above zero"
