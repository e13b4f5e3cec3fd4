"""The table of ONNX operators, and what their functions share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from initaudit.checkpoint.graphs.calls import Call, Operator
from initaudit.checkpoint.graphs.onnx_constants import CONSTANTS
from initaudit.checkpoint.graphs.steps import Builder
from initaudit.checkpoint.graphs.values import (
    known,
)

TABLE: dict[str, Operator] = dict(CONSTANTS)
"""By operator; those of com.microsoft have the domain before their name."""


Function = Callable[[Builder, Call], Any]


def operator(*names: str, rows: bool = False) -> Callable[[Function], Function]:
    """Put a function into the table under these names."""

    def put(function: Function) -> Function:
        TABLE.update(dict.fromkeys(names, Operator(function, rows)))
        return function

    return put


def scalar_of(value: Any, default: float | None = None) -> float | None:
    """Return one number that does not depend on the input, or the default where there is none."""
    return default if value is None else float(known(value).reshape(-1)[0])
