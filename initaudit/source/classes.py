"""Classes of a file: what they derive from, which layers and parameters they own."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from initaudit.catalogue import Catalogue, LayerSpec
from initaudit.source.module import Function, Module

_BASES: Mapping[str, str] = {
    "torch.nn.Module": "torch",
    "torch.nn.Sequential": "torch",
    "torch.nn.ModuleList": "torch",
    "pytorch_lightning.LightningModule": "torch",
    "lightning.LightningModule": "torch",
    "lightning.pytorch.LightningModule": "torch",
    "keras.Model": "keras",
    "keras.Layer": "keras",
    "keras.layers.Layer": "keras",
    "tensorflow.keras.Model": "keras",
    "tensorflow.keras.layers.Layer": "keras",
    "flax.linen.Module": "flax",
    "flax.nnx.Module": "nnx",
    "haiku.Module": "haiku",
    "equinox.Module": "equinox",
    "paddle.nn.Layer": "paddle",
    "mlx.nn.Module": "mlx",
}
CONSTRUCTORS = frozenset({"__init__", "build", "setup", "__post_init__"})


class Attribute(NamedTuple):
    """One assignment of ``self.name`` or of a class-level name."""

    name: str
    value: ast.expr
    statement: ast.stmt
    function: Function | None


@dataclass
class Class:
    """One class.

    ``bases`` are the qualified names of its bases, the plain ones where they have none.
    ``framework`` is that of the module class it derives from, through classes of the same file;
    None where that is not known.
    """

    module: Module
    node: ast.ClassDef
    bases: tuple[str, ...]
    methods: dict[str, Function] = field(default_factory=dict)
    framework: str | None = None
    ancestors: tuple[Class, ...] = ()
    closed: bool = False
    """Whether every base is known: of this file, or a framework's own module class."""

    @property
    def name(self) -> str:
        """The class's name."""
        return self.node.name

    @cached_property
    def attributes(self) -> Mapping[str, list[Attribute]]:
        """Every assignment of an attribute by its name, in source order."""
        return _attributes(self.module, self.node)

    def lineage(self) -> Iterator[Class]:
        """Yield the class and its ancestors in the same file."""
        yield self
        for ancestor in self.ancestors:
            yield from ancestor.lineage()

    def only(self, attribute: str) -> Attribute | None:
        """Return the assignment of an attribute that is assigned once."""
        found = self.attributes.get(attribute, [])
        return found[0] if len(found) == 1 else None


def read_classes(module: Module, catalogue: Catalogue) -> dict[ast.ClassDef, Class]:
    """Return the classes of a file by their node."""
    found: dict[ast.ClassDef, Class] = {}
    by_name: dict[str, Class] = {}
    for node in module.classes:
        bases = tuple(module.named(base) for base in node.bases)
        one = Class(module, node, bases)
        for statement in node.body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
                one.methods.setdefault(statement.name, statement)
        found[node] = one
        by_name.setdefault(node.name, one)
    for one in found.values():
        one.ancestors = tuple(
            by_name[b] for b in one.bases if b in by_name and by_name[b] is not one
        )
    for one in found.values():
        one.framework = _framework(one, catalogue, module, 0)
        one.closed = _closed(one, catalogue, 0)
    return found


def _attributes(module: Module, node: ast.ClassDef) -> dict[str, list[Attribute]]:
    found: dict[str, list[Attribute]] = {}
    enclosing = module.enclosing
    for name, given in module.assigned.attributes.get(node, {}).items():
        made = [
            Attribute(name, value, statement, enclosing[statement][0])
            for target, value, statement in given
            if type(statement) is not ast.AugAssign
            and not (type(target) is ast.Attribute and _of_class(target))
        ]
        if made:
            found[name] = made
    return found


def _of_class(target: ast.Attribute) -> bool:
    return isinstance(target.value, ast.Name) and target.value.id == "cls"


def _framework(one: Class, catalogue: Catalogue, module: Module, depth: int) -> str | None:
    for base in one.bases:
        if base in _BASES:
            return _BASES[base]
        spec = catalogue.layer(base) if "." in base else None
        if spec is not None:
            return spec.framework
    if depth < 8:
        for ancestor in one.ancestors:
            known = _framework(ancestor, catalogue, module, depth + 1)
            if known is not None:
                return known
    # A class that another file's module class is the base of: a forward pass beside torch tells.
    if one.bases and "forward" in one.methods and "torch" in _roots(module):
        return "torch"
    return None


def _roots(module: Module) -> set[str]:
    return {name.partition(".")[0] for name in module.names.imports.values()}


def _closed(one: Class, catalogue: Catalogue, depth: int) -> bool:
    known = {ancestor.name for ancestor in one.ancestors}
    if depth > 8:
        return False
    return all(
        base in _BASES or base in {"object", "abc.ABC"} or base in known for base in one.bases
    ) and all(_closed(ancestor, catalogue, depth + 1) for ancestor in one.ancestors)


def layer_of(module: Module, catalogue: Catalogue, value: ast.expr) -> LayerSpec | None:
    """Return the layer that an expression constructs, if it is a call of a known class."""
    if not isinstance(value, ast.Call):
        return None
    for name in module.names.candidates(value.func):
        spec = catalogue.layer(name)
        if spec is not None:
            return spec
    return None
