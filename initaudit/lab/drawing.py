"""Arrays that follow a declared law."""

from __future__ import annotations

import math

import numpy as np

from initaudit.network import Interval, Weights
from initaudit.special import Array

_CUT = 2.0
_CUT_VARIANCE = 0.7737413035
"""Variance of N(0, 1) kept within two deviations."""


class DrawError(ValueError):
    """A law that cannot be drawn; the text says why in one line."""


def draw(
    weights: Weights,
    shape: tuple[int, ...],
    random: np.random.Generator,
    *,
    fans: tuple[int, int] | None = None,
    sparsity: float | None = None,
) -> Array:
    """Return an array of a layer (units, inputs) or of its bias (units,) in float64.

    A truncated law is cut at two deviations, as the scaled ones of all frameworks are; it has the
    variance that ``weights`` says.

    ``fans`` are (fan_in, fan_out) where they are not those of the shape, as for a bias;
    ``sparsity`` is the share of each input's weights that is zero under the law "sparse".

    Raises:
        DrawError: for an open number, or a law that says nothing of its values.
    """
    mean = _point(weights.mean, "mean")
    if weights.law in ("zeros", "constant"):
        return np.full(shape, mean)
    if weights.law == "identity":
        return np.eye(shape[0], shape[-1])
    std = math.sqrt(_point(weights.scale, "variance") / _fan(weights, shape, fans))
    match weights.law:
        case "normal":
            return random.normal(mean, std, shape)
        case "uniform":
            reach = math.sqrt(3.0) * std
            return random.uniform(mean - reach, mean + reach, shape)
        case "truncated":
            return mean + std / math.sqrt(_CUT_VARIANCE) * _within(shape, random)
        case "orthogonal":
            return math.sqrt(weights.scale.lo) * _orthonormal(shape, random)
        case "sparse" if sparsity is not None and sparsity < 1.0:
            return _sparse(shape, std / math.sqrt(1.0 - sparsity), sparsity, random)
        case law:
            raise DrawError(f"what it draws is not known to the lab (law: {law})")


def _point(value: Interval, what: str) -> float:
    if value == Interval.unknown():
        return 0.0 if what == "mean" else _open(what)
    return value.lo if value.lo == value.hi else _open(what)


def _open(what: str) -> float:
    raise DrawError(f"its {what} is not settled: give its numbers, as in normal_(0, 0.02)")


def _fan(weights: Weights, shape: tuple[int, ...], fans: tuple[int, int] | None) -> float:
    units, inputs = (shape[0], shape[-1]) if fans is None else (fans[1], fans[0])
    match weights.fan:
        case "in":
            return inputs
        case "out":
            return units
        case "average":
            return (inputs + units) / 2.0
        case _:
            return 1.0


def _within(shape: tuple[int, ...], random: np.random.Generator) -> Array:
    drawn = random.standard_normal(shape)
    while (far := np.abs(drawn) > _CUT).any():
        drawn[far] = random.standard_normal(int(far.sum()))
    return drawn


def _orthonormal(shape: tuple[int, ...], random: np.random.Generator) -> Array:
    """Return orthonormal rows or columns, whichever are fewer (Saxe et al. 2014)."""
    rows, columns = shape[0], math.prod(shape[1:])
    q, r = np.linalg.qr(random.standard_normal((max(rows, columns), min(rows, columns))))
    q = q * np.where(np.diag(r) < 0.0, -1.0, 1.0)
    return (q if rows >= columns else q.T).reshape(shape)


def _sparse(
    shape: tuple[int, ...], std: float, sparsity: float, random: np.random.Generator
) -> Array:
    """Return N(0, std^2) with as many zeros in each column as there are in any (Martens 2010)."""
    drawn = random.normal(0.0, std, shape)
    zeros = math.ceil(sparsity * shape[0])
    for column in range(shape[1]):
        drawn[random.permutation(shape[0])[:zeros], column] = 0.0
    return drawn
