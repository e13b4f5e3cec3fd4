"""What one piece of a tensor says: its moments, extremes and counts of special values.

Floats are judged by their bits: seen as a signed integer, the smallest is the negative number of
least magnitude and the largest the greatest positive number; seen as an unsigned one, the smallest
is the positive number of least magnitude and the largest the most negative number. These four tell
minimum and maximum, and whether the piece holds any zero, subnormal, infinity or NaN to count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from initaudit.checkpoint import dtypes, moments, sums
from initaudit.checkpoint.dtypes import Codes, magnitude
from initaudit.checkpoint.moments import Moments
from initaudit.checkpoint.stored import BITS, FLOATS


@dataclass(frozen=True, slots=True)
class Summary:
    """The statistics of some elements; minimum and maximum are over the finite ones."""

    moments: Moments = field(default_factory=Moments)
    minimum: float | None = None
    maximum: float | None = None
    zeros: int = 0
    nans: int = 0
    infs: int = 0
    subnormals: int = 0

    def merge(self, other: Summary) -> Summary:
        """Return the statistics of both parts together."""
        return Summary(
            self.moments.merge(other.moments),
            _least(self.minimum, other.minimum, min),
            _least(self.maximum, other.maximum, max),
            self.zeros + other.zeros,
            self.nans + other.nans,
            self.infs + other.infs,
            self.subnormals + other.subnormals,
        )


def _least(
    mine: float | None, other: float | None, choose: Callable[[float, float], float]
) -> float | None:
    if mine is None or other is None:
        return other if mine is None else mine
    return choose(mine, other)


def summarise(codes: Codes, dtype: str) -> Summary:
    """Return the statistics of elements given by their bits."""
    if BITS[dtype] <= 8:
        return _counted(codes, dtype)
    if dtype in dtypes.MANTISSA and codes.size:
        return _by_bits(codes, dtype) or _direct(codes, dtype)
    return _direct(codes, dtype)


def _by_bits(codes: Codes, dtype: str) -> Summary | None:
    """Return the statistics of floats that are all finite, None where some are not."""
    sign, normal = dtypes.sign_bits(dtype), 1 << dtypes.MANTISSA[dtype]
    signed = codes.view(f"i{codes.dtype.itemsize}")
    high, most = int(np.maximum.reduce(signed)), int(np.maximum.reduce(codes))
    if max(high, most - sign) >= dtypes.infinity(dtype):
        return None
    # Nearly every piece of float16 weights holds subnormals: those below 6.1e-5.
    small = dtype == "F16"
    low, least = 0, 0
    if not small or high < 0 or most < sign:
        low, least = int(np.minimum.reduce(signed)), int(np.minimum.reduce(codes))
        small = least < normal or low < normal - sign
    zeros, subnormals = _small(codes, sign, normal) if small else (0, 0)
    minimum = dtypes.value(most if most >= sign else least, dtype) + 0.0
    maximum = dtypes.value(high if high >= 0 else low + 2 * sign, dtype) + 0.0
    found = sums.moments(codes, dtype, max(maximum, -minimum))
    if found is None:
        found = moments.of(dtypes.values(codes, dtype).astype(np.float64))
    return Summary(found, minimum, maximum, zeros, 0, 0, subnormals)


def _small(codes: Codes, sign: int, normal: int) -> tuple[int, int]:
    """Return how many elements are zero and how many are subnormal."""
    size = magnitude(codes, sign)
    zeros = size.size - int(np.count_nonzero(size))
    return zeros, int(np.count_nonzero(size < normal)) - zeros


def _counted(codes: Codes, dtype: str) -> Summary:
    counts = np.bincount(codes, minlength=1 << BITS[dtype])
    every = dtypes.values(np.arange(counts.size, dtype=np.uint8), dtype).astype(np.float64)
    finite = np.isfinite(every) & (counts > 0)
    held, times = every[finite], counts[finite]
    subnormal = (np.abs(every) < dtypes.smallest_normal(dtype)) & (every != 0)
    return Summary(
        _weighted(held, times),
        float(held.min()) + 0.0 if held.size else None,
        float(held.max()) + 0.0 if held.size else None,
        int(counts[every == 0].sum()),
        int(counts[np.isnan(every)].sum()),
        int(counts[np.isinf(every)].sum()),
        int(counts[subnormal].sum()) if dtype in FLOATS else 0,
    )


def _weighted(values: NDArray[np.float64], times: NDArray[np.intp]) -> Moments:
    count = int(times.sum())
    if not count:
        return Moments()
    mean = float(np.dot(values, times)) / count
    return Moments(count, mean, float(np.dot((values - mean) ** 2, times)) / count)


def _direct(codes: Codes, dtype: str) -> Summary:
    """Return the statistics of numbers of any kind; those of C64 are what `measure` says."""
    values = dtypes.values(codes, dtype)
    if dtype not in FLOATS:
        wide = values.astype(np.float64)
        zeros = values.size - int(np.count_nonzero(values))
        return Summary(moments.of(wide), *_extremes(wide), zeros)
    parts = values.view(np.float32).reshape(-1, 2) if dtype == "C64" else values.reshape(-1, 1)
    nan, inf = np.isnan(parts).any(axis=1), np.isinf(parts).any(axis=1)
    size = np.abs(parts)
    small = ((size < dtypes.smallest_normal(dtype)) & (size > 0)).any(axis=1)
    wide = parts[np.isfinite(parts)].astype(np.float64)
    return Summary(
        moments.of(wide),
        *_extremes(wide),
        int(np.count_nonzero((parts == 0).all(axis=1))),
        int(np.count_nonzero(nan)),
        int(np.count_nonzero(inf & ~nan)),
        int(np.count_nonzero(small)),
    )


def _extremes(values: NDArray[np.float64]) -> tuple[float | None, float | None]:
    if not values.size:
        return None, None
    return float(values.min()) + 0.0, float(values.max()) + 0.0
