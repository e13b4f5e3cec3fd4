"""Model classes of a file: which there are, and the one that a name means."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

from initaudit.nearest import meant
from initaudit.reading import (
    objects,
)
from initaudit.reading.state import State
from initaudit.reading.units import Files, Unit, UnitError
from initaudit.reading.values import (
    UserClass,
)


@dataclass(frozen=True, eq=False, slots=True)
class Variable:
    """A name at the top of a file that is a model, a function that makes one, or a forward pass."""

    name: str
    unit: Unit
    node: ast.stmt


Named = UserClass | Variable


class ModelError(Exception):
    """Why a model cannot be read at all, as one line."""


def unit_of(files: Files, path: Path) -> Unit:
    """Return the unit of a file that was named.

    Raises:
        ModelError: it cannot be read.
    """
    if not path.is_file():
        what = "is a folder: name one of its files" if path.is_dir() else "no such file"
        raise ModelError(f"{path}: {what}")
    unit = files.unit(path)
    if unit is None:
        from initaudit.reading.units import parse

        try:
            parse(path.read_text(encoding="utf-8-sig", errors="replace"), str(path))
        except (UnitError, OSError) as error:
            raise ModelError(f"{path}: cannot be read: {error}") from None
        raise ModelError(f"{path}: cannot be read")
    return unit


def find(state: State, unit: Unit, name: str) -> Named:
    """Return a model by its name: a class, or what a variable or function at the top is or makes.

    Raises:
        ModelError: there is none, several, or it is no model.
    """
    found = unit.classes.get(name, [])
    if not found and name in unit.table:
        return Variable(name, unit, unit.table[name])
    if len(found) > 1:
        lines = ", ".join(str(c.node.lineno) for c in found)
        raise ModelError(
            f"{unit.path} has {len(found)} classes named {name} (lines {lines}): rename one"
        )
    if not found:
        known = [c.name for c in models(state, unit)]
        hint = meant(name, known, cutoff=0.3) or f"it has {', '.join(known) or 'none'}"
        raise ModelError(f"{unit.path} has no model class {name}: {hint}")
    plain = objects.forward_of(state, found[0]) is not None
    if objects.kind(state, found[0]) is None and not plain:
        raise ModelError(f"{unit.path}: {name} is no module of a framework that is read")
    return found[0]


def models(state: State, unit: Unit) -> list[UserClass]:
    """Return the module classes of a file that have a forward pass, in order."""
    found = []
    for classes in unit.classes.values():
        for cls in classes:
            if objects.kind(state, cls) is not None:
                sequential = objects.kind(state, cls) == "torch.nn.Sequential"
                if sequential or objects.forward_of(state, cls) is not None:
                    found.append(cls)
    return sorted(found, key=lambda cls: cls.node.lineno)
