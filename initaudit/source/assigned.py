"""What the names of a file and the attributes of its classes are given, found in one go."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from initaudit.source.parents import walk

Function = ast.FunctionDef | ast.AsyncFunctionDef
Scope = Function | ast.ClassDef | ast.Lambda | ast.Module
Around = tuple[Function | None, ast.ClassDef | None, Scope]
"""The innermost function, class, and scope of any kind around a node."""

Assignment: TypeAlias = ast.Assign | ast.AnnAssign | ast.AugAssign
Given = tuple[ast.expr, ast.expr, Assignment]
"""A target, what it is given, and the statement that does."""


@dataclass(frozen=True, slots=True)
class Assigned:
    """What is assigned in a file.

    ``names`` maps each bare name to what it is given, with the function around; None is what a
    loop or an operator makes of it, which is not known. ``attributes`` maps each class to what
    its attributes are given, by name: those of ``self`` and ``cls``, and names in its body.
    """

    names: dict[str, list[tuple[Function | None, ast.expr | None]]] = field(default_factory=dict)
    attributes: dict[ast.ClassDef, dict[str, list[Given]]] = field(default_factory=dict)

    def values(self, function: Function | None, name: str) -> list[ast.expr | None]:
        """Return what a name is given in a function; under None at the top of the file."""
        return [value for where, value in self.names.get(name, ()) if where is function]


def read_assigned(  # noqa: C901  (a call an assignment is slow)
    assignments: Iterable[Assignment],
    loops: Iterable[ast.For],
    enclosing: Mapping[ast.AST, Around],
) -> Assigned:
    """Return the table of the assignments and loops of a file."""
    found = Assigned()
    names, attributes = found.names, found.attributes
    bodies: dict[ast.ClassDef, frozenset[ast.stmt]] = {}
    for node in assignments:
        value = node.value
        if value is None:
            continue
        function, owner, scope = enclosing[node]
        known: ast.expr | None = value
        if type(node) is ast.Assign:
            targets = node.targets
        else:
            targets = [node.target]  # type: ignore[union-attr]
            known = None if type(node) is ast.AugAssign else value
        for target in targets:
            if type(target) is ast.Name:
                name = target.id
                if name in names:
                    names[name].append((function, known))
                else:
                    names[name] = [(function, known)]
                if owner is None or scope is not owner or node not in _own_body(owner, bodies):
                    continue
            elif owner is not None and is_own(target):
                name = target.attr  # type: ignore[attr-defined]
            else:
                continue
            held = attributes.get(owner)
            if held is None:
                held = attributes[owner] = {}
            if name in held:
                held[name].append((target, value, node))
            else:
                held[name] = [(target, value, node)]
    for loop in loops:
        target = loop.target
        for part in (target,) if isinstance(target, ast.Name) else walk(target):
            if isinstance(part, ast.Name):
                names.setdefault(part.id, []).append((enclosing[loop][0], None))
    return found


def _own_body(
    owner: ast.ClassDef, known: dict[ast.ClassDef, frozenset[ast.stmt]]
) -> frozenset[ast.stmt]:
    """Return the statements right in the body of a class."""
    if owner not in known:
        known[owner] = frozenset(owner.body)
    return known[owner]


def is_own(target: ast.expr) -> bool:
    """Return whether a target is an attribute of ``self`` or ``cls``."""
    if not isinstance(target, ast.Attribute) or not isinstance(target.value, ast.Name):
        return False
    return target.value.id in {"self", "cls"}
