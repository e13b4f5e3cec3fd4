"""Results for a person at a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

from rich.console import Console
from rich.text import Text

from initaudit.lab.pictures import picture
from initaudit.lab.results import Claim, Named, Result
from initaudit.report import Style
from initaudit.report.blocks import wrapped
from initaudit.report.wording import prose

_SEVERITIES = {"error": "bold red", "warning": "yellow", "note": "cyan"}
_VERDICTS = {**_SEVERITIES, "clean": "green"}
NARROWEST = 40


def render(results: Sequence[Result], style: Style) -> str:
    """Return what was expected and measured, the pictures, and what the audit says."""
    out = StringIO()
    width = max(style.width, NARROWEST)
    console = Console(
        file=out,
        width=width,
        height=25,
        force_terminal=style.colour,
        color_system="standard" if style.colour else None,
        no_color=not style.colour,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
        force_jupyter=False,
        _environ={},
    )
    for i, result in enumerate(results):
        if i:
            console.print()
        for line in _lines(result, style, console):
            console.print(line, soft_wrap=True)
    return out.getvalue()


def _lines(result: Result, style: Style, console: Console) -> list[Text]:
    lines = wrapped(Text(f"{result.name}: {prose(result.title, style)}", style="bold"), console)
    lines.append(Text())
    lines += wrapped(prose(result.about, style), console)
    lines.append(Text())
    for one in result.claims:
        lines += _claim(one, style, console)
    if not style.quiet:
        for drawn in result.pictures:
            lines += [Text(), *picture(drawn, style, console.width)]
    if result.named:
        heading = "What the audit says of these networks, saved as checkpoints:"
        lines += [Text(), *wrapped(heading, console)]
    for one_named in result.named:
        lines += _named(one_named, style, console)
    if result.lesson:
        lines += [Text(), *wrapped(prose(result.lesson, style), console)]
    return lines


def _claim(one: Claim, style: Style, console: Console) -> list[Text]:
    word, colour = ("yes ", "green") if one.holds else ("no  ", "bold red")
    lead = Text("  ").append(word, style=colour)
    lines = wrapped(prose(one.expected, style), console, lead=lead)
    return lines + wrapped(prose(f"measured: {one.measured}", style), console, indent=6)


def _named(one: Named, style: Style, console: Console) -> list[Text]:
    said = Text(f"{one.network}: ").append(one.verdict, style=_VERDICTS.get(one.verdict, ""))
    for rule, (name, severity) in one.rules.items():
        said.append("; ").append(severity, style=_SEVERITIES[severity]).append(f" {rule} {name}")
    if not one.as_expected:
        said.append(" (not what this experiment expects)", style="bold red")
    if style.ascii:
        said = Text(prose(said.plain, style))
    return wrapped(said, console, indent=2, hang=2)
