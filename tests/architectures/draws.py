"""Seeded numbers that are the same with every version of NumPy: made from raw 64-bit draws."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def uniform(key: str, shape: tuple[int, ...]) -> Array:
    """Evenly drawn float64 in (0, 1), a function of the key alone."""
    count = int(np.prod(shape))
    raw = np.random.PCG64(zlib.crc32(key.encode())).random_raw(count)
    return ((np.asarray(raw) >> np.uint64(11)).astype(np.float64) + 0.5).reshape(shape) * 2.0**-53


def normal(key: str, shape: tuple[int, ...]) -> Array:
    """Standard normal float64 (Box and Muller), a function of the key alone."""
    radius = np.sqrt(-2.0 * np.log(uniform(f"{key} radius", shape)))
    return np.asarray(radius * np.cos(2.0 * np.pi * uniform(f"{key} angle", shape)))


def even(key: str, shape: tuple[int, ...]) -> Array:
    """Evenly drawn float64 with mean 0 and variance 1."""
    return np.asarray((uniform(key, shape) - 0.5) * np.sqrt(12.0))


def integers(key: str, shape: tuple[int, ...], low: int, high: int) -> Array:
    """Evenly drawn int64 in [low, high)."""
    return np.asarray(low + np.floor(uniform(key, shape) * (high - low))).astype(np.int64)


def cotangent(number: int, shape: tuple[int, ...]) -> Array:
    """The gradient that enters at the output of an example's first, second, ... end."""
    return normal(f"cotangent {number}", shape)
