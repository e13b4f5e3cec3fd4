"""What an import must say when a name that it brings in is used under a new one."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence

from initaudit.source.fix.edits import Change, line_starts


def import_changes(
    text: str, change: Change | None, renamed: Sequence[tuple[str, str]]
) -> list[Change] | None:
    """Return the changes of imports that renamed uses call for; None where none would do.

    ``change`` is an edit of the text that is still to be made (the rename itself), None where the
    text holds it already. An old name that is used elsewhere stays imported beside the new one.
    An empty old name asks for an import of its own, which the new one then is.
    """
    later = text if change is None else change.within(text)
    tree = ast.parse(text)
    used = {n.id for n in ast.walk(ast.parse(later)) if isinstance(n, ast.Name)}
    exported = {
        n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)
    }
    starts = line_starts(text)
    changes: list[Change] = []
    for old, new in renamed:
        if not old:
            added = _added(text, tree, starts, new)
            if added is None:
                return None
            changes += added
            continue
        found = _import_of(tree, old)
        if found is None or _brings(tree, new):
            if found is None and not _starred(tree) and not _brings(tree, new):
                return None
            continue
        if found.asname is not None:
            return None
        at = _offset(text, starts, found)
        kept = old in used | exported
        changes.append(Change(at, at + len(old), f"{old}, {new}" if kept else new))
    return changes


def _added(text: str, tree: ast.Module, starts: Sequence[int], line: str) -> list[Change] | None:
    """Return the change that puts an import before the first of torch, none where it is there."""
    if _brings(tree, line.rpartition(" ")[2]):
        return []
    for i, node in enumerate(tree.body):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            continue
        if not any(name.partition(".")[0] == "torch" for name in names):
            continue
        if i and (tree.body[i - 1].end_lineno or 0) >= node.lineno:
            return None
        start = starts[node.lineno - 1]
        end = re.compile(r"\r\n|\r|\n").search(text, start)
        return [Change(start, start, line + (end[0] if end else "\n"))]
    return None


def _import_of(tree: ast.Module, name: str) -> ast.alias | None:
    found = [
        alias
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if (alias.asname or alias.name) == name
    ]
    return found[0] if len(found) == 1 else None


def _brings(tree: ast.Module, name: str) -> bool:
    return any(
        isinstance(node, ast.ImportFrom)
        and any((alias.asname or alias.name) == name for alias in node.names)
        for node in ast.walk(tree)
    )


def _starred(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.ImportFrom)
        and (node.module or "").endswith("nn.init")
        and any(alias.name == "*" for alias in node.names)
        for node in ast.walk(tree)
    )


def _offset(text: str, starts: Sequence[int], alias: ast.alias) -> int:
    """Return where an imported name stands; `ast` counts the bytes of its line before it."""
    start = starts[alias.lineno - 1]
    line = text[start : start + alias.col_offset + 1]
    return start + len(line.encode()[: alias.col_offset].decode(errors="ignore"))
