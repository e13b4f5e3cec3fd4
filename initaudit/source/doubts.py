"""The doubts that only the other files of a project can settle; where one holds, a claim goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from initaudit.source.handling import ANYTHING
from initaudit.source.project import Project
from initaudit.source.targets import fills_kind


def _tested_somewhere(project: Project, name: str) -> bool:
    return name in project.tested


def _derived_somewhere(project: Project, name: str) -> bool:
    return any(name in bases for facts in project.classes.values() for bases, _ in facts)


def _handled(project: Project, name: str, attribute: str) -> bool:
    """Whether a branch for a class, anywhere, may fill an attribute of it."""
    for one in project.outlines:
        if name in one.tested or name in one.branches:
            spoken = one.branches.get(name, frozenset({ANYTHING}))
            if ANYTHING in spoken or attribute in spoken:
                return True
    return False


def _completed(project: Project, name: str, attribute: str) -> bool:
    """Whether a class that derives from one may fill an attribute that it inherits."""
    for heir in project.descendants(name):
        for one in project.outlines:
            if heir in one.classes and attribute in one.held.get(heir, frozenset({attribute})):
                return True
        if _filled(project, heir, "every"):
            return True
    return False


def _unknown_base(project: Project, name: str) -> bool:
    """Whether a class derives from one that no file defines, and that is no framework's root."""
    bases = project.ancestors(name)
    return "Module" not in bases or any(
        base not in project.classes and base not in _ROOTS for base in bases
    )


def _filled(project: Project, name: str, kind: str) -> bool:
    """Whether a class, or one that makes such objects, runs a pass over all parameters.

    ``kind`` is "every" for a loop over them, "call" for that or any call that may hide one.
    """
    wanted = {"every"} if kind == "every" else {"every", "call"}
    seen: set[str] = set()
    left = [name]
    while left:
        one = left.pop()
        if one in seen:
            continue
        seen.add(one)
        if any(project.passes.get(n, frozenset()) & wanted for n in (one, *project.ancestors(one))):
            return True
        if any(
            "" in by.makers.get(one, ()) and by.passes.get("", frozenset()) & wanted
            for by in project.outlines
        ):
            return True
        left += [maker for maker in project.makers.get(one, ()) if maker]
    return False


def _written(project: Project, attribute: str) -> bool:
    return attribute not in {"weight", "bias"} and any(
        attribute in one.written for one in project.outlines
    )


def _dispatched(project: Project, name: str, wanted: str, owner: str) -> bool:
    """Whether a method of that name is called on objects that may be of a class.

    The call must have as many arguments as the method wants, -1 standing for any number.
    """
    number = int(wanted)
    return any(
        word == name and kind in {"", owner} and (given == -1 or number in {-1, given})
        for one in project.outlines
        for word, given, kind in one.dispatched
    )


def _inherited(project: Project, owner: str, name: str) -> bool:
    """Whether a base of a class may call its method: it does, has one, or is not known."""
    for base in project.ancestors(owner):
        facts = project.classes.get(base)
        if facts is None:
            if base not in _ROOTS:
                return True
            continue
        if any(name in methods for _, methods in facts):
            return True
        if any(name in one.on_self.get(base, ()) for one in project.outlines):
            return True
    return False


_ROOTS = frozenset({"Module", "Layer", "object", "ABC", "Generic", "Sequential", "ModuleList"})


def _weightless(project: Project, name: str) -> bool:
    """Whether a class is no module, or one that is not seen to make weights."""
    if name not in project.classes or "Module" not in project.ancestors(name):
        return True
    seen: set[str] = set()
    left = [name]
    while left:
        one = left.pop()
        if one in _WEIGHTED:
            return False
        if one in seen:
            continue
        seen.add(one)
        if one in project.classes and "Module" in project.ancestors(one):
            left += project.parts.get(one, frozenset())
            left += project.ancestors(one)
    return True


_WEIGHTED = frozenset({"Linear", "Conv1d", "Conv2d", "Conv3d", "Embedding", "Parameter"})


def _unmade(project: Project, kind: str, name: str) -> bool:
    """Whether no class that a class and its heirs are seen to be made of makes such a layer."""
    seen: set[str] = set()
    left = [name, *project.descendants(name)]
    while left:
        one = left.pop()
        if one in seen:
            continue
        seen.add(one)
        parts = project.parts.get(one, frozenset())
        if kind in parts:
            return False
        left += parts & project.classes.keys()
        left += project.ancestors(one) & project.classes.keys()
    return True


def _made_only_in(project: Project, name: str, path: str) -> bool:
    """Whether no file but one makes an object of a class."""
    return all(one.path == path or name not in one.makers for one in project.outlines)


def _unfilled(project: Project, name: str, kind: str) -> bool:
    """Whether the functions of that name, if there are any, do not all fill such layers."""
    found = [one.fillers[name] for one in project.outlines if name in one.fillers]
    return not found or not all(fills_kind(kinds, kind) for kinds in found)


DOUBTS: Mapping[str, Callable[..., bool]] = {
    "unfilled": _unfilled,
    "tested": _tested_somewhere,
    "derived": _derived_somewhere,
    "filled": _filled,
    "written": _written,
    "handled": _handled,
    "completed": _completed,
    "unmade": _unmade,
    "weightless": _weightless,
    "unknown base": _unknown_base,
    "dispatched": _dispatched,
    "inherited": _inherited,
    "made only in": _made_only_in,
}
"""Doubts: (tested, class), (derived, class), (filled, class, kind of pass),
(written, attribute), (inherited, class, method), (unfilled, function, class),
(dispatched, method, number of arguments, class), (handled, class, attribute),
(completed, class, attribute), (unknown base, class), (weightless, class),
(unmade, layer, class), (made only in, class, file)."""
