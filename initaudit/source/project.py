"""What files tell about each other: a summary of each, and the doubts that only it can settle."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from initaudit.claims import Doubt
from initaudit.source.file import File

_WORDS = re.compile(r"\b\w*(?:init|reset|param)\w*\b", re.IGNORECASE)
_TESTED = re.compile(r"isinstance\s*\(([^)]*(?:\([^)]*\))?[^)]*)\)")


@dataclass(frozen=True, slots=True)
class Outline:
    """What other files may need to know of one.

    ``words`` counts the identifiers that speak of initialising, definitions included;
    ``tested`` are the names in `isinstance` tests; ``classes`` maps each class to its bases (last
    word of each) and methods.
    """

    path: str
    words: Mapping[str, int] = field(default_factory=dict)
    tested: frozenset[str] = frozenset()
    classes: Mapping[str, tuple[tuple[str, ...], frozenset[str]]] = field(default_factory=dict)


def outline_text(text: str, path: str) -> Outline:
    """Return the outline of a file that needs no closer look."""
    words: dict[str, int] = {}
    for match in _WORDS.finditer(text):
        words[match[0]] = words.get(match[0], 0) + 1
    tested = {word for match in _TESTED.finditer(text) for word in re.findall(r"\w+", match[1])}
    return Outline(path, words, frozenset(tested))


def outline(file: File) -> Outline:
    """Return the outline of a parsed file."""
    plain = outline_text(file.module.text, file.module.path)
    classes = {
        one.name: (tuple(b.rpartition(".")[2] for b in one.bases), frozenset(one.methods))
        for one in file.classes.values()
    }
    return Outline(plain.path, plain.words, plain.tested, classes)


class Project:
    """The outlines of all files of a run."""

    def __init__(self, outlines: Iterable[Outline]) -> None:
        self.outlines = tuple(outlines)

    @cached_property
    def words(self) -> Mapping[str, int]:
        """How often each word of initialising stands anywhere."""
        total: dict[str, int] = {}
        for one in self.outlines:
            for word, count in one.words.items():
                total[word] = total.get(word, 0) + count
        return total

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


def _mentioned(project: Project, word: str, own: str) -> bool:
    """Whether an identifier stands anywhere more often than ``own`` times."""
    return project.words.get(word, 0) > int(own)


def _tested_somewhere(project: Project, name: str) -> bool:
    return name in project.tested


def _derived_somewhere(project: Project, name: str) -> bool:
    return any(name in bases for facts in project.classes.values() for bases, _ in facts)


_DOUBTS: Mapping[str, Callable[..., bool]] = {
    "mentioned": _mentioned,
    "tested": _tested_somewhere,
    "derived": _derived_somewhere,
}
"""Doubts: (mentioned, word, times in its own file), (tested, class), (derived, class)."""
