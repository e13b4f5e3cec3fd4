"""Gradients of weights that are only wanted by their moments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from initaudit.special import Array

_BLOCK = 1 << 22
"""Numbers of a gradient that are there at one time."""

_PIECE = 1 << 15
# Sums of `_PIECE` squares of numbers between these are normal in single precision.
_SMALL, _BIG = 1e-15, 1e15


@dataclass(frozen=True, slots=True)
class Product:
    """The gradient ``left.T @ right`` of a matrix, with rows for samples and places."""

    left: Array
    right: Array

    @property
    def shape(self) -> tuple[int, int]:
        """The matrix's shape."""
        return self.left.shape[1], self.right.shape[1]

    def dense(self) -> Array:
        """Return the matrix."""
        gradient: Array = self.left.T @ self.right
        return gradient

    def sums(self) -> tuple[float, float]:
        """Return the sum of the entries and of their squares, without holding the matrix.

        The squares are those of its blocks, or the sum of (L L^T) * (R R^T) where there are so few
        rows that this is less work.
        """
        (rows, height), width = self.left.shape, self.right.shape[1]
        total = float(_sums(self.left) @ _sums(self.right))
        if rows * (height + width) < 2 * height * width:
            return total, _gram(self.left, self.right)
        step = max(1, _BLOCK // max(width, 1))
        squares = 0.0
        for i in range(0, height, step):
            squares += _squares(self.left[:, i : i + step].T @ self.right)
        return total, squares


@dataclass(frozen=True, slots=True)
class Rows:
    """The gradient of a table: ``values`` (rows, features) added up at the row ``index`` of each.

    ``height`` is the number of rows of the table.
    """

    index: NDArray[np.integer[Any]]
    values: Array
    height: int

    @property
    def shape(self) -> tuple[int, int]:
        """The table's shape."""
        return self.height, self.values.shape[1]

    def dense(self) -> Array:
        """Return the table's gradient."""
        gradient = np.zeros(self.shape, self.values.dtype)
        for at, sums in self._groups():
            gradient[at] = sums
        return gradient

    def sums(self) -> tuple[float, float]:
        """Return the sum of the entries and of their squares, without holding the table."""
        total = float(self.values.sum(dtype=np.float64))
        return total, sum(_squares(sums) for _, sums in self._groups())

    def _groups(self) -> Iterator[tuple[NDArray[np.integer[Any]], Array]]:
        """Yield the rows that are not zero, some at a time, and what is summed at them."""
        if not self.index.size:
            return
        order = np.argsort(self.index, kind="stable")
        at, begin = np.unique(self.index[order], return_index=True)
        ends = np.append(begin[1:], len(order))
        step = max(1, _BLOCK // max(self.values.shape[1], 1))
        first = 0
        while first < len(at):
            last = max(first + 1, int(np.searchsorted(ends, begin[first] + step, "right")))
            chosen = order[begin[first] : ends[last - 1]]
            starts = begin[first:last] - begin[first]
            yield at[first:last], np.add.reduceat(self.values[chosen], starts, axis=0)
            first = last


Lazy = Product | Rows
Gradient = Array | Product | Rows


def dense(gradient: Gradient) -> Array:
    """Return a gradient as an array."""
    return gradient.dense() if isinstance(gradient, Product | Rows) else gradient


def size(gradient: Gradient) -> int:
    """Return how many entries a gradient has."""
    return prod(gradient.shape)


def _sums(x: Array) -> Array:
    total: Array = x.sum(1, dtype=np.float64)
    return total


def _squares(x: Array) -> float:
    peak = max(-float(x.min(initial=0.0)), float(x.max(initial=0.0)))
    if not _SMALL < peak < _BIG:
        x = x.astype(np.float64, copy=False)
    flat = x.reshape(-1)
    parts = (flat[i : i + _PIECE] for i in range(0, flat.size, _PIECE))
    return sum(float(part @ part) for part in parts)


def _gram(left: Array, right: Array) -> float:
    """Return the sum of (L L^T) * (R R^T), some rows at a time."""
    step = max(1, _BLOCK // max(len(left), 1))
    sizes = [float(np.einsum("ij,ij->i", x, x).max(initial=0.0)) for x in (left, right)]
    if not all(sizes):
        return 0.0
    total = 0.0
    for i in range(0, len(left), step):
        a, b = left[i : i + step] @ left[i:].T, right[i : i + step] @ right[i:].T
        a *= 1.0 / sizes[0]
        b *= 1.0 / sizes[1]
        a *= b
        # What lies above the diagonal counts for what is below it too.
        own = len(a)
        total += float(a[:, :own].sum(dtype=np.float64))
        total += 2.0 * float(a[:, own:].sum(dtype=np.float64))
    return total * sizes[0] * sizes[1]
