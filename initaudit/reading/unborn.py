"""Random tensors that are no parameter yet: scaled, shifted, put into another shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from initaudit.catalogue import scaled, shifted
from initaudit.checkpoint.graphs.values import Known
from initaudit.network import Interval, Weights
from initaudit.reading import (
    functions,
    python,
    tensors,
)
from initaudit.reading.state import State
from initaudit.reading.tape import Tape, fixed
from initaudit.reading.values import (
    EMPTY,
    Drawn,
    StopError,
    Unknown,
)


def combined(name: str, drawn: Drawn, args: Sequence[Any]) -> Any:
    """Return a random tensor times, divided by, or plus a number; None for anything else."""
    if name == "neg":
        return mapped(drawn, scaled(drawn.weights, Interval.point(-1.0)), lambda a: -a)
    if len(args) != 2:
        return None
    other = args[1] if args[0] is drawn else args[0]
    if isinstance(other, Known) and other.array.size == 1:
        other = float(other.array.item())
    if isinstance(other, Unknown) or python.tainted(other):
        return Drawn(drawn.shape, EMPTY, None)
    if isinstance(other, bool) or not isinstance(other, int | float):
        return None
    number = float(other)
    first = args[0] is drawn
    match name:
        case "mul":
            weights = scaled(drawn.weights, Interval.point(number))
            return mapped(drawn, weights, lambda a: a * number)
        case "div" if first and number:
            weights = scaled(drawn.weights, Interval.point(1.0 / number))
            return mapped(drawn, weights, lambda a: a / number)
        case "add":
            weights = shifted(drawn.weights, Interval.point(number))
            return mapped(drawn, weights, lambda a: a + number)
        case "sub" if first:
            weights = shifted(drawn.weights, Interval.point(-number))
            return mapped(drawn, weights, lambda a: a - number)
        case "sub":
            negated = scaled(drawn.weights, Interval.point(-1.0))
            weights = shifted(negated, Interval.point(number))
            return mapped(drawn, weights, lambda a: number - a)
        case _:
            return None


def mapped(drawn: Drawn, weights: Weights, change: Any) -> Drawn:
    """Return a random tensor after a change of its array, which then follows ``weights``."""
    inner = drawn.draw
    if inner is None:
        return Drawn(drawn.shape, weights, None)
    return Drawn(drawn.shape, weights, lambda random, old: change(inner(random, old)))


def moved(state: State, name: str, drawn: Drawn, rest: tuple[Any, ...]) -> Any:
    """Return a tensor that is no parameter yet in another shape, or what is computed from it."""
    new = {"view", "reshape", "unsqueeze", "squeeze", "transpose", "permute", "repeat", "expand",
           "flatten", "t"}  # fmt: skip
    if name not in new or drawn.draw is None or python.tainted(drawn.shape):
        try:
            known = fixed(drawn)
        except StopError as stop:
            return Unknown(stop.reason)
        operator, names = functions.TABLE[name]
        return tensors.aten(state, operator, (known, *rest), names)
    operator, names = functions.TABLE[name]
    scratch = Tape(tensors.nothing_stored)

    def change(array: NDArray[Any]) -> NDArray[Any]:
        made = scratch.call(operator, (Known(array), *rest), names[: len(rest) + 1], None)
        changed: NDArray[Any] = made.array
        return changed

    try:
        probe = change(np.zeros(drawn.shape, np.float32))
    except (StopError, AttributeError):
        return Unknown(f"{name} of a random tensor is not followed")
    return mapped(Drawn(probe.shape, drawn.weights, drawn.draw), drawn.weights, change)
