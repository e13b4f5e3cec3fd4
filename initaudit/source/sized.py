"""The sizes that calls are told: a layer's features, the extents of an array."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

from initaudit.catalogue import LayerSpec
from initaudit.source.file import File
from initaudit.source.fold import point
from initaudit.source.parents import walk

# How many there are of something, which is no width: heads, experts, tasks.
_COUNT = re.compile(
    r"(?:^|_)(?:n|num|nr|number)_|(?:^|_)(?:heads?|experts?|tasks?|groups?|branch(?:es)?|levels?"
    r"|classes|views?|scales?|components?)$"
)
_POSITIONS = re.compile(
    r"^(?:seq|sequence|context|max|source|target)_?len(?:gth)?$|^(?:block|context|window)_size$"
    r"|^(?:n|num)_?(?:nodes?|relations?|entit(?:y|ies)|users?|items?|words?|types?)$|^n?_?vocab"
    r"|^max_(?:seq|sequence|position|pos)\w*$|^(?:n|num)_(?:positions|patches|tokens|frames)$"
)
_EXTENTS = frozenset({"shape", "size", "dims"})
_WIDTH = re.compile(r"hidden|feature|channel|dim|width|unit|embed|filter|neuron|inputs?$|outputs?$")


def told(spec: LayerSpec, call: ast.Call) -> Mapping[str, ast.expr]:
    """Return what a layer's constructor is given, by parameter."""
    names = [p.name for p in spec.parameters]
    given = dict(zip(names, call.args, strict=False))
    given.update({k.arg: k.value for k in call.keywords if k.arg is not None})
    return given


def one_output(file: File, spec: LayerSpec, call: ast.Call) -> bool:
    """Return whether a layer surely has a single unit."""
    wanted = None if spec.outputs is None else told(spec, call).get(spec.outputs)
    return wanted is not None and point(file.fold(wanted)) == 1


def between_counts(node: ast.expr) -> bool:
    """Return whether every extent of an array that is made is a count of something.

    ``torch.randn(heads, heads)``: as few as there are heads, whatever the width of the network.
    """
    made = [_extents(n) for n in walk(node) if isinstance(n, ast.Call)]
    # The innermost: ``nn.Parameter(torch.randn(heads, heads))``.
    extents = next((e for e in reversed(made) if e), [])
    return bool(extents) and all(map(_is_count, extents))


def by_position(node: ast.expr) -> bool:
    """Return whether an extent of an array counts positions, words or nodes: it is their table."""
    return any(
        _POSITIONS.search(name)
        for call in walk(node)
        if isinstance(call, ast.Call)
        for extent in _extents(call)
        if isinstance(extent, ast.Name | ast.Attribute)
        for name in _names(extent)
    )


def _extents(call: ast.Call) -> list[ast.expr]:
    return [
        extent
        for given in (*call.args, *(k.value for k in call.keywords if k.arg in _EXTENTS))
        for extent in (given.elts if isinstance(given, ast.List | ast.Tuple) else [given])
    ]


def _is_count(extent: ast.expr) -> bool:
    names = list(_names(extent))
    return bool(names) and all(_COUNT.search(n) and not _WIDTH.search(n) for n in names)


def _names(extent: ast.expr) -> Iterator[str]:
    for node in walk(extent):
        if isinstance(node, ast.Attribute):
            yield node.attr.lower()
        elif isinstance(node, ast.Name) and node.id not in {"self", "cls", "config", "cfg", "args"}:
            yield node.id.lower()
