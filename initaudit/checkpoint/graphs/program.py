"""A graph as its file tells it, whatever the format: inputs, nodes, and arrays by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any

from initaudit.checkpoint.stored import Stored
from initaudit.checkpoint.text import printable


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
class Body:
    """A graph inside of a node: a branch, or what a loop repeats.

    It reads values of the graph around it by their names; no name is made in both.
    """

    inputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Node:
    """One operation of the file.

    ``inputs`` are names of values or, in formats that write them in place, the values themselves
    (numbers, lists); None is an input left out. ``scope`` is the path of the module that the node
    was made in, None where the file does not tell, and ``stem`` what the node is called there.
    An output that is left out is an empty name. ``bodies`` are graphs by the attribute they are.
    """

    operator: str
    inputs: tuple[Any, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    scope: str | None = None
    stem: str = ""
    bodies: Mapping[str, Body] = field(default_factory=dict)

    @property
    def captured(self) -> tuple[str, ...]:
        """What its bodies read of the graph around it."""
        return tuple(dict.fromkeys(n for body in self.bodies.values() for n in _captured(body)))


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
    return replace(program, nodes=_arranged(program.nodes, program.outputs, given))


def _arranged(nodes: Sequence[Node], outputs: Sequence[str], given: Set[str]) -> tuple[Node, ...]:
    makers: dict[str, int] = {}
    for i, node in enumerate(nodes):
        for name in filter(None, node.outputs):
            if name in makers:
                raise GraphError(f"its graph makes the value {printable(name)} twice")
            makers[name] = i
    needed = [[*reads(node), *node.captured] for node in nodes]
    for node, names in zip(nodes, needed, strict=True):
        missing = next((n for n in names if n not in given and n not in makers), None)
        if missing is not None:
            raise GraphError(
                f"its graph is dangling: {printable(node.operator)} reads {printable(missing)}, "
                "which nothing gives"
            )
    for name in outputs:
        if name not in given and name not in makers:
            raise GraphError(f"its graph is dangling: nothing gives its output {printable(name)}")
    waiting = [{makers[n] for n in names if n not in given} for names in needed]
    inside = given | set(makers)
    return tuple(
        replace(node, bodies={
            name: replace(body, nodes=_arranged(body.nodes, body.outputs, inside | {*body.inputs}))
            for name, body in node.bodies.items()
        }) if node.bodies else node
        for node in (nodes[i] for i in _sorted(nodes, waiting))
    )  # fmt: skip


def _sorted(nodes: Sequence[Node], waiting: list[set[int]]) -> list[int]:
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
    if len(order) < len(nodes):
        left = set(range(len(nodes))) - set(order)
        node = nodes[min(left)]
        raise GraphError(
            f"its graph runs in a circle through {printable(node.stem or node.operator)}"
        )
    return order


def reads(node: Node) -> list[str]:
    """Return the names of the values that a node reads, those of its bodies left out."""
    found: list[str] = []
    for value in node.inputs:
        if isinstance(value, Name):
            found.append(value)
        elif isinstance(value, tuple | list):
            found += [item for item in value if isinstance(item, Name)]
    return found


def _captured(body: Body) -> list[str]:
    made = {o for node in body.nodes for o in node.outputs} | set(body.inputs)
    read = [n for node in body.nodes for n in (*reads(node), *node.captured)] + list(body.outputs)
    return [n for n in read if n not in made]


class Name(str):
    """The name of a value, as an input of a node: strings proper are attributes."""

    __slots__ = ()
