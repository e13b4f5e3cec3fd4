"""What the commands share: exit codes, types of arguments, reading rules, writing out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from initaudit import terminal
from initaudit.nearest import meant
from initaudit.report import FORMATS
from initaudit.rulebook import RulebookError, load

if TYPE_CHECKING:
    _Extents = click.ParamType[tuple[int, ...]]
    _Targets = click.ParamType[tuple[str, Path]]
    _Words = click.Choice[str]
else:
    _Extents = _Targets = click.ParamType  # no generic classes before click 8.4
    _Words = click.Choice

CLEAN, FOUND, FAILED, INTERRUPTED = 0, 1, 2, 130
CONTEXT = {"help_option_names": ["-h", "--help"]}
FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


class Choice(_Words):
    """One of some words; a misspelt one is told which it is like."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the word."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            hint = meant(str(value), map(str, self.choices))
            self.fail(f"{error.message} {hint.capitalize()}".rstrip(), param, ctx)


class Target(_Targets):
    """A format and the file to write in it."""

    name = "FORMAT=FILE"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, Path]:
        """Return ``sarif=report.sarif`` as a pair."""
        form, equals, file = str(value).partition("=")
        if not equals or not file:
            self.fail(f"{value!r}: write FORMAT=FILE, such as sarif=report.sarif", param, ctx)
        known = Choice(tuple(FORMATS)).convert(form, param, ctx)
        return known, click.Path(path_type=Path, dir_okay=False).convert(file, param, ctx)


class Shape(_Extents):
    """Whole numbers above zero, separated by commas."""

    name = "3,224,224"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        """Return ``3,224,224`` as a tuple."""
        try:
            shape = tuple(int(part) for part in str(value).split(","))
        except ValueError:
            shape = ()
        if not shape or min(shape) < 1:
            self.fail(f"{value!r} is not a list of whole numbers above zero such as 3,224,224")
        return shape


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
