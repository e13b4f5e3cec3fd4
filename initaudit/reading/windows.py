"""What shares memory with a parameter: filling it fills the parameter, in a way not followed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from initaudit.reading.state import State
from initaudit.reading.values import EMPTY, HELD, Event, Parameter, Unknown, View

VIEWS = frozenset(
    {"view", "reshape", "flatten", "unflatten", "transpose", "swapaxes", "swapdims", "t", "squeeze",
     "unsqueeze", "permute", "movedim", "expand", "expand_as", "view_as", "reshape_as", "chunk",
     "tensor_split", "split", "unbind", "narrow", "select", "diagonal", "as_strided", "unfold",
     "real", "ravel", "detach", "contiguous", "data", "T", "mT", "H", "mH"}
)  # fmt: skip
"""Methods and attributes whose result may share memory with their tensor."""

_UNTOUCHED = frozenset({"requires_grad_", "retain_grad_", "share_memory_"})


@dataclass(frozen=True, slots=True)
class Window(Unknown):
    """A tensor that may share memory with a parameter."""

    parameter: Parameter | None = None


def of(subject: Any, reason: str = "a part of a parameter is not followed") -> Unknown:
    """Return what shares memory with a parameter, or a part of it."""
    if isinstance(subject, Window):
        return subject
    held = subject.parameter if isinstance(subject, View) else subject
    return Window(reason, "", held) if isinstance(held, Parameter) else Unknown(reason)


def shares(subject: Any, name: str) -> bool:
    """Return whether a method of a parameter, or a part of one, gives what shares its memory."""
    return isinstance(subject, (*HELD, Window)) and name in VIEWS


def attribute(subject: Window, wanted: str) -> bool | None:
    """Return whether an attribute is a view, None where it is a method."""
    return None if wanted in VIEWS - {"data", "T", "mT", "H", "mH"} or in_place(wanted) else (
        wanted in VIEWS
    )  # fmt: skip


def in_place(name: str) -> bool:
    """Return whether a name is that of a method which changes its tensor."""
    return name.endswith("_") and not name.endswith("__") and name not in _UNTOUCHED


def method(state: State, subject: Window, name: str) -> Any:
    """Return what a method gives; one in place makes the parameter unknown."""
    if in_place(name):
        touched(state, subject)
        return subject
    return subject if name in VIEWS else Unknown(subject.reason)


def touched(state: State, *values: Any) -> None:
    """Note that the parameters among values hold by now what the source does not tell."""
    for value in values:
        if isinstance(value, list | tuple):
            touched(state, *value)
        held = value.parameter if isinstance(value, View | Window) else value
        if isinstance(held, Parameter):
            text = (state.text[-1] if state.text else "") or "a change of a part"
            held.chain.append(Event(EMPTY, text, state.at or held.site, None, whole=False))


def written(state: State, last: str, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> None:
    """Note what a function fills: its first argument or ``out``, or parameters from a vector."""
    if in_place(last) and args:
        touched(state, args[0])
    if last == "vector_to_parameters":
        touched(state, *args[1:], *keywords.values())
    touched(state, keywords.get("out"))


def copied(state: State, subject: Parameter) -> Parameter:
    """Return a copy of a parameter that is none itself until ``nn.Parameter`` makes it one."""
    last = subject.chain[-1] if subject.chain else None
    weights = last.weights if last is not None and last.whole else EMPTY
    event = Event(weights, "a copy", state.at or subject.site, lambda random, old: np.array(old),
                  source=tuple(subject.chain))  # fmt: skip
    return Parameter(subject.shape, [event], event.site, "copy", buffer=True)
