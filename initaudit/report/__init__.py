"""Formats: each is one module with ``render(report, style) -> str``, imported when it is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import cast

from initaudit.finding import Report


@dataclass(frozen=True, slots=True)
class Style:
    """How a report may look; a format uses what it can.

    ``width`` is in terminal cells. ``quiet`` leaves only findings and the closing line,
    ``verbose`` leaves nothing out, ``ascii`` writes nothing beyond ASCII, ``statistics`` adds how
    often each rule was broken.
    """

    width: int
    colour: bool
    verbose: bool = False
    quiet: bool = False
    ascii: bool = False
    statistics: bool = False


Format = Callable[[Report, Style], str]


def _format(module: str) -> Format:
    def render(report: Report, style: Style) -> str:
        found = cast("Format", import_module(f"{__name__}.{module}").render)
        return found(report, style)

    return render


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        name: _format(name)
        for name in (
            "text",
            "concise",
            "json",
            "sarif",
            "github",
            "gitlab",
            "markdown",
            "junit",
            "html",
        )
    }
)
