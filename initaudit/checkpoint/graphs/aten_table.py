"""The table of torch.export's operators, and what their functions share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from initaudit.checkpoint.graphs.calls import Call, Operator
from initaudit.checkpoint.graphs.steps import Builder
from initaudit.checkpoint.graphs.values import (
    Signal,
    Value,
    ints,
)

TABLE: dict[str, Operator] = {}
"""By operator without its overload, ``aten.add``; in place it has a ``_`` behind it."""


Function = Callable[[Builder, Call], Any]


def operator(*names: str, rows: bool = False) -> Callable[[Function], Function]:
    """Put a function into the table under these names and those of their in-place forms."""

    def put(function: Function) -> Function:
        for name in names:
            for full in (f"aten.{name}", f"aten.{name}_"):
                TABLE[full] = Operator(function, rows)
        return function

    return put


def shape_of(x: Value) -> tuple[int, ...]:
    """Return the shape that the graph sees."""
    return x.seen if isinstance(x, Signal) else x.shape


def listed(given: Any) -> tuple[int, ...]:
    """Return one whole number or several that do not depend on the input."""
    return ints(given if isinstance(given, tuple) else (given,))


KINDS: dict[int, type[Any]] = {
    1: np.uint8, 2: np.int8, 3: np.int16, 4: np.int32, 5: np.int64, 6: np.float32, 7: np.float32,
    8: np.float64, 12: np.bool_, 13: np.float32,
}  # fmt: skip
"""NumPy's types by the codes of ScalarType."""
