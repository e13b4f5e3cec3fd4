"""Arrays that an ONNX model keeps in files beside it: only from its own folder, checked first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath

from initaudit.checkpoint import pieces
from initaudit.checkpoint.pieces import Bytes, Source
from initaudit.checkpoint.stored import CheckpointError
from initaudit.checkpoint.text import printable

_LONGEST = 1024


class Folder:
    """The folder of a model, with the files of it that were already looked at."""

    def __init__(self, model: Path) -> None:
        self._folder = model.parent
        # In a download cache the model and its data are links into one folder of blobs.
        self._roots = (model.parent.resolve(), model.resolve().parent)
        self._known: dict[str, Source] = {}

    def source(self, location: str) -> Source:
        """Return the file at a location.

        Raises:
            CheckpointError: it lies outside of the model's folder, or cannot be opened.
        """
        known = self._known.get(location)
        if known is None:
            known = self._known[location] = pieces.look(self._inside(location))
        return known

    def _inside(self, location: str) -> Path:
        shown = printable(location)
        parts = {*PurePosixPath(location).parts, *PureWindowsPath(location).parts}
        rooted = location.startswith(("/", "\\")) or PureWindowsPath(location).drive
        if len(location) > _LONGEST:
            raise CheckpointError(
                str(self._folder), f"external data {shown} has a name of {len(location)} characters"
            )
        if not location or "\0" in location or rooted or ".." in parts:
            raise CheckpointError(
                str(self._folder),
                f"external data {shown} lies outside of the model's folder and is not read",
            )
        path = self._folder / location
        try:
            target = path.resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise CheckpointError(str(path), f"external data cannot be found: {error}") from None
        if not any(target.is_relative_to(root) for root in self._roots):
            raise CheckpointError(
                str(self._folder),
                f"external data {shown} is a link out of the model's folder and is not read",
            )
        return path


def external(
    folder: Folder, entries: Mapping[str, str], nbytes: int
) -> tuple[Source, partial[Iterator[Bytes]]]:
    """Return the file of an array and what yields its bytes.

    Raises:
        CheckpointError: the entries do not tell ``nbytes`` bytes inside a file of the folder.
    """
    source = folder.source(entries.get("location", ""))
    begin = _number(source, entries.get("offset", "0"), "offset")
    length = _number(source, entries.get("length", str(nbytes)), "length")
    if length != nbytes:
        raise CheckpointError(
            source.shown, f"holds {length} bytes for an array whose shape needs {nbytes}"
        )
    if begin + length > source.size:
        raise CheckpointError(
            source.shown,
            f"has {source.size} bytes, an array is said to end at {begin + length};"
            " it is truncated, fetch or write it again",
        )
    return source, partial(pieces.pieces, source, begin, begin + length)


def _number(source: Source, text: str, what: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise CheckpointError(
            source.shown, f"its {what} {printable(text)} is no whole number from 0"
        )
    return int(text)
