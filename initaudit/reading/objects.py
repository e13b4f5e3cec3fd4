"""Names, attributes and classes: what a lookup finds."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from initaudit.reading import evaluating, names, windows
from initaudit.reading.python import CONSTANTS, FUNCTIONS, PLAIN
from initaudit.reading.state import State
from initaudit.reading.units import Unit
from initaudit.reading.values import (
    Bound,
    External,
    Function,
    Method,
    Module,
    Namespace,
    Object,
    Parameter,
    Partial,
    Scope,
    Super,
    Unknown,
    UserClass,
)
from initaudit.reading.windows import Window

_BUILTINS = frozenset(FUNCTIONS) | {
    "isinstance", "issubclass", "getattr", "setattr", "hasattr", "print", "super", "type", "map",
    "filter", "object", "callable", "vars", "property", "staticmethod", "classmethod", "id",
    "Exception", "ValueError", "TypeError", "NotImplementedError", "RuntimeError", "bytes",
    "AssertionError", "dir", "KeyError", "NotImplemented", "complex", "delattr", "eval", "exec",
}  # fmt: skip
_MODULES = {
    "torch.nn.Module": "torch", "torch.nn.Sequential": "torch", "torch.nn.ModuleList": "torch",
    "torch.nn.ModuleDict": "torch", "pytorch_lightning.LightningModule": "torch",
    "lightning.LightningModule": "torch", "lightning.pytorch.LightningModule": "torch",
    "pytorch_lightning.core.lightning.LightningModule": "torch", "torch.jit.ScriptModule": "torch",
}  # fmt: skip
CONTAINERS = frozenset({"torch.nn.Sequential", "torch.nn.ModuleList", "torch.nn.ModuleDict"})
FORWARD = ("forward", "call", "__call__")
"""What frameworks call the forward pass: PyTorch, Keras, and Flax and Equinox."""


def forward_of(state: State, cls: UserClass) -> Function | None:
    """Return the forward pass that a class of the project defines, None where it has none."""
    for wanted in FORWARD:
        found = of_class(state, cls, wanted)
        if isinstance(found, Function):
            return found
    return None


def bases(state: State, cls: UserClass) -> tuple[Any, ...]:
    """Return the bases of a class as values."""
    key = id(cls.node)
    if key not in state.bases:
        state.bases[key] = ()
        scope = Scope(cls.unit)
        state.bases[key] = tuple(
            evaluating.evaluate(state, scope, _plain(base)) for base in cls.node.bases
        )
    return state.bases[key]


def _plain(base: ast.expr) -> ast.expr:
    return base.value if isinstance(base, ast.Subscript) else base


def lineage(state: State, cls: UserClass, depth: int = 0) -> Iterator[UserClass]:
    """Yield a class and the project's classes that it derives from, nearest first."""
    yield cls
    if depth < 12:
        for base in bases(state, cls):
            if isinstance(base, UserClass):
                yield from lineage(state, base, depth + 1)


def kind(state: State, cls: UserClass) -> str | None:
    """Return the framework's class that a class derives from, None where it is no module."""
    guess = None
    for one in lineage(state, cls):
        for base in bases(state, one):
            if isinstance(base, External):
                full = state.catalogue.canonical(base.name)
                if full in _MODULES or state.catalogue.layer(full) is not None:
                    return full if full != "keras.layers.Layer" else "keras.Model"
                if base.name.rpartition(".")[2].endswith(("Module", "Model")):
                    guess = base.name
    return guess


def strangers(state: State, cls: UserClass) -> list[str]:
    """Return the bases that are neither the project's nor a framework's module class."""
    found = []
    for one in lineage(state, cls):
        for node, base in zip(one.node.bases, bases(state, one), strict=False):
            if isinstance(base, UserClass):
                continue
            name = state.catalogue.canonical(base.name) if isinstance(base, External) else ""
            plain = name in {"object", "abc.ABC", "typing.Generic", "typing.Protocol"}
            if not plain and name not in _MODULES and state.catalogue.layer(name) is None:
                found.append(ast.unparse(node))
    return found


def of_class(state: State, cls: UserClass, wanted: str, after: UserClass | None = None) -> Any:
    """Return a class attribute or function by name, behind ``after`` in the lineage; else None."""
    passing = after is not None
    for one in lineage(state, cls):
        if passing:
            passing = one.node is not (after.node if after is not None else None)
            continue
        for statement in reversed(one.node.body):
            match statement:
                case ast.FunctionDef() | ast.AsyncFunctionDef() if statement.name == wanted:
                    return Function(statement, one.unit, None, one)
                case ast.Assign() if any(
                    isinstance(t, ast.Name) and t.id == wanted for t in statement.targets
                ):
                    return evaluating.evaluate(state, Scope(one.unit), statement.value)
                case ast.AnnAssign(target=ast.Name(id=name)) if name == wanted and statement.value:
                    return evaluating.evaluate(state, Scope(one.unit), statement.value)
                case _:
                    continue
    return None


def decorators(function: Function) -> set[str]:
    """Return the last words of a function's decorators."""
    if isinstance(function.node, ast.Lambda):
        return set()
    found = set()
    for decorator in function.node.decorator_list:
        target = decorator.func if isinstance(decorator, ast.Call) else decorator
        found.add(ast.unparse(target).rpartition(".")[2])
    return found


def bound(state: State, function: Any, subject: Any, cls: UserClass) -> Any:
    """Return a class attribute as it is seen on an object."""
    if not isinstance(function, Function):
        return function
    marks = decorators(function)
    if "staticmethod" in marks:
        return function
    if "classmethod" in marks:
        return Bound(function, cls)
    if marks & {"property", "cached_property"}:
        return evaluating.call(state, Bound(function, subject), (), {}, function.node)
    return Bound(function, subject)


def attribute(state: State, subject: Any, wanted: str) -> Any:
    """Return an attribute of a value."""
    match subject:
        case Module():
            return _of_module(state, subject, wanted)
        case Object():
            if wanted in subject.attrs:
                return subject.attrs[wanted]
            found = of_class(state, subject.cls, wanted)
            if found is None:
                return Unknown(f"{subject.cls.name}.{wanted} is not known")
            return bound(state, found, subject, subject.cls)
        case Partial():
            held = {"func": subject.callee, "args": subject.args,
                    "keywords": dict(subject.keywords)}  # fmt: skip
            return held.get(wanted, Unknown(f"{wanted} of a partial is not known"))
        case Function() if wanted in {"__name__", "__qualname__"}:
            return subject.name
        case Namespace():
            return subject.attrs.get(wanted, Unknown(f"the attribute {wanted} is not known"))
        case External() if wanted in {"__name__", "__qualname__"}:
            return subject.name.rpartition(".")[2]
        case External():
            full = f"{subject.name}.{wanted}"
            return CONSTANTS.get(full, External(full))
        case Unit():
            found = names.top(state, subject, wanted)
            if found is not None:
                return found[0]
            inner = state.files.module(wanted, 1, subject)
            return inner or Unknown(f"{subject.path} has no {wanted}")
        case UserClass():
            found = of_class(state, subject, wanted)
            if found is not None:
                return (
                    bound(state, found, subject, subject)
                    if (isinstance(found, Function) and "classmethod" in decorators(found))
                    else found
                )
            return subject.name if wanted == "__name__" else _member(subject, wanted)
        case Super():
            return _of_super(state, subject, wanted)
        case Window():
            shared = windows.attribute(subject, wanted)
            if shared is None:
                return Method(subject, wanted)
            return subject if shared else Unknown(subject.reason)
        case Unknown():
            key = f"{subject.key}.{wanted}" if subject.key else ""
            return Unknown(subject.reason if not key else f"{key} is not known", key)
        case _ if isinstance(subject, PLAIN):
            return Method(subject, wanted)
        case _:
            return Method(subject, wanted)


def _member(cls: UserClass, wanted: str) -> Any:
    return Unknown(f"{cls.name}.{wanted} is not known")


def _of_module(state: State, module: Module, wanted: str) -> Any:
    for held in (module.children, module.params, module.attrs):
        if wanted in held:
            value = held[wanted]
            return value.held if isinstance(value, Parameter) and value.held is not None else value
    if module.cls is not None:
        found = of_class(state, module.cls, wanted)
        if found is not None:
            return bound(state, found, module, module.cls)
    if wanted == "training":
        return state.training
    if wanted == "__class__":
        return module.cls or External(module.kind)
    if module.spec is not None and wanted in {p.name for p in module.spec.parameters}:
        return evaluating.plain(module, wanted)
    if module.spec is not None and wanted in module.spec.weights:
        return None
    return Method(module, wanted)


def _of_super(state: State, subject: Super, wanted: str) -> Any:
    instance = subject.subject
    cls = instance if isinstance(instance, UserClass) else getattr(instance, "cls", None)
    if cls is None:
        return Unknown("super() is not followed here")
    found = of_class(state, cls, wanted, after=subject.owner)
    if found is not None:
        return bound(state, found, instance, cls)
    return Method(subject, wanted)
