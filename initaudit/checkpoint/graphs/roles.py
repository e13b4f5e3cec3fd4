"""Layers whose zeros or odd scale are meant to be, told by their place in the graph."""

from __future__ import annotations

from collections.abc import Mapping

from initaudit.checkpoint.graphs.fuse import Steps
from initaudit.graph import NORMS, WEIGHTED

_THROUGH = NORMS | {"dropout", "identity", "reshape", "transpose", "scale"}


def roles(steps: Steps) -> Mapping[int, str]:
    """Return the role of each step that has one.

    Tables of tokens and positions; the last weight of a branch that is added to a signal that
    goes around it.
    """
    found: dict[int, str] = {}
    for number, step in steps.builder.steps.items():
        if step.op in {"embedding", "table", "constant"}:
            found[number] = "table"
        elif step.op == "add" and len(step.inputs) == 2:
            for branch, other in (step.inputs, step.inputs[::-1]):
                last = _last(steps, branch)
                if last is not None and _rests_on(steps, last, other):
                    found[last] = "residual_last"
    return found


def _last(steps: Steps, number: int) -> int | None:
    """Return the last weight of a branch, through norms and what moves numbers only."""
    while True:
        step = steps[number]
        if step.op in WEIGHTED:
            return number
        if step.op not in _THROUGH or len(step.inputs) != 1 or steps.only(number) is None:
            return None
        number = step.inputs[0]


_FAR = 200


def _rests_on(steps: Steps, number: int, other: int) -> bool:
    """Return whether a step is computed from another one, near by."""
    waiting, seen = list(steps[number].inputs), set[int]()
    while waiting and len(seen) < _FAR:
        i = waiting.pop(0)
        if i == other:
            return True
        if i not in seen and i > other:
            seen.add(i)
            waiting += steps[i].inputs
    return False
