"""Arrays as initialisers draw them, from the law alone."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from initaudit.network import Weights
from initaudit.reading.values import Draw

# Deviation of a standard normal cut at two: what torch and JAX divide by or leave.
_CUT = 2.0
_CUT_STD = 0.87962566103423978


def fans_of(shape: tuple[int, ...], layout: str = "oi") -> tuple[int, int]:
    """Return fan_in and fan_out of a weight, as the framework that stores it counts them.

    ``layout`` is "oi" where outputs come first (PyTorch), "io" where they come last (Keras, JAX).
    """
    if len(shape) < 2:
        count = shape[0] if shape else 1
        return count, count
    if layout == "oi":
        window = math.prod(shape[2:])
        return shape[1] * window, shape[0] * window
    window = math.prod(shape[:-2])
    return shape[-2] * window, shape[-1] * window


def deviation(weights: Weights, fans: tuple[int, int]) -> float | None:
    """Return the standard deviation of a law for a tensor of these fans, None where it is open."""
    scale = weights.scale
    if scale.lo != scale.hi:
        return None
    divisor = {"none": 1.0, "in": fans[0], "out": fans[1], "average": sum(fans) / 2.0}[weights.fan]
    return math.sqrt(scale.lo / divisor) if divisor else None


def draw(
    weights: Weights, shape: tuple[int, ...], fans: tuple[int, int], layout: str = "oi"
) -> Draw | None:
    """Return what draws an array of a law; None where the law is not told."""
    mean = weights.mean
    if weights.law in {"zeros", "constant"}:
        if mean.lo != mean.hi:
            return None
        return lambda random, old: np.full(shape, mean.lo, np.float32)
    if weights.law == "identity":
        return lambda random, old: _identity(shape)
    std = deviation(weights, fans)
    if std is None or mean.lo != mean.hi or weights.law in {"unknown", "empty", "data", "sparse"}:
        return None
    centre = mean.lo

    def made(random: np.random.Generator, old: NDArray[Any] | None) -> NDArray[Any]:
        match weights.law:
            case "uniform":
                half = std * math.sqrt(3.0)
                array = random.uniform(-half, half, shape)
            case "truncated":
                array = _truncated(random, shape) * (std / _CUT_STD)
            case "orthogonal":
                array = _orthogonal(random, shape, layout) * math.sqrt(weights.scale.lo)
            case _:
                array = random.standard_normal(shape) * std
        return (array + centre).astype(np.float32)

    return made


def _truncated(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[Any]:
    array = random.standard_normal(shape)
    while True:
        beyond = np.abs(array) > _CUT
        count = int(np.count_nonzero(beyond))
        if not count:
            return array
        array[beyond] = random.standard_normal(count)


def _orthogonal(random: np.random.Generator, shape: tuple[int, ...], layout: str) -> NDArray[Any]:
    """Return a matrix with orthonormal rows or columns (Saxe et al. 2014); Q of a QR, sign fixed.

    PyTorch takes the first axis for rows, Keras and JAX the last one for columns.
    """
    rows = shape[0] if layout == "oi" else math.prod(shape[:-1])
    columns = math.prod(shape) // max(rows, 1)
    tall = random.standard_normal((max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(tall)
    q *= np.sign(np.diag(r))
    return np.asarray(q if rows >= columns else q.T).reshape(shape)


def _identity(shape: tuple[int, ...]) -> NDArray[Any]:
    array = np.zeros(shape, np.float32)
    if len(shape) == 2:
        np.fill_diagonal(array, 1.0)
        return array
    middle = tuple(n // 2 for n in shape[2:])
    for i in range(min(shape[:2])):
        array[(i, i, *middle)] = 1.0
    return array
