"""What is known while a model is followed: the files, the budget, the module at hand, doubts."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Any

from initaudit.catalogue import Catalogue
from initaudit.network import Site
from initaudit.reading.tape import Tape
from initaudit.reading.units import Files, Unit
from initaudit.reading.values import (
    EndlessError,
    Module,
    Open,
    Parameter,
    Scope,
    Unknown,
    UserClass,
)

BUDGET = 400_000
"""Expressions and statements that are followed before a model is given up."""

DEPTH = 48
"""Calls within calls."""

WIDTH = 64
"""What stands for a size that the source leaves open, so that shapes can be told apart."""


@dataclass(slots=True)
class State:
    """One reading of a model.

    ``module`` is the module whose method is being followed and ``tape`` takes what its forward
    does; None while it is built. ``doubts`` are reasons why the values that parameters start from
    may not be as read; ``notes`` what was assumed. ``at`` is the statement at hand. ``guesses`` are
    the places where a number that stands for what is left open decided the course.
    """

    files: Files
    catalogue: Catalogue
    budget: int = BUDGET
    depth: int = 0
    tape: Tape | None = None
    module: Module | None = None
    at: Site | None = None
    doubts: dict[str, Site | None] = field(default_factory=dict)
    notes: dict[str, None] = field(default_factory=dict)
    witnesses: dict[str, Open] = field(default_factory=dict)
    bases: dict[int, tuple[Any, ...]] = field(default_factory=dict)
    made: list[Parameter] = field(default_factory=list)
    building: list[UserClass] = field(default_factory=list)
    training: bool = False
    text: list[str] = field(default_factory=list)
    guesses: list[Site | None] = field(default_factory=list)
    seen: dict[int, Parameter] = field(default_factory=dict)

    def spend(self, unit: Unit, node: ast.AST) -> None:
        """Count one step; EndlessError where there were too many."""
        self.budget -= 1
        if self.budget < 0:
            raise EndlessError(
                f"it takes more than {BUDGET:,} steps to follow: a loop without a bound?",
                unit.site(node),
            )

    def doubt(self, reason: str, site: Site | None = None) -> None:
        """Note why what was read may not be all there is."""
        self.doubts.setdefault(reason, site or self.at)

    def witness(self, unknown: Unknown) -> Open:
        """Return a number that stands for one that the source leaves open, the same each time."""
        key = unknown.key or unknown.reason
        return self.witnesses.setdefault(key, Open.of(WIDTH, unknown.key))

    def guessed(self, *values: Any) -> None:
        """Note that a branch was decided by numbers that stand for what is left open."""
        self.guesses.append(self.at)
        keys = sorted({v.key for v in values if isinstance(v, Open) and v.key})
        where = "" if self.at is None or self.at.line is None else f" in line {self.at.line}"
        told = ", ".join(f"{key} = {self._standing(key)}" for key in keys) or "a size left open"
        self.notes[f"a branch{where} is taken as for {told}"] = None

    def _standing(self, key: str) -> int:
        return int(self.witnesses.get(key, Open(WIDTH)))


def child(scope: Scope, **names: Any) -> Scope:
    """Return a scope within another, as a comprehension makes it."""
    return Scope(scope.unit, dict(names), scope, scope.owner, scope.subject)
