"""What files tell about each other: the outline of each, and what all of them come to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

from initaudit.claims import Doubt
from initaudit.source.callers import called_on_self, dispatched
from initaudit.source.file import File
from initaudit.source.handling import branches, held
from initaudit.source.outline import Outline
from initaudit.source.outline_text import tested
from initaudit.source.targets import fillers


def outline(file: File) -> Outline:
    """Return the outline of a parsed file."""
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
        file.module.path, tested(file.module.text), classes, makers, passes, written,
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
    def makers(self) -> Mapping[str, set[str]]:
        """Which classes make an object of each name, over all files."""
        found: dict[str, set[str]] = {}
        for one in self.outlines:
            for name, by in one.makers.items():
                found.setdefault(name, set()).update(by)
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
