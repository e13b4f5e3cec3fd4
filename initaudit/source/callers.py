"""Who calls the methods that fill weights: on an object itself, on others, by a string."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from typing import TypeGuard

from initaudit.source.draws import dotted
from initaudit.source.file import File
from initaudit.source.words import Form, word_start

SETTING_UP = re.compile(
    r"_*(?:init|initiali[sz]e|re_?init|reset)_?(?:all_|model_|layer_)?"
    r"(?:weight|parameter|param|kernel|bias(?:es)?|module|layer)s?(?:_\w+)?"
    r"|_*(?:weights?|params?|parameters?|kernels?)_init(?:iali[sz]e)?|_*initiali[sz]e|_*reset_parameters"
)
"""Names of methods that fill weights."""
_sets_up = cache(SETTING_UP.fullmatch)
_ENDINGS = (Form("init", r"\w*([\"'])"), Form("reset", r"\w*([\"'])"))
_HOLDERS = frozenset({"ModuleList", "ModuleDict", "Sequential", "LayerList"})


def dispatched(file: File) -> frozenset[tuple[str, int, str]]:
    """Return the methods called on other objects that fill weights.

    Beside the method stand how many arguments it gets and the class of the object. The number is
    -1 where the call does not tell, and where only a string or a bare mention names the method;
    the class is empty where it is not known.
    """
    found: set[tuple[str, int, str]] = set()
    for name, nodes in file.once(_setting_up):
        for node in nodes:
            words = dotted(node.value)
            own = words == ("self",) or (is_super(node.value) and not node.value.args)
            # Through a class only what derives from it is called.
            if own or (words and words[-1][:1].isupper()):
                continue
            found.add((name, given(file, node), class_of_object(file, node.value)))
    found |= {(word, -1, "") for word in _quoted(file.module.text) if _sets_up(word)}
    return frozenset(found)


def _setting_up(file: File) -> list[tuple[str, list[ast.Attribute]]]:
    """Return the attribute accesses by names of methods that fill weights."""
    return [(name, nodes) for name, nodes in file.mentions.items() if _sets_up(name) is not None]


def is_super(expr: ast.expr) -> TypeGuard[ast.Call]:
    """Return whether an expression is ``super()``, with arguments or without."""
    return (
        isinstance(expr, ast.Call) and isinstance(expr.func, ast.Name) and expr.func.id == "super"
    )


def given(file: File, node: ast.Attribute) -> int:
    """Return how many arguments a mention is called with; -1 where it is not called there."""
    call = file.module.parents.get(node)
    if not isinstance(call, ast.Call) or call.func is not node:
        return -1
    if any(isinstance(a, ast.Starred) for a in call.args) or call.keywords:
        return -1
    return len(call.args)


def _quoted(text: str) -> Iterator[str]:
    """Yield the words in quotes that may name a method which fills weights."""
    for match in (found for ending in _ENDINGS for found in ending.matches(text)):
        start = word_start(text, match.start())
        if text[start - 1 : start] == match[1]:
            yield text[start : match.end(0) - 1]


def class_of_object(file: File, expr: ast.expr) -> str:
    """Return the name of the class that ``self.name`` is an object of; empty if not known."""
    words, owner = dotted(expr), file.class_of(expr)
    if len(words) != 2 or words[0] != "self" or owner is None or isinstance(expr, ast.Subscript):
        return ""
    made = owner.only(words[1])
    func = made.value.func if made is not None and isinstance(made.value, ast.Call) else None
    name = func.id if isinstance(func, ast.Name) else getattr(func, "attr", "")
    return name if name[:1].isupper() and name not in _HOLDERS else ""


def called_on_self(file: File) -> dict[str, frozenset[str]]:
    """Return the methods that fill weights and that each class mentions on itself."""
    found: dict[str, set[str]] = {}
    for name, nodes in file.once(_setting_up):
        for node in nodes:
            owner = file.class_of(node)
            if owner is not None and dotted(node.value) == ("self",):
                found.setdefault(owner.name, set()).add(name)
    return {owner: frozenset(names) for owner, names in found.items()}
