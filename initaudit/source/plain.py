"""Values as JSON and back, told by their types: what a cache may hold without running anything."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

Read = Callable[[Any], Any]
Write = Callable[[Any], Any]


class NotPlainError(ValueError):
    """A value that is not of the type it was read as."""


@cache
def writer(kind: Any) -> Write:
    """Return the function from values of a type to what `json` can write.

    Dataclasses become lists of their fields, sets sorted lists, enumerations their values.

    Raises:
        TypeError: for a type that has no such form.
    """
    origin, args = get_origin(kind), get_args(kind)
    if kind in (int, float, str, bool, type(None), Any):
        return _same
    if is_dataclass(kind):
        parts = _parts(kind, writer)
        return lambda value: [write(getattr(value, name)) for name, write in parts]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return lambda value: value.value
    if origin is tuple:
        return _tuple_writer(args)
    if origin in (frozenset, set):
        each = writer(args[0])
        return lambda value: sorted(each(v) for v in value)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        _string_keys(args)
        each = writer(args[1])
        return lambda value: {key: each(v) for key, v in value.items()}
    if origin in (Union, types.UnionType):
        return _union_writer(args)
    raise TypeError(f"{kind} has no plain form")


@cache
def reader(kind: Any) -> Read:
    """Return the function that undoes `writer`; it raises NotPlainError for anything else."""
    origin, args = get_origin(kind), get_args(kind)
    if kind in (int, float, str, bool, type(None)):
        return _checked(kind)
    if is_dataclass(kind):
        return _dataclass_reader(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _enum_reader(kind)
    if origin is tuple:
        return _tuple_reader(args)
    if origin in (frozenset, set):
        each = _list_reader(args[0])
        return lambda value: frozenset(each(value))
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping_reader(args)
    if origin in (Union, types.UnionType):
        return _union_reader(args)
    raise TypeError(f"{kind} has no plain form")


def _same(value: Any) -> Any:
    return value


def _parts(kind: Any, made: Callable[[Any], Callable[[Any], Any]]) -> list[tuple[str, Any]]:
    hints = get_type_hints(kind)
    return [(f.name, made(hints[f.name])) for f in fields(kind)]


def _tuple_writer(args: tuple[Any, ...]) -> Write:
    if len(args) == 2 and args[1] is Ellipsis:
        each = writer(args[0])
        return list if each is _same else lambda value: [each(v) for v in value]
    writers = [writer(arg) for arg in args]
    return lambda value: [write(v) for write, v in zip(writers, value, strict=True)]


def _union_writer(args: tuple[Any, ...]) -> Write:
    left = [arg for arg in args if arg is not type(None)]
    if all(arg in (int, float, str, bool) for arg in left):
        return _same
    if len(left) != 1:
        raise TypeError(f"{args} has no plain form")
    write = writer(left[0])
    return lambda value: None if value is None else write(value)


def _checked(kind: type) -> Read:
    # A number that happens to be whole is written without its point.
    kinds = (float, int) if kind is float else (kind,)

    def read(value: Any) -> Any:
        if type(value) not in kinds:
            raise NotPlainError(f"{value!r} is not {kind.__name__}")
        return value

    return read


def _dataclass_reader(kind: Any) -> Read:
    readers = [read for _, read in _parts(kind, reader)]

    def read(value: Any) -> Any:
        if type(value) is not list or len(value) != len(readers):
            raise NotPlainError(f"{value!r} is not {kind.__name__}")
        return kind(*[each(v) for each, v in zip(readers, value, strict=True)])

    return read


def _enum_reader(kind: type[Enum]) -> Read:
    def read(value: Any) -> Any:
        try:
            return kind(value)
        except (ValueError, TypeError):
            raise NotPlainError(f"{value!r} is not {kind.__name__}") from None

    return read


def _list_reader(kind: Any) -> Read:
    each = reader(kind)

    def read(value: Any) -> Any:
        if type(value) is not list:
            raise NotPlainError(f"{value!r} is no list")
        return [each(v) for v in value]

    return read


def _tuple_reader(args: tuple[Any, ...]) -> Read:
    if len(args) == 2 and args[1] is Ellipsis:
        listed = _list_reader(args[0])
        return lambda value: tuple(listed(value))
    readers = [reader(arg) for arg in args]

    def read(value: Any) -> Any:
        if type(value) is not list or len(value) != len(readers):
            raise NotPlainError(f"{value!r} is not a list of {len(readers)}")
        return tuple(each(v) for each, v in zip(readers, value, strict=True))

    return read


def _string_keys(args: tuple[Any, ...]) -> None:
    if args[0] is not str:
        raise TypeError("JSON has only strings for keys")


def _mapping_reader(args: tuple[Any, ...]) -> Read:
    _string_keys(args)
    each = reader(args[1])

    def read(value: Any) -> Any:
        if type(value) is not dict:
            raise NotPlainError(f"{value!r} is no mapping")
        return {key: each(v) for key, v in value.items()}

    return read


def _union_reader(args: tuple[Any, ...]) -> Read:
    left = [arg for arg in args if arg is not type(None)]
    optional = len(left) < len(args)
    if len(left) == 1:
        one = reader(left[0])
        return lambda value: None if value is None else one(value)
    kinds = tuple(left)
    if not all(kind in (int, float, str, bool) for kind in kinds):
        raise TypeError(f"{args} has no plain form")

    def read(value: Any) -> Any:
        if (optional and value is None) or type(value) in kinds:
            return value
        raise NotPlainError(f"{value!r} is none of {kinds}")

    return read
