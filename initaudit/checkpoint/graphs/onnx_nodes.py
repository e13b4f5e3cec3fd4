"""Nodes of an ONNX graph, with the graphs that some of them hold: branches, bodies of loops."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from initaudit.checkpoint.graphs.naming import path_of
from initaudit.checkpoint.graphs.program import Body, Name, Node

DOMAINS = frozenset({"", "ai.onnx"})
_GRAPH, _GRAPHS = 5, 10


class Arrays(Protocol):
    """What takes up the stored arrays of a model."""

    def add(self, tensor: Any, name: str = "") -> None:
        """Take up an initialiser, or the value of a constant node under its name."""

    def literal(self, name: str, array: NDArray[Any]) -> None:
        """Take up numbers that a node states in its attributes."""


def spelled(graph: Any) -> None:
    """Check that the names of a graph are text: protobuf gives others as bytes.

    Raises:
        UnicodeError: one is not.
    """
    texts = [v.name for v in (*graph.input, *graph.output, *graph.initializer)]
    for node in graph.node:
        texts += [node.op_type, node.domain, node.name, *node.input, *node.output]
        texts += [attribute.name for attribute in node.attribute]
        texts += [text for entry in node.metadata_props for text in (entry.key, entry.value)]
        for _, inner in _graphs(node):
            spelled(inner)
    if not all(isinstance(text, str) for text in texts):
        raise UnicodeError


def unique(graph: Any) -> None:
    """Give what is made in the branches and bodies of a graph names of their own, in place.

    Two branches may call different values alike.
    """
    _unique(graph, {}, {v.name for v in graph.input} | _made(graph))


def _made(graph: Any) -> set[str]:
    return {t.name for t in graph.initializer} | {o for node in graph.node for o in node.output}


def _unique(graph: Any, renamed: Mapping[str, str], taken: set[str]) -> None:
    for node in graph.node:
        node.input[:] = [renamed.get(i, i) for i in node.input]
        node.output[:] = [renamed.get(o, o) for o in node.output]
        for attribute, inner in _graphs(node):
            own = dict(renamed)
            for name in sorted({v.name for v in inner.input} | _made(inner)):
                free, again = name, 1
                while free and free in taken:
                    again += 1
                    free = f"{name} of {node.name or node.op_type} {attribute} {again}"
                own[name] = free
                taken.add(free)
            for named in (*inner.input, *inner.output, *inner.initializer):
                named.name = own.get(named.name, named.name)
            _unique(inner, own, taken)


def _graphs(node: Any) -> Iterator[tuple[str, Any]]:
    for attribute in node.attribute:
        if attribute.type == _GRAPH:
            yield attribute.name, attribute.g
        elif attribute.type == _GRAPHS:
            for inner in attribute.graphs:
                yield attribute.name, inner


def nodes_of(graph: Any, reader: Arrays) -> tuple[Node, ...]:
    """Return the nodes of a graph; what its constant nodes hold goes to the reader."""
    return tuple(_nodes(graph, reader))


def _nodes(graph: Any, reader: Arrays) -> Iterator[Node]:
    for node in graph.node:
        attributes = {a.name: _attribute(a) for a in node.attribute}
        plain = node.domain in DOMAINS
        constant = plain and node.op_type == "Constant" and len(node.output) == 1
        if constant and _constant(node, attributes, reader):
            continue
        yield Node(
            node.op_type if plain else f"{node.domain}.{node.op_type}",
            tuple(Name(i) if i else None for i in node.input),
            tuple(node.output),
            attributes,
            _scope(node),
            node.name.rpartition("/")[2],
            {name: _body(inner, reader) for name, inner in _graphs(node)},
        )


def _body(graph: Any, reader: Arrays) -> Body:
    for tensor in graph.initializer:
        reader.add(tensor)
    inputs, outputs = (tuple(v.name for v in ports) for ports in (graph.input, graph.output))
    return Body(inputs, nodes_of(graph, reader), outputs)


def _constant(node: Any, attributes: Mapping[str, Any], reader: Arrays) -> bool:
    """Take up the value of a constant node."""
    name = node.output[0]
    for key in ("value_float", "value_floats", "value_int", "value_ints"):
        if key in attributes:
            kind = np.float32 if "float" in key else np.int64
            reader.literal(name, np.asarray(attributes[key], kind))
            return True
    tensor = next((a.t for a in node.attribute if a.name == "value"), None)
    if tensor is None:
        return False
    reader.add(tensor, name)
    return True


def _attribute(attribute: Any) -> Any:
    match attribute.type:
        case 1:
            return attribute.f
        case 2:
            return attribute.i
        case 3:
            return attribute.s.decode("utf-8", "replace")
        case 6:
            return tuple(attribute.floats)
        case 7:
            return tuple(attribute.ints)
        case 4:
            return _small(attribute.t)
        case _:
            return None


def _small(tensor: Any) -> Any:
    """Return the one number of a tensor attribute, such as what a shape is filled with."""
    import onnx.numpy_helper

    if prod(tensor.dims) > 16 or tensor.data_location == 1:
        return None
    try:
        return onnx.numpy_helper.to_array(tensor)
    except (ValueError, TypeError):
        return None


def _scope(node: Any) -> str | None:
    """Return the module that a node was made in, as the exporter noted it."""
    for entry in node.metadata_props:
        if entry.key == "pkg.torch.onnx.name_scopes":
            scopes = [s.strip(" '\"") for s in entry.value.strip("[]").split(",")]
            inner = scopes[:-1]
            return inner[-1] if inner and not inner[-1].startswith("_empty_nn_module") else ""
    return path_of(node.name) if node.name.startswith("/") else None
