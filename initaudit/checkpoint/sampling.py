"""Elements spread evenly over a tensor, and their histogram."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from initaudit.checkpoint import dtypes
from initaudit.checkpoint.dtypes import Codes
from initaudit.checkpoint.stored import FLOATS, Stored

WHOLE = 1 << 20
"""The most elements of a float tensor that is kept whole for the recognition of its law."""

# The most elements that are sampled. Telling laws apart sorts them, so fewer are taken of the
# tensors whose number and size decide how long a checkpoint takes.
_SAMPLED = 1 << 14
_SAMPLED_OF_LARGE = 1 << 13

BINS = 64


class Sampler:
    """Gathers a tensor's sample, or the whole of a small float tensor, from its pieces in order."""

    def __init__(self, stored: Stored) -> None:
        floats = stored.dtype in FLOATS and stored.dtype != "C64"
        self._stored = stored
        self._stride = _stride(stored.count, stored.shape[-1] if stored.shape else 1)
        self._kept = 1 if floats and stored.count <= WHOLE else self._stride
        self._codes: Codes | None = None

    def add(self, start: int, codes: Codes) -> None:
        """Take the elements from position ``start`` of the flattened tensor on."""
        if self._codes is None:
            self._codes = np.empty(-(-self._stored.count // self._kept), codes.dtype)
        first = -(-start // self._kept)
        taken = codes[first * self._kept - start :: self._kept]
        self._codes[first : first + taken.size] = taken

    def values(self) -> NDArray[np.float64]:
        """Return the sampled numbers that are finite; real and imaginary parts count as two."""
        if self._codes is None:
            return np.zeros(0)
        held = dtypes.values(self._codes[:: self._stride // self._kept], self._stored.dtype)
        parts = held.view(np.float32) if self._stored.dtype == "C64" else held
        # Casting a signalling NaN is an invalid operation (IEEE 754).
        with np.errstate(invalid="ignore"):
            wide = parts.astype(np.float64)
        finite = np.isfinite(wide)
        return wide if finite.all() else wide[finite]

    def block(self) -> NDArray[Any] | None:
        """Return the whole tensor in its shape, where it was small enough to keep."""
        if self._codes is None or self._kept > 1 or self._codes.size != self._stored.count:
            return None
        held = dtypes.values(self._codes, self._stored.dtype)
        wide = held.astype(np.float32) if held.dtype == np.float16 else held
        return wide.reshape(self._stored.shape)


def _stride(count: int, last: int) -> int:
    """Return a step of the sample that visits every column of a matrix alike."""
    stride = max(-(-count // (_SAMPLED if count <= WHOLE else _SAMPLED_OF_LARGE)), 1)
    while stride > 1 and math.gcd(stride, last) > 1:
        stride += 1
    return stride


def histogram(values: NDArray[np.float64], low: float, high: float) -> tuple[int, ...]:
    """Count numbers in 64 equal bins over [low, high]; the first holds all where the two agree."""
    if not values.size:
        return ()
    half = high / 2 - low / 2
    if half == 0:
        return (values.size, *[0] * (BINS - 1))
    places = (
        (values / 2 - low / 2) * (BINS / half)
        if half > 1e-300
        else (values - low) / (high - low) * BINS
    )
    bins = np.clip(places.astype(np.intp), 0, BINS - 1)
    return tuple(np.bincount(bins, minlength=BINS).tolist())
