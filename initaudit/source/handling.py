"""Who else may fill a weight: branches for its class, and classes that derive from its class."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from initaudit.source.classes import Class
from initaudit.source.draws import dotted
from initaudit.source.file import File
from initaudit.source.parents import walk
from initaudit.source.traits import last_word

ANYTHING = "*"
"""Stands for all attributes, where code hands an object on or goes over its parameters."""
_OVER_ALL = frozenset(
    {
        "apply", "parameters", "named_parameters", "modules", "named_modules", "children",
        "named_children", "state_dict", "load_state_dict", "to_empty", "__dict__", "_parameters",
    }
)  # fmt: skip
# What may end in an attribute of an object, unlike a bare name or a number.
_REACHING = frozenset({ast.Attribute, ast.Subscript, ast.Call})
_ASKING = frozenset({"isinstance", "type", "id", "len", "print", "repr", "hasattr", "getattr"})


def branches(file: File) -> dict[str, frozenset[str]]:
    """Return which attributes the branches for a class of the project speak of, by class.

    Only ``if isinstance(x, Own):`` tells; where such a test stands anywhere else, or the branch
    does more with the object than name its attributes, that is `ANYTHING`.
    """
    found: dict[str, set[str]] = {}
    for call in file.module.calls_by_word.get("isinstance", ()):
        if len(call.args) != 2:
            continue
        kinds = [kind for kind in file.classes_in(call.args[1]) if not kind.startswith("torch.")]
        names = {word for kind in kinds if (word := kind.rpartition(".")[2])[:1].isupper()}
        if not names:
            continue
        spoken = set(_branch(file, call))
        for name in names:
            found.setdefault(name, set()).update(spoken)
    return {name: frozenset(words) for name, words in found.items()}


def _branch(file: File, call: ast.Call) -> Iterator[str]:
    """Yield the attributes that the branch behind a test names."""
    test: ast.AST = call
    around = file.module.parents.get(call)
    while isinstance(around, ast.BoolOp):
        test, around = around, file.module.parents.get(around)
    subject = call.args[0]
    if not (isinstance(around, ast.If) and around.test is test and isinstance(subject, ast.Name)):
        yield ANYTHING
        return
    for statement in around.body:
        for node in walk(statement):
            if isinstance(node, ast.Name) and node.id == subject.id:
                yield from _use(file, node)


def _use(file: File, node: ast.Name) -> Iterator[str]:
    parent = file.module.parents.get(node)
    if isinstance(parent, ast.Attribute):
        yield ANYTHING if parent.attr in _OVER_ALL else parent.attr
    elif isinstance(parent, ast.Call) and last_word(parent) in _ASKING and node in parent.args:
        named = parent.args[1] if last_word(parent) in {"hasattr", "getattr"} else None
        if isinstance(named, ast.Constant) and isinstance(named.value, str):
            yield named.value
        elif named is not None:
            yield ANYTHING
    else:
        yield ANYTHING


def held(file: File) -> dict[str, frozenset[str]]:
    """Return which inherited attributes each class that derives from others may fill, by class.

    Those are the attributes that it assigns, hands to a call, or calls a method of, anywhere but
    in a forward pass.
    """
    found: dict[str, frozenset[str]] = {}
    for owner in file.classes.values():
        if owner.ancestors or not owner.closed:
            found[owner.name] = found.get(owner.name, frozenset()) | _held(file, owner)
    return found


def _held(file: File, owner: Class) -> frozenset[str]:
    words = set(file.module.assigned.attributes.get(owner.node, ()))
    for call in file.module.calls_by_class.get(owner.node, ()):
        function = file.module.enclosing[call][0]
        if function is not None and function.name in {"forward", "__call__"}:
            continue
        places = [place for place in call.args if type(place) in _REACHING]
        places += [k.value for k in call.keywords if type(k.value) in _REACHING]
        if type(call.func) is ast.Attribute and type(call.func.value) in _REACHING:
            places.append(call.func.value)
        chains = (dotted(place) for place in places)
        words.update(chain[1] for chain in chains if len(chain) > 1 and chain[0] == "self")
    return frozenset(words)


def related(one: Class, other: Class) -> bool:
    """Return whether one of two classes derives from the other, or they are the same."""
    return any(a is other for a in one.lineage()) or any(a is one for a in other.lineage())
