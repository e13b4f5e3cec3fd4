"""Fast moments of 32- and 16-bit floats, where float32 arithmetic is exact enough.

Sums and sums of squares are taken over short runs in float32 and added up in float64: the error
is that of one run, a few parts in 10^8. Left to `initaudit.checkpoint.moments` are a few numbers,
numbers far from zero, whose squares would cancel, and numbers whose squares leave the range.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from initaudit.checkpoint.dtypes import Codes
from initaudit.checkpoint.moments import Moments

# OpenBLAS takes threads for a dot product of more than 10,000 elements.
_RUN = 4096
_FEW = 1 << 16
_RANGE = (1e-12, 1e15)
_CENTRED = 0.25

_ONES = np.ones(_RUN, np.float32)


def moments(codes: Codes, dtype: str, largest: float) -> Moments | None:
    """Return the moments of finite elements, None where float32 would not be exact enough.

    ``largest`` is the greatest magnitude among them.
    """
    if dtype not in _PARTS or codes.size <= _FEW or not _RANGE[0] < largest < _RANGE[1]:
        return None
    total = squares = 0.0
    for sums in _PARTS[dtype](codes):
        total += sums[0]
        squares += sums[1]
    mean = total / codes.size
    if mean * mean * codes.size > _CENTRED * squares:
        return None
    return Moments(codes.size, mean, squares / codes.size - mean * mean)


def _sums(values: NDArray[np.float32]) -> tuple[float, float]:
    """Return the sum and the sum of squares."""
    whole = values.size - values.size % _RUN
    total = squares = 0.0
    for part in (values[:whole].reshape(-1, _RUN), values[whole:].reshape(1, -1)):
        if part.size:
            ones = _ONES[: part.shape[1]]
            total += float(np.add.reduce(np.vecdot(part, ones), dtype=np.float64))
            squares += float(np.add.reduce(np.vecdot(part, part), dtype=np.float64))
    return total, squares


def _float32(codes: Codes) -> Iterator[tuple[float, float]]:
    yield _sums(codes.view(np.float32))


def _bfloat16(codes: Codes) -> Iterator[tuple[float, float]]:
    """A bfloat16 is the upper half of the float32 of the same value."""
    words = _words(codes)
    scratch = words << np.uint32(16)
    yield _sums(scratch.view(np.float32))
    np.bitwise_and(words, _UPPER, out=scratch)
    yield _sums(scratch.view(np.float32))


def _float16(codes: Codes) -> Iterator[tuple[float, float]]:
    """A float16 three bits down, without the copies of its sign, is 2^-112 of its value.

    Subnormals included: those of float32 lie at the same place, and the product is exact.
    """
    words = _words(codes)
    scratch = words << np.uint32(16)
    signed, values = scratch.view(np.int32), scratch.view(np.float32)
    for source in (signed, words.view(np.int32)):
        np.right_shift(source, 3, out=signed)
        np.bitwise_and(scratch, _HALF, out=scratch)
        np.multiply(values, _UNIT, out=values)
        yield _sums(values)


def _words(codes: Codes) -> NDArray[np.uint32]:
    """Return 16-bit elements two by two, an odd last one beside a zero."""
    if codes.size % 2:
        codes = np.append(codes, codes.dtype.type(0))
    return codes.view(np.uint32)


_UPPER = np.uint32(0xFFFF0000)
_HALF = np.uint32(0x8FFFE000)
_UNIT = np.float32(2.0**112)
_PARTS: Mapping[str, Callable[[Codes], Iterator[tuple[float, float]]]] = {
    "F32": _float32,
    "BF16": _bfloat16,
    "F16": _float16,
}
