"""What files tell about each other: a summary of each, and what all of them come to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from initaudit.claims import Doubt
from initaudit.source.callers import called_on_self, dispatched
from initaudit.source.file import File
from initaudit.source.handling import branches, held
from initaudit.source.targets import fillers

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
    ``branches`` are the attributes that branches for a class speak of, ``held`` those that a
    class which derives from others may fill (see `handling`).
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
    branches: Mapping[str, frozenset[str]] = field(default_factory=dict)
    held: Mapping[str, frozenset[str]] = field(default_factory=dict)


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
    for name, kinds in file.passes_by_kind.items():
        passes[name] = passes.get(name, frozenset()) | kinds
    written = frozenset(
        draw.role for draw in file.draws if len(draw.path) > 1 and draw.callee.form != "factory"
    )
    return Outline(
        plain.path, plain.tested, classes, makers, passes, written,
        dispatched(file), called_on_self(file), fillers(file), branches(file), held(file),
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
    def parts(self) -> Mapping[str, frozenset[str]]:
        """What each class calls by a capitalised name: the objects that it is made of."""
        found: dict[str, set[str]] = {}
        for part, makers in self.makers.items():
            for maker in makers:
                found.setdefault(maker, set()).add(part)
        return {maker: frozenset(parts) for maker, parts in found.items()}

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
        from initaudit.source.doubts import DOUBTS

        kind, *words = doubt
        return DOUBTS[kind](self, *words)

    def ancestors(self, name: str) -> frozenset[str]:
        """Return the names of all bases of a class, as far as the files tell."""
        found: set[str] = set()
        left = [name]
        while left:
            for bases, _ in self.classes.get(left.pop(), []):
                left += [base for base in bases if base not in found]
                found |= set(bases)
        return frozenset(found)

    @cached_property
    def _derived(self) -> Mapping[str, frozenset[str]]:
        """The classes that name each class as a base."""
        found: dict[str, set[str]] = {}
        for name, facts in self.classes.items():
            for base in (base for bases, _ in facts for base in bases):
                found.setdefault(base, set()).add(name)
        return {base: frozenset(names) for base, names in found.items()}

    def descendants(self, name: str) -> frozenset[str]:
        """Return the names of all classes that derive from one, as far as the files tell."""
        found: set[str] = set()
        left = [name]
        while left:
            more = self._derived.get(left.pop(), frozenset()) - found - {name}
            found |= more
            left += more
        return frozenset(found)
