"""Which architecture a checkpoint's names tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from initaudit.architecture.entries import Architecture
from initaudit.architecture.reading import read
from initaudit.network import Tensor
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


def matches(
    known: Sequence[Architecture], tensors: Mapping[str, Tensor], model_type: str | None
) -> list[Match]:
    """Return what the names can be, likeliest first.

    The configuration's type counts first, then the number of marks. Marks that have to hold
    zeros are not asked where the type says the same.
    """
    found = [
        Match(one, prefix, model_type is not None and model_type in one.model_types)
        for one in known
        for prefix in one.prefixes
        if all(_below(prefix, mark) in tensors for mark in one.marks)
        and (not one.either or any(_below(prefix, mark) in tensors for mark in one.either))
        and not any(_below(prefix, word) in tensors for word in one.without)
        and (model_type in one.model_types or all(_zero(tensors, prefix + z) for z in one.zeros))
    ]
    return sorted(
        found,
        key=lambda m: (
            not m.by_type,
            -len(m.architecture.marks) - len(m.architecture.zeros),
            m.architecture.name,
        ),
    )


def _below(prefix: str, name: str) -> str:
    return name[1:] if name.startswith("/") else prefix + name


def _zero(tensors: Mapping[str, Tensor], name: str) -> bool:
    return name in tensors and tensors[name].zeros == tensors[name].count


def typed(known: Sequence[Architecture], model_type: str | None) -> Architecture | None:
    """Return the architecture of a configuration's type."""
    return next((a for a in known if model_type is not None and model_type in a.model_types), None)
