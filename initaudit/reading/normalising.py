"""What vectors are normalised by: their norm along an axis, and their variance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from initaudit.checkpoint.graphs.values import Signal
from initaudit.reading import tensors
from initaudit.reading.state import State
from initaudit.reading.values import Unknown

_NAMES = ("input", "p", "dim", "eps", "out")


def normalised(state: State, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
    """Return ``x / max(sqrt(sum(x ** 2, dim)), eps)``; None where it is another norm or no signal.

    As torch/nn/functional.py: the root of the sum of squares is clamped from below by ``eps``.
    """
    given: dict[str, Any] = {"p": 2.0, "dim": 1, "eps": 1e-12, "out": None}
    given |= dict(zip(_NAMES, args, strict=False)) | dict(keywords)
    x, p, dim, eps = (given.get(name) for name in _NAMES[:4])
    if not isinstance(x, Signal) or given["out"] is not None:
        return None
    if any(isinstance(value, Unknown) for value in (p, dim, eps)) or p != 2 or dim is None:
        return None
    squares = tensors.aten(state, "pow", (x, 2.0), ("input", "exponent"))
    total = tensors.aten(state, "sum", (squares, dim, True), ("input", "dim", "keepdim"))
    length = tensors.aten(state, "sqrt", (total,), ("input",))
    held = tensors.aten(state, "clamp", (length, eps), ("input", "min"))
    return tensors.aten(state, "div", (x, held), ("input", "other"))


def spread(
    state: State, name: str, args: tuple[Any, ...], keywords: Mapping[str, Any], full: str
) -> Any:
    """Return ``var`` or ``std`` of a signal; None where it is not said what the sum is divided by.

    torch divides by one less than the count, NumPy and JAX by the count: a method's framework is
    known by ``dim``, ``unbiased`` or ``correction``, which the others do not take or set alike.
    Where sizes are left open no count stands for all of them, so only a plain mean is followed.
    """
    given = dict(zip(("input", "dim"), args, strict=False)) | dict(keywords)
    torch = full.startswith("torch.") or "dim" in keywords or "unbiased" in keywords
    known = {"input", "dim", "unbiased", "correction", "keepdim"}
    if len(args) > 2 or not given.keys() <= known or not (torch or "correction" in given):
        return None
    x, dim, keep = given.get("input"), given.get("dim"), given.get("keepdim", False)
    less = given.get("correction", given.get("unbiased", True))
    axes = dim if isinstance(dim, tuple | list) else (dim,)
    if not isinstance(x, Signal) or not isinstance(less, int) or not isinstance(keep, bool):
        return None
    if not all(isinstance(a, int) and not isinstance(a, bool) for a in axes):
        return None
    sides = tensors.shape(x)
    if not axes or not all(-len(sides) <= a < len(sides) for a in axes):
        return None
    count = math.prod(sides[a] for a in axes)
    if count <= int(less) or (less and state.witnesses):
        return None
    where = (list(axes), True)
    middle = tensors.aten(state, "mean", (x, *where), ("input", "dim", "keepdim"))
    apart = tensors.aten(state, "sub", (x, middle), ("input", "other"))
    squares = tensors.aten(state, "pow", (apart, 2.0), ("input", "exponent"))
    made = tensors.aten(state, "mean", (squares, list(axes), keep), ("input", "dim", "keepdim"))
    if less:
        made = tensors.aten(state, "mul", (made, count / (count - less)), ("input", "other"))
    return made if name == "var" else tensors.aten(state, "sqrt", (made,), ("input",))
