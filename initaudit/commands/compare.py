"""``initaudit compare``: two checkpoints of one network."""

from __future__ import annotations

from pathlib import Path

import click

from initaudit import terminal
from initaudit.arguments import Choice
from initaudit.commands.common import (
    CLEAN,
    CONTEXT,
    FAILED,
    FOUND,
    refuse_overwriting,
    write,
)
from initaudit.config import LEVELS
from initaudit.options import STAGES, Options, OptionsError
from initaudit.rulebook import Severity


@click.command(context_settings=CONTEXT)
@click.argument("first", metavar="A", type=click.Path(path_type=Path))
@click.argument("second", metavar="B", type=click.Path(path_type=Path))
@click.option(
    "--output-format",
    type=Choice(("text", "json", "html")),
    default="text",
    show_default=True,
    help="The form of the report.",
)
@click.option(
    "--output-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the report there instead of to standard output.",
)
@click.option("--activation", metavar="NAME", help="The activation between the layers.")
@click.option("--stage", type=Choice(STAGES), default="auto", help="What the weights are.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Seed of the random inputs.")
@click.option(
    "--fail-on",
    type=Choice(LEVELS),
    default="warning",
    show_default=True,
    help="Lowest severity of a finding that came that makes the exit code 1.",
)
@click.option("-v", "--verbose", is_flag=True, help="Print every tensor that moved.")
def compare(
    first: Path,
    second: Path,
    output_format: str,
    output_file: Path | None,
    activation: str | None,
    stage: str,
    seed: int,
    fail_on: str,
    *,
    verbose: bool,
) -> int:
    """Compare two checkpoints of one network: what moved, which findings came and went.

    A and B are files or folders: before and after a change of the initialiser, or two steps of a
    training. Exits with 0 when no finding came, 1 when one did, 2 when one could not be judged.
    """
    from initaudit.comparing import compare as compared

    refuse_overwriting(output_file, (first, second))
    options = Options(stage=stage, activation=activation, seed=seed)
    try:
        found = compared(first, second, options)
    except OptionsError as error:
        raise click.UsageError("\n".join(error.mistakes)) from None
    if output_format == "json":
        from initaudit.comparing import json

        text = json.render(found)
    elif output_format == "html":
        from initaudit.comparing import html

        text = html.render(found, str(first), str(second))
    else:
        from initaudit.comparing import text as plain

        style = terminal.style(to_file=output_file is not None, verbose=verbose, quiet=False)
        text = plain.render(found, style)
    write(text, output_file)
    if found.failed:
        return FAILED
    worst = max((f.severity for f in found.came), default=None)
    return FOUND if worst is not None and worst >= Severity[fail_on.upper()] else CLEAN
