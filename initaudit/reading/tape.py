"""What a forward pass comes to: operators of torch.export put into steps, with their sites."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from initaudit.checkpoint.graphs import moving
from initaudit.checkpoint.graphs.aten_operators import TABLE
from initaudit.checkpoint.graphs.calls import Call
from initaudit.checkpoint.graphs.program import Node
from initaudit.checkpoint.graphs.steps import Builder
from initaudit.checkpoint.graphs.values import Known, Signal, UnsupportedError, Weight
from initaudit.checkpoint.stored import FLOATS, Stored
from initaudit.network import Site
from initaudit.reading.values import Drawn, EndlessError, Parameter, StopError, Unknown, View

SAMPLES = 3
"""The extent of the batch while a forward pass is followed."""

MOST = 10_000
"""Operations of a forward pass."""

_FAULTS = (
    UnsupportedError, ValueError, IndexError, TypeError, KeyError, AttributeError,
    ZeroDivisionError, OverflowError, AssertionError,
)  # fmt: skip


@dataclass(slots=True)
class Tape:
    """Steps in the making; ``stored`` gives the array of a parameter by its name.

    ``sites`` tells where each step was made. ``broken`` are the places at which a signal ends,
    with the reason. ``first`` is the first operator that reads each input, with the shape of its
    first weight. ``changed`` is what the output of a step became by a change in place, under
    whatever name it is held.
    """

    stored: Callable[[Parameter], Stored]
    builder: Builder = field(default_factory=lambda: Builder(samples=SAMPLES))
    sites: dict[int, Site | None] = field(default_factory=dict)
    broken: list[tuple[str, Site | None]] = field(default_factory=list)
    first: dict[int, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    changed: dict[int, Signal] = field(default_factory=dict)

    def weight(self, parameter: Parameter) -> Known | Weight:
        """Return a parameter as an operand."""
        stored = self.stored(parameter)
        weight = Weight(stored, stored.shape, parameter.name)
        if stored.dtype not in FLOATS or stored.count <= 1:
            return weight.known()
        return weight

    def call(
        self, name: str, inputs: Sequence[Any], names: Sequence[str], site: Site | None
    ) -> Any:
        """Return what an operator gives; the signal ends there where it cannot be followed."""
        b = self.builder
        if b.next > MOST:
            raise EndlessError(
                f"it takes more than {MOST:,} operations: a loop without a bound?", site
            )
        given = tuple(self.operand(i) for i in inputs)
        before = b.next
        self._meet(name, given)
        operator = TABLE.get(f"aten.{name}")
        node = Node(f"aten.{name}", (), (), {"names": tuple(names)})
        try:
            if operator is None:
                raise UnsupportedError("it is not known")
            laid = given if operator.rows else tuple(self._settled(i) for i in given)
            _check(name, laid)
            made = operator.function(b, Call(node, laid, 0))
        except _FAULTS as fault:
            for number in range(before, b.next):
                b.steps.pop(number, None)
            said = str(fault) if isinstance(fault, UnsupportedError) else "its arguments do not fit"
            made = self.broken_at(name, said, given, site)
        for number in range(before, b.next):
            self.sites[number] = site
        return made

    def operand(self, given: Any) -> Any:
        """Return a value as an operator takes it; StopError where it is not known."""
        match given:
            case Parameter():
                return self.weight(given)
            case View():
                weight = self.weight(given.parameter)
                array = weight.array if isinstance(weight, Known) else weight.known().array
                return Known(array[given.index])
            case Drawn():
                return fixed(given)
            case Signal():
                return self.now(given)
            case Unknown():
                raise StopError(given.reason)
            case tuple() | list():
                return tuple(self.operand(item) for item in given)
            case _:
                return given

    def now(self, signal: Signal) -> Signal:
        """Return what a signal is by now."""
        while signal.step in self.changed:
            later = self.changed[signal.step]
            if later.shape != signal.shape or later.step == signal.step:
                break
            signal = later
        return signal

    def change(self, before: object, after: object) -> None:
        """Note that an operation was done in place: who holds the one holds the other."""
        if isinstance(before, Signal) and isinstance(after, Signal):
            before = self.now(before)
            if before.shape == after.shape and before.step != after.step:
                self.changed[before.step] = after

    def broken_at(self, name: str, reason: str, given: Sequence[Any], site: Site | None) -> Signal:
        """Add a step at which the signal ends."""
        b = self.builder
        flat = [v for i in given for v in (i if isinstance(i, tuple) else (i,))]
        signals = [v for v in flat if isinstance(v, Signal)]
        if not signals:
            raise StopError(f"{name} cannot be followed: {reason}", site)
        told = f"{name} cannot be followed: {reason}"
        if all(s.shape is not None for s in signals):
            self.broken.append((told, site))
        parts = [
            replace(b.part("weight", v), role=f"array_{i}")
            for i, v in enumerate(v for v in flat if isinstance(v, Weight))
        ]
        made = b.emit(f"{name} ({reason})", signals, None, parts=parts)
        self.sites[made.step] = site
        return made

    def _settled(self, given: Any) -> Any:
        if isinstance(given, tuple):
            return tuple(self._settled(item) for item in given)
        return moving.settle(self.builder, given) if isinstance(given, Signal) else given

    def _meet(self, name: str, given: tuple[Any, ...]) -> None:
        for value in given:
            if isinstance(value, Signal) and self.builder.steps[value.step].op == "input":
                shapes = [v.stored.shape for v in given if isinstance(v, Weight)]
                if name in _READERS and len(given) > 1 and isinstance(given[1], Known):
                    shapes.append(given[1].shape)
                shape = max(shapes, key=len, default=())
                grouped = name in _CHANNELS and len(given) > 6 and isinstance(given[6], int)
                if grouped and len(shape) > 1:
                    shape = (shape[0], shape[1] * given[6], *shape[2:])
                self.first.setdefault(value.step, (name, shape))


_CHANNELS = {"conv1d": 1, "conv2d": 1, "conv3d": 1}
_READERS = frozenset({*_CHANNELS, "linear"})


def _check(name: str, given: tuple[Any, ...]) -> None:
    """Raise UnsupportedError where a weight does not fit the signal that it reads."""
    if name == "addmm" and len(given) == 3:
        name, given = "matmul", given[1:]
    if len(given) < 2 or not isinstance(given[0], Signal) or given[0].shape is None:
        return
    x, weight = given[0], given[1]
    if not isinstance(weight, Weight):
        return
    seen = x.known
    if name == "linear" and seen and seen[-1] != weight.shape[-1]:
        raise UnsupportedError(f"its weight of shape {weight.shape} reads a signal of {x.shape}")
    if name in {"matmul", "mm"} and len(weight.shape) == 2 and seen[-1:] != weight.shape[:1]:
        raise UnsupportedError(f"its matrix of shape {weight.shape} reads a signal of {x.shape}")
    if name in _CHANNELS and len(x.known) == len(weight.shape):
        groups = given[6] if len(given) > 6 and isinstance(given[6], int) else 1
        if x.known[1] != weight.shape[1] * groups or min(x.known[2:]) < 1:
            raise UnsupportedError(
                f"its kernel of shape {weight.shape} reads a signal of {x.shape}"
            )
    if name in {"batch_norm", "instance_norm"} and x.known[1:2] != weight.shape[:1]:
        raise UnsupportedError(f"its {weight.shape[0]} channels read a signal of {x.shape}")


def fixed(drawn: Drawn) -> Known:
    """Return a tensor that is not random as numbers; StopError where it is."""
    mean = drawn.weights.mean
    if drawn.weights.law not in {"zeros", "constant"} or mean.lo != mean.hi:
        raise StopError("it computes with random numbers")
    if np.prod(drawn.shape, dtype=np.float64) > 1 << 24:
        raise StopError("it makes an array that is too large")
    return Known(np.full(drawn.shape, mean.lo, np.float32))
