"""A safetensors checkpoint: one file, or the shards that an index names."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from initaudit.checkpoint import pieces
from initaudit.checkpoint.header import Entry, read_header, representable
from initaudit.checkpoint.pieces import Source
from initaudit.checkpoint.stored import Checkpoint, CheckpointError, Stored
from initaudit.checkpoint.text import printable
from initaudit.network import Site, Unread

INDEX: Final = ".safetensors.index.json"
"""How the name of an index ends."""

_LONGEST_INDEX: Final = 100_000_000


@dataclass(frozen=True, slots=True)
class _Index:
    """The tensor names of each shard, in the order of the shards' names."""

    shards: Mapping[str, tuple[str, ...]]
    total: float | None


def read_file(path: Path) -> Checkpoint:
    """Return the tensors of one safetensors file, in the order of their bytes.

    Raises:
        CheckpointError: the file is not a readable safetensors file.
    """
    source = pieces.look(path)
    header = read_header(source)
    arrays: list[Stored] = []
    unread: list[Unread] = []
    for entry in header.entries:
        if representable(entry.shape):
            arrays.append(_stored(source, entry))
        else:
            unread.append(_unwieldy(source, entry))
    names = {array.name for array in arrays}
    return Checkpoint(
        path=source.shown,
        arrays=tuple(arrays),
        aliases=_aliases(header.metadata, names),
        unread=tuple(unread),
        metadata=header.metadata,
    )


def read_index(path: Path) -> Checkpoint:
    """Return the tensors of all shards of an index; parts that cannot be read are `Unread`.

    Raises:
        CheckpointError: the index is malformed or names a file outside its folder, or not one of
            its shards can be read.
    """
    source = pieces.look(path)
    index = _index(source)
    parts: list[Checkpoint] = []
    lost: list[Unread] = []
    for shard, names in index.shards.items():
        try:
            parts.append(_shard(source, read_file(path.parent / shard), shard, names))
        except CheckpointError as error:
            reason = f"{error.reason}; not judged: {_some(names)}"
            lost.append(Unread(Site(error.path), reason))
    if index.shards and not parts:
        raise CheckpointError(
            source.shown,
            f"none of its {len(index.shards)} shards could be read;"
            f" the first is {lost[0].site.path}: {lost[0].reason}",
        )
    arrays = tuple(array for part in parts for array in part.arrays)
    found = (*lost, *(unread for part in parts for unread in part.unread))
    return Checkpoint(
        path=source.shown,
        arrays=arrays,
        aliases={alias: kept for part in parts for alias, kept in part.aliases.items()},
        unread=(*found, *_total(source, index, arrays, found), *_strays(path, index)),
        metadata={key: text for part in reversed(parts) for key, text in part.metadata.items()},
    )


def listed(path: Path) -> frozenset[str]:
    """Return the file names that an index lists, none where it cannot be read."""
    try:
        return frozenset(_index(pieces.look(path)).shards)
    except CheckpointError:
        return frozenset()


def strays(index: Path, files: Collection[str]) -> list[Path]:
    """Return those of the files beside an index that hold a model of its name.

    That is the unsharded file and the numbered ones: its shards, or those of an earlier sharding.
    """
    stem = re.escape(index.name.removesuffix(INDEX))
    same = re.compile(rf"{stem}(-\d+-of-\d+)?\.safetensors")
    return sorted(index.parent / name for name in files if same.fullmatch(name))


def _stored(source: Source, entry: Entry) -> Stored:
    return Stored(
        entry.name,
        entry.dtype,
        entry.shape,
        source.shown,
        partial(pieces.pieces, source, entry.begin, entry.end),
    )


def _unwieldy(source: Source, entry: Entry) -> Unread:
    name = printable(entry.name)
    shape = printable(str(list(entry.shape)), limit=80)
    reason = f"tensor {name} has the shape {shape}, which no array in memory can have"
    return Unread(Site(source.shown, tensor=name), reason)


def _aliases(metadata: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    """Return the shared tensors that safetensors.torch.save_model dropped.

    It writes each as a metadata entry, dropped name -> kept name.
    """
    return {alias: kept for alias, kept in metadata.items() if kept in names and alias not in names}


def _index(source: Source) -> _Index:
    document = _json(source)
    weights = document.get("weight_map") if isinstance(document, dict) else None
    if not isinstance(weights, dict):
        raise CheckpointError(
            source.shown, 'is not an index: it has no "weight_map" object; write it again'
        )
    shards: dict[str, list[str]] = {}
    for name, shard in weights.items():
        fault = _fault(shard)
        if fault:
            raise CheckpointError(
                source.shown, f"places tensor {printable(name)} in {fault}; write the index again"
            )
        shards.setdefault(shard, []).append(name)
    metadata = document.get("metadata")
    total = metadata.get("total_size") if isinstance(metadata, dict) else None
    return _Index(
        {shard: tuple(shards[shard]) for shard in sorted(shards)},
        total if isinstance(total, int | float) and not isinstance(total, bool) else None,
    )


def _json(source: Source) -> Any:
    if source.size == 0:
        raise CheckpointError(source.shown, "is empty; write the index again")
    if source.size > _LONGEST_INDEX:
        raise CheckpointError(source.shown, f"is {source.size} bytes long, which no index is")
    try:
        return json.loads(pieces.read(source, 0, source.size), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        reason = f"is not a JSON index: {printable(str(error))}; write it again"
        raise CheckpointError(source.shown, reason) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [key for key, _ in pairs]
        twice = next(key for key in names if names.count(key) > 1)
        raise ValueError(f"key {printable(twice)} stands twice")
    return made


def _fault(shard: Any) -> str:
    """Return what is wrong with the name of a shard, empty where it names a file of the folder.

    Links are followed: in the cache of the Hugging Face hub every shard is one.
    """
    if not isinstance(shard, str):
        return f"{printable(json.dumps(shard))}, which is not a file name"
    if re.search(r"[/\\]", shard) or shard in {".", ".."}:
        return f"{printable(shard)}, which is not a file of the same folder"
    if not shard.isprintable() or not shard:
        return f'"{printable(shard)}", which is not a file name'
    if not shard.endswith(".safetensors"):
        return f"{printable(shard)}, which is not a safetensors file"
    return ""


def _shard(index: Source, part: Checkpoint, shard: str, names: tuple[str, ...]) -> Checkpoint:
    """Return a shard's tensors that the index lists for it, and what the two disagree on."""
    listed = set(names)
    listed |= {kept for alias, kept in part.aliases.items() if alias in listed}
    stored = {array.name for array in part.arrays}
    unusable = {unread.site.tensor for unread in part.unread}
    absent = [
        name
        for name in names
        if name not in stored and name not in part.aliases and printable(name) not in unusable
    ]
    unlisted = [array.name for array in part.arrays if array.name not in listed]
    unread = list(part.unread)
    if absent:
        reason = f"{shard} lacks {_some(absent)} that the index lists there"
        unread.append(Unread(Site(index.shown, tensor=printable(absent[0])), reason))
    if unlisted:
        reason = f"holds {_some(unlisted)} that the index does not list here; not judged"
        unread.append(Unread(Site(part.path, tensor=printable(unlisted[0])), reason))
    return replace(
        part,
        arrays=tuple(array for array in part.arrays if array.name in listed),
        aliases={alias: kept for alias, kept in part.aliases.items() if kept in listed},
        unread=tuple(unread),
    )


def _some(names: Collection[str]) -> str:
    """Return a count of tensors with the first of their names."""
    first = ", ".join(printable(name) for name in list(names)[:3])
    more = ", ..." if len(names) > 3 else ""
    return f"{len(names)} tensor{'s' if len(names) != 1 else ''} ({first}{more})"


def _total(
    source: Source, index: _Index, arrays: tuple[Stored, ...], found: Collection[Unread]
) -> Iterator[Unread]:
    """Yield the disagreement on the size, where nothing else explains it."""
    held = sum(array.nbytes for array in arrays)
    if index.total is not None and not found and index.total != held:
        yield Unread(
            Site(source.shown),
            f"the index says total_size {index.total:.0f}, its shards hold {held} bytes;"
            " parts may be missing",
        )


def _strays(path: Path, index: _Index) -> Iterator[Unread]:
    try:
        files = [file.name for file in path.parent.iterdir()]
    except OSError:
        return
    for stray in strays(path, files):
        if stray.name not in index.shards:
            yield Unread(
                Site(printable(str(stray), limit=None)),
                f"stands beside {printable(path.name)}, which does not list it; not judged",
                lost=False,
            )
