"""The commands by name: each is a module of its own, imported when it is called."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import cast

import click

_WHERE: Mapping[str, str] = MappingProxyType(
    {
        "compare": "initaudit.commands.compare",
        "completion": "initaudit.commands.completion",
        "explain": "initaudit.commands.explain",
        "lab": "initaudit.lab.command",
        "rules": "initaudit.commands.rules",
    }
)
NAMES = tuple(_WHERE)


def command(name: str) -> click.Command:
    """Return a command by its name."""
    return cast("click.Command", getattr(import_module(_WHERE[name]), name))
