"""What one weight of the code starts from."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from initaudit.network import Weights
from initaudit.source.draws import Draw

WEIGHTED = frozenset({"linear", "conv", "conv_transpose", "bilinear"})


@dataclass(frozen=True)
class Start:
    """What one weight starts from.

    ``node`` is the expression that says so. ``weights`` is None where it is not known, among
    other reasons because something else may write it. ``implicit`` says that the standard
    deviation is a default that the code does not name. ``shape`` holds the axes that are known;
    empty where the rank is not. ``op`` is that of a layer, empty for a bare matrix.
    """

    label: str
    node: ast.expr
    weights: Weights | None
    implicit: bool
    shape: tuple[int | None, ...]
    op: str
    by_default: bool = False
    """Whether nothing but the layer's own default says it."""
    in_row: bool = False
    """Whether a Sequential holds it, so that its neighbours there feed it and are fed by it."""
    random_bias: bool = False
    """Whether a layer has a bias that may be drawn at random, and so tells its units apart."""

    @property
    def constant(self) -> float | None:
        """The one value of all its elements."""
        w = self.weights
        if w is None or w.law not in {"zeros", "constant"}:
            return None
        return w.mean.lo if w.mean.lo == w.mean.hi else None

    @property
    def fan_in(self) -> int | None:
        """Its fan_in if known: for a bare matrix the smaller axis, which it is at least."""
        known = [n for n in self.shape if n is not None]
        if not known:
            return None
        return min(known) if self.op == "" else known[0]


def implicit(draw: Draw) -> bool:
    """Return whether the call leaves the standard deviation at its default."""
    name = draw.callee.numbers.get("std")
    return name is None or name not in draw.bound
