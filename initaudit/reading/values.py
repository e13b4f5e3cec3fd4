"""What a name holds while a model's source is followed."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from initaudit.catalogue import LayerSpec, Value
from initaudit.network import Interval, Site, Weights
from initaudit.reading.gaps import EndlessError, Open, StopError, UnfitError, Unknown, Vague

if TYPE_CHECKING:
    from initaudit.reading.units import Unit

Draw = Callable[[np.random.Generator, NDArray[Any] | None], NDArray[Any]]
"""Makes an array; the second argument is what was there before."""


@dataclass(frozen=True, slots=True)
class External:
    """Something outside of the project by its qualified name: a module, class or function."""

    name: str


@dataclass(frozen=True, eq=False, slots=True)
class UserClass:
    """A class of the project."""

    node: ast.ClassDef
    unit: Unit

    @property
    def name(self) -> str:
        """The class's name."""
        return self.node.name

    def methods(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        """Yield the functions of its body."""
        for statement in self.node.body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
                yield statement


@dataclass(slots=True)
class Scope:
    """The names of one call: its own, then those of the function around it, then the file's."""

    unit: Unit
    names: dict[str, Any] = field(default_factory=dict)
    outer: Scope | None = None
    owner: UserClass | None = None
    subject: Any = None


@dataclass(frozen=True, eq=False, slots=True)
class Function:
    """A function of the project, with the scope that it was made in."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    unit: Unit
    outer: Scope | None = None
    owner: UserClass | None = None

    @property
    def name(self) -> str:
        """The function's name."""
        return "lambda" if isinstance(self.node, ast.Lambda) else self.node.name


@dataclass(frozen=True, eq=False, slots=True)
class Bound:
    """A function with its ``self``."""

    function: Function
    subject: Any


@dataclass(frozen=True, eq=False, slots=True)
class Method:
    """A method, by name, of a value that is none of the project's objects."""

    subject: Any
    name: str


@dataclass(frozen=True, eq=False, slots=True)
class Partial:
    """A callee with arguments bound already."""

    callee: Any
    args: tuple[Any, ...]
    keywords: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Super:
    """``super()``: the lookup begins behind ``owner``."""

    owner: UserClass
    subject: Any


@dataclass(frozen=True, slots=True)
class Event:
    """One initialisation that reaches a parameter.

    ``draw`` is None where the source does not tell what it draws. ``whole`` is False where it
    fills a part, or changes what is there. ``std`` is the standard deviation for this tensor.
    ``source`` is what had filled another parameter by then, where this one is computed from it.
    """

    weights: Weights
    text: str
    site: Site
    draw: Draw | None = None
    whole: bool = True
    std: float | None = None
    source: tuple[Event, ...] = ()


@dataclass(eq=False, slots=True)
class Parameter:
    """A parameter with all that has filled it, in order; ``buffer`` is stored but not trained."""

    shape: tuple[int, ...]
    chain: list[Event]
    site: Site
    role: str = "weight"
    name: str = ""
    buffer: bool = False
    trained: bool = True
    dtype: str = "F32"
    held: Any = None

    @property
    def open(self) -> bool:
        """Whether an extent is left open by the source."""
        return any(isinstance(n, Open) for n in self.shape)


@dataclass(frozen=True, eq=False, slots=True)
class View:
    """A part of a parameter."""

    parameter: Parameter
    index: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the part."""
        found: tuple[int, ...] = np.broadcast_to(np.float32(0), self.parameter.shape)[
            self.index
        ].shape
        return found


@dataclass(frozen=True, eq=False, slots=True)
class Drawn:
    """A random tensor that is no parameter yet."""

    shape: tuple[int, ...]
    weights: Weights
    draw: Draw | None


@dataclass(eq=False, slots=True)
class Module:
    """A module: of the project (``cls``) or of a framework (``spec``, ``bound``).

    ``kind`` is the qualified name of the framework's class it is or derives from.
    """

    kind: str
    site: Site
    cls: UserClass | None = None
    spec: LayerSpec | None = None
    bound: Mapping[str, Value] = field(default_factory=dict)
    attrs: dict[str, Any] = field(default_factory=dict)
    params: dict[str, Parameter | None] = field(default_factory=dict)
    children: dict[str, Module | None] = field(default_factory=dict)
    path: str = ""

    @property
    def title(self) -> str:
        """The name of its class."""
        return self.cls.name if self.cls is not None else self.kind.rpartition(".")[2]

    def put(self, name: str, value: Any) -> None:
        """Set an attribute as torch.nn.Module does: modules and parameters are kept apart."""
        if isinstance(value, Module):
            self.attrs.pop(name, None)
            self.params.pop(name, None)
            self.children[name] = value
        elif isinstance(value, Parameter) and not value.buffer:
            self.attrs.pop(name, None)
            self.children.pop(name, None)
            self.params[name] = value
        elif value is None and name in self.children:
            self.children[name] = None
        elif value is None and name in self.params:
            self.params[name] = None
        else:
            self.children.pop(name, None)
            self.attrs[name] = value

    def modules(self, seen: set[int] | None = None) -> Iterator[Module]:
        """Yield it and all modules below, each once, it first."""
        seen = set() if seen is None else seen
        if id(self) in seen:
            return
        seen.add(id(self))
        yield self
        for child in self.children.values():
            if child is not None:
                yield from child.modules(seen)

    def named_modules(
        self, prefix: str = "", seen: set[int] | None = None
    ) -> Iterator[tuple[str, Module]]:
        """Yield (path, module) of it and all modules below, each module once."""
        seen = set() if seen is None else seen
        if id(self) in seen:
            return
        seen.add(id(self))
        yield prefix, self
        for name, child in self.children.items():
            if child is not None:
                yield from child.named_modules(f"{prefix}.{name}" if prefix else name, seen)

    def named_parameters(self, *, twice: bool = False) -> Iterator[tuple[str, Parameter]]:
        """Yield (path, parameter), buffers included; ``twice`` also yields other names of one."""
        seen: set[int] = set()
        for path, module in self._paths("", set(), twice=twice):
            for name, parameter in module.params.items():
                if parameter is None or (id(parameter) in seen and not twice):
                    continue
                seen.add(id(parameter))
                yield f"{path}.{name}" if path else name, parameter

    def _paths(self, prefix: str, above: set[int], *, twice: bool) -> Iterator[tuple[str, Module]]:
        if not twice:
            yield from self.named_modules(prefix)
            return
        if id(self) in above:
            return
        yield prefix, self
        for name, child in self.children.items():
            if child is not None:
                path = f"{prefix}.{name}" if prefix else name
                yield from child._paths(path, above | {id(self)}, twice=True)


@dataclass(eq=False, slots=True)
class Object:
    """An object of a project's class that is no module."""

    cls: UserClass
    attrs: dict[str, Any] = field(default_factory=dict)


@dataclass(eq=False, slots=True)
class Namespace:
    """Attributes by name, as `SimpleNamespace` and named tuples have."""

    attrs: dict[str, Any] = field(default_factory=dict)


EMPTY = Weights("unknown", Interval.unknown(), Interval(0.0, math.inf))
"""What nothing is known of."""

HELD = (Parameter, View)
"""What a parameter, or a part of one, is."""


__all__ = [
    "EMPTY", "HELD", "Bound", "Draw", "Drawn", "EndlessError", "Event", "External", "Function",
    "Method", "Module", "Namespace", "Object", "Open", "Parameter", "Partial", "Scope",
    "StopError", "Super", "UnfitError", "Unknown", "UserClass", "Vague", "View",
]  # fmt: skip
