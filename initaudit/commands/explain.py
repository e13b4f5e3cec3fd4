"""``initaudit explain``: the page of a rule, or what a parameter starts from."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from initaudit.commands.common import CLEAN, CONTEXT, FOLDER, load_rules, write
from initaudit.nearest import meant
from initaudit.options import Options, OptionsError
from initaudit.rulebook import Rule


@click.command(context_settings=CONTEXT)
@click.argument("rule")
@click.option("--rules", "rule_folders", multiple=True, type=FOLDER, help="Folder of rule pages.")
def explain(rule: str, rule_folders: tuple[Path, ...]) -> int:
    """Print the page of a rule by id or name, or what net.py:Net.fc.weight starts from and why."""
    if ".py:" in rule:
        return _parameter(rule, rule_folders)
    known = load_rules(rule_folders)
    found = [r for r in known.values() if rule.lower() in (r.id.lower(), r.name)]
    if not found:
        names = [name for r in known.values() for name in (r.id, r.name)]
        hints = (meant(rule, names, 3), "`initaudit rules` lists them")
        raise click.UsageError(f"{rule!r} is no rule: {' '.join(filter(None, hints))}")
    _page(found[0])
    return CLEAN


def _page(page: Rule) -> None:
    head = f"{page.severity.name.lower()}, {page.confidence.name.lower()} confidence"
    limits = ", ".join(f"{k} = {v:g}" for k, v in page.limits.items())
    text = f"{page.markdown}\nSeverity: {head}. Limits: {limits or 'none'}.\n"
    if sys.stdout is None or not sys.stdout.isatty():
        write(text)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    console = Console()
    console.print(Markdown(text), width=min(console.width, 100))


def _parameter(text: str, folders: tuple[Path, ...]) -> int:
    from initaudit.declaring import explained

    try:
        write(explained(text, Options(rules=folders)))
    except OptionsError as error:
        raise click.UsageError("\n".join(error.mistakes)) from None
    return CLEAN
