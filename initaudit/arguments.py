"""Types of arguments on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from initaudit.nearest import meant
from initaudit.report import FORMATS

if TYPE_CHECKING:
    _Extents = click.ParamType[tuple[int, ...]]
    _Targets = click.ParamType[tuple[str, Path]]
    _Words = click.Choice[str]
else:
    _Extents = _Targets = click.ParamType  # no generic classes before click 8.4
    _Words = click.Choice


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
