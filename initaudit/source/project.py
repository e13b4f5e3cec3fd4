"""What files tell about each other: a summary of each, and the doubts that only it can settle."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from initaudit.claims import Doubt
from initaudit.source.callers import called_on_self, dispatched
from initaudit.source.file import File
from initaudit.source.targets import fillers, fills_kind

# Plain text first and what stands before it afterwards: a search for a word is fast.
_CLASS = re.compile(r"class (?<=\nclass )(\w+)")
_HEAD = re.compile(r"class (?<=\nclass )(\w+)\s*(?:\(([^()]*)\))?\s*:")
_REACHED = re.compile(r"(?:init|reset)\w*(?:weight|param|kernel|bias|module|layer)\w*")
_BEFORE = re.compile(r"[\w()\[\]]")
_MADE = re.compile(r"[A-Z](?<!\w[A-Z])\w*(?=\()")
_TESTED = re.compile(r"isinstance\s*\(([^)]*(?:\([^)]*\))?[^)]*)\)")


@dataclass(frozen=True, slots=True)
class Outline:
    """What other files may need to know of one.

    ``tested`` are the names in `isinstance` tests; ``classes`` maps each class to its bases (last
    word of each) and methods. ``makers`` maps each capitalised name that is called to the classes
    that call it ("" is code outside of classes), ``passes`` each class to the kinds of passes
    that it runs over all its parameters (see `traits`). ``written`` are the attributes of other
    objects that are filled. ``dispatched`` and ``on_self`` are the mentions of methods that fill
    weights, on other objects and on each class's own (see `traits`). ``fillers`` are the functions
    that set up weights, with the classes that they fill (see `targets`).
    """

    path: str
    tested: frozenset[str] = frozenset()
    classes: Mapping[str, tuple[tuple[str, ...], frozenset[str]]] = field(default_factory=dict)
    makers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    passes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    written: frozenset[str] = frozenset()
    dispatched: frozenset[tuple[str, int, str]] = frozenset()
    on_self: Mapping[str, frozenset[str]] = field(default_factory=dict)
    fillers: Mapping[str, frozenset[str]] = field(default_factory=dict)


def outline_text(text: str, path: str, *, own: bool = True) -> Outline:
    """Return the outline of a file that needs no closer look.

    Without a syntax tree what stands behind a class counts as made by it (``own``).
    """
    if own:
        text = f"\n{text}"
    tested = {word for match in _TESTED.finditer(text) for word in re.findall(r"\w+", match[1])}
    makers = _makers(text) if own else {}
    reached = frozenset(
        (word, -1, "")
        for through, word in (_reached(text) if own else ())
        if through not in {"self", "super()"} and not through[:1].isupper()
    )
    classes = {m[1]: (_bases(m[2] or ""), frozenset[str]()) for m in _HEAD.finditer(text) if own}
    return Outline(path, frozenset(tested), classes, makers, dispatched=reached)


def _reached(text: str) -> Iterator[tuple[str, str]]:
    """Yield the methods named on an object, and in strings, with what stands before the dot."""
    for match in _REACHED.finditer(text):
        start = match.start()
        while start and (text[start - 1].isalnum() or text[start - 1] == "_"):
            start -= 1
        before = text[start - 1 : start]
        if before in {'"', "'"}:
            yield "", text[start : match.end()]
        elif before == ".":
            begin = start - 1
            while begin and _BEFORE.match(text[begin - 1]):
                begin -= 1
            if begin < start - 1:
                yield text[begin : start - 1], text[start : match.end()]


def _bases(text: str) -> tuple[str, ...]:
    """Return the last word of each base in the brackets of a class."""
    words = (part.partition("[")[0].strip().rpartition(".")[2] for part in text.split(","))
    return tuple(word for word in words if word and "=" not in word)


def _makers(text: str) -> Mapping[str, frozenset[str]]:
    """Return which classes call each capitalised name, by where the classes begin."""
    found: dict[str, set[str]] = {}
    heads = [(m.start(), m[1]) for m in _CLASS.finditer(text)]
    starts = [(0, ""), *heads]
    for (start, owner), (end, _) in zip(starts, [*heads, (len(text), "")], strict=True):
        for name in _MADE.findall(text, start, end):
            if name != owner:
                found.setdefault(name, set()).add(owner)
    return {name: frozenset(owners) for name, owners in found.items()}


def outline(file: File) -> Outline:
    """Return the outline of a parsed file."""
    plain = outline_text(file.module.text, file.module.path, own=False)
    classes = {
        one.name: (tuple(b.rpartition(".")[2] for b in one.bases), frozenset(one.methods))
        for one in file.classes.values()
    }
    makers = {
        made: frozenset("" if maker is None else maker.name for maker in by)
        for made, by in file.makers.items()
    }
    passes = {"" if one is None else one.name: kinds for one, kinds in file.passes.items()}
    written = frozenset(
        draw.role for draw in file.draws if len(draw.path) > 1 and draw.callee.form != "factory"
    )
    return Outline(
        plain.path, plain.tested, classes, makers, passes, written,
        dispatched(file), called_on_self(file), fillers(file),
    )  # fmt: skip


class Project:
    """The outlines of all files of a run."""

    def __init__(self, outlines: Iterable[Outline]) -> None:
        self.outlines = tuple(outlines)

    @cached_property
    def tested(self) -> frozenset[str]:
        """Names in `isinstance` tests anywhere."""
        return frozenset(name for one in self.outlines for name in one.tested)

    @cached_property
    def classes(self) -> Mapping[str, list[tuple[tuple[str, ...], frozenset[str]]]]:
        """Classes of all files by name; several may share one."""
        found: dict[str, list[tuple[tuple[str, ...], frozenset[str]]]] = {}
        for one in self.outlines:
            for name, facts in one.classes.items():
                found.setdefault(name, []).append(facts)
        return found

    @cached_property
    def makers(self) -> Mapping[str, frozenset[str]]:
        """Which classes make an object of each name, over all files."""
        found: dict[str, frozenset[str]] = {}
        for one in self.outlines:
            for name, by in one.makers.items():
                found[name] = found.get(name, frozenset()) | by
        return found

    @cached_property
    def passes(self) -> Mapping[str, frozenset[str]]:
        """The kinds of passes over all parameters that each class runs."""
        found: dict[str, frozenset[str]] = {}
        for one in self.outlines:
            for name, kinds in one.passes.items():
                found[name] = found.get(name, frozenset()) | kinds
        return found

    def answers(self, doubt: Doubt) -> bool:
        """Return whether a doubt holds, so that the claim is withdrawn."""
        kind, *words = doubt
        return _DOUBTS[kind](self, *words)

    def ancestors(self, name: str) -> frozenset[str]:
        """Return the names of all bases of a class, as far as the files tell."""
        found: set[str] = set()
        left = [name]
        while left:
            for bases, _ in self.classes.get(left.pop(), []):
                left += [base for base in bases if base not in found]
                found |= set(bases)
        return frozenset(found)


def _tested_somewhere(project: Project, name: str) -> bool:
    return name in project.tested


def _derived_somewhere(project: Project, name: str) -> bool:
    return any(name in bases for facts in project.classes.values() for bases, _ in facts)


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


def _unfilled(project: Project, name: str, kind: str) -> bool:
    """Whether the functions of that name, if there are any, do not all fill such layers."""
    found = [one.fillers[name] for one in project.outlines if name in one.fillers]
    return not found or not all(fills_kind(kinds, kind) for kinds in found)


_DOUBTS: Mapping[str, Callable[..., bool]] = {
    "unfilled": _unfilled,
    "tested": _tested_somewhere,
    "derived": _derived_somewhere,
    "filled": _filled,
    "written": _written,
    "dispatched": _dispatched,
    "inherited": _inherited,
}
"""Doubts: (tested, class), (derived, class), (filled, class, kind of pass),
(written, attribute), (inherited, class, method), (unfilled, function, class),
(dispatched, method, number of arguments, class)."""
