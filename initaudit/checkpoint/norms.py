"""Which layer a norm stands behind or in front of, from names and widths."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from initaudit import graph
from initaudit.checkpoint.positional import number
from initaudit.checkpoint.units import NORMS, Unit

_WORD = r"(?:(?:batch|layer|group|instance|rms)?_?norm(?:ali[sz]ation)?(?:\dd)?|bn|ln|gn|in|rms)"
_NAMES = re.compile(_WORD, re.IGNORECASE)
_AT_END = re.compile(rf"_?{_WORD}$", re.IGNORECASE)
_AT_START = re.compile(rf"^{_WORD}_?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Placed:
    """``behind`` and ``before`` map a module's name to the norms directly at it."""

    behind: dict[str, Unit]
    before: dict[str, Unit]
    left: tuple[tuple[Unit, str], ...]
    notes: tuple[str, ...]


def place(chain: Sequence[Unit], norms: Sequence[Unit]) -> Placed:
    """Attach each norm to a module of the chain whose width it has and whose name is near.

    Near are: the neighbour in an ``nn.Sequential``, the same number (conv1/bn1), the only module
    of the same container, one name inside the other (fc1_bn); failing those, the only module of
    that width.
    """
    behind: dict[str, Unit] = {}
    before: dict[str, Unit] = {}
    left: list[tuple[Unit, str]] = []
    notes: list[str] = []
    family = _Family.of(chain)
    assumed: list[str] = []
    for norm in norms:
        if norm.op not in NORMS:
            continue
        found = _sequential(family, norm)
        numbered = found is not None
        if found is None:
            found = _side([u for u in family.around(norm) if _near(family, norm, u)], norm)
        if found is None:
            found = _side(family.of_width(norm.width), norm)
            if found is not None:
                where = "in front of" if found[0] == "before" else "behind"
                notes.append(
                    f"{norm.name} is taken to stand {where} {found[1].name}, "
                    "the only layer of its width"
                )
        side = behind if found is not None and found[0] == "behind" else before
        if found is None or found[1].name in side:
            left.append((norm, "no layer of the chain with its width is near it by name"))
            continue
        settled, note = _settled(norm, found[1])
        if note:
            notes.append(note)
        if found[0] == "behind" and not numbered:
            assumed.append(norm.name)
        side[found[1].name] = settled
    if assumed:
        notes.append(f"{_listed(assumed)}: right behind the layer, in front of its activation")
    return Placed(behind, before, tuple(left), tuple(notes))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names if len(names) <= 6 else [*names[:3], "...", *names[-2:]])


@dataclass(frozen=True, slots=True)
class _Family:
    """The modules of a chain by container, by number in it, by width and by what norms ask for."""

    inside: Mapping[tuple[str, ...], tuple[Unit, ...]]
    numbered: Mapping[tuple[str, ...], tuple[tuple[int, Unit], ...]]
    widths: Mapping[int, tuple[Unit, ...]]
    keys: Mapping[Hashable, tuple[Unit, ...]]

    @classmethod
    def of(cls, chain: Sequence[Unit]) -> _Family:
        """Return the index of a chain."""
        inside: dict[tuple[str, ...], list[Unit]] = {}
        numbered: dict[tuple[str, ...], list[tuple[int, Unit]]] = {}
        widths: dict[int, list[Unit]] = {}
        keys: dict[Hashable, list[Unit]] = {}
        for unit in chain:
            inside.setdefault(unit.path[:-1], []).append(unit)
            place = number(unit.path[-1])
            if place is not None:
                numbered.setdefault(unit.path[:-1], []).append((place, unit))
            for width in {unit.width, unit.fan}:
                widths.setdefault(width, []).append(unit)
                for key in _keys(unit.path, (unit.path[-1],)):
                    keys.setdefault((width, key), []).append(unit)
        return cls(
            {key: tuple(units) for key, units in inside.items()},
            {key: tuple(sorted(found, key=_first)) for key, found in numbered.items()},
            {width: tuple(units) for width, units in widths.items()},
            {key: tuple(units) for key, units in keys.items()},
        )

    def of_width(self, width: int) -> tuple[Unit, ...]:
        """Return the modules that read or give so many features."""
        return self.widths.get(width, ())

    def around(self, norm: Unit) -> tuple[Unit, ...]:
        """Return the modules of the norm's width that may be near it by name."""
        last = norm.path[-1]
        asked = [*_keys(norm.path, (_AT_END.sub("", last), _AT_START.sub("", last)))]
        asked.append(("path", norm.path[:-1]))
        found = {unit.name: unit for key in asked for unit in self.keys.get((norm.width, key), ())}
        alone = self.inside.get(norm.path[:-1], ())
        if len(alone) == 1:
            found[alone[0].name] = alone[0]
        return tuple(found.values())


def _keys(path: tuple[str, ...], names: Sequence[str]) -> Iterator[Hashable]:
    """Yield what a module and the norm at it have in common in one of the ways of `_near`."""
    *above, last = path
    parents = tuple(above)
    yield "path", path
    yield "numbers", parents, _numbers(last)
    if last.isdecimal():
        yield "list", parents[:-1], last
    counted = _counted(last)
    if counted is not None:
        yield "counted", parents, counted
    for name in names:
        yield "name", parents, name


def _first(pair: tuple[int, Unit]) -> int:
    return pair[0]


def _settled(norm: Unit, unit: Unit) -> tuple[Unit, str | None]:
    if norm.op == "layer_norm" and unit.dims:
        attributes = {**norm.attributes, "groups": 1}
        note = (
            f"{norm.name} at a convolution is taken as a norm over all channels and places "
            f"(group norm with one group): names do not tell which norm it is"
        )
        return replace(norm, op="group_norm", attributes=attributes), note
    if norm.op == "group_norm":
        groups = norm.attributes.get("groups")
        if groups != norm.width:
            return norm, f"{norm.name} has {groups} groups: their number is not stored"
    return norm, None


def _matches(norm: Unit, unit: Unit, side: str) -> bool:
    if norm.op == "batch_norm" and unit.op in graph.RECURRENT | {"embedding"}:
        return False
    if side == "behind":
        return unit.width == norm.width
    return unit.fan == norm.width and unit.op != "embedding"


def _side(candidates: Sequence[Unit], norm: Unit) -> tuple[str, Unit] | None:
    """Return the one module that the norm can stand behind, else in front of."""
    for side in ("behind", "before"):
        found = [unit for unit in candidates if _matches(norm, unit, side)]
        if len(found) == 1:
            return side, found[0]
        if found:
            return None
    return None


def _sequential(family: _Family, norm: Unit) -> tuple[str, Unit] | None:
    """Place a norm among numbered siblings: ``0`` linear, ``1`` norm, or ``1`` ReLU, ``2`` norm."""
    here = number(norm.path[-1])
    if here is None:
        return None
    numbered = family.numbered.get(norm.path[:-1], ())
    at = bisect_left(numbered, here, key=_first)
    earlier = numbered[at - 1] if at else None
    later = numbered[at] if at < len(numbered) else None
    leads = later is not None and _matches(norm, later[1], "before") and later[0] == here + 1
    if earlier is not None and _matches(norm, earlier[1], "behind"):
        if later is not None and leads and here - earlier[0] > 1:
            return "before", later[1]
        return "behind", earlier[1]
    return ("before", later[1]) if later is not None and leads else None


def _near(family: _Family, norm: Unit, unit: Unit) -> bool:
    *parents, last = unit.path
    *norm_parents, norm_last = norm.path
    if norm_parents == [*parents, last]:
        return True
    if norm_parents[:-1] == parents[:-1] and last.isdecimal() and last == norm_last:
        return True
    if norm_parents != parents:
        return False
    if _counted(last) == _counted(norm_last) and _counted(last) is not None:
        return True
    stem = re.sub(r"[\d_]+$|^[\d_]+", "", norm_last)
    if _NAMES.fullmatch(stem):
        beside = family.inside[unit.path[:-1]]
        return len(beside) == 1 or _numbers(last) == _numbers(norm_last)
    bare = norm_last.replace(last, "", 1) if last in norm_last else None
    return bare is not None and _NAMES.fullmatch(bare.strip("_")) is not None


def _counted(component: str) -> str | None:
    """Return the number that ends a component: ``conv1`` and ``bn1`` share one."""
    found = re.search(r"\d+$", component)
    return found[0] if found and found[0] != component else None


def _numbers(component: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\d+", component))
