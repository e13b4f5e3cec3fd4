"""Arrays of NumPy's own file format, streamed in C order, little endian; nothing is unpickled."""

from __future__ import annotations

import ast
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from initaudit.checkpoint import pieces
from initaudit.checkpoint.header import representable
from initaudit.checkpoint.pieces import Bytes, Source
from initaudit.checkpoint.stored import BITS, Checkpoint, CheckpointError, Stored
from initaudit.checkpoint.text import printable

LARGEST_FORTRAN: Final = 1 << 30
"""Bytes of the largest array in Fortran order that is turned round; it is held in memory."""

STEP = 1 << 20
_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 10_000
_DTYPES = {
    "f8": "F64", "f4": "F32", "f2": "F16", "c8": "C64", "b1": "BOOL",
    "i8": "I64", "i4": "I32", "i2": "I16", "i1": "I8",
    "u8": "U64", "u4": "U32", "u2": "U16", "u1": "U8",
}  # fmt: skip


class UnusableError(Exception):
    """Why an array is not read."""


@dataclass(frozen=True, slots=True)
class Array:
    """What the header of an array says; ``start`` is the header's length in bytes."""

    dtype: str
    shape: tuple[int, ...]
    fortran: bool
    big: bool
    start: int

    @property
    def nbytes(self) -> int:
        """Number of bytes behind the header."""
        return math.prod(self.shape) * BITS[self.dtype] // 8


Stream = Callable[[int], Iterator[bytes]]
"""The bytes of an array's file, header first, in parts of at most so many."""


def read_npy(path: Path) -> Checkpoint:
    """Return the one array of an ``.npy`` file, under the file's name.

    Raises:
        CheckpointError: the file is not a readable array of numbers.
    """
    source = pieces.look(path)
    if source.size == 0:
        raise CheckpointError(source.shown, "is empty; write the checkpoint again")
    try:
        array = parse(partial(parts, source, 0, source.size), source.size)
    except UnusableError as fault:
        raise CheckpointError(source.shown, str(fault)) from None
    begin, end = array.start, array.start + array.nbytes
    raw = partial(pieces.pieces, source, begin, end)
    return Checkpoint(path=source.shown, arrays=(stored(source, path.stem, array, raw),))


def parts(source: Source, begin: int, end: int, step: int) -> Iterator[bytes]:
    """Yield the bytes of [begin, end) in parts of ``step``."""
    for piece in pieces.pieces(source, begin, end, step):
        yield piece.tobytes()


def parse(stream: Stream, size: int) -> Array:
    """Return what the header of an array of ``size`` bytes says, header included."""
    head = b""
    for part in stream(_LONGEST_HEADER):
        head += part
        if len(head) > _LONGEST_HEADER + 12:
            break
    if head[: len(_MAGIC)] != _MAGIC or len(head) < 12:
        raise UnusableError("is not an array of NumPy")
    version = head[6:8]
    if version not in {b"\x01\x00", b"\x02\x00", b"\x03\x00"}:
        raise UnusableError(f"has the unknown format version {version[0]}.{version[1]}")
    width = 2 if version[0] == 1 else 4
    length = int.from_bytes(head[8 : 8 + width], "little")
    start = 8 + width + length
    if length > _LONGEST_HEADER or start > len(head):
        raise UnusableError(f"has a header of {length} bytes; it is damaged")
    text = head[8 + width : start].decode("utf-8" if version[0] == 3 else "latin-1", "replace")
    array = _parsed(text, start)
    if array.start + array.nbytes != size:
        raise UnusableError(
            f"needs {array.start + array.nbytes} bytes for its shape and has {size}; it is damaged"
        )
    return array


def _parsed(text: str, start: int) -> Array:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        raise UnusableError("has a header that cannot be parsed; it is damaged") from None
    match header:
        case {"descr": descr, "fortran_order": bool(fortran), "shape": tuple(shape)} if all(
            type(extent) is int and extent >= 0 for extent in shape
        ):
            dtype = _dtype(descr)
        case _:
            raise UnusableError("has a header without dtype, order and shape; it is damaged")
    if not representable(shape):
        raise UnusableError("has a shape that no array in memory can have")
    array = Array(dtype, shape, fortran and len(shape) > 1, descr[0] == ">", start)
    if array.fortran and array.nbytes > LARGEST_FORTRAN:
        raise UnusableError(
            f"is in Fortran order and larger than {LARGEST_FORTRAN >> 20} MiB;"
            " save it in C order (numpy.ascontiguousarray)"
        )
    return array


def _dtype(descr: object) -> str:
    if not isinstance(descr, str):
        raise UnusableError("is a table of fields, not an array of numbers")
    if descr[1:2] == "O" or descr == "O":
        raise UnusableError(
            "holds pickled Python objects, which are never unpickled; save it as numbers"
        )
    known = _DTYPES.get(descr[1:]) if descr[:1] in {"<", ">", "|", "="} else None
    if known is None:
        hint = "; bfloat16 and 8-bit floats lose their type in it" if "V" in descr else ""
        raise UnusableError(f"has the dtype {printable(descr, limit=20)}, which is not read{hint}")
    return known


def stored(
    source: Source, name: str, array: Array, raw: Callable[[int], Iterator[Bytes]]
) -> Stored:
    """Return the array whose bytes ``raw`` yields, in C order and little endian."""
    width = BITS[array.dtype] // 8
    given = raw
    if array.big and width > 1:
        given = partial(_swapped, given, array.nbytes, 4 if array.dtype == "C64" else width)
    if array.fortran:
        given = partial(_turned, given, array.shape, width)
    return Stored(name, array.dtype, array.shape, source.shown, given)


def body(stream: Stream, array: Array, step: int) -> Iterator[Bytes]:
    """Yield the bytes behind the header; the stream is drawn to its end, which checks it."""
    return _rechunked(_behind(stream(STEP), array.start), array.nbytes, step)


def _behind(parts: Iterator[bytes], start: int) -> Iterator[Bytes]:
    for part in parts:
        skipped = min(start, len(part))
        start -= skipped
        yield np.frombuffer(part, dtype=np.uint8)[skipped:]


def _rechunked(parts: Iterator[Bytes], total: int, step: int) -> Iterator[Bytes]:
    """Yield the same ``total`` bytes in pieces of ``step``."""
    if step < 1:
        raise ValueError(f"a piece needs at least one byte, not {step}")
    buffer = np.empty(max(1, min(step, total)), dtype=np.uint8)
    filled = 0
    for part in parts:
        taken = 0
        while taken < part.size:
            count = min(part.size - taken, buffer.size - filled)
            buffer[filled : filled + count] = part[taken : taken + count]
            taken, filled = taken + count, filled + count
            if filled == buffer.size:
                yield buffer
                filled = 0
    if filled:
        yield buffer[:filled]


def _swapped(
    raw: Callable[[int], Iterator[Bytes]], total: int, width: int, step: int
) -> Iterator[Bytes]:
    """Yield big-endian numbers of ``width`` bytes as little-endian ones."""
    whole = STEP - STEP % width
    unsigned = np.dtype(f"u{width}")
    swapped = (piece.view(unsigned).byteswap().view(np.uint8) for piece in raw(whole))
    yield from _rechunked(swapped, total, step)


def _turned(
    raw: Callable[[int], Iterator[Bytes]], shape: tuple[int, ...], width: int, step: int
) -> Iterator[Bytes]:
    """Yield an array in Fortran order in C order, held in memory once."""
    total = math.prod(shape) * width
    held = np.empty(total, dtype=np.uint8)
    at = 0
    for piece in raw(STEP):
        held[at : at + piece.size] = piece
        at += piece.size
    elements = held.view(np.dtype(f"u{width}")).reshape(shape, order="F")
    rows = max(1, STEP * shape[0] // max(total, 1))
    blocks = (
        np.ascontiguousarray(elements[row : row + rows]).reshape(-1).view(np.uint8)
        for row in range(0, shape[0], rows)
    )
    yield from _rechunked(blocks, total, step)
