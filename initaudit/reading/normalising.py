"""``torch.nn.functional.normalize``: each vector along an axis, divided by its norm."""

from __future__ import annotations

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
