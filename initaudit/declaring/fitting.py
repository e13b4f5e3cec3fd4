"""Models whose open sizes a checkpoint tells, and the classes that a checkpoint may be of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from initaudit.catalogue import Catalogue
from initaudit.checkpoint import reading as stored_reading
from initaudit.checkpoint.stored import CheckpointError
from initaudit.declaring import targets
from initaudit.options import Options
from initaudit.reading import choosing, matching, model, passing
from initaudit.reading.state import State
from initaudit.reading.units import Files
from initaudit.reading.values import StopError


def fitted(
    files: Files,
    catalogue: Catalogue,
    cls: choosing.Named,
    shapes: Mapping[str, tuple[int, ...]],
    shape: tuple[int, ...] | None = None,
) -> tuple[model.Model | None, str]:
    """Return a model with the sizes that its source leaves open taken from a checkpoint's shapes.

    ``shape`` is that of an input. None with the reason where its constructor cannot be followed.
    """
    try:
        made = model.read(files, catalogue, cls)
        if made.lazy:
            return _grown(files, catalogue, cls, shapes, shape or made.shape)
        given = matching.solved(made.parameters, shapes)
        if made.opened and given:
            made = model.read(files, catalogue, cls, given)
            note = ", ".join(f"{key} = {value}" for key, value in given.items())
            made.notes = (*made.notes, f"by the shapes of the checkpoint: {note}")
    except StopError as stop:
        where = "" if stop.site is None or stop.site.line is None else f" (line {stop.site.line})"
        return None, stop.reason + where
    return made, ""


def _grown(
    files: Files,
    catalogue: Catalogue,
    cls: choosing.Named,
    shapes: Mapping[str, tuple[int, ...]],
    shape: tuple[int, ...] | None,
) -> tuple[model.Model | None, str]:
    """Return a model whose layers take their width from the input, told by a checkpoint's kernels.

    Raises:
        StopError: its source does not tell how its layers are made.
    """
    matrices = [(there[-2],) for there in shapes.values() if len(there) == 2]
    images = [(16, 16, there[-2]) for there in shapes.values() if len(there) == 4]
    tried = [shape] if shape is not None else list(dict.fromkeys([*images, *matrices]))
    best = None
    for entry in tried:
        made = model.read(files, catalogue, cls)
        passing.grow(made, entry)
        best = best or made
        if matching.match(made.parameters, made.aliases, shapes).exact:
            made.entered = entry
            return made, ""
    if best is None:
        return None, "the shape of its input is not in the source: --input-shape tells it"
    return best, ""


def classes_matching(
    path: Path, sources: Sequence[Path], files: Files, options: Options
) -> list[choosing.Named]:
    """Return the model classes of some files whose names and shapes are those of a checkpoint.

    A file is only parsed where its text holds the first word of each stored name.
    """
    catalogue = targets.catalogue(options)
    try:
        checkpoint = stored_reading.read_checkpoint(path)
    except CheckpointError:
        return []
    shapes = {stored.name: stored.shape for stored in checkpoint.arrays}
    for alias, real in checkpoint.aliases.items():
        shapes.setdefault(alias, shapes[real])
    words = {name.partition(".")[0] for name in shapes}
    words = {word for word in words if not word.isdecimal()}
    found: list[choosing.Named] = []
    for source in sources:
        try:
            text = source.read_text(encoding="utf-8-sig", errors="replace")
        except OSError:
            continue
        if "class " not in text or not all(word in text for word in words):
            continue
        unit = files.unit(source)
        if unit is None:
            continue
        for cls in choosing.models(State(files, catalogue), unit):
            made, _ = fitted(files, catalogue, cls, shapes)
            if made is not None and matching.match(made.parameters, made.aliases, shapes).exact:
                found.append(cls)
    return found
