"""What a value of a graph is while it is read: known numbers, a stored weight, or a signal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from initaudit.checkpoint.stored import Stored

LARGEST = 1 << 22
"""Elements of the largest weight that is read to compute with while the graph is read."""


ROOM = 1 << 26
"""Elements of the largest array made while the graph is read, and of one sample's signal."""


class UnsupportedError(Exception):
    """Why an operation is not turned into layers: the signal ends there."""


class ShortTableError(Exception):
    """A table of positions holds fewer rows than the sequence that was tried."""


@dataclass(frozen=True, slots=True)
class Known:
    """Numbers that do not depend on the network's input: shapes, indices, masks, tables."""

    array: NDArray[Any]

    @property
    def shape(self) -> tuple[int, ...]:
        """The array's shape."""
        return self.array.shape


@dataclass(frozen=True, slots=True)
class Weight:
    """A stored floating-point array, not read; seen in ``shape``, and transposed if ``swapped``.

    ``alias`` is the name under which the graph uses it, which may tell its module better.
    """

    stored: Stored
    shape: tuple[int, ...]
    alias: str
    swapped: bool = False

    def known(self) -> Known:
        """Return its numbers.

        Raises:
            UnsupportedError: it is too large to compute with.
        """
        if self.stored.count > LARGEST:
            raise UnsupportedError(
                f"it computes with the {self.stored.count} elements of {self.stored.name}"
            )
        from initaudit.checkpoint.reading import array

        numbers = array(self.stored)
        numbers = numbers.T if self.swapped else numbers
        return Known(numbers.reshape(self.shape))

    def viewed(self, shape: tuple[int, ...]) -> Weight:
        """Return the same elements in another shape, in the same order.

        Raises:
            UnsupportedError: it is transposed.
        """
        if self.swapped:
            raise UnsupportedError("it changes the shape of a transposed weight")
        return replace(self, shape=shape)


@dataclass(frozen=True, slots=True)
class Signal:
    """The output of a step.

    ``shape`` is what the graph calls its shape, with the samples on axis ``batch``; what the step
    gives has them on axis 0 and the other axes in their order. ``batch`` None is a value that is
    the same for all samples, whose step gives it with a leading axis of 1. ``shape`` None is not
    known. Where ``merged`` is above 1 the graph sees its first so many axes as one, for a matrix
    product over rows; the step keeps them apart.
    """

    step: int
    shape: tuple[int, ...] | None
    batch: int | None = 0
    merged: int = 0

    @property
    def known(self) -> tuple[int, ...]:
        """The shape; UnsupportedError where it is not known."""
        if self.shape is None:
            raise UnsupportedError("the shape of its input is not known")
        return self.shape

    @property
    def seen(self) -> tuple[int, ...]:
        """The shape that the graph sees."""
        shape = self.known
        return (prod(shape[: self.merged]), *shape[self.merged :]) if self.merged else shape

    @property
    def physical(self) -> tuple[int, ...]:
        """The shape of what the step gives."""
        shape = self.known
        if self.batch is None:
            return (1, *shape)
        return (shape[self.batch], *shape[: self.batch], *shape[self.batch + 1 :])

    def axis(self, axis: int) -> int:
        """Return where an axis of ``shape`` is in what the step gives."""
        axis %= max(len(self.known), 1)
        if self.batch is None:
            return axis + 1
        if axis == self.batch:
            return 0
        return axis + 1 if axis < self.batch else axis


def room(*shape: float) -> None:
    """Refuse to make an array of too many elements.

    Raises:
        UnsupportedError: it has more than `ROOM`.
    """
    # Numbers of a damaged graph may be NaN.
    if not prod(shape) <= ROOM:
        raise UnsupportedError(f"it makes an array of more than {ROOM:,} numbers")


def scalar(number: float) -> Known:
    """Return one number in single precision."""
    return Known(np.asarray(number, np.float32))


Value = Known | Weight | Signal
Given = Value | tuple["Given", ...] | int | float | bool | str | None
"""What an operator reads: a value, a list of them, or a plain argument."""


def known(value: object) -> NDArray[Any]:
    """Return the numbers of a value that does not depend on the input.

    Raises:
        UnsupportedError: it does, or there is none.
    """
    match value:
        case Known():
            return value.array
        case Weight():
            return value.known().array
        case bool() | int() | float():
            return np.asarray(value)
        case tuple() | list():
            return np.asarray([known(item) for item in value])
        case _:
            raise UnsupportedError("it needs a number that depends on the input")


def ints(value: object) -> tuple[int, ...]:
    """Return whole numbers that do not depend on the input."""
    return tuple(int(x) for x in np.atleast_1d(known(value)).ravel())


def integer(value: object) -> int:
    """Return one whole number that does not depend on the input."""
    found = ints(value)
    if len(found) != 1:
        raise UnsupportedError(f"it needs one whole number, not {len(found)}")
    return found[0]


def constant(*values: object) -> bool:
    """Return whether all values are known, or weights small enough to compute with."""
    return all(
        not isinstance(v, Signal)
        and not (isinstance(v, Weight) and v.stored.count > LARGEST)
        and (not isinstance(v, tuple | list) or constant(*v))
        for v in values
    )


def size(shape: tuple[int, ...]) -> int:
    """Return the number of elements of a shape."""
    return prod(shape)


def value(given: object) -> Value:
    """Return an operand as a value; Python numbers become known ones.

    Raises:
        UnsupportedError: it is neither.
    """
    match given:
        case bool():
            return Known(np.asarray(given))
        case int():
            return Known(np.asarray(given, np.int64))
        case float():
            return scalar(given)
        case Known() | Weight() | Signal():
            return given
        case _:
            raise UnsupportedError("it has an operand that is no number")


def signal(given: object) -> Signal:
    """Return a value that depends on the input.

    Raises:
        UnsupportedError: it does not.
    """
    if not isinstance(given, Signal):
        raise UnsupportedError("it does not read the input")
    return given
