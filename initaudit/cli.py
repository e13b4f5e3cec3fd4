"""The command line: which command, and how it ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from initaudit.commands import NAMES, command
from initaudit.commands.common import FAILED, INTERRUPTED
from initaudit.finding import unexpected
from initaudit.nearest import nearest


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    name = None
    if "_INITAUDIT_COMPLETE" in os.environ:
        from initaudit.commands.completion import prepared

        name = prepared()
    elif words and words[0] in NAMES:
        name = words.pop(0)
    sys.exit(_run(name, words))


def _run(name: str | None, words: list[str]) -> int:
    try:
        chosen = _audit(words) if name is None else command(name)
        plain = name is None or "_INITAUDIT_COMPLETE" in os.environ
        called = "initaudit" if plain else f"initaudit {name}"
        return int(chosen.main(words, prog_name=called, standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        return FAILED
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except Exception as error:  # no traceback reaches a user
        click.echo(f"Error: {unexpected(error)}", err=True)
        return FAILED


def _audit(words: Sequence[str]) -> click.Command:
    from initaudit.commands.audit import audit

    first = words[0] if words else ""
    if first.isalpha() and not Path(first).exists():
        near = nearest(first, NAMES, cutoff=0.75)
        if near:
            raise click.UsageError(
                f"{first!r} is no file and no command: did you mean `initaudit {near[0]}`?"
            )
    return audit
