"""Steps: layers in the making, before decomposed forms are folded and names are given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from initaudit.checkpoint.graphs.values import Known, Signal, UnsupportedError, Value, Weight, room
from initaudit.network import Attribute

FAR = 1e30
"""What stands for an infinity in a mask: its exponential is 0 all the same."""

_STEPS = 1 << 18


@dataclass(slots=True)
class Part:
    """A parameter of a step: its role and the name of its array, stored or computed."""

    role: str
    key: str
    shape: tuple[int, ...]
    alias: str = ""


@dataclass(slots=True)
class Step:
    """One layer in the making; ``inputs`` are numbers of steps, ``shape`` is what it gives.

    ``scope`` is the path of the module that it was made in and ``stem`` what its node is called.
    """

    op: str
    inputs: list[int]
    parts: list[Part] = field(default_factory=list)
    attributes: dict[str, Attribute] = field(default_factory=dict)
    shape: tuple[int, ...] | None = None
    scope: str = ""
    stem: str = ""

    def part(self, role: str) -> Part | None:
        """Return the parameter of this role, if there is one."""
        return next((part for part in self.parts if part.role == role), None)


@dataclass(slots=True)
class Builder:
    """The steps made so far, in order, and the arrays that were computed for them.

    ``unknown`` counts the nodes of each operator that is not known, with a reason. ``samples`` is
    the extent that shapes of the graph have for the samples while it is read. ``notes`` are
    what was assumed. ``copies`` are
    the names of computed arrays that are weights in another order than the file's, to be measured.
    """

    steps: dict[int, Step] = field(default_factory=dict)
    computed: dict[str, NDArray[Any]] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)
    samples: int = 1
    notes: list[str] = field(default_factory=list)
    copies: set[str] = field(default_factory=set)
    scope: str = ""
    stem: str = ""
    next: int = 0

    def emit(
        self,
        op: str,
        inputs: Iterable[Signal],
        shape: tuple[int, ...] | None,
        *,
        batch: int | None = 0,
        parts: Iterable[Part] = (),
        attributes: Mapping[str, Attribute] | None = None,
    ) -> Signal:
        """Add a step and return its output; ``shape`` is in the graph's order of axes.

        Raises:
            UnsupportedError: it is too large.
        """
        number = self.next
        made = Signal(number, shape, batch)
        if shape is not None and op != "input":
            room(*made.physical[1:])
            if number >= _STEPS:
                raise UnsupportedError(f"the graph has more than {_STEPS:,} operations")
        self.next += 1
        self.steps[number] = Step(
            op,
            [signal.step for signal in inputs],
            list(parts),
            dict(attributes or {}),
            None if shape is None else made.physical,
            self.scope,
            self.stem,
        )
        return made

    def part(self, role: str, value: Value) -> Part:
        """Return a parameter that holds a weight, or numbers that are known."""
        match value:
            case Weight(stored=stored, alias=alias):
                return Part(role, stored.name, stored.shape, alias)
            case Known(array=array):
                key = f"({self.scope or 'graph'} {len(self.computed)})"
                self.computed[key] = _storable(array)
                return Part(role, key, array.shape)
            case _:
                raise UnsupportedError(f"its {role} is computed from the input")

    def copy(self, role: str, source: Value, index: str, array: NDArray[Any]) -> Part:
        """Return a parameter that holds a part of a weight in another order, and is measured.

        It is called by the stored array and the part's ``index``, as NumPy writes it.
        """
        made = self.part(role, Known(array))
        if isinstance(source, Weight) and source.shape == source.stored.shape:
            key = f"{source.stored.name}[{index}]"
            self.computed[key] = self.computed.pop(made.key)
            made = Part(role, key, array.shape, source.stored.name)
        self.copies.add(made.key)
        return made

    def anchor(self) -> Signal:
        """Return a signal that places a constant: the first input."""
        for number, step in self.steps.items():
            if step.op == "input":
                return Signal(number, None)
        raise UnsupportedError("the graph has no input")

    def given(self, value: Value, rank: int, batch: int | None) -> Signal:
        """Return a value as a signal of ``rank`` axes, its samples on axis ``batch``.

        Raises:
            UnsupportedError: the value differs between samples in another way.
        """
        if isinstance(value, Signal):
            return self._aligned(value, rank, batch)
        if isinstance(value, Weight):
            value = _unmasked(value)
        shape = value.shape
        if len(shape) > rank:
            raise UnsupportedError(f"it meets a constant of shape {shape}")
        padded = (1,) * (rank - len(shape)) + shape
        if isinstance(value, Weight) and (batch is None or padded[batch] == 1):
            rest = _without(padded, batch)
            if not value.swapped:
                part = self.part("weight", value)
                made = self.emit("constant", [self.anchor()], shape, batch=None, parts=[part])
                return self._reshaped(made, padded, batch, rest)
        numbers = value.array if isinstance(value, Known) else value.known().array
        array = numbers.reshape(padded)
        if batch is not None and array.shape[batch] != 1:
            first = np.take(array, [0], batch)
            if not np.array_equal(np.broadcast_to(first, array.shape), array):
                raise UnsupportedError("it meets a constant that differs between samples")
            array = first
        logical = padded if batch is None else array.shape
        held = array.reshape(_without(array.shape, batch))
        part = self.part("value", Known(held))
        return self.emit("constant", [self.anchor()], logical, batch=batch, parts=[part])

    def _aligned(self, signal: Signal, rank: int, batch: int | None) -> Signal:
        if signal.shape is None or (signal.batch == batch and len(signal.shape) == rank):
            return signal
        if signal.batch is None:
            padded = (1,) * (rank - len(signal.shape)) + signal.shape
            if batch is not None and len(padded) == rank and padded[batch] == 1:
                return self._reshaped(signal, padded, batch, _without(padded, batch))
        raise UnsupportedError("it meets values whose samples lie on different axes")

    def _reshaped(
        self,
        signal: Signal,
        shape: tuple[int, ...],
        batch: int | None,
        rest: tuple[int, ...],
    ) -> Signal:
        """Return a signal that is the same for all samples as (1, *rest)."""
        if signal.physical == (1, *rest):
            return Signal(signal.step, shape, batch)
        return self.emit("reshape", [signal], shape, batch=batch, attributes={"shape": (-1, *rest)})


_MASKED = -1e4
_LARGEST_MASK = 1 << 22


def _unmasked(weight: Weight) -> Weight | Known:
    """Return a stored array as known numbers where it is a mask: zeros and what hides."""
    if not 1 < weight.stored.count <= _LARGEST_MASK or len(weight.shape) < 2:
        return weight
    known = weight.known()
    hides = known.array <= _MASKED
    return known if hides.any() and not known.array[~hides].any() else weight


def _without(shape: tuple[int, ...], axis: int | None) -> tuple[int, ...]:
    return shape if axis is None else shape[:axis] + shape[axis + 1 :]


def _storable(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype == np.bool_:
        return array.astype(np.float32)
    if np.issubdtype(array.dtype, np.floating):
        held: NDArray[Any] = np.nan_to_num(array, nan=np.nan, posinf=FAR, neginf=-FAR)
        return held
    return array
