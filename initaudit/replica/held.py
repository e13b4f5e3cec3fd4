"""How many bytes of activations a pass holds."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import numpy as np


@dataclass(slots=True)
class Held:
    """The arrays that are held now, memory that several share counted once, and the most so far."""

    now: int = 0
    peak: int = 0
    _counts: dict[int, int] = field(default_factory=dict)

    def add(self, value: Any) -> None:
        """Count the arrays in a value: an array, a cache of an operation, None."""
        for block in _blocks(value):
            known = self._counts.get(id(block), 0)
            self._counts[id(block)] = known + 1
            if not known:
                self.now += block.nbytes
        self.peak = max(self.peak, self.now)

    def drop(self, value: Any) -> None:
        """Count the arrays of a value no longer; it must still be there."""
        for block in _blocks(value):
            known = self._counts[id(block)] - 1
            if known:
                self._counts[id(block)] = known
            else:
                del self._counts[id(block)]
                self.now -= block.nbytes


def _blocks(value: Any) -> list[np.ndarray[Any, Any]]:
    """Return the arrays that own the memory of those in a value."""
    if isinstance(value, np.ndarray):
        while isinstance(value.base, np.ndarray):
            value = value.base
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    elif is_dataclass(value) and not isinstance(value, type):
        value = [getattr(value, f.name) for f in fields(value)]
    if isinstance(value, (list, tuple)):
        return [block for part in value for block in _blocks(part)]
    return []
