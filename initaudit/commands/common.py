"""What the commands share: exit codes, types of arguments, reading rules, writing out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from initaudit import terminal
from initaudit.rulebook import RulebookError, load

CLEAN, FOUND, FAILED, INTERRUPTED = 0, 1, 2, 130
CONTEXT = {"help_option_names": ["-h", "--help"]}
FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


def load_rules(folders: Sequence[Path]) -> Mapping[str, Any]:
    """Return the rules by id; a page that cannot be used is a mistake of usage."""
    try:
        return load(folders)
    except RulebookError as error:
        raise click.UsageError(str(error)) from None


def write(text: str, target: Path | None = None) -> None:
    """Write to a file, or to standard output."""
    try:
        if target is None:
            terminal.write(text)
        else:
            target.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        where = "standard output" if target is None else target
        raise click.ClickException(f"{where}: cannot be written: {error.strerror}") from None


def refuse_overwriting(target: Path | None, paths: Sequence[Path]) -> None:
    """Refuse a report over an input: a named file, a shard of it or a file of a named folder."""
    if target is None or not target.exists():
        return
    from initaudit.checkpoint import reading, settings
    from initaudit.inputs import SOURCES

    kinds = (*reading.FORMATS, *reading.REFUSED, settings.FILE, *SOURCES)
    stored = target.name.lower().endswith(kinds)
    if stored or any(path.exists() and path.samefile(target) for path in paths):
        raise click.UsageError(
            f"{target}: is a checkpoint, source or an input; the report may not replace it"
        )
