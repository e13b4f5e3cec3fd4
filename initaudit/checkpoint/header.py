"""The header of a safetensors file, held to the format with no library in between.

Accepts and refuses what safetensors 0.8.0 does, oddities of its JSON reader included (an entry may
be a list, a dtype ``{"F32": null}``), but for keys that stand twice: those are refused here.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from initaudit.checkpoint.pieces import Source, read
from initaudit.checkpoint.stored import BITS, CheckpointError
from initaudit.checkpoint.text import printable

LONGEST: Final = 100_000_000
"""Bytes of the longest header that safetensors reads."""

_DEEPEST = 127
_WORD = 2**64
_FIELDS = ("dtype", "shape", "data_offsets")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True)
class Entry:
    """A tensor of a file; its bytes are [begin, end), counted from the start of the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Header:
    """The tensors of a file in the order of their bytes, and its metadata."""

    entries: tuple[Entry, ...]
    metadata: Mapping[str, str]


def representable(shape: tuple[int, ...]) -> bool:
    """Return whether an array can have this shape: the format allows more than memory does.

    NumPy takes 64 dimensions and counts the bytes of a shape, its zeros left out, in 63 bits. A
    shape without a zero has all its bytes in the file, so that it cannot be too large.
    """
    if len(shape) > 64:
        return False
    return 0 not in shape or math.prod(extent for extent in shape if extent) < 2**60


class _MalformedError(Exception):
    """Why a header is refused."""


def read_header(source: Source) -> Header:
    """Return the header of a safetensors file.

    Raises:
        CheckpointError: the file is not a safetensors file, is cut short, or its header is wrong.
    """
    try:
        text = _text(source)
        start = 8 + len(text)
        document = _document(text)
        if not isinstance(document, dict):
            raise _MalformedError("header is not a JSON object; not a safetensors file")
        metadata = _metadata(document.pop("__metadata__", None))
        entries = sorted(
            (_entry(name, value, start) for name, value in document.items()),
            key=lambda entry: (entry.begin, entry.end),
        )
        _check(entries, start, source.size)
    except _MalformedError as fault:
        raise CheckpointError(source.shown, str(fault)) from None
    return Header(tuple(entries), metadata)


def _text(source: Source) -> bytearray:
    if source.size == 0:
        raise _MalformedError("is empty; write the checkpoint again")
    if source.size < 8:
        raise _MalformedError(f"has only {source.size} bytes; not a safetensors file")
    length = int.from_bytes(read(source, 0, 8), "little")
    if length > LONGEST:
        raise _MalformedError(
            f"header length {length} is over the format's limit of 100 MB; not a safetensors file"
        )
    if length > source.size - 8:
        raise _MalformedError(
            f"header length {length} is larger than the file ({source.size} bytes);"
            " the file is truncated or not a safetensors file"
        )
    return read(source, 8, 8 + length)


def _document(text: bytearray) -> Any:
    try:
        decoded = text.decode()
    except UnicodeDecodeError as error:
        raise _MalformedError(
            f"header is not UTF-8 at byte {8 + error.start}; not a safetensors file"
        ) from None
    try:
        document = json.loads(
            decoded,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_constant,
        )
    except json.JSONDecodeError as error:
        what = error.msg[:1].lower() + error.msg[1:]
        raise _MalformedError(
            f"header is not JSON: {what} at character {error.pos}; not a safetensors file"
        ) from None
    except RecursionError:
        raise _MalformedError("header is nested too deeply; not a safetensors file") from None
    if _SURROGATE.search(decoded):
        _complete(document)
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _MalformedError(
                    f"key {printable(key)} stands twice in the header, so it is not clear which"
                    " one is meant; write the checkpoint again"
                )
            seen.add(key)
    return made


def _integer(digits: str) -> int | float:
    """Return an integer of 64 bits, else a float, as serde_json reads numbers; -0 is a float."""
    if digits == "-0" or len(digits) > 20:
        return _float(digits)
    number = int(digits)
    return number if -_WORD // 2 <= number < _WORD else float(number)


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise _MalformedError(f"header holds a number out of range: {printable(digits, limit=40)}")
    return number


def _constant(name: str) -> NoReturn:
    raise _MalformedError(f"header is not JSON: {name} is no JSON number; not a safetensors file")


def _complete(document: Any) -> None:
    """Refuse halves of surrogate pairs, which are no characters."""
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _MalformedError("header holds half a surrogate pair, which is no character") from None


def _metadata(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _MalformedError("__metadata__ is not an object of strings")
    for key, text in value.items():
        if not isinstance(text, str):
            raise _MalformedError(f"__metadata__ entry {printable(key)} is not a string")
    return value


def _entry(name: str, value: Any, start: int) -> Entry:
    if isinstance(value, list) and len(value) == len(_FIELDS):
        value = dict(zip(_FIELDS, value, strict=True))
    if not isinstance(value, dict):
        raise _MalformedError(f"tensor {printable(name)} is not described by an object")
    for field in _FIELDS:
        if field not in value:
            raise _MalformedError(f"tensor {printable(name)} has no {field}")
    if len(value) > len(_FIELDS):
        # Depth 1 is the header, depth 2 the tensor's own description.
        _shallow([extra for key, extra in value.items() if key not in _FIELDS], _DEEPEST - 2)
    shape, offsets = value["shape"], value["data_offsets"]
    if not isinstance(shape, list) or not all(map(_unsigned, shape)):
        raise _MalformedError(
            f"tensor {printable(name)} has the shape {_brief(shape)};"
            " it must be a list of whole numbers from 0 to 2^64 - 1"
        )
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(_unsigned, offsets)):
        raise _MalformedError(
            f"tensor {printable(name)} has the data_offsets {_brief(offsets)};"
            " they must be two whole numbers from 0 to 2^64 - 1"
        )
    return Entry(
        name, _dtype(name, value["dtype"]), tuple(shape), start + offsets[0], start + offsets[1]
    )


def _dtype(name: str, value: Any) -> str:
    if isinstance(value, dict) and list(value.values()) == [None]:
        (value,) = value
    if not isinstance(value, str) or value not in BITS:
        raise _MalformedError(f"tensor {printable(name)} has the unknown dtype {_brief(value)}")
    return value


def _unsigned(value: object) -> bool:
    return type(value) is int and 0 <= value < _WORD


def _shallow(value: list[Any], room: int) -> None:
    """Refuse more than ``room`` levels of nesting below the given values."""
    level: list[Any] = value
    for _ in range(room + 1):
        below: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                below.extend(item.values())
            elif isinstance(item, list):
                below.extend(item)
        nested = any(isinstance(item, dict | list) for item in level)
        if not nested:
            return
        level = below
    raise _MalformedError("header is nested too deeply; not a safetensors file")


def _brief(value: object) -> str:
    try:
        return printable(json.dumps(value), limit=60)
    except RecursionError:
        return "nested lists"


def _check(entries: list[Entry], start: int, size: int) -> None:
    """Demand that the tensors fill the file from ``start`` to its end, one after the other."""
    reached, before = start, "the header"
    for entry in entries:
        if entry.begin != reached or entry.end < entry.begin:
            raise _MalformedError(_misplaced(entry, before, reached, start))
        needed = _bytes(entry)
        if needed != entry.end - entry.begin:
            raise _MalformedError(
                f"tensor {printable(entry.name)} of {entry.dtype} {_brief(entry.shape)}"
                f" needs {needed} bytes, its offsets hold {entry.end - entry.begin}"
            )
        reached, before = entry.end, entry.name
    if reached > size:
        raise _MalformedError(
            f"the header describes {reached} bytes, the file has {size}; it is truncated,"
            " fetch or write it again"
        )
    if reached < size:
        raise _MalformedError(f"the last {size - reached} bytes belong to no tensor")


def _misplaced(entry: Entry, before: str, reached: int, start: int) -> str:
    tensor = f"tensor {printable(entry.name)}"
    begin, end = entry.begin - start, entry.end - start
    if entry.end < entry.begin:
        return f"{tensor} runs backwards, from offset {begin} to {end}"
    if entry.begin < reached:
        return f"{tensor} at offsets {begin} to {end} overlaps {printable(before)}"
    return f"{tensor} at offset {begin} leaves a hole of {entry.begin - reached} bytes before it"


def _bytes(entry: Entry) -> int:
    """Return the bytes of a shape, refusing what overflows 64 bits on the way, as safetensors."""
    count = 1
    for extent in entry.shape:
        count *= extent
        if count >= _WORD:
            break
    if count * BITS[entry.dtype] >= _WORD:
        raise _MalformedError(f"tensor {printable(entry.name)} has a shape that overflows 64 bits")
    size, rest = divmod(count * BITS[entry.dtype], 8)
    if rest:
        raise _MalformedError(
            f"tensor {printable(entry.name)} has {count} elements of {entry.dtype},"
            " which do not end on a whole byte"
        )
    return size
