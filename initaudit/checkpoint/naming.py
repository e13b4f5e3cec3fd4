"""Which named initialiser a fitted distribution is, by its scale and edges."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from initaudit.checkpoint.distribution import truncated_edge_density, truncated_std
from initaudit.checkpoint.schemes import TRUNCATED_STD, Fans, schemes
from initaudit.network import Law

_OTHERS = 8
_DEVIATIONS = 4.5
# With exponential gaps between a sample's extremes and the edges of its law, the sum of both
# exceeds 18 in 3 of 10^7 draws.
_GAPS = 18.0
_CHANCE = 0.2
_USUAL = frozenset({1.0, 0.1, 0.05, 0.02, 0.01, 0.001})


@dataclass(frozen=True, slots=True)
class Fit:
    """A sample that follows a shape of distribution, over all elements of its tensor.

    ``half_step`` is the relative rounding error of the stored numbers.
    """

    count: int
    mean: float
    std: float
    minimum: float
    maximum: float
    half_step: float
    fans: Fans | None


@dataclass(frozen=True, slots=True)
class Named:
    """A law and how rare its first name is, as a negative log odds (5 and more: any number)."""

    law: Law
    rarity: float


def decimal(value: float, low: float, high: float, least: int = 1) -> tuple[float, int]:
    """Return the shortest decimal near ``value`` in [low, high], and its significant digits."""
    for digits in range(least, 4):
        short = float(f"{value:.{digits - 1}e}")
        if low <= short <= high:
            return short, digits
    return float(f"{value:.3g}"), 4


def normal(fit: Fit) -> Named | None:
    """Name a normal law; None where its mean is not zero and not a short number either."""
    error = math.sqrt(0.5 / fit.count) + fit.half_step**2
    std, digits = _std(fit.std, error)
    if not centred(fit):
        mean = _mean(fit, std)
        return (
            None
            if not mean
            else Named(Law("normal", f"N({mean:g}, {std:g})"), _rarity(std, digits))
        )
    named = [
        (_score(scheme.std, fit.std, error), scheme.rarity, scheme.name)
        for scheme in (() if fit.fans is None else schemes("normal", fit.fans))
        if abs(math.log(fit.std / scheme.std)) < _DEVIATIONS * error
    ]
    named.append((_score(std, fit.std, error), _rarity(std, digits), f"N(0, {std:g})"))
    return _best("normal", named, keep_plain=digits <= 2)


def truncated(fit: Fit, cut: float) -> Named | None:
    """Name a normal law kept within ``cut`` deviations; None as for `normal`."""
    kept = truncated_std(cut)
    error = math.sqrt(_kurtosis_error(cut) / fit.count) + fit.half_step**2
    std, digits = _std(fit.std / kept, error)
    suffix = "" if cut == 2 else f", cut at {cut:g} std"
    if not centred(fit):
        mean = _mean(fit, std)
        label = f"truncated normal, mean {mean:g}, std {std:g}{suffix}"
        return Named(Law("truncated", label), _rarity(std, digits)) if mean else None
    plain = f"truncated normal, std {std:g}{suffix}"
    gap = _gap(fit, cut * std, truncated_edge_density(cut) / std)
    score = _score(std, fit.std / kept, error) + (gap if gap is not None else _GAPS)
    named = [(score, _rarity(std, digits), plain)]
    if cut == 2 and fit.fans is not None:
        for scheme in schemes("truncated", fit.fans):
            inner = scheme.std / TRUNCATED_STD
            gap = _gap(fit, 2 * inner, truncated_edge_density(2.0) / inner)
            deviation = abs(math.log(fit.std / scheme.std)) / error
            if gap is not None and deviation < _DEVIATIONS:
                named.append((gap + deviation**2 / 2, scheme.rarity, scheme.name))
    return _best("truncated", named, keep_plain=digits <= 2)


def uniform(fit: Fit) -> Named:
    """Name a uniform law by its edges."""
    span = fit.maximum - fit.minimum
    slack = fit.half_step * max(abs(fit.minimum), abs(fit.maximum)) * 2
    largest = max(-fit.minimum, fit.maximum)
    named: list[tuple[float, float, str]] = []
    if fit.fans is not None:
        for scheme in schemes("uniform", fit.fans):
            bound = math.sqrt(3) * scheme.std
            gap = _gap(fit, bound, 0.5 / bound)
            if gap is not None:
                named.append((gap, scheme.rarity, scheme.name))
    gap = _gap(fit, largest, 0.5 / largest)
    symmetric = gap is not None
    digits = 4
    if symmetric:
        bound, digits = _edge(largest, fit.count, slack)
        gap = _gap(fit, bound, 0.5 / bound)
        score = _GAPS if gap is None else gap
        named.append((score, _rarity(bound, digits), f"U[-{bound:g}, {bound:g}]"))
        if fit.fans is None and largest <= 1:
            named.append((_GAPS, 0.0, "PyTorch's default (uniform, 1/sqrt(fan_in))"))
    else:
        room = _GAPS * span / fit.count + slack
        low = 0.0 if abs(fit.minimum) <= room else _side(fit.minimum, room)
        high = 0.0 if abs(fit.maximum) <= room else _side(fit.maximum, room)
        named.append((0.0, 0.0, f"U[{low:g}, {high:g}]"))
    return _best("uniform", named, keep_plain=digits <= 2 or fit.fans is None)


def centred(fit: Fit) -> bool:
    """Return whether a mean is zero within its sampling error."""
    return abs(fit.mean) <= 5 * fit.std / math.sqrt(fit.count)


def _side(edge: float, room: float) -> float:
    size = abs(edge)
    outward = -1 if edge < 0 else 1
    short, _ = decimal(size, size - room, size + room, least=1)
    return outward * short


def _edge(largest: float, count: int, slack: float) -> tuple[float, int]:
    """Return the shortest decimal just beyond the largest magnitude, and its digits."""
    usual = largest * (1 + 2 * _GAPS / count) + slack
    for digits in (1, 2, 3):
        reach = usual if digits == 1 else largest * (1 + 6 / count) + slack
        step = 10.0 ** (math.floor(math.log10(largest)) - digits + 1)
        for short in (round(largest / step) * step, math.ceil(largest / step) * step):
            if largest - slack <= short <= reach:
                return float(f"{short:.{digits - 1}e}"), digits
    return float(f"{largest:.3g}"), 4


def _std(value: float, error: float) -> tuple[float, int]:
    """Return the likeliest short deviation within 3.5 standard errors, and its digits."""
    low, high = value * math.exp(-3.5 * error), value * math.exp(3.5 * error)
    usual = [number for number in _USUAL if low <= number <= high]
    if usual:
        return min(usual, key=lambda number: abs(number - value)), 1
    return decimal(value, low, high)


def _score(candidate: float, measured: float, error: float) -> float:
    return (math.log(measured / candidate) / error) ** 2 / 2


def _rarity(value: float, digits: int) -> float:
    if value in _USUAL:
        return 1.0
    return {1: 2.5, 2: 5.0, 3: 8.0}.get(digits, 11.0)


def _mean(fit: Fit, std: float) -> float:
    """Return a mean that is not zero as a short number; 0 where it is no deliberate one.

    A mean is deliberate where it comes nearer to a short number than chance brings it, or where
    the deviation beside it is a default (1 or 0.05 is what is left when a deviation is passed in
    the place of the mean).
    """
    # A narrow law about a large mean rounds as its mean does.
    miss = 3.5 * fit.std / math.sqrt(fit.count) + abs(fit.mean) * fit.half_step**2
    mean, digits = decimal(fit.mean, fit.mean - miss, fit.mean + miss)
    if digits > 2:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(abs(mean))) - digits + 1)
    return mean if std in (1.0, 0.05) or 2 * miss < _CHANCE * step else 0.0


def _gap(fit: Fit, bound: float, density: float) -> float | None:
    """Return minus the log-likelihood of the extremes under a law on +-``bound``.

    ``density`` is the law's at its edges. None where the extremes lie outside or too far inside.
    """
    slack = 2 * fit.half_step * bound
    upper, lower = bound - fit.maximum, bound + fit.minimum
    if min(upper, lower) < -slack:
        return None
    gap = fit.count * density * (max(upper - slack, 0.0) + max(lower - slack, 0.0))
    return gap if gap <= _GAPS else None


def _kurtosis_error(cut: float) -> float:
    """Return a quarter of the kurtosis minus one: the variance of log std times the count."""
    density, kept = truncated_edge_density(cut), truncated_std(cut) ** 2
    fourth = 3 * kept - 2 * cut**3 * density
    return max(fourth / kept**2 - 1, 0.2) / 4


def _best(family: str, named: Iterable[tuple[float, float, str]], *, keep_plain: bool) -> Named:
    """Return the likeliest of (misfit, rarity, name).

    Names that only state numbers stand among the others where ``keep_plain``.
    """
    ordered = sorted(named, key=lambda row: (row[0] + row[1], row[2]))
    plain = ("N(", "U[", "truncated normal, std")
    others = [name for *_, name in ordered[1:] if keep_plain or not name.startswith(plain)]
    _, rarity, name = ordered[0]
    return Named(Law(family, name, tuple(others[:_OTHERS])), rarity)
