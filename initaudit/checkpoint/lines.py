"""Dead and duplicated rows and columns of a tensor that is seen piece by piece.

Lines that are equal agree at any few places, so a glance at some elements of each line clears a
healthy tensor. Where some lines do agree there, all of them are hashed in a second visit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from initaudit.checkpoint.dtypes import Codes, magnitude, sign_bits
from initaudit.checkpoint.hashing import Axis, Hashes, odd
from initaudit.checkpoint.stored import BITS
from initaudit.network import Lines

LIMIT = 1 << 20
"""The most lines that are compared: what is kept of each of them takes memory."""

# How many elements tell lines apart: two random BF16 weights agree once in about 2^10.
_PLACES: Mapping[int, int] = {64: 2, 32: 3, 16: 4, 8: 8, 6: 16, 4: 16}


def axes(shape: tuple[int, ...], out_axis: int) -> tuple[Axis, Axis] | None:
    r"""Return the rows and the columns of a tensor, None for fewer than two dimensions.

    Rows lie along ``out_axis``; columns along its neighbour, which holds the input units in all of
    (out, in, \*kernel), (in, out, \*kernel) and (\*kernel, in, out).
    """
    if len(shape) < 2:
        return None
    out = out_axis % len(shape)
    return _axis(shape, out), _axis(shape, 1 if out == 0 else out - 1)


def _axis(shape: tuple[int, ...], axis: int) -> Axis:
    return Axis(_product(shape[:axis]), shape[axis], _product(shape[axis + 1 :]))


def _product(extents: tuple[int, ...]) -> int:
    product = 1
    for extent in extents:
        product *= extent
    return product


class Glance:
    """A few elements of each line, spread over it."""

    def __init__(self, axis: Axis, dtype: str) -> None:
        places = min(_PLACES[BITS[dtype]], axis.length)
        spread = [place * (axis.length - 1) // max(places - 1, 1) for place in range(places)]
        self._step = axis.after
        self._starts = [place // axis.after * axis.period + place % axis.after for place in spread]
        self._seen = np.zeros((places, axis.lines), f"u{max(BITS[dtype] // 8, 1)}")

    def add(self, start: int, codes: Codes) -> None:
        """Take the elements from position ``start`` of the flattened tensor on."""
        step, stop = self._step, start + codes.size
        lines = self._seen.shape[1]
        for first, seen in zip(self._starts, self._seen, strict=True):
            low = max(0, -((first - start) // step))
            high = min(lines, -((first - stop) // step))
            if low < high:
                seen[low:high] = codes[first + low * step - start :: step][: high - low]

    def clears(self, sign: int) -> bool:
        """Return whether no line can be dead or equal another one."""
        if not magnitude(self._seen, sign).any(axis=0).all():
            return False
        keys = np.zeros(self._seen.shape[1], np.uint64)
        for seen, factor in zip(self._seen, odd(0, len(self._seen)), strict=True):
            keys += seen.astype(np.uint64) * factor
        keys.sort()
        return not bool(np.any(keys[1:] == keys[:-1]))


@dataclass(slots=True)
class _Along:
    """What is being learnt of the lines along one axis."""

    axis: Axis
    glance: Glance | None = None
    hashes: Hashes | None = None

    def result(self, zeros: int) -> Lines | None:
        count = self.axis.lines
        if not count or not self.axis.length:
            return Lines(count, 0, 0, min(count, 1))
        if count == 1:
            return Lines(1, int(zeros == self.axis.length), 0, 1)
        if count > LIMIT:
            return None
        if self.hashes is None:
            return Lines(count, 0, 0, 1)
        return self.hashes.lines()


class Search:
    """Looks for dead and equal rows and columns in one visit or, where it must, two.

    Call `add` with every piece in order, then, where `undecided` says so, `hash` with every piece
    again; `result` then gives rows and columns.
    """

    def __init__(self, shape: tuple[int, ...], out_axis: int, dtype: str) -> None:
        self._sign = sign_bits(dtype)
        self._along = [_Along(axis) for axis in axes(shape, out_axis) or ()]
        for along in self._along:
            if 1 < along.axis.lines <= LIMIT and along.axis.length:
                along.glance = Glance(along.axis, dtype)

    def add(self, start: int, codes: Codes) -> None:
        """Take the elements from position ``start`` of the flattened tensor on."""
        for along in self._along:
            if along.glance is not None:
                along.glance.add(start, codes)

    def undecided(self) -> bool:
        """Return whether some lines agree as far as they were seen."""
        for along in self._along:
            if along.glance is not None and not along.glance.clears(self._sign):
                along.hashes = Hashes(along.axis, self._sign)
            along.glance = None
        return any(along.hashes is not None for along in self._along)

    def hash(self, start: int, codes: Codes) -> None:
        """Take the elements from position ``start`` of the flattened tensor on, once more."""
        for along in self._along:
            if along.hashes is not None:
                along.hashes.add(start, codes)

    def result(self, zeros: int) -> tuple[Lines | None, Lines | None]:
        """Return rows and columns; ``zeros`` is how many elements of the tensor are zero."""
        if not self._along:
            return None, None
        rows, columns = self._along
        return rows.result(zeros), columns.result(zeros)
