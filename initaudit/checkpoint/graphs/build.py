"""A program as a network: operators become steps, forms are folded, steps become layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from initaudit.checkpoint.graphs.fuse import RULES, Steps, fold
from initaudit.checkpoint.graphs.fuse_attention import attention, shared_heads
from initaudit.checkpoint.graphs.moving import settle
from initaudit.checkpoint.graphs.naming import named
from initaudit.checkpoint.graphs.program import Name, Node, Port, Program
from initaudit.checkpoint.graphs.roles import roles
from initaudit.checkpoint.graphs.steps import Builder, Part, Step
from initaudit.checkpoint.graphs.tidy import pooled, tidy
from initaudit.checkpoint.graphs.values import (
    Known,
    ShortTableError,
    Signal,
    UnsupportedError,
    Value,
    Weight,
)
from initaudit.checkpoint.stored import FLOATS, Plan
from initaudit.network import (
    Assumption,
    Interval,
    Layer,
    Network,
    Origin,
    Param,
    Site,
    Tensor,
    Weights,
)

POSITIONS = (16, 8, 4)
"""Positions of a sequence whose length the graph leaves open; fewer where a table holds fewer."""

SIDE = 32
"""Height and width of an image that the graph leaves open."""

_SAMPLES = 3


@dataclass(frozen=True, slots=True)
class Call:
    """One node with what its inputs are; None is an input left out."""

    node: Node
    inputs: tuple[Any, ...]
    opset: int

    def get(self, index: int) -> Any:
        """Return an input, None where it is left out."""
        return self.inputs[index] if index < len(self.inputs) else None

    def named(self, name: str, default: Any = None) -> Any:
        """Return an input by the name that the format gives it."""
        names: tuple[str, ...] = self.node.attributes.get("names", ())
        return self.inputs[names.index(name)] if name in names else default

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return an attribute."""
        return self.node.attributes.get(name, default)


@dataclass(frozen=True, slots=True)
class Operator:
    """What turns a node into steps; returns one value for each output.

    ``rows`` says that it takes values whose leading axes the graph sees as one.
    """

    function: Callable[[Builder, Call], Any]
    rows: bool = False


Table = Mapping[str, Operator]


@dataclass(slots=True)
class _Reading:
    builder: Builder
    values: dict[str, Any]
    notes: list[str]


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
        UnsupportedError: the graph has no input that a signal could enter by.
    """
    reading: _Reading | None = None
    for length in POSITIONS:
        try:
            reading = _read(program, table, length, input_shape)
        except ShortTableError:
            continue
        break
    if reading is None:
        raise UnsupportedError("its tables of positions hold fewer rows than any input needs")
    builder = reading.builder
    outputs = {
        value.step for out in program.outputs
        if isinstance(value := reading.values.get(out), Signal)
    }  # fmt: skip
    steps = Steps(builder, outputs)
    held = {part.key for step in builder.steps.values() for part in step.parts}
    held |= builder.reordered
    tidy(steps)
    fold(steps, RULES)
    fold(steps, (attention,))
    tidy(steps)
    fold(steps, (shared_heads, pooled))
    tidy(steps)
    made = _planned(steps, reading.notes, name, path)
    return replace(made, aside=_aside(program, held))


def _aside(program: Program, held: set[str]) -> frozenset[str]:
    """Return the stored arrays that the graph only computes constants from."""
    read = {
        item for node in program.nodes for i in node.inputs
        for item in (i if isinstance(i, tuple | list) else (i,)) if isinstance(item, Name)
    }  # fmt: skip
    return frozenset(
        stored.name for key, stored in program.arrays.items()
        if key in read and stored.name not in held
    )  # fmt: skip


def _read(
    program: Program, table: Table, length: int, input_shape: tuple[int, ...] | None
) -> _Reading:
    builder = Builder(samples=_samples(program.ports))
    reading = _Reading(builder, {}, [])
    for key, stored in program.arrays.items():
        small = stored.count <= 1 or stored.dtype not in FLOATS
        weight = Weight(stored, stored.shape, key)
        reading.values[key] = _exact(weight) if small else weight
    for port in program.ports:
        reading.values[port.name] = _entered(reading, port, length, input_shape)
    for node in program.nodes:
        _run(reading, node, table, program.opset)
    return reading


def _exact(weight: Weight) -> Value:
    try:
        return weight.known()
    except UnsupportedError:
        return weight


def _samples(ports: Sequence[Port]) -> int:
    """Return the samples that the file's shapes are written for."""
    stated = [p.shape[0] for p in ports if p.shape]
    return next((n for n in stated if n is not None), _SAMPLES)


def _entered(
    reading: _Reading, port: Port, length: int, input_shape: tuple[int, ...] | None
) -> Value:
    b = reading.builder
    shape = _shape(reading, port, length, input_shape)
    if shape is None:
        return b.emit("input", [], None, attributes={"shape": None})
    low = port.name.lower()
    whole = (b.samples, *shape)
    if port.booleans or (port.integers and "mask" in low) or low.endswith("attention_mask"):
        reading.notes.append(f"the input {port.name} is all ones: nothing is masked")
        return Known(np.ones(whole, bool if port.booleans else np.int64))
    if port.integers and "position" in low and len(shape) == 1:
        reading.notes.append(f"the input {port.name} counts the positions from 0")
        return Known(np.broadcast_to(np.arange(shape[0]), whole))
    attributes: dict[str, Any] = {"shape": shape}
    if port.integers:
        attributes["tokens"] = 1 if "token_type" in low else None
    b.stem = port.name
    made = b.emit("input", [], whole, attributes=attributes)
    b.stem = ""
    return made


def _shape(
    reading: _Reading, port: Port, length: int, input_shape: tuple[int, ...] | None
) -> tuple[int, ...] | None:
    """Return the shape of one sample of an input, with what the file leaves open filled in."""
    if port.shape is None:
        return input_shape
    inner = port.shape[1:]
    if input_shape is not None and len(input_shape) == len(inner):
        fits = all(n in {None, m} for n, m in zip(inner, input_shape, strict=True))
        if not fits:
            reading.notes.append(f"the graph is written for the input shape {inner}, not as given")
        else:
            return input_shape
    default = SIDE if len(inner) > 2 else length
    filled = tuple(default if n is None else n for n in inner)
    if filled != inner:
        reading.notes.append(
            f"the input {port.name} has the shape {filled}, which the graph leaves open;"
            " --input-shape sets it"
        )
    return filled


def _run(reading: _Reading, node: Node, table: Table, opset: int) -> None:
    b = reading.builder
    b.scope, b.stem = node.scope or "", node.stem
    operator = table.get(node.operator)
    before = b.next
    inputs = tuple(_value(reading, i) for i in node.inputs)
    if node.scope is None:
        b.scope = next((b.steps[v.step].scope for v in _signals(inputs) if v.step >= 0), "")
    try:
        if operator is None:
            raise UnsupportedError(_STRANGE)
        if any(v.step < 0 for v in _signals(inputs)):
            raise UnsupportedError("it reads an array that could not be read")
        given = inputs if operator.rows else tuple(_settled(b, i) for i in inputs)
        made = operator.function(b, Call(node, given, opset))
    except _FAULTS as fault:
        for number in range(before, b.next):
            b.steps.pop(number, None)
        made = _unknown(reading, node, inputs, _said(fault))
    results = made if isinstance(made, tuple) else (made,)
    for out, value in zip(node.outputs, results, strict=False):
        reading.values[out] = value


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


def _value(reading: _Reading, given: Any) -> Any:
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


def _unknown(reading: _Reading, node: Node, inputs: Sequence[Any], reason: str) -> Any:
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


def _planned(steps: Steps, notes: Sequence[str], name: str, path: str) -> Plan:
    b = steps.builder
    order = _order(b.steps)
    b.steps = {number: b.steps[number] for number in order}
    names = named(b.steps)
    given = roles(steps)
    axes = {
        part.key: _out_axis(b.steps[n], len(part.shape))
        for n in order
        for part in b.steps[n].parts
        if part.role.startswith("weight") and len(part.shape) > 1
    }
    said = [*notes, *(_told(operator, count) for operator, count in b.unknown.items())]

    def network(tensors: Sequence[Tensor]) -> Network:
        by_name = {tensor.name: tensor for tensor in tensors}
        layers = tuple(
            _layer(b.steps[n], names[n], [names[i] for i in b.steps[n].inputs], by_name,
                   given.get(n))
            for n in order
        )  # fmt: skip
        return Network(
            name=name,
            layers=layers,
            origin=Origin.MEASURED,
            topology="graph",
            site=Site(path),
            assumptions=tuple(Assumption(text) for text in dict.fromkeys(said)),
            apart=_apart(layers, [t for t in tensors if t.name not in b.reordered]),
        )

    return Plan(network, dict(b.computed), axes)


def _told(operator: str, count: int) -> str:
    nodes = f"{count} node{'s' if count > 1 else ''}"
    name, _, reason = operator.partition(" (")
    why = f"cannot be followed: {reason.removesuffix(')')}" if reason else "is not known"
    return f"the operator {name} ({nodes}) {why}; nothing behind it is reached"


def _order(steps: Mapping[int, Step]) -> list[int]:
    """Return the steps so that each one's inputs come first, else in the graph's order."""
    done: dict[int, None] = {}
    for start in steps:
        stack = [start]
        while stack:
            number = stack[-1]
            waiting = [i for i in steps[number].inputs if i not in done]
            if waiting:
                stack += reversed(waiting)
            else:
                done.setdefault(stack.pop())
    return list(done)


def _out_axis(step: Step, rank: int) -> int:
    if step.op == "linear":
        return 0 if step.attributes.get("layout") == "oi" else rank - 1
    return 1 if step.op == "conv_transpose" else 0


def _layer(
    step: Step, name: str, inputs: Sequence[str], tensors: Mapping[str, Tensor], role: str | None
) -> Layer:
    attributes = {k: v for k, v in step.attributes.items() if v is not None}
    if role is not None:
        attributes["role"] = role
    params = tuple(_param(part, tensors) for part in step.parts)
    return Layer(name, step.op, tuple(inputs), params, attributes)


def _param(part: Part, tensors: Mapping[str, Tensor]) -> Param:
    tensor = tensors.get(part.key)
    unknown = Interval.unknown()
    if tensor is None:
        count = int(np.prod(part.shape))
        tensor = Tensor(part.key, "F32", part.shape, count, None, None, None, None, 0, 0, 0, 0)
    if tensor.mean is None or tensor.variance is None:
        return Param(part.role, part.shape, Weights("empirical", unknown, unknown), tensor)
    spread = Weights("empirical", Interval.point(tensor.mean), Interval.point(tensor.variance))
    return Param(part.role, part.shape, spread, tensor)


def _apart(layers: Sequence[Layer], tensors: Sequence[Tensor]) -> tuple[tuple[str, str], ...]:
    """Return the matrices that no operation of the graph reads."""
    held = {p.tensor.name for layer in layers for p in layer.params if p.tensor is not None}
    return tuple(
        (tensor.name, "no operation of the graph reads it as a weight")
        for tensor in tensors
        if tensor.name not in held and len(tensor.shape) > 1 and tensor.dtype in FLOATS
    )


Arrays = Mapping[str, NDArray[Any]]
