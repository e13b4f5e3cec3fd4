"""The members of an archive of torch.export, and the arrays among them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from functools import partial
from math import prod
from typing import Any, Final

import numpy as np

from initaudit.checkpoint import npz, pieces
from initaudit.checkpoint.npy import UnusableError
from initaudit.checkpoint.pieces import Bytes, Source
from initaudit.checkpoint.stored import BITS, CheckpointError, Stored
from initaudit.checkpoint.text import printable
from initaudit.network import Site, Unread

LARGEST_JSON: Final = 1 << 28


LARGEST_COPY: Final = 1 << 30
"""Bytes of the largest array that is copied because its elements do not lie one after another."""


GRAPH = "models/model.json"


_WRITER = "torch.export.save"


DTYPES: Mapping[int, str] = {
    1: "U8", 2: "I8", 3: "I16", 4: "I32", 5: "I64", 6: "F16", 7: "F32", 8: "F64", 10: "C64",
    12: "BOOL", 13: "BF16", 28: "U16", 29: "F8_E4M3", 30: "F8_E5M2", 31: "F8_E4M3FNUZ",
    32: "F8_E5M2FNUZ",
}  # fmt: skip
"""ScalarType of torch's export schema by the dtype names of safetensors."""


class _BadError(Exception):
    """What is wrong with a part of an archive."""


class Archive:
    """The members of an archive, below its one folder."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in npz.members(source, _WRITER):
            self._members[member.filename.partition("/")[2]] = member
        if any(name.endswith("serialized_state_dict.pt") for name in self._names()):
            raise CheckpointError(
                source.shown,
                "keeps its weights as a pickle, as torch.export did before torch 2.9, and pickles"
                " are never read; export it again",
            )
        if GRAPH not in self._members:
            raise CheckpointError(source.shown, f"holds no {GRAPH}; it is not of {_WRITER}")
        order = self._members.get("byteorder")
        if order is not None and bytes(self.read("byteorder")) != b"little":
            raise CheckpointError(source.shown, "is written in big-endian order, which is not read")

    def _names(self) -> list[str]:
        return [member.filename for member in self._members.values()]

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def span(self, name: str) -> tuple[int, int]:
        """Return where a member's bytes begin and end in the file.

        Raises:
            UnusableError: it is compressed or damaged.
        """
        member = self._members.get(name)
        if member is None:
            raise UnusableError("is not in the archive")
        if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
            raise UnusableError("is compressed, which torch.export.save never does; it is not read")
        begin = npz.start(self.source, member)
        return begin, begin + member.file_size

    def read(self, name: str) -> bytearray:
        """Return the bytes of a member.

        Raises:
            CheckpointError: it is missing, compressed, damaged or too large.
        """
        try:
            begin, end = self.span(name)
        except UnusableError as fault:
            raise CheckpointError(self.source.shown, f"{printable(name)} {fault}") from None
        if end - begin > LARGEST_JSON:
            raise CheckpointError(
                self.source.shown, f"{printable(name)} is larger than {LARGEST_JSON >> 20} MiB"
            )
        return pieces.read(self.source, begin, end)

    def document(self, name: str) -> Any:
        """Return a member that is JSON."""
        try:
            return json.loads(self.read(name))
        except (ValueError, RecursionError):
            raise CheckpointError(
                self.source.shown, f"{printable(name)} is not JSON; write the archive again"
            ) from None


class Arrays:
    """The arrays of an archive by their full names; those stored once are stored under one."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._shown = archive.source.shown
        self._first: dict[str, str] = {}
        self.stored: dict[str, Stored] = {}
        self.aliases: dict[str, str] = {}
        self.weights: list[Stored] = []
        self.absent: set[str] = set()
        self.unread: list[Unread] = []

    def config(self, name: str, *, weights: bool) -> None:
        """Take up the arrays that one table of the archive tells."""
        if name not in self._archive:
            return
        for called, entry in self._archive.document(name)["config"].items():
            folder = name.rpartition("/")[0]
            try:
                self._add(called, entry, folder, judged=weights)
            except (UnusableError, _BadError) as fault:
                self._refuse(called, str(fault))
            except (KeyError, TypeError, AttributeError, ValueError):
                self._refuse(called, "is not described as torch.export writes it")

    def _refuse(self, name: str, reason: str) -> None:
        self.absent.add(name)
        shown = printable(name)
        self.unread.append(Unread(Site(self._shown, tensor=shown), f"array {shown} {reason}"))

    def _add(self, name: str, entry: Mapping[str, Any], folder: str, *, judged: bool) -> None:
        if entry.get("use_pickle", False):
            raise _BadError("is stored as a pickle, which is never read; export the model again")
        meta = entry["tensor_meta"]
        identity = json.dumps([folder, entry["path_name"], meta], sort_keys=True)
        if identity in self._first:
            self.aliases[name] = self._first[identity]
            self.stored[name] = self.stored[self._first[identity]]
            return
        stored = self._stored(name, f"{folder}/{entry['path_name']}", meta)
        self._first[identity] = name
        self.stored[name] = stored
        if judged:
            self.weights.append(stored)

    def _stored(self, name: str, member: str, meta: Mapping[str, Any]) -> Stored:
        dtype = DTYPES.get(meta["dtype"])
        if dtype is None:
            raise _BadError(f"has the unknown dtype code {meta['dtype']!r}")
        shape = tuple(_int(n) for n in meta["sizes"])
        strides = tuple(_int(n) for n in meta["strides"])
        offset = _int(meta["storage_offset"])
        if len(strides) != len(shape) or min((*shape, *strides, offset), default=0) < 0:
            raise _BadError("has sizes, strides or an offset that no tensor can have")
        begin, end = self._archive.span(member)
        width = BITS[dtype] // 8
        last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        if prod(shape) and (last + 1) * width > end - begin:
            raise _BadError(
                f"needs {(last + 1) * width} bytes by its sizes and strides, its storage has"
                f" {end - begin}"
            )
        source, start = self._archive.source, begin + offset * width
        if strides == _dense(shape) or prod(shape) < 2:
            given = partial(pieces.pieces, source, start, start + prod(shape) * width)
        elif prod(shape) * width > LARGEST_COPY or end - begin > LARGEST_COPY:
            raise _BadError("is not stored in order and is too large to be put in order")
        else:
            given = partial(_strided, source, (begin, end), offset, shape, strides, width)
        return Stored(name, dtype, shape, self._shown, given)


def _int(value: Any) -> int:
    number = value["as_int"] if isinstance(value, dict) else value
    if type(number) is not int:
        raise TypeError
    return number


def _dense(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(prod(shape[i + 1 :]) for i in range(len(shape)))


def _strided(
    source: Source,
    span: tuple[int, int],
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    width: int,
    step: int,
) -> Iterator[Bytes]:
    """Yield the bytes of an array whose elements do not lie one after another, in order."""
    storage = np.frombuffer(pieces.read(source, *span), np.dtype(f"V{width}"))
    laid = np.lib.stride_tricks.as_strided(
        storage[offset:], shape, tuple(s * width for s in strides), writeable=False
    )
    raw = np.ascontiguousarray(laid).reshape(-1).view(np.uint8)
    for start in range(0, raw.size, step):
        yield raw[start : start + step]
