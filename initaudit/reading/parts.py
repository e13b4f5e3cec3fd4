"""Parts of tensors: items, slices, positions and new axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from initaudit.checkpoint.graphs.values import Known, Signal
from initaudit.reading import tensors, windows
from initaudit.reading.state import State
from initaudit.reading.tape import fixed
from initaudit.reading.values import (
    HELD,
    Drawn,
    Parameter,
    StopError,
    Unknown,
    View,
)


def items(state: State, value: Any) -> list[Any]:
    """Return a tensor along its first axis."""
    if isinstance(value, Known) and value.array.ndim:
        if value.array.ndim == 1:
            return [Known(x) for x in value.array]
        return [Known(x) for x in value.array]
    if isinstance(value, Signal) and state.tape is not None:
        made = tensors.aten(state, "unbind", (value, 0), ("input", "dim"))
        return list(made) if isinstance(made, list) else [made]
    raise StopError("a loop over a tensor", state.at)


def index(state: State, subject: Any, at: Any) -> Any:
    """Return a part of a tensor."""
    if isinstance(at, Unknown) and isinstance(subject, HELD) and state.tape is None:
        return windows.of(subject, at.reason)
    if isinstance(at, Unknown):
        return tensors.ended(state, "a part of a tensor", (subject,), at.reason)
    if isinstance(subject, HELD) and state.tape is None:
        try:
            whole = subject if isinstance(subject, Parameter) else None
            return View(whole, _plain_index(at)) if whole else windows.of(subject)
        except StopError as stop:
            return windows.of(subject, stop.reason)
    if isinstance(subject, Drawn):
        try:
            subject = fixed(subject)
        except StopError as stop:
            return Unknown(stop.reason)
    steps = at if isinstance(at, tuple) else (at,)
    if isinstance(subject, Known):
        try:
            return Known(np.asarray(subject.array[_plain_index(at)]))
        except (StopError, IndexError, TypeError):
            return Unknown("a part of an array is not known")
    return _parts(state, subject, steps)


def _plain_index(at: Any) -> Any:
    found: list[Any] = []
    for one in at if isinstance(at, tuple) else (at,):
        if isinstance(one, Known):
            found.append(one.array)
        elif isinstance(one, slice):
            if any(isinstance(e, Unknown) for e in (one.start, one.stop, one.step)):
                raise StopError("the ends of a slice are not known")
            found.append(one)
        elif one is None or one is Ellipsis or isinstance(one, int | list):
            found.append(one)
        else:
            raise StopError("an index is not known")
    return tuple(found) if isinstance(at, tuple) else found[0]


def _parts(state: State, subject: Any, steps: Sequence[Any]) -> Any:
    """Return a part of a signal: slices, positions and new axes, one after the other."""
    rank = len(tensors.shape(subject))
    taken = sum(1 for s in steps if s is not None and s is not Ellipsis)
    full: list[Any] = []
    for step in steps:
        full += [slice(None)] * (rank - taken) if step is Ellipsis else [step]
    axis, value = 0, subject
    for step in full:
        if step is None:
            value = tensors.aten(state, "unsqueeze", (value, axis), ("input", "dim"))
            axis += 1
        elif isinstance(step, slice):
            ends = (step.start, step.stop, step.step)
            ends = tuple(e.array.item() if isinstance(e, Known) else e for e in ends)
            if any(e is not None and not isinstance(e, int) for e in ends):
                return tensors.ended(state, "a slice", (value,), "its ends are not known")
            if ends != (None, None, None):
                value = tensors.aten(
                    state, "slice", (value, axis, *(e if e is not None else d for e, d in
                                                    zip(ends, (0, 1 << 62, 1), strict=True))),
                    ("input", "dim", "start", "end", "step"),
                )  # fmt: skip
            axis += 1
        elif isinstance(step, int) and not isinstance(step, bool):
            value = tensors.aten(state, "select", (value, axis, step), ("input", "dim", "index"))
        elif isinstance(step, Known | Signal):
            if isinstance(step, Known) and step.array.ndim == 0:
                value = tensors.aten(state, "select", (value, axis, int(step.array)), ())
                continue
            given = (*(None,) * axis, step)
            return tensors.aten(state, "index", (value, given), ("input", "indices"))
        else:
            return tensors.ended(state, "a part of a tensor", (value,), "its index is not followed")
    return value
