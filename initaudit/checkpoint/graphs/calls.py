"""What an operator's function is given, and the tables of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from initaudit.checkpoint.graphs.program import Node
from initaudit.checkpoint.graphs.steps import Builder


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
