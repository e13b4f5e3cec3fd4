"""Keys of all lines of a tensor along one axis, summed up piece by piece."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from initaudit.checkpoint.dtypes import Codes, magnitude
from initaudit.network import Lines

_TABLE = 1 << 16
_BEFORE = 1 << 40


@dataclass(frozen=True, slots=True)
class Axis:
    """The lines along one axis: element (a, l, b) of shape (before, lines, after) is in line l."""

    before: int
    lines: int
    after: int

    @property
    def length(self) -> int:
        """Elements in a line."""
        return self.before * self.after

    @property
    def period(self) -> int:
        """Elements after which the same line comes again at the same place."""
        return self.lines * self.after


class Hashes:
    """A 64-bit key of each line, and whether it holds anything but zeros.

    The key is the sum over a line of the elements' bits times odd pseudo-random multipliers,
    modulo 2^64: it does not depend on how the tensor is cut, and lines that differ hardly ever
    share one (multilinear hashing, Carter and Wegman 1979). ``sign`` are the bits in which -0
    differs from 0.
    """

    def __init__(self, axis: Axis, sign: int) -> None:
        self.axis = axis
        self.keys = np.zeros(axis.lines, np.uint64)
        self.alive = np.zeros(axis.lines, np.bool_)
        self._sign = sign

    def add(self, start: int, codes: Codes) -> None:
        """Take the elements from position ``start`` of the flattened tensor on."""
        wide = codes.astype(np.uint64)
        some = magnitude(codes, self._sign) != 0
        period = self.axis.period
        place, stop = 0, codes.size
        while place < stop:
            before, within = divmod(start + place, period)
            repeats = (stop - place) // period if within == 0 else 0
            if repeats:
                end = place + repeats * period
                factors = _multipliers(_BEFORE + before, repeats)
                total = np.matmul(factors, wide[place:end].reshape(repeats, period))
                self._take(0, total, some[place:end].reshape(repeats, period).any(axis=0))
            else:
                end = min(place + period - within, stop)
                factor = _multipliers(_BEFORE + before, 1)
                self._take(within, wide[place:end] * factor, some[place:end])
            place = end

    def _take(self, within: int, weighted: NDArray[np.uint64], some: NDArray[np.bool_]) -> None:
        """Take a run of elements from position ``within`` of a period on."""
        after = self.axis.after
        line, offset = divmod(within, after)
        head = min(-within % after, weighted.size)
        self._part(line, offset, weighted[:head], some[:head])
        line += 1 if offset else 0
        whole = (weighted.size - head) // after
        tail = head + whole * after
        if whole:
            block = weighted[head:tail].reshape(whole, after)
            self.keys[line : line + whole] += block @ _multipliers(0, after)
            self.alive[line : line + whole] |= some[head:tail].reshape(whole, after).any(axis=1)
        self._part(line + whole, 0, weighted[tail:], some[tail:])

    def _part(
        self, line: int, offset: int, weighted: NDArray[np.uint64], some: NDArray[np.bool_]
    ) -> None:
        if weighted.size:
            here = slice(line, line + 1)
            self.keys[here] += np.dot(weighted, _multipliers(offset, weighted.size))
            self.alive[here] |= some.any()

    def lines(self) -> Lines:
        """Return what the lines are, once every piece was taken."""
        dead = self.axis.lines - int(np.count_nonzero(self.alive))
        sizes = np.unique(self.keys, return_counts=True)[1]
        return Lines(self.axis.lines, dead, int(sizes[sizes > 1].sum()), int(sizes.max()))


def _multipliers(start: int, count: int) -> NDArray[np.uint64]:
    stop = start + count
    return _first()[start:stop] if stop <= _TABLE else odd(start, count)


@cache
def _first() -> NDArray[np.uint64]:
    return odd(0, _TABLE)


def odd(start: int, count: int) -> NDArray[np.uint64]:
    """Return odd numbers drawn by SplitMix64 (Steele, Lea and Flood 2014) from a position on."""
    z = np.arange(start + 1, start + count + 1, dtype=np.uint64)
    z *= np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return (z ^ z >> np.uint64(31)) | np.uint64(1)
