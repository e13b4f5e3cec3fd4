"""Which architecture a checkpoint's names tell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from initaudit.architecture.entries import Architecture
from initaudit.architecture.reading import read
from initaudit.rulebook import rules_folder


@dataclass(frozen=True, slots=True)
class Match:
    """An architecture whose marks are there below a prefix; ``by_type`` if the type says so too."""

    architecture: Architecture
    prefix: str
    by_type: bool


def architectures_folder() -> Path:
    """Return the folder of the built-in architectures."""
    return rules_folder() / "architectures"


def load(folders: Iterable[Path] = ()) -> Sequence[Architecture]:
    """Return the built-in architectures, those of users' folders in front of and over them.

    Raises:
        ArchitectureError: for a file that cannot be used.
    """
    found: dict[str, Architecture] = {}
    for folder in (architectures_folder(), *(f / "architectures" for f in folders)):
        for made in _folder(folder):
            found[made.name] = made
    return tuple(found.values())


@lru_cache(maxsize=8)
def _folder(folder: Path) -> tuple[Architecture, ...]:
    return tuple(read(path) for path in sorted(folder.glob("*.toml")))


def matches(known: Sequence[Architecture], names: Set[str], model_type: str | None) -> list[Match]:
    """Return what the names can be, likeliest first.

    The configuration's type counts first, then the number of marks.
    """
    found = [
        Match(one, prefix, model_type is not None and model_type in one.model_types)
        for one in known
        for prefix in one.prefixes
        if all(prefix + mark in names for mark in one.marks)
        and not any(prefix + word in names for word in one.without)
    ]
    return sorted(
        found, key=lambda m: (not m.by_type, -len(m.architecture.marks), m.architecture.name)
    )


def typed(known: Sequence[Architecture], model_type: str | None) -> Architecture | None:
    """Return the architecture of a configuration's type."""
    return next((a for a in known if model_type is not None and model_type in a.model_types), None)
