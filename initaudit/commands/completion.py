"""``initaudit completion``: the script that has a shell complete options, commands and paths."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping

import click
from click.shell_completion import get_completion_class, split_arg_string

from initaudit.arguments import Choice
from initaudit.commands import NAMES
from initaudit.commands.common import CLEAN, CONTEXT, write

PROGRAM = "initaudit"
VARIABLE = "_INITAUDIT_COMPLETE"


@click.command(context_settings=CONTEXT)
@click.argument("shell", type=Choice(("bash", "zsh", "fish")))
def completion(shell: str) -> int:
    """Print a script for a shell: `source <(initaudit completion bash)`."""
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"{shell}: its completion is not known")
    # The version of bash would be asked of a bash that need not be there.
    maker = kind(completion, {}, PROGRAM, VARIABLE)
    write(maker.source_template % maker.source_vars())
    return CLEAN


def resolved(environment: Mapping[str, str]) -> tuple[str | None, Mapping[str, str]]:
    """Return the command whose words are being completed, and the variables without its name."""
    words = split_arg_string(environment.get("COMP_WORDS", ""))
    at = environment.get("COMP_CWORD", "")
    # fish hands over the word itself, the others its place.
    first = words[1:2] == [at] if not at.isdigit() else at == "1"
    if len(words) < 2 or words[1] not in NAMES or first:
        return None, {}
    left = {"COMP_WORDS": shlex.join([words[0], *words[2:]])}
    return words[1], left | ({"COMP_CWORD": str(int(at) - 1)} if at.isdigit() else {})


def prepared() -> str | None:
    """Take a command's name out of the words to complete, and return it."""
    name, changed = resolved(os.environ)
    os.environ.update(changed)
    return name
