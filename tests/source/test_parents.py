"""What stands around a node, asked for in any order."""

from __future__ import annotations

import ast
import random
from pathlib import Path

import pytest

from initaudit.source.parents import Parents

TEXT = '''
import torch; x = 1
@decorate(lambda f: f)
@other
class A(Base[int], metaclass=Meta):
    """Text."""
    a: int = 3
    class Inner: b = [i for i in range(3) if i]
    @property
    @staticmethod
    async def f(self, /, a, *b, c=None, **d) -> None:
        with open(a) as file, open(b):
            return f"""{a
                } {self.b!r:>{c}}"""
    if x:
        def g(self): pass
    else:
        g = lambda self, y=x: {**y, 1: 2}
match x:
    case {"a": 1, **rest} | A(b=2): pass
try:
    pass
except* ValueError as error:
    raise
class B: pass
def f(): global x; x = 2
'''


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("path", ["", __file__, ast.__file__])
def test_the_node_around_each_is_found_in_any_order(path: str, seed: int) -> None:
    tree = ast.parse(Path(path).read_text(encoding="utf-8") if path else TEXT)
    shared = ast.expr_context | ast.operator | ast.unaryop | ast.boolop | ast.cmpop
    around = {
        child: node
        for node in ast.walk(tree)
        for child in ast.iter_child_nodes(node)
        if not isinstance(child, shared)
    }
    nodes = list(around)
    random.Random(seed).shuffle(nodes)  # noqa: S311
    parents = Parents(tree)
    assert all(parents.get(node) is around[node] for node in nodes)
    assert parents.get(tree) is None


def test_nothing_is_around_what_is_not_in_the_tree() -> None:
    parents = Parents(ast.parse(TEXT))
    assert parents.get(ast.Name("x")) is None
    assert parents.get(ast.parse("y").body[0]) is None


def test_an_empty_file_has_nothing_around_anything() -> None:
    tree = ast.parse("")
    assert Parents(tree).get(tree) is None
