"""Statements that never run, for those before them always leave the block."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

_LEAVES = (ast.Raise, ast.Return, ast.Continue, ast.Break)
_BLOCKS = ("body", "orelse", "finalbody")


def unreached(tree: ast.Module) -> tuple[range, ...]:
    """Return the lines of all statements of a file that stand behind one that leaves."""
    return tuple(
        range(block[i + 1].lineno, (block[-1].end_lineno or block[-1].lineno) + 1)
        for block in _blocks(tree)
        for i in [next((i for i, one in enumerate(block) if _leaves(one)), len(block))]
        if i + 1 < len(block)
    )


def _blocks(tree: ast.Module) -> Iterator[list[ast.stmt]]:
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        for name in _BLOCKS:
            block = getattr(node, name, None)
            if isinstance(block, list) and block:
                yield block
                stack += block
        stack += getattr(node, "handlers", ())
        stack += getattr(node, "cases", ())


def _leaves(statement: ast.stmt) -> bool:
    """Return whether nothing that follows a statement in its block is ever run."""
    if isinstance(statement, ast.If):
        return bool(statement.orelse) and _end(statement.body) and _end(statement.orelse)
    return isinstance(statement, _LEAVES)


def _end(block: Iterable[ast.stmt]) -> bool:
    return any(_leaves(one) for one in block)
