"""TOML tables of named entries, checked."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

Entry = TypeVar("Entry")
Kind = type | tuple[type, ...]


class CatalogueError(Exception):
    """A framework's file that cannot be used; the text names the file, the entry and the fault."""


def grouped(
    tree: dict[str, Any], table: str, where: str, make: Callable[[str, dict[str, Any], str], Entry]
) -> dict[str, Entry]:
    """Read a table of modules, each a table of entries."""
    flat: dict[str, Any] = {}
    for module, entries in tree.get(table, {}).items():
        if not isinstance(entries, dict):
            raise CatalogueError(f"{where}: {table}.{module} must be a table")
        flat |= {f"{module}.{name}": entry for name, entry in entries.items()}
    return each({table: flat}, table, where, make)


def each(
    tree: dict[str, Any], table: str, where: str, make: Callable[[str, dict[str, Any], str], Entry]
) -> dict[str, Entry]:
    """Read a table of entries, each of which may be like another one."""
    entries = tree.get(table, {})
    found: dict[str, Entry] = {}
    for name, raw in entries.items():
        place = f"{where}: {table}.{name}"
        if not isinstance(raw, dict):
            raise CatalogueError(f"{place} must be a table")
        found[name] = make(name, _merged(raw, entries, place), place)
    return found


def _merged(raw: dict[str, Any], entries: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return an entry with the keys of the entry that it is like."""
    like = raw.get("like")
    if like is None:
        return raw
    other = entries.get(like)
    if not isinstance(other, dict) or "like" in other:
        raise CatalogueError(f"{place}: like {like!r} is no full entry of this table")
    return {**other, **raw}


def strings(tree: dict[str, Any], table: str, where: str) -> dict[str, str]:
    """Return a table of text."""
    found = tree.get(table, {})
    for key, value in found.items():
        if not isinstance(value, str):
            raise CatalogueError(f"{where}: {table}.{key} must be a string")
    return cast(dict[str, str], found)


def check(
    raw: Mapping[str, Any],
    keys: Mapping[str, Kind],
    place: str,
    required: tuple[str, ...],
) -> None:
    """Raise CatalogueError for an unknown or missing key or a value of another type."""
    if unknown := sorted(set(raw) - set(keys)):
        raise CatalogueError(f"{place}: unknown key {unknown[0]!r}")
    for key in required:
        if key not in raw:
            raise CatalogueError(f"{place}: key {key!r} is missing")
    for key, value in raw.items():
        kind = keys[key]
        if isinstance(value, bool) or not (
            isinstance(value, kind) or (kind is float and isinstance(value, int))
        ):
            kinds = kind if isinstance(kind, tuple) else (kind,)
            names = " or ".join(k.__name__ for k in kinds)
            raise CatalogueError(f"{place}: {key!r} must be of type {names}")


def parse(text: str, where: str) -> dict[str, Any]:
    """Read TOML; CatalogueError where it is none."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CatalogueError(f"{where}: not TOML: {error}") from None
