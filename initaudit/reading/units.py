"""The files of a project: what each defines, and which of them an import means."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from initaudit.network import Site
from initaudit.reading.values import UserClass

_LARGEST = 4_000_000

DESCRIBING = frozenset({"__doc__", "__module__", "__name__", "__qualname__", "__annotations__"})
"""Attributes of a class that only describe it."""


class UnitError(Exception):
    """Why a file is not read, as one line."""


@dataclass(eq=False, slots=True)
class Unit:
    """One file. ``table`` maps each name at its top to the statement that gives it, the last one.

    ``stars`` are the imports of whole modules. ``values`` are names that were evaluated already.
    ``twins`` are classes of one name of which a branch decides, ``patched`` the statements that
    set what a class of the file is made of behind its body.
    """

    path: str
    tree: ast.Module
    table: dict[str, ast.stmt] = field(default_factory=dict)
    stars: list[ast.ImportFrom] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    classes: dict[str, list[UserClass]] = field(default_factory=dict)
    twins: dict[str, list[ast.ClassDef]] = field(default_factory=dict)
    patched: dict[str, ast.stmt] = field(default_factory=dict)

    def site(self, node: ast.AST) -> Site:
        """Return the place of a node."""
        line, column = getattr(node, "lineno", None), getattr(node, "col_offset", None)
        end = getattr(node, "end_col_offset", None)
        return Site(
            self.path,
            line,
            None if column is None else column + 1,
            getattr(node, "end_lineno", None),
            None if end is None else end + 1,
        )


def parse(text: str, path: str) -> Unit:
    """Return the unit of a source text.

    Raises:
        UnitError: it does not parse.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except SyntaxError as error:
        where = "" if error.lineno is None else f"line {error.lineno}: "
        raise UnitError(f"{where}{error.msg}") from None
    except (ValueError, RecursionError, MemoryError):
        raise UnitError("it cannot be parsed") from None
    unit = Unit(path, tree)
    _collect(unit, tree.body)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and unit.table.get(node.name) is not node:
            top = node in tree.body
            if top:
                unit.classes.setdefault(node.name, []).append(UserClass(node, unit))
    for name, statement in unit.table.items():
        if isinstance(statement, ast.ClassDef):
            unit.classes.setdefault(name, []).append(UserClass(statement, unit))
    _note(unit)
    return unit


def _top(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run when a file is imported, those within branches too."""
    for statement in body:
        yield statement
        match statement:
            case ast.If() | ast.For() | ast.While():
                yield from _top([*statement.body, *statement.orelse])
            case ast.With():
                yield from _top(statement.body)
            case ast.Try():
                handled = [s for handler in statement.handlers for s in handler.body]
                yield from _top([*statement.body, *handled, *statement.orelse])
                yield from _top(statement.finalbody)
            case _:
                continue


def _note(unit: Unit) -> None:
    """Note the classes that a branch decides of, and those that are changed behind their body."""
    made: dict[str, list[ast.ClassDef]] = {}
    for statement in _top(unit.tree.body):
        if isinstance(statement, ast.ClassDef):
            made.setdefault(statement.name, []).append(statement)
        changed = _changed(statement)
        if changed is not None:
            unit.patched.setdefault(changed, statement)
    for name, found in made.items():
        if len(found) > 1 and any(node not in unit.tree.body for node in found):
            unit.twins[name] = found
    unit.patched = {name: at for name, at in unit.patched.items() if name in made}


def _changed(statement: ast.stmt) -> str | None:
    """Return the name whose attribute a statement sets, but for what only describes it."""
    match statement:
        case ast.Assign(targets=[ast.Attribute(value=ast.Name(id=name), attr=attr)]):
            return None if attr in DESCRIBING else name
        case ast.Expr(value=ast.Call(func=ast.Name(id="setattr"), args=[ast.Name(id=name), *_])):
            return name
        case _:
            return None


def _collect(unit: Unit, body: list[ast.stmt]) -> None:
    for statement in body:
        match statement:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                unit.table[statement.name] = statement
            case ast.Import():
                for alias in statement.names:
                    unit.table[alias.asname or alias.name.partition(".")[0]] = statement
            case ast.ImportFrom():
                for alias in statement.names:
                    if alias.name == "*":
                        unit.stars.append(statement)
                    else:
                        unit.table[alias.asname or alias.name] = statement
            case ast.Assign() | ast.AnnAssign():
                targets = (
                    statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                )
                for target in targets:
                    for name in ast.walk(target):
                        if isinstance(name, ast.Name):
                            unit.table[name.id] = statement
            case ast.Try():
                for handler in statement.handlers:
                    _collect(unit, handler.body)
                _collect(unit, [*statement.body, *statement.orelse])
            case ast.If() if _environment(statement.test):
                _collect(unit, [*statement.body, *statement.orelse])
            case ast.If():
                _collect(unit, [*statement.orelse, *statement.body])
            case ast.With():
                _collect(unit, statement.body)
            case _:
                pass


def _environment(test: ast.expr) -> bool:
    """Return whether a condition asks for an environment variable: none is taken to be set."""
    return isinstance(test, ast.Compare) and any(
        ast.unparse(one) == "os.environ" for one in test.comparators
    )


class Files:
    """The units of a run by path, read when they are asked for."""

    def __init__(self) -> None:
        self._units: dict[str, Unit | None] = {}

    def text(self, text: str, path: str) -> Unit:
        """Return the unit of a text under a path, and keep it."""
        unit = parse(text, path)
        self._units[str(Path(path).resolve())] = unit
        return unit

    def unit(self, path: Path) -> Unit | None:
        """Return the unit of a file; None where there is none, or it cannot be parsed."""
        key = str(path.resolve())
        if key not in self._units:
            self._units[key] = None
            try:
                if path.stat().st_size <= _LARGEST:
                    text = path.read_text(encoding="utf-8-sig", errors="replace")
                    self._units[key] = parse(text, str(path))
            except (OSError, ValueError, UnitError):
                pass
        return self._units[key]

    def module(self, name: str, level: int, unit: Unit) -> Unit | None:
        """Return the file of a module, as an import in ``unit`` names it."""
        for root in _roots(Path(unit.path), level):
            found = self._below(root, name)
            if found is not None:
                return found
        return None

    def _below(self, root: Path, name: str) -> Unit | None:
        base = root.joinpath(*name.split(".")) if name else root
        if name:
            file = base.with_name(f"{base.name}.py")
            if file.is_file():
                return self.unit(file)
        package = base / "__init__.py"
        return self.unit(package) if package.is_file() else None


def _roots(path: Path, level: int) -> Iterator[Path]:
    folder = path.resolve().parent
    if level:
        for _ in range(level - 1):
            folder = folder.parent
        yield folder
        return
    yield folder
    while (folder / "__init__.py").is_file() and folder.parent != folder:
        folder = folder.parent
    yield folder
