"""What --model names: a file, and classes of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from initaudit.catalogue import Catalogue, CatalogueError, load
from initaudit.options import Options, OptionsError
from initaudit.reading import choosing
from initaudit.reading.state import State
from initaudit.reading.units import Files


@dataclass(frozen=True, slots=True)
class Target:
    """What ``--model FILE.py:NAME`` names; without a name, every model of the file."""

    path: Path
    name: str | None = None


def target(text: str) -> Target:
    """Return what ``FILE.py:NAME`` names."""
    path, colon, name = text.rpartition(":")
    if colon and path.endswith(".py") and not name:
        return Target(Path(path))
    if colon and path and (name.isidentifier() or path.endswith(".py")):
        return Target(Path(path), name)
    return Target(Path(text))


def classes(files: Files, catalogue: Catalogue, wanted: Target) -> list[choosing.Named]:
    """Return the classes that a target names.

    Raises:
        OptionsError: it names nothing that is there.
    """
    state = State(files, catalogue)
    try:
        unit = choosing.unit_of(files, wanted.path)
        if wanted.name is not None:
            return [choosing.find(state, unit, wanted.name)]
    except choosing.ModelError as error:
        raise OptionsError([f"model: {error}"]) from None
    found: list[choosing.Named] = [*choosing.models(state, unit)]
    if not found:
        raise OptionsError([f"model: {wanted.path} has no model class of a framework"])
    return found


def chosen(files: Files, options: Options) -> choosing.Named:
    """Return the one class that ``--model`` names.

    Raises:
        OptionsError: it names none, or a file of several.
    """
    wanted = target(options.model or "")
    found = classes(files, catalogue(options), wanted)
    if len(found) > 1:
        names = ", ".join(cls.name for cls in found)
        raise OptionsError([f"model: {wanted.path} has several models: add one of :{names}"])
    return found[0]


def catalogue(options: Options) -> Catalogue:
    """Return the catalogue that options ask for.

    Raises:
        OptionsError: it cannot be read.
    """
    try:
        return _loaded(tuple(options.rules))
    except CatalogueError as error:
        raise OptionsError([str(error)]) from None


@lru_cache(maxsize=4)
def _loaded(folders: tuple[Path, ...]) -> Catalogue:
    return load(folders)
