"""Modules strung into the one chain that their names and widths tell, where they tell one."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from initaudit.checkpoint import rivals
from initaudit.checkpoint.order import fits, natural, rank, stem
from initaudit.checkpoint.units import Unit

_BUDGET = 20_000
"""Steps after which a search for another order is given up as ambiguous."""

_PARTS = 100
"""Parts above which no other order is searched for."""


@dataclass(frozen=True, slots=True)
class Order:
    """Modules in the order they run and how that was found: ``names``, ``widths`` or ``file``."""

    units: tuple[Unit, ...]
    by: str


@dataclass(frozen=True, slots=True)
class Part:
    """A container (or a module) among its siblings, with its modules in order.

    ``answers`` are what its name tells of alternatives (`rivals.tags`).
    """

    name: str
    units: tuple[Unit, ...]
    by: str
    answers: Mapping[Hashable, str]

    @property
    def place(self) -> int:
        """The position of its first tensor in the file."""
        return min(unit.group.place for unit in self.units)


def strand(units: tuple[Unit, ...], depth: int = 0) -> Order | None:
    """Return the order in which the modules form one chain, or None where none is certain.

    Names decide where they are numbered or tell a place (``input``, ``decoder``, ``head``) and
    the widths meet; else the order of widths if there is only one; else the order of the file,
    if that is not merely alphabetical. ``depth`` is the length of the path that all share.
    """
    if len(units) == 1:
        return Order(units, "names")
    depth = shared(units, depth)
    found = parts(units, depth)
    if found is None:
        return None
    answers: dict[Hashable, str] = {}
    for part in found:
        if not rivals.compatible(part.answers, answers):
            return None
        answers.update(part.answers)
    by = next((part.by for part in found if part.by != "names"), "names")
    told = _by_names(found)
    if told is not None:
        return Order(_flat(told), by)
    for pieces in (_by_stem(found), found):
        orders = _orders(pieces) if pieces is not None else []
        if len(orders) == 1:
            return Order(_flat(orders[0]), "widths")
    filed = sorted(found, key=lambda part: part.place)
    if filed != sorted(found, key=lambda part: part.name) and _joined(filed):
        return Order(_flat(filed), "file")
    return None


def shared(units: Sequence[Unit], depth: int) -> int:
    """Return the length of the path that all the modules have in common."""
    shortest = min(len(unit.path) for unit in units)
    while depth < shortest and len({unit.path[depth] for unit in units}) == 1:
        depth += 1
    return depth


def parts(units: tuple[Unit, ...], depth: int) -> list[Part] | None:
    """Return the siblings at ``depth``, in natural order; None where one is no chain itself."""
    if depth and rivals.parallel(units[0].path[depth - 1]):
        return None
    children: dict[str, list[Unit]] = {}
    for unit in units:
        name = unit.path[depth] if depth < len(unit.path) else ""
        children.setdefault(name, []).append(unit)
    if len(children) == 1:
        return None
    found: list[Part] = []
    for name in sorted(children, key=lambda name: natural((name,))):
        inside = strand(tuple(children[name]), depth + 1)
        if inside is None:
            return None
        answers = dict(rivals.tags(name, inside.units, depth))
        found.append(Part(name, inside.units, inside.by, answers))
    return found


def follows(before: Part, after: Part) -> bool:
    """Return whether names or widths tell that one part runs behind the other."""
    if not fits(before.units[-1], after.units[0]):
        return False
    told = rank(before.name) != rank(after.name) or stem(before.name) == stem(after.name)
    return told or not fits(after.units[-1], before.units[0])


def longest(found: Sequence[Part]) -> list[Part]:
    """Return the run with the most modules, then the most weights, that keeps the given order."""
    best: list[list[Part]] = []
    for i, part in enumerate(found):
        before = [
            best[j]
            for j in range(i)
            if follows(found[j], part)
            and all(rivals.compatible(part.answers, other.answers) for other in best[j])
        ]
        best.append([*max(before, key=weight, default=[]), part])
    return max(best, key=weight)


def weight(run: Sequence[Part]) -> tuple[int, int]:
    """Return the number of modules of a run and of their weights."""
    units = _flat(run)
    return len(units), sum(unit.weight.count for unit in units)


def _by_names(found: list[Part]) -> list[Part] | None:
    """Return the natural order, if it is told by ranks and numbers and its widths meet."""
    told = all(rank(a.name) < rank(b.name) or stem(a.name) == stem(b.name)
               for a, b in pairwise(found))  # fmt: skip
    return found if told and _joined(found) else None


def _by_stem(found: list[Part]) -> list[Part] | None:
    """Return one part for each run of numbered siblings, if the widths inside all meet."""
    together: dict[tuple[int, str], list[Part]] = {}
    for part in found:
        together.setdefault((rank(part.name), stem(part.name)), []).append(part)
    if not all(_joined(members) for members in together.values()):
        return None
    return [Part(members[0].name, _flat(members), "names", {}) for members in together.values()]


def _joined(found: Sequence[Part]) -> bool:
    return all(fits(a.units[-1], b.units[0]) for a, b in pairwise(found))


def _flat(found: Sequence[Part]) -> tuple[Unit, ...]:
    return tuple(unit for part in found for unit in part.units)


def _orders(found: list[Part]) -> list[list[Part]]:
    """Return up to two orders in which each part reads the one before."""
    orders: list[list[Part]] = []
    if len(found) > _PARTS:
        return orders
    readers = [
        [j for j, b in enumerate(found) if j != i and fits(a.units[-1], b.units[0])]
        for i, a in enumerate(found)
    ]
    steps = 0

    def extend(path: list[int], used: set[int]) -> None:
        nonlocal steps
        steps += 1
        if len(path) == len(found):
            orders.append([found[i] for i in path])
        for i in readers[path[-1]] if path else range(len(found)):
            if len(orders) > 1 or steps > _BUDGET:
                return
            if i not in used:
                extend([*path, i], used | {i})

    extend([], set())
    return [] if steps > _BUDGET else orders
