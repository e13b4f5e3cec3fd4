"""A program as a network: operators become steps, forms are folded, steps become layers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from initaudit.checkpoint.graphs.bodies import FOLLOWED
from initaudit.checkpoint.graphs.calls import Call, Table
from initaudit.checkpoint.graphs.entering import POSITIONS, Reading, entered, samples_of
from initaudit.checkpoint.graphs.fuse import FORMS, Steps, fold
from initaudit.checkpoint.graphs.fuse_attention import attention, shared_heads
from initaudit.checkpoint.graphs.fuse_norms import affine, grouped, norm
from initaudit.checkpoint.graphs.moving import settle
from initaudit.checkpoint.graphs.planning import planned
from initaudit.checkpoint.graphs.program import Name, Node, Program, reads
from initaudit.checkpoint.graphs.steps import Builder
from initaudit.checkpoint.graphs.tidy import pooled, tidy
from initaudit.checkpoint.graphs.values import (
    Known,
    ShortTableError,
    Signal,
    UnsupportedError,
    Value,
    Weight,
    room,
)
from initaudit.checkpoint.stored import FLOATS, Plan, PlanError


def plan(
    program: Program,
    table: Table,
    *,
    name: str,
    path: str,
    input_shape: tuple[int, ...] | None = None,
) -> Plan:
    """Return the plan of a program's network; nothing that it cannot do is left out silently.

    Raises:
        PlanError: its tables of positions are too short for any input, or an input is too large.
    """
    reading: Reading | None = None
    for length in POSITIONS:
        try:
            reading = _read(program, table, length, input_shape)
        except ShortTableError:
            continue
        break
    if reading is None:
        raise PlanError("its tables of positions hold fewer rows than any input needs")
    builder = reading.builder
    outputs = {
        value.step for out in program.outputs
        if isinstance(value := reading.values.get(out), Signal)
    }  # fmt: skip
    held = {part.key for step in builder.steps.values() for part in step.parts}
    made = finished(builder, outputs, name=name, path=path)
    # What the graph only computes constants from.
    read = {stored.name for key, stored in program.arrays.items() if key in reading.read}
    return replace(made, aside=frozenset(read - held))


def finished(builder: Builder, outputs: set[int], *, name: str, path: str) -> Plan:
    """Return the plan of the network that steps make, decomposed forms folded."""
    steps = Steps(builder, outputs)
    tidy(steps)
    fold(steps, (*FORMS, norm, grouped, affine))
    fold(steps, (attention,))
    tidy(steps)
    fold(steps, (shared_heads, pooled))
    tidy(steps)
    return planned(steps, builder.notes, name, path)


def _read(
    program: Program, table: Table, length: int, input_shape: tuple[int, ...] | None
) -> Reading:
    builder = Builder(samples=samples_of(program.ports))
    reading = Reading(builder, {})
    for key, stored in program.arrays.items():
        small = stored.count <= 1 or stored.dtype not in FLOATS
        weight = Weight(stored, stored.shape, key)
        reading.values[key] = _exact(weight) if small else weight
    for port in program.ports:
        reading.values[port.name] = entered(reading, port, length, input_shape)
    for node in program.nodes:
        _run(reading, node, table, program.opset)
    return reading


def _exact(weight: Weight) -> Value:
    try:
        return weight.known()
    except UnsupportedError:
        return weight


def _run(reading: Reading, node: Node, table: Table, opset: int) -> None:
    b = reading.builder
    b.scope, b.stem = node.scope or "", node.stem
    before = b.next
    inputs = tuple(_value(reading, i) for i in node.inputs)
    reading.read.update(reads(node))
    if node.scope is None:
        b.scope = next((b.steps[v.step].scope for v in _signals(inputs) if v.step >= 0), "")
    try:
        results = _made(reading, node, inputs, table, opset)
    except _FAULTS as fault:
        for number in range(before, b.next):
            b.steps.pop(number, None)
        around = tuple(reading.values[n] for n in node.captured if n in reading.values)
        results = _unknown(reading, node, (*inputs, *around), _said(fault))
    for out, value in zip(node.outputs, results, strict=False):
        if out:
            reading.values[out] = value


def _made(
    reading: Reading, node: Node, inputs: tuple[Any, ...], table: Table, opset: int
) -> tuple[Any, ...]:
    """Return what a node gives."""
    b = reading.builder
    operator = table.get(node.operator)
    follow = FOLLOWED.get(node.operator) if node.bodies else None
    if operator is None and follow is None:
        raise UnsupportedError(_STRANGE)
    if any(v.step < 0 for v in _signals(inputs)):
        raise UnsupportedError("it reads an array that could not be read")
    for name, given in node.attributes.items():
        if isinstance(given, float) and math.isnan(given):
            raise UnsupportedError(f"its {name} is not a number")
    made: Any = ()
    if follow is not None:
        made = follow(reading, node, inputs, lambda inner: _run(reading, inner, table, opset))
    elif operator is not None:
        read = inputs if operator.rows else tuple(_settled(b, i) for i in inputs)
        made = operator.function(b, Call(node, read, opset))
    results = made if isinstance(made, tuple) else (made,)
    for array in results:
        if isinstance(array, Known):
            room(*array.shape)
    return results


_STRANGE = "it is not known"


_FAULTS = (
    UnsupportedError, ValueError, IndexError, TypeError, KeyError, AttributeError,
    ZeroDivisionError, OverflowError,
)  # fmt: skip
"""What an operator may fail with on attributes or shapes that do not fit it."""


def _said(fault: Exception) -> str:
    if isinstance(fault, UnsupportedError):
        return str(fault)
    return "its attributes and inputs do not fit each other"


def _value(reading: Reading, given: Any) -> Any:
    if isinstance(given, Name):
        return reading.values.get(given, Signal(-1, None))
    if isinstance(given, tuple | list):
        return tuple(_value(reading, item) for item in given)
    return given


def _signals(inputs: Sequence[Any]) -> list[Signal]:
    flat = [v for i in inputs for v in (i if isinstance(i, tuple) else (i,))]
    return [v for v in flat if isinstance(v, Signal)]


def _settled(b: Builder, given: Any) -> Any:
    if isinstance(given, tuple):
        return tuple(_settled(b, item) for item in given)
    return settle(b, given) if isinstance(given, Signal) else given


def _unknown(
    reading: Reading, node: Node, inputs: Sequence[Any], reason: str
) -> tuple[Signal, ...]:
    """Add a step at which the signal ends, and which holds the weights that it reads."""
    b = reading.builder
    flat = [v for i in inputs for v in (i if isinstance(i, tuple) else (i,))]
    signals = [v for v in _signals(inputs) if v.step >= 0]
    parts = [
        replace(b.part("weight", v), role=f"array_{i}")
        for i, v in enumerate(v for v in flat if isinstance(v, Weight))
    ]
    operator = node.operator
    told = operator if reason == _STRANGE else f"{operator} ({reason})"
    # What stands behind such a step fails for want of a shape: it is not counted again.
    if not any(v.shape is None for v in _signals(inputs)):
        b.unknown[told] = b.unknown.get(told, 0) + 1
    op = told
    made = b.emit(op, signals, None, parts=parts, attributes={"operator": operator})
    return tuple(made for _ in node.outputs)


Arrays = Mapping[str, NDArray[Any]]
