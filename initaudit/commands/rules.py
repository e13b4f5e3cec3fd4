"""``initaudit rules``: all rules, as a list or as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from initaudit.arguments import Choice
from initaudit.commands.common import CLEAN, CONTEXT, FOLDER, load_rules, write
from initaudit.rulebook import Rule


@click.command(context_settings=CONTEXT)
@click.option("--rules", "rule_folders", multiple=True, type=FOLDER, help="Folder of rule pages.")
@click.option(
    "--output-format",
    type=Choice(("text", "json")),
    default="text",
    show_default=True,
    help="JSON has all that the pages say.",
)
def rules(rule_folders: tuple[Path, ...], output_format: str) -> int:
    """List the rules."""
    known = load_rules(rule_folders)
    if output_format == "json":
        write(json.dumps([_document(rule) for rule in known.values()], indent=2) + "\n")
        return CLEAN
    widest = max(len(r.name) for r in known.values())
    lines = [
        f"{r.id}  {r.name:<{widest}}  {r.severity.name.lower():<7}  {sentence(r.summary)}"
        for r in known.values()
    ]
    write("\n".join(lines) + "\n")
    return CLEAN


def _document(rule: Rule) -> Mapping[str, Any]:
    return {
        "id": rule.id,
        "name": rule.name,
        "severity": rule.severity.name.lower(),
        "confidence": rule.confidence.name.lower(),
        "judges": list(rule.judges),
        "origins": list(rule.origins),
        "enabled": rule.enabled,
        "limits": dict(rule.limits),
        "yields_to": list(rule.yields_to),
        "summary": rule.summary,
        "message": rule.message,
        "cure": rule.cure,
        "page": rule.markdown,
    }


def sentence(summary: str) -> str:
    """Return the first sentence of a page."""
    return " ".join(summary.split()).split(". ")[0].rstrip(".") + "."
