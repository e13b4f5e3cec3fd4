"""Steps as the layers of a network, still without the statistics of its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from initaudit.checkpoint.graphs.fuse import Steps
from initaudit.checkpoint.graphs.naming import named
from initaudit.checkpoint.graphs.roles import roles
from initaudit.checkpoint.graphs.steps import Part, Step
from initaudit.checkpoint.memory import from_mapping
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


def planned(steps: Steps, notes: Sequence[str], name: str, path: str) -> Plan:
    """Return the plan of the network that finished steps make."""
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
            apart=_apart(layers, tensors),
        )

    held = b.copies & {part.key for n in order for part in b.steps[n].parts}
    copies = from_mapping({key: b.computed[key] for key in b.computed if key in held}, path)
    return Plan(network, dict(b.computed), axes, copies=copies.arrays)


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
