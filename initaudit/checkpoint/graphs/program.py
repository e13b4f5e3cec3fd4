"""A graph as its file tells it, whatever the format: inputs, nodes, and arrays by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from initaudit.checkpoint.stored import Stored


class GraphError(Exception):
    """Why a graph is of no use, as one line; its weights may still be."""


@dataclass(frozen=True, slots=True)
class Port:
    """An input of the graph; a dimension that the file leaves open is None.

    ``shape`` is None where not even the number of dimensions is known.
    """

    name: str
    shape: tuple[int | None, ...] | None
    integers: bool = False
    booleans: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    """One operation of the file.

    ``inputs`` are names of values or, in formats that write them in place, the values themselves
    (numbers, lists); None is an input left out. ``scope`` is the path of the module that the node
    was made in, None where the file does not tell, and ``stem`` what the node is called there.
    """

    operator: str
    inputs: tuple[Any, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    scope: str | None = None
    stem: str = ""


@dataclass(frozen=True, slots=True)
class Program:
    """The nodes of a graph in an order in which each one's inputs come first.

    ``arrays`` are the stored weights and buffers by the name the nodes use for them; the stored
    name is in `Stored`. ``absent`` are names of arrays that could not be read.
    """

    ports: tuple[Port, ...]
    nodes: tuple[Node, ...]
    arrays: Mapping[str, Stored]
    outputs: tuple[str, ...]
    opset: int = 0
    absent: frozenset[str] = frozenset()


def ordered(program: Program) -> Program:
    """Return the program with its nodes in topological order.

    Raises:
        GraphError: a node reads a value that nothing gives, or its own output; two nodes give one
            value.
    """
    given = {port.name for port in program.ports} | set(program.arrays) | program.absent
    makers: dict[str, int] = {}
    for i, node in enumerate(program.nodes):
        for name in node.outputs:
            if name in makers:
                raise GraphError(f"its graph makes the value {name} twice")
            makers[name] = i
    reads = [_reads(node) for node in program.nodes]
    for node, names in zip(program.nodes, reads, strict=True):
        missing = next((n for n in names if n not in given and n not in makers), None)
        if missing is not None:
            raise GraphError(
                f"its graph is dangling: {node.operator} reads {missing}, which nothing gives"
            )
    for name in program.outputs:
        if name not in given and name not in makers:
            raise GraphError(f"its graph is dangling: nothing gives its output {name}")
    waiting = [{makers[n] for n in names if n not in given and makers[n] >= 0} for names in reads]
    return Program(
        program.ports,
        tuple(program.nodes[i] for i in _sorted(program, waiting)),
        program.arrays,
        program.outputs,
        program.opset,
        program.absent,
    )


def _sorted(program: Program, waiting: list[set[int]]) -> list[int]:
    behind: dict[int, list[int]] = {}
    for i, needed in enumerate(waiting):
        for j in needed:
            behind.setdefault(j, []).append(i)
    ready = [i for i, needed in enumerate(waiting) if not needed]
    order: list[int] = []
    ready.reverse()
    while ready:
        i = ready.pop()
        order.append(i)
        for j in reversed(behind.get(i, ())):
            waiting[j].discard(i)
            if not waiting[j]:
                ready.append(j)
    if len(order) < len(program.nodes):
        left = set(range(len(program.nodes))) - set(order)
        node = program.nodes[min(left)]
        raise GraphError(f"its graph runs in a circle through {node.stem or node.operator}")
    return order


def _reads(node: Node) -> list[str]:
    found: list[str] = []
    for value in node.inputs:
        if isinstance(value, Name):
            found.append(value)
        elif isinstance(value, tuple | list):
            found += [item for item in value if isinstance(item, Name)]
    return found


class Name(str):
    """The name of a value, as an input of a node: strings proper are attributes."""

    __slots__ = ()
