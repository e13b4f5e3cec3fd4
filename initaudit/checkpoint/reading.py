"""Checkpoints of every format that is read, from files, folders and memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from initaudit.checkpoint import pieces, settings, shards
from initaudit.checkpoint.dtypes import decode, unit
from initaudit.checkpoint.graphs.onnx_file import read_onnx
from initaudit.checkpoint.graphs.pt2_file import read_pt2
from initaudit.checkpoint.memory import from_mapping
from initaudit.checkpoint.npy import read_npy
from initaudit.checkpoint.npz import read_npz
from initaudit.checkpoint.stored import Checkpoint, CheckpointError, Stored
from initaudit.checkpoint.text import printable
from initaudit.network import Site, Unread

__all__ = [
    "FORMATS", "REFUSED", "WALKED",
    "array", "find_checkpoints", "from_mapping", "read_checkpoint",
]  # fmt: skip

FORMATS: Mapping[str, Callable[[Path], Checkpoint]] = {
    shards.INDEX: shards.read_index,
    ".safetensors": shards.read_file,
    ".npz": read_npz,
    ".npy": read_npy,
    ".onnx": read_onnx,
    ".pt2": read_pt2,
}
"""How a file's name ends, and what reads it; of two endings that fit the first counts."""

WALKED = (shards.INDEX, ".safetensors", ".npz", ".onnx", ".pt2")
"""Endings that make a file of a folder a checkpoint; others are read when they are named."""

_PICKLE = (
    "is a pickle, and loading one can run code, so it is never read; load it where you trust it"
    " and save it again with safetensors.torch.save_file(model.state_dict(), 'model.safetensors')"
)
_LATER = "is of a format that is not read; save its weights as .safetensors or .npz"

REFUSED: Mapping[str, str] = {
    **dict.fromkeys(
        (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin.index.json"), _PICKLE
    ),
    **dict.fromkeys(
        (".h5", ".hdf5", ".keras", ".gguf", ".msgpack", ".pb", ".tflite"), _LATER
    ),
}  # fmt: skip
"""Endings of checkpoints that are not read, and why."""

_ADAPTER = "adapter_model"
_MAIN = ("model.safetensors.index.json", "model.safetensors")
_STEP = 1 << 18


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Return the checkpoint of a file, or of a folder that holds one, with its settings.

    Paths in the result are as they may be printed. A ``config.json`` beside the weights becomes
    `Checkpoint.config`, an ``adapter_config.json`` beside adapters `Checkpoint.adapter`. Parts that
    could not be read are listed in `Checkpoint.unread`, other checkpoints of the folder among them.

    Raises:
        CheckpointError: there is no such file, it is not of a format that is read, or none of it
            can be read; a folder holds no checkpoint, or several of which none is the main one.
    """
    file, others = _chosen(Path(path))
    checkpoint = _format(file)(file)
    config, unread = settings.read_settings(file.parent)
    adapter: Mapping[str, Any] | None = None
    if file.name.startswith(_ADAPTER):
        adapter, broken = settings.read_adapter(file.parent)
        unread += broken
    left = tuple(
        Unread(
            Site(_shown(other)),
            f"not judged: the folder's checkpoint is {_shown(file)}",
            lost=False,
        )
        for other in others
    )
    left = (*checkpoint.unread, *unread, *left)
    return replace(checkpoint, config=config, adapter=adapter, unread=left)


def find_checkpoints(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the checkpoints in a folder and the folders within it, sorted.

    An index counts once for its shards and for the files that `shards.strays` names. Hidden
    folders are left out and links to folders are not followed. A folder that cannot be entered
    is listed itself, so that reading it says why.

    Raises:
        CheckpointError: there is no such folder, or no checkpoint in it.
    """
    root = Path(folder)
    if not _is_folder(root):
        raise CheckpointError(_shown(root), "no such folder; check the path")
    found: set[Path] = set()
    seen: list[str] = []
    for here, folders, files in os.walk(root, onerror=lambda e: found.add(Path(e.filename))):
        folders[:] = [name for name in folders if not name.startswith(".")]
        seen += files
        found.update(within(Path(here), files))
    if not found:
        raise CheckpointError(_shown(root), _empty(seen))
    return sorted(found)


def array(stored: Stored, least: type[np.floating[Any]] | None = None) -> NDArray[Any]:
    """Return a whole array in its shape, of a dtype that holds each of its numbers exactly.

    The dtypes are those of `initaudit.checkpoint.dtypes.values`; real floats narrower than
    ``least`` are widened to it. The numbers are decoded piece by piece into the result, so that
    there is no second copy of them.

    Raises:
        CheckpointError: as ``stored.pieces``.
    """
    kind = decode(np.empty(0, np.uint8), stored.dtype).dtype
    if least is not None and kind.kind == "f":
        kind = np.promote_types(kind, least)
    whole = np.empty(stored.count, kind)
    filled = 0
    for piece in stored.pieces(_STEP * unit(stored.dtype)):
        numbers = decode(piece, stored.dtype)
        whole[filled : filled + numbers.size] = numbers
        filled += numbers.size
    return whole.reshape(stored.shape)


def _chosen(path: Path) -> tuple[Path, list[Path]]:
    """Return the file to read, and the other checkpoints of the folder where one was named."""
    if not _is_folder(path):
        return path, []
    try:
        files = [entry.name for entry in path.iterdir() if not entry.is_dir()]
    except OSError as error:
        raise CheckpointError(_shown(path), pieces.explained(error)) from None
    found = within(path, files)
    if not found:
        raise CheckpointError(_shown(path), _empty(files))
    main = next((file for name in _MAIN for file in found if file.name == name), None)
    indexes = [file for file in found if file.name.endswith(shards.INDEX)]
    if main is None and len(indexes) == 1:
        (main,) = indexes
    if main is None and len(found) > 1:
        names = ", ".join(printable(file.name) for file in found[:5])
        more = ", ..." if len(found) > 5 else ""
        raise CheckpointError(
            _shown(path), f"holds {len(found)} checkpoints ({names}{more}); name one of them"
        )
    chosen = main or found[0]
    return chosen, [file for file in found if file != chosen]


def within(folder: Path, files: list[str]) -> list[Path]:
    """Return the checkpoints among the files of a folder."""
    found = {name for name in files if name.lower().endswith(WALKED)}
    for name in sorted(found):
        if name.endswith(shards.INDEX):
            index = folder / name
            found -= {*shards.listed(index), *(stray.name for stray in shards.strays(index, files))}
    return sorted(folder / name for name in found)


def _format(path: Path) -> Callable[[Path], Checkpoint]:
    name = path.name.lower()
    for ending, read in FORMATS.items():
        if name.endswith(ending):
            return read
    shown = pieces.look(path).shown
    for ending, reason in REFUSED.items():
        if name.endswith(ending):
            raise CheckpointError(shown, reason)
    raise CheckpointError(
        shown, f"is not a checkpoint that is read; the names of those end in {', '.join(FORMATS)}"
    )


def _empty(files: list[str]) -> str:
    """Return that a folder holds no checkpoint, and which it holds that are not read."""
    for name in sorted(files):
        for ending, reason in REFUSED.items():
            if name.lower().endswith(ending):
                return f"holds no checkpoint that is read; {printable(name)} {reason}"
    return f"holds no checkpoint; the names of those end in {', '.join(WALKED)}"


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _shown(path: Path) -> str:
    return printable(str(path), limit=None)
