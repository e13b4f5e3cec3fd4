"""What a check of source sees: one file with everything that was read from it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from initaudit.catalogue import Catalogue, LayerSpec, Value, bind, filled
from initaudit.network import Site
from initaudit.source.classes import Class, layer_of, read_classes
from initaudit.source.draws import Draw, draws
from initaudit.source.fold import fold
from initaudit.source.module import Function, Module, Scope
from initaudit.source.words import Form

if TYPE_CHECKING:
    from initaudit.source.start import Start
    from initaudit.source.sweeps import Holder, Sweep, Write


T = TypeVar("T")
# A keyword such as kernel_init=, or a word for an initialiser that is no setting of a model.
_HANDED = Form("init", r"(?:(?:iali[sz]er)?s?\s*=(?!=)|iali[sz]ers?\b(?!_))")


class File:
    """Subject ``draw``: a parsed file, its initialising calls and its classes."""

    def __init__(self, module: Module, catalogue: Catalogue) -> None:
        self.module = module
        self.catalogue = catalogue
        self._starts: dict[ast.AST, Mapping[str, Start]] = {}
        self._layers: dict[ast.Call, LayerSpec | None] = {}
        self._handing: dict[Function | ast.ClassDef, bool] = {}
        self._once: dict[Callable[[File], Any], Any] = {}

    def once(self, make: Callable[[File], T]) -> T:
        """Return what a function makes of this file; it runs once, however many checks ask."""
        if make not in self._once:
            self._once[make] = make(self)
        found: T = self._once[make]
        return found

    @cached_property
    def draws(self) -> list[Draw]:
        """The initialising calls, in source order."""
        return draws(self.module, self.catalogue)

    @cached_property
    def draws_by_class(self) -> Mapping[ast.ClassDef | None, list[Draw]]:
        """The initialising calls within each class; under None those outside of all."""
        found: dict[ast.ClassDef | None, list[Draw]] = {}
        for draw in self.draws:
            found.setdefault(draw.owner, []).append(draw)
        return found

    def says(self, owner: Class, wanted: Callable[[Draw], bool]) -> bool:
        """Return whether a class or an ancestor may say that a weight starts as is wanted.

        That is a call, or an initialiser handed to a layer by a keyword.
        """
        from initaudit.source.later import handed_to

        return any(wanted(draw) for draw in handed_to(self, owner)) or any(
            any(wanted(draw) for draw in self.draws_by_class.get(one.node, ()))
            or (self._handed and self._hands(one.node))
            for one in owner.lineage()
        )

    def _hands(self, scope: Function | ast.ClassDef) -> bool:
        if scope not in self._handing:
            self._handing[scope] = _HANDED.found(self.module.written([scope]))
        return self._handing[scope]

    @cached_property
    def _made_by_scope(self) -> Mapping[Scope, list[Draw]]:
        """The initialising calls right in each scope that make something, rather than fill it."""
        found: dict[Scope, list[Draw]] = {}
        for draw in self.draws:
            if draw.callee.form not in {"inplace", "method"}:
                found.setdefault(self.module.scope(draw.node), []).append(draw)
        return found

    def scopes_that_say(self, wanted: Callable[[Draw], bool]) -> Iterator[Scope]:
        """Yield the functions, and the top of the file, of which `says` is true."""
        made = self._made_by_scope
        if self._handed or any(map(wanted, made.get(self.module.tree, ()))):
            yield self.module.tree
        for function in self.module.functions:
            said = function in made and any(map(wanted, made[function]))
            if said or (self._handed and self._hands(function)):
                yield function

    @property
    def hands_over(self) -> bool:
        """Whether the file may hand an initialiser to a layer by a keyword."""
        return self._handed

    @cached_property
    def _handed(self) -> bool:
        return _HANDED.found(self.module.text)

    @cached_property
    def classes(self) -> Mapping[ast.ClassDef, Class]:
        """The classes, by node."""
        return read_classes(self.module, self.catalogue)

    @cached_property
    def is_test(self) -> bool:
        """Whether the name of the file, or of its folder, says that it holds tests."""
        *above, name = self.module.path.replace("\\", "/").split("/")
        named = name.startswith("test_") or name.endswith("_test.py") or name == "conftest.py"
        return named or above[-1:] == ["tests"]

    @cached_property
    def drawing(self) -> frozenset[Function]:
        """The functions that hold initialising calls, those of tensors made for other ends too."""
        return frozenset(draw.function for draw in self.draws if draw.function is not None)

    def is_assigned(self, name: str) -> bool:
        """Return whether a bare name is assigned anywhere, imports and definitions left out."""
        return any(value is not None for _, value in self.module.assigned.names.get(name, ()))

    @cached_property
    def passes(self) -> Mapping[ast.ClassDef | None, frozenset[str]]:
        """The passes over all parameters that classes run (see `traits`)."""
        from initaudit.source.traits import passes

        return passes(self)

    @cached_property
    def passes_by_kind(self) -> Mapping[str, frozenset[str]]:
        """The passes over all parameters of objects of one class, by class (see `traits`)."""
        from initaudit.source.traits import passes_by_kind

        return passes_by_kind(self)

    @cached_property
    def makers(self) -> Mapping[str, set[ast.ClassDef | None]]:
        """Which classes make an object of each capitalised name."""
        from initaudit.source.traits import makers

        return makers(self.module)

    @property
    def mentions(self) -> Mapping[str, list[ast.Attribute]]:
        """Every attribute access of the file, by the attribute's name."""
        return self.module.mentions

    def quotes(self, name: str) -> bool:
        """Return whether a name stands in quotes: code may reach what it names by it."""
        return f'"{name}"' in self.module.text or f"'{name}'" in self.module.text

    @cached_property
    def _classes_by_name(self) -> Mapping[str, list[Class]]:
        found: dict[str, list[Class]] = {}
        for one in self.classes.values():
            found.setdefault(one.name, []).append(one)
        return found

    def class_named(self, name: str) -> Class | None:
        """Return the class of that name, if the file has exactly one."""
        found = self._classes_by_name.get(name, [])
        return found[0] if len(found) == 1 else None

    @cached_property
    def writes(self) -> Mapping[Holder, tuple[Write, ...]]:
        """What each function fills of its arguments, each loop of the modules it runs over."""
        from initaudit.source.sweeps import writes

        return writes(self)

    @cached_property
    def sweeps(self) -> list[Sweep]:
        """The passes that hand every module of a network to such a function or loop."""
        from initaudit.source.sweeps import sweeps

        return sweeps(self, self.writes)

    def method(self, owner: Class, name: str) -> Function | None:
        """Return a method of a class or of its ancestors in the file."""
        return next((c.methods[name] for c in owner.lineage() if name in c.methods), None)

    def starts(self, owner: Class) -> Mapping[str, Start]:
        """What each weight of a class starts from (see `initial`)."""
        from initaudit.source.initial import of_class

        if owner.node not in self._starts:
            self._starts[owner.node] = of_class(self, owner)
        return self._starts[owner.node]

    def scope_starts(self, scope: Scope) -> Mapping[str, Start]:
        """What each weight of a function or of the top of the file starts from."""
        from initaudit.source.initial import of_scope

        if scope not in self._starts:
            self._starts[scope] = of_scope(self, scope)
        return self._starts[scope]

    def class_of(self, node: ast.AST) -> Class | None:
        """Return the class around a node."""
        found = self.module.class_of(node)
        return None if found is None else self.classes[found]

    def qualified(self, expr: ast.expr) -> str | None:
        """Return the qualified name of an expression, if it has one."""
        return self.module.qualified(expr)

    def fold(self, expr: ast.expr | None) -> Value:
        """Return what an expression is known to hold."""
        return fold(self.module, expr)

    def layer(self, value: ast.expr) -> LayerSpec | None:
        """Return the layer that an expression constructs."""
        if not isinstance(value, ast.Call):
            return None
        if value not in self._layers:
            self._layers[value] = self._layer(value)
        return self._layers[value]

    @cached_property
    def _layer_words(self) -> frozenset[str]:
        return self.catalogue.words_of_layers(self.module.names.packages)

    def _layer(self, call: ast.Call) -> LayerSpec | None:
        func, words = call.func, self._layer_words
        if isinstance(func, ast.Attribute):
            likely = func.attr in words
        elif isinstance(func, ast.Name):
            likely = func.id in words or self.module.names.stands(func.id, words)
        else:
            likely = True
        return layer_of(self.module, self.catalogue, call) if likely else None

    def arguments(self, call: ast.Call, spec: LayerSpec) -> Mapping[str, Value] | None:
        """Return a layer's arguments by parameter, defaults filled in; None if they do not fit."""
        if any(k.arg is None for k in call.keywords):
            return None
        if any(isinstance(a, ast.Starred) for a in call.args):
            return None
        self.module.share(call, [*call.args, *(keyword.value for keyword in call.keywords)])
        keywords = {k.arg: self.fold(k.value) for k in call.keywords if k.arg is not None}
        bound = bind(spec.parameters, [self.fold(a) for a in call.args], keywords)
        return None if bound is None else filled(spec.parameters, bound)

    def attribute_layer(self, owner: Class, name: str) -> LayerSpec | None:
        """Return the layer that ``self.name`` is; None where it is assigned twice or unknown."""
        for one in owner.lineage():
            if name in one.attributes:
                attribute = one.only(name)
                return None if attribute is None else self.layer(attribute.value)
        return None

    def guards(self, node: ast.AST) -> frozenset[str]:
        """Return the classes that `isinstance` tests around a node narrow its subject to.

        Qualified names where they have one, plain ones otherwise; an ``else`` narrows nothing.
        """
        found: set[str] = set()
        child = node
        for around in self.module.around(node):
            if isinstance(around, ast.If) and child in around.body:
                found |= self._tested(around.test)
            if isinstance(around, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                break
            child = around
        return frozenset(found)

    def _tested(self, test: ast.expr) -> set[str]:
        found: set[str] = set()
        tests = test.values if isinstance(test, ast.BoolOp) else [test]
        for one in tests:
            if (
                isinstance(one, ast.Call)
                and isinstance(one.func, ast.Name)
                and one.func.id == "isinstance"
                and len(one.args) == 2
            ):
                found |= set(self.classes_in(one.args[1]))
        return found

    def classes_in(self, kinds: ast.expr) -> list[str]:
        """Return the names of the class or classes that an `isinstance` test is given."""
        listed = kinds.elts if isinstance(kinds, ast.Tuple) else [kinds]
        return [self.module.named(kind) for kind in listed]

    def site(self, node: ast.expr | ast.stmt, layer: str | None = None) -> Site:
        """Return the place of a node; columns count characters from 1."""
        lines = self.module.lines
        return Site(
            self.module.path,
            line=node.lineno,
            column=_characters(lines, node.lineno, node.col_offset) + 1,
            end_line=node.end_lineno,
            end_column=_characters(lines, node.end_lineno, node.end_col_offset) + 1,
            layer=layer,
        )


def _characters(lines: list[str], line: int | None, offset: int | None) -> int:
    """Return a column of `ast`, which counts bytes of UTF-8, in characters."""
    if line is None or offset is None or line > len(lines):
        return 0
    text = lines[line - 1]
    return offset if text.isascii() else len(text.encode()[:offset].decode(errors="ignore"))


def straight_line(file: File, first: ast.AST, second: ast.AST) -> bool:
    """Return whether two nodes run one after the other, unconditionally, in one block."""
    a, b = file.module.statement(first), file.module.statement(second)
    block = file.module.parents.get(a)
    if block is None or file.module.parents.get(b) is not block:
        return False
    names = ("body", "orelse", "finalbody")
    return any(
        a in held and b in held for n in names if isinstance(held := getattr(block, n, None), list)
    )


def function_name(function: Function | None) -> str:
    """Return a function's name, empty for none."""
    return "" if function is None else function.name
