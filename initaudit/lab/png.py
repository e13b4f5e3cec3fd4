"""Pictures as PNG, drawn from their SVG by resvg (the extra ``initaudit[lab]``)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from initaudit.lab.results import Picture
from initaudit.lab.svg import VARIABLES, sheet

ZOOM = 2
"""Pixels for a unit of the SVG, so that letters are sharp."""

# resvg knows neither the browser's names for fonts nor custom properties.
_BROWSER = "ui-monospace,Menlo,Consolas,monospace"
_FAMILIES = "DejaVu Sans Mono,Liberation Mono,Noto Sans Mono,Menlo,Consolas,Courier New,monospace"
_PROBE = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20"><text x="2" y="16" '
    f'font-size="16" font-family="{_FAMILIES}">{{}}</text></svg>'
)


class PngError(Exception):
    """Why no PNG can be made, and what to do."""


def png(drawn: Sequence[Picture]) -> bytes:
    """Return one PNG of several pictures under each other, light, `ZOOM` pixels for a unit.

    Raises:
        PngError: resvg is not installed, or finds no font to write with.
    """
    try:
        from resvg_py import svg_to_bytes
    except ImportError:
        raise PngError("needs resvg: pip install 'initaudit[lab]', or write .svg") from None
    if not _writes():
        raise PngError("no font to write with: install one (DejaVu Sans Mono), or write .svg")
    return bytes(svg_to_bytes(svg_string=plain(sheet(drawn)), zoom=ZOOM))


def plain(svg: str) -> str:
    """Return an SVG with the colours of the light theme and the names of real fonts in it."""
    light = dict(re.findall(r"--(\w+):(#\w+);", VARIABLES.partition("@media")[0]))
    # The document's own style speaks of variables; what is drawn by attribute does so too.
    svg = svg.replace(VARIABLES, "").replace(_BROWSER, _FAMILIES)
    return re.sub(r"var\(--(\w+)\)", lambda found: light[found[1]], svg)


@cache
def _writes() -> bool:
    """Return whether a letter leaves ink."""
    from resvg_py import svg_to_bytes

    blank, letter = (bytes(svg_to_bytes(svg_string=_PROBE.format(w))) for w in (" ", "M"))
    return blank != letter
