"""In which order modules run: by their names, else by the widths that must meet."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from initaudit.checkpoint.units import RECURRENT, Unit, words

_FIRST = frozenset({"input", "inputs", "in", "inp", "first", "stem", "embed", "embedding",
                    "embeddings", "emb", "tok", "wte"})  # fmt: skip
_EARLY = frozenset({"encoder", "enc", "encode", "backbone", "feature", "features", "conv", "convs",
                    "conv1d", "conv2d", "conv3d", "cnn", "lstm", "gru", "rnn"})  # fmt: skip
_LATE = frozenset({"decoder", "dec", "decode"})
_LAST = frozenset({"output", "outputs", "out", "head", "heads", "classifier", "logits", "logit",
                   "readout", "last", "final", "predictions", "prediction"})  # fmt: skip
_LATENT = frozenset({"mu", "mean", "logvar", "var", "sigma", "std", "logstd"})

_BUDGET = 20_000
"""Steps after which a search for another order is given up as ambiguous."""

_PARTS = 100
"""Parts above which no other order is searched for."""

Key = tuple[tuple[int, tuple[tuple[int, int, str], ...]], ...]


@dataclass(frozen=True, slots=True)
class Order:
    """Modules in the order they run, how that was found, and what branches off.

    ``by`` is ``names``, ``widths`` or ``file``; ``beside`` are (module, reason) off the chain and
    ``ends`` the last modules there.
    """

    units: tuple[Unit, ...]
    by: str
    beside: tuple[tuple[Unit, str], ...] = ()
    ends: frozenset[str] = frozenset()


def natural(path: Sequence[str]) -> Key:
    """Return a sort key: digits are numbers, ``input`` and ``stem`` lead, ``head`` is last."""
    return tuple((_rank(part), _pieces(part)) for part in path)


def _rank(component: str) -> int:
    said = {*words(component), component.lower()}
    if said & _LAST:
        return 4
    for rank, group in ((0, _FIRST), (1, _EARLY), (3, _LATE)):
        if said & group or re.sub(r"[\d_]+$", "", component.lower()) in group:
            return rank
    return 2


def _pieces(component: str) -> tuple[tuple[int, int, str], ...]:
    return tuple(
        (0, int(piece), "") if piece.isdecimal() else (1, 0, piece)
        for piece in re.split(r"(\d+)", component)
        if piece
    )


def fits(before: Unit, after: Unit) -> bool:
    """Return whether the second module can read what the first one gives.

    A linear layer reads a convolution's channels times any number of places. A kernel of one
    channel reads any number of channels depthwise.
    """
    if after.op == "embedding":
        return False
    if after.op in {"conv", "conv_transpose"}:
        if before.op not in {"conv", "conv_transpose"} or before.dims != after.dims:
            return False
        depthwise = after.op == "conv" and after.fan == 1 and after.width % before.width == 0
        return after.fan == before.width or depthwise
    if after.op == "linear" and (before.dims or before.op == "embedding"):
        return after.fan % before.width == 0
    if after.op in RECURRENT:
        return before.dims == 0 and after.fan == before.width
    return after.fan == before.width


def find(units: Sequence[Unit]) -> Order | None:
    """Return the order in which the modules form one chain, or None where none is certain.

    Names decide where their natural order fits the widths; else the order of widths if there is
    only one; else the order of the file where it fits and is not merely alphabetical.
    """
    if not units:
        return None
    tree = _strand(tuple(units), 0)
    return tree if tree is not None else _trunk(tuple(units))


def _joined(parts: Sequence[Sequence[Unit]]) -> bool:
    return all(fits(a[-1], b[0]) for a, b in pairwise(parts))


def _children(units: tuple[Unit, ...], depth: int) -> list[tuple[Unit, ...]]:
    """Return the modules by the component at ``depth``, in natural order."""
    found: dict[str, list[Unit]] = {}
    for unit in units:
        part = unit.path[depth] if depth < len(unit.path) else ""
        found.setdefault(part, []).append(unit)
    return [tuple(found[part]) for part in sorted(found, key=lambda part: natural((part,)))]


def _strand(units: tuple[Unit, ...], depth: int) -> Order | None:
    if len(units) == 1:
        return Order(units, "names")
    if depth >= max(len(unit.path) for unit in units):
        return None
    children = _children(units, depth)
    if len(children) == 1:
        return _strand(units, depth + 1)
    found = [_strand(child, depth + 1) for child in children]
    if any(strand is None for strand in found):
        return None
    strands = [strand for strand in found if strand is not None]
    by = next((strand.by for strand in strands if strand.by != "names"), "names")
    parts = [strand.units for strand in strands]
    if _joined(parts):
        return Order(_flat(parts), by)
    orders = _orders(parts)
    if len(orders) == 1:
        return Order(_flat(orders[0]), "widths")
    filed = sorted(parts, key=lambda part: min(unit.group.place for unit in part))
    if orders and filed != sorted(parts, key=lambda part: part[0].name) and _joined(filed):
        return Order(_flat(filed), "file")
    return None


def _flat(parts: Sequence[Sequence[Unit]]) -> tuple[Unit, ...]:
    return tuple(unit for part in parts for unit in part)


def _orders(parts: list[tuple[Unit, ...]]) -> list[list[tuple[Unit, ...]]]:
    """Return up to two orders in which each part reads the one before."""
    found: list[list[tuple[Unit, ...]]] = []
    steps = 0
    if len(parts) > _PARTS:
        return found

    def extend(path: list[int], left: list[int]) -> None:
        nonlocal steps
        steps += 1
        if not left:
            found.append([parts[i] for i in path])
        for i in left:
            if len(found) > 1 or steps > _BUDGET:
                return
            if not path or fits(parts[path[-1]][-1], parts[i][0]):
                extend([*path, i], [j for j in left if j != i])

    extend([], list(range(len(parts))))
    return [] if steps > _BUDGET else found


def _trunk(units: tuple[Unit, ...]) -> Order | None:
    """Return the longest run of whole parts, where all others branch off it as heads or towers."""
    depth = 0
    children = _children(units, depth)
    while len(children) == 1 and depth < max(len(unit.path) for unit in units):
        depth += 1
        children = _children(units, depth)
    found = [_strand(child, depth + 1) for child in children]
    if len(children) < 2 or any(strand is None for strand in found):
        return None
    parts = [strand.units for strand in found if strand is not None]
    by_name = _longest(parts)
    by_file = _longest(sorted(parts, key=lambda part: min(unit.group.place for unit in part)))
    for by, run in (("names", by_name), ("file", by_file)):
        left = [part for part in parts if part not in run]
        reasons = [_branch(part, run) for part in left]
        if all(reason is not None for reason in reasons):
            beside = [
                (unit, reason or "")
                for part, reason in zip(left, reasons, strict=True)
                for unit in part
            ]
            ends = frozenset(part[-1].name for part in left)
            return Order(_flat(run), by, tuple(beside), ends)
    return None


def _longest(parts: list[tuple[Unit, ...]]) -> list[tuple[Unit, ...]]:
    """Return the run with the most modules, then the most weights, that keeps the given order."""
    best: list[list[tuple[Unit, ...]]] = []
    for i, part in enumerate(parts):
        before = [best[j] for j in range(i) if fits(parts[j][-1], part[0])]
        best.append([*max(before, key=_weight, default=[]), part])
    return max(best, key=_weight)


def _weight(run: list[tuple[Unit, ...]]) -> tuple[int, int]:
    return len(_flat(run)), sum(unit.weight.count for unit in _flat(run))


def _branch(part: tuple[Unit, ...], run: list[tuple[Unit, ...]]) -> str | None:
    """Return why a part is beside the chain, or None where it may belong inside it."""
    same: Callable[[Unit, Unit], bool] = lambda a, b: a.op == b.op and a.fan == b.fan  # noqa: E731
    if same(part[0], run[0][0]) and (len(part) > 1 or len(_flat(run)) == 1):
        return f"a second network beside {run[0][0].name}"
    if len(run) > 1 and same(part[0], run[-1][0]):
        return f"a second head beside {run[-1][0].name}"
    if {*words(part[0].path[-1]), *words(part[0].path[0])} & _LATENT:
        beside = next((r[0].name for r in run if same(part[0], r[0])), None)
        return None if beside is None else f"a branch beside {beside}"
    return None
