"""Arrays of an ``.npz`` archive, streamed; no member is trusted to be as large as it says."""

from __future__ import annotations

import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from initaudit.checkpoint import pieces
from initaudit.checkpoint.npy import UnusableError, body, parse, parts, stored
from initaudit.checkpoint.pieces import Source
from initaudit.checkpoint.stored import Checkpoint, CheckpointError, Stored
from initaudit.checkpoint.text import printable
from initaudit.network import Site, Unread

BOMB_BYTES: Final = 1 << 30
BOMB_RATIO: Final = 200
"""A member that unpacks to more than `BOMB_BYTES` at more than this ratio holds no weights.

Weights hardly compress: below 2 in practice, for noise in its mantissas. Deflate ends at 1032.
"""

_LOCAL = 30


def read_npz(path: Path) -> Checkpoint:
    """Return the arrays of an ``.npz`` archive in the order of its directory.

    A member that is no array of numbers, is damaged, or unpacks out of all proportion is `Unread`.

    Raises:
        CheckpointError: the file is not a zip archive, or two members have one name.
    """
    source = pieces.look(path)
    arrays: list[Stored] = []
    unread: list[Unread] = []
    for member in members(source, "numpy.savez"):
        name = member.filename.removesuffix(".npy")
        try:
            begin = start(source, member)
            stream = partial(_unpacked, source, member, begin)
            array = parse(stream, member.file_size)
        except (UnusableError, CheckpointError) as fault:
            shown = printable(name)
            reason = (
                fault.reason if isinstance(fault, CheckpointError) else f"array {shown} {fault}"
            )
            unread.append(Unread(Site(source.shown, tensor=shown), reason))
            continue
        arrays.append(stored(source, name, array, partial(body, stream, array)))
    if unread and not arrays:
        raise CheckpointError(source.shown, f"holds no array that can be read: {unread[0].reason}")
    return Checkpoint(path=source.shown, arrays=tuple(arrays), unread=tuple(unread))


def members(source: Source, writer: str) -> list[zipfile.ZipInfo]:
    """Return the members of a zip archive, which ``writer`` writes.

    Raises:
        CheckpointError: it is no such archive, or two members have one name or overlap.
    """
    try:
        with zipfile.ZipFile(source.path) as archive:
            members = [m for m in archive.infolist() if not m.filename.endswith("/")]
    except (OSError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile) as error:
        what = printable(str(error)).lower()
        reason = f"is not a readable zip archive ({what}); write it again with {writer}"
        raise CheckpointError(source.shown, reason) from None
    counts = Counter(member.filename for member in members)
    twice = next((name for name, count in counts.items() if count > 1), None)
    if twice is not None:
        reason = f"holds {printable(twice)} twice, so it is not clear which one is meant"
        raise CheckpointError(source.shown, reason)
    if sum(member.compress_size for member in members) > source.size:
        raise CheckpointError(source.shown, "its members overlap or pass its end; write it again")
    return members


def start(source: Source, member: zipfile.ZipInfo) -> int:
    """Return where the packed bytes of a member start.

    Raises:
        UnusableError: the member is damaged, encrypted, or unpacks out of all proportion.
    """
    if member.flag_bits & 0x61:
        raise UnusableError("is encrypted")
    if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise UnusableError(f"is packed by method {member.compress_type}; use numpy.savez")
    if member.file_size > max(BOMB_BYTES, BOMB_RATIO * member.compress_size):
        raise UnusableError(
            f"would unpack {member.compress_size} bytes to {member.file_size},"
            " which is out of all proportion for weights"
        )
    offset = member.header_offset
    local = pieces.read(source, offset, min(offset + _LOCAL, source.size))
    if len(local) < _LOCAL or local[:4] != b"PK\x03\x04":
        raise UnusableError("is not where the archive's directory says")
    name, extra = (int.from_bytes(local[at : at + 2], "little") for at in (26, 28))
    begin = offset + _LOCAL + name + extra
    if begin + member.compress_size > source.size:
        raise UnusableError("passes the end of the file, which is truncated")
    encoding = "utf-8" if member.flag_bits & 0x800 else "cp437"
    stated = pieces.read(source, offset + _LOCAL, offset + _LOCAL + name)
    if stated.decode(encoding, "replace") != member.orig_filename:
        raise UnusableError("has another name than the archive's directory says")
    return begin


def _unpacked(source: Source, member: zipfile.ZipInfo, begin: int, step: int) -> Iterator[bytes]:
    """Yield a member's unpacked bytes in parts of at most ``step``, its checksum verified."""
    packed = parts(source, begin, begin + member.compress_size, step)
    unpacked = packed if member.compress_type == zipfile.ZIP_STORED else _inflated(packed, step)
    name = printable(member.filename)
    length = checksum = 0
    try:
        for part in unpacked:
            length += len(part)
            if length > member.file_size:
                break
            checksum = zlib.crc32(part, checksum)
            yield part
    except zlib.error:
        raise CheckpointError(source.shown, f"array {name} is damaged; fetch it again") from None
    if length != member.file_size or checksum != member.CRC:
        what = "size" if length != member.file_size else "checksum"
        reason = f"array {name} is damaged, its {what} is not as stated; fetch it again"
        raise CheckpointError(source.shown, reason)


def _inflated(packed: Iterator[bytes], step: int) -> Iterator[bytes]:
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    for part in packed:
        left = part
        while left and not machine.eof:
            yield machine.decompress(left, step)
            left = machine.unconsumed_tail
    while not machine.eof:
        part = machine.decompress(b"", step)
        if not part:
            return
        yield part
