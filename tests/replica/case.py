from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from initaudit.network import Attribute

Array = NDArray[Any]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """An operation with the shapes that it is tried on; ``torch`` computes the same there.

    ``whole`` gives the bound of each input that holds whole numbers; ``low`` is added to the size
    of all numbers, so that they stay away from zero and positive.
    """

    op: str
    inputs: tuple[Shape, ...]
    params: Mapping[str, Shape] = field(default_factory=dict)
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    torch: Callable[..., Any] | None = None
    id: str = ""
    whole: Mapping[int, int] = field(default_factory=dict)
    low: float | None = None


def name_of(case: Case) -> str:
    return case.id or case.op


def numbers(case: Case, dtype: type = np.float64) -> tuple[tuple[Array, ...], dict[str, Array]]:
    generator = np.random.default_rng(7)
    inputs = tuple(
        generator.integers(0, case.whole[i], shape)
        if i in case.whole
        else _drawn(case, generator, shape).astype(dtype)
        for i, shape in enumerate(case.inputs)
    )
    params: dict[str, Array] = {
        role: (
            generator.random(shape) + 0.5
            if role == "running_var"
            else _drawn(case, generator, shape)
        ).astype(dtype)
        for role, shape in case.params.items()
    }
    return inputs, params


def _drawn(case: Case, generator: np.random.Generator, shape: Shape) -> Array:
    drawn = generator.standard_normal(shape)
    return drawn if case.low is None else np.abs(drawn) + case.low
