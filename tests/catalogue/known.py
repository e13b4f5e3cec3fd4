"""The catalogue and calls of what is in it."""

from __future__ import annotations

import pytest

from initaudit.catalogue import (
    UNKNOWN,
    Initialiser,
    Value,
    bind,
    load,
    weights,
)
from initaudit.catalogue.lookup import all_entries
from initaudit.network import Interval, Weights

CATALOGUE = load()
ENTRIES = all_entries(CATALOGUE)
ZERO = Interval.point(0.0)


def value(raw: object) -> Value:
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        return Interval.point(float(raw))
    if isinstance(raw, tuple):
        return tuple(value(v) for v in raw)
    assert raw is UNKNOWN or raw is None or isinstance(raw, str | bool | Interval)
    return raw


def initialiser(name: str) -> Initialiser:
    found = CATALOGUE.initialiser(name)
    assert found is not None, name
    return found


def drawn(name: str, *positional: object, **keywords: object) -> Weights:
    """Return what a call draws; the target of a filling initialiser is left out."""
    entry = initialiser(name)
    first = [UNKNOWN] if entry.target else []
    bound = bind(
        entry.parameters,
        [*first, *map(value, positional)],
        {k: value(v) for k, v in keywords.items()},
    )
    assert bound is not None
    return weights(entry, bound)


def near(interval: Interval, number: float) -> bool:
    return interval.lo == pytest.approx(number, abs=1e-12) == interval.hi
