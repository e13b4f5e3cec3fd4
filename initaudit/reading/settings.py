"""What a framework's layer was made with, as Python values."""

from __future__ import annotations

from typing import Any

from initaudit.catalogue import Unknown as NotFolded
from initaudit.catalogue import argument
from initaudit.network import Interval
from initaudit.reading.values import (
    Module,
    Unknown,
)


def plain(module: Module, wanted: str) -> Any:
    """Return what a framework's layer was made with, as a Python value."""
    if module.spec is None:
        return Unknown(f"{wanted} is not known")
    return unfolded(argument(module.spec.parameters, module.bound, wanted), wanted)


def unfolded(value: Any, wanted: str) -> Any:
    """Return a value of the catalogue as a Python value."""
    match value:
        case Interval(lo, hi):
            if lo != hi:
                return Unknown(f"{wanted} is not known")
            return int(lo) if float(lo).is_integer() else lo
        case NotFolded():
            return Unknown(f"{wanted} is not known")
        case tuple():
            return tuple(unfolded(v, wanted) for v in value)
        case _:
            return value
