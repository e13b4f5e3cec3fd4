"""Branches and loops whose way is known while the graph is read: If and Loop of ONNX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from initaudit.checkpoint.graphs import moving, selecting
from initaudit.checkpoint.graphs.entering import Reading
from initaudit.checkpoint.graphs.program import Body, Node
from initaudit.checkpoint.graphs.values import (
    Known,
    Signal,
    UnsupportedError,
    integer,
    known,
    value,
)

Run = Callable[[Node], None]


def _branch(reading: Reading, node: Node, given: tuple[Any, ...], run: Run) -> tuple[Any, ...]:
    taken = _true(given[0], "which branch it takes depends on the input")
    body = node.bodies["then_branch" if taken else "else_branch"]
    return _through(reading, body, (), run)


def _loop(reading: Reading, node: Node, given: tuple[Any, ...], run: Run) -> tuple[Any, ...]:
    body = node.bodies["body"]
    if given[0] is None:
        raise UnsupportedError("how often it repeats is not said")
    if isinstance(given[0], Signal):
        raise UnsupportedError("how often it repeats depends on the input")
    rounds, state = integer(given[0]), tuple(given[2:])
    if rounds * max(len(body.nodes), 1) > reading.left:
        raise UnsupportedError(f"it repeats {len(body.nodes)} operations {rounds} times")
    if len(body.inputs) != 2 + len(state) or len(body.outputs) < 1 + len(state):
        raise UnsupportedError("what it repeats does not fit what it is given")
    goes: Any = Known(np.ones(1, bool)) if len(given) < 2 or given[1] is None else given[1]
    rows: list[tuple[Any, ...]] = []
    for i in range(max(rounds, 0)):
        if not _true(goes, "when it ends depends on the input"):
            break
        made = _through(reading, body, (Known(np.asarray(i)), goes, *state), run)
        goes, state = made[0], made[1 : 1 + len(state)]
        rows.append(made[1 + len(state) :])
    if len(body.outputs) == 1 + len(state):
        return state
    if not rows:
        raise UnsupportedError("it gives rows of no round")
    b = reading.builder
    stacked = (
        selecting.concat(b, [moving.unsqueeze(b, value(row), (0,)) for row in column], 0)
        for column in zip(*rows, strict=True)
    )
    return (*state, *stacked)


def _true(given: Any, otherwise: str) -> bool:
    if isinstance(given, Signal):
        raise UnsupportedError(otherwise)
    numbers = known(given)
    if numbers.size != 1:
        raise UnsupportedError("its condition is not one value")
    return bool(numbers.reshape(()))


def _through(reading: Reading, body: Body, given: tuple[Any, ...], run: Run) -> tuple[Any, ...]:
    reading.left -= max(len(body.nodes), 1)
    if reading.left < 0:
        raise UnsupportedError("its branches and loops repeat too many operations")
    reading.values.update(zip(body.inputs, given, strict=True))
    for node in body.nodes:
        run(node)
    reading.read.update(body.outputs)
    return tuple(reading.values.get(name, Signal(-1, None)) for name in body.outputs)


FOLLOWED: Mapping[str, Callable[[Reading, Node, tuple[Any, ...], Run], tuple[Any, ...]]] = {
    "If": _branch, "Loop": _loop,
}  # fmt: skip
"""What gives the outputs of a node that has bodies, from what it reads and what runs a node."""
