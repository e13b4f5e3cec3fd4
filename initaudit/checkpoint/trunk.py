"""The chain of a network that branches: a trunk with several heads, or networks side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from initaudit.checkpoint.chains import Part, longest, parts, shared, strand, weight
from initaudit.checkpoint.order import fits, rank
from initaudit.checkpoint.rivals import compatible
from initaudit.checkpoint.units import Unit, words

_LATENT = frozenset({"mu", "mean", "loc", "logvar", "var", "sigma", "std", "logstd", "logsigma",
                     "log"})  # fmt: skip
_MEAN = frozenset({"mu", "mean", "loc"})
_PARTS = 100


@dataclass(frozen=True, slots=True)
class Trunk:
    """Modules in the order they run, how that was found, and what branches off.

    ``by`` is ``names``, ``widths`` or ``file``; ``beside`` are (module, reason) off the chain and
    ``ends`` the last modules there.
    """

    units: tuple[Unit, ...]
    by: str
    beside: tuple[tuple[Unit, str], ...] = ()
    ends: frozenset[str] = frozenset()


def find(units: Sequence[Unit]) -> Trunk | None:
    """Return the chain of the modules and what is beside it, or None where none is certain."""
    if not units:
        return None
    whole = None if _sampled(units) else strand(tuple(units))
    if whole is not None:
        return Trunk(whole.units, whole.by)
    found = parts(tuple(units), shared(units, 0))
    if found is None or len(found) > _PARTS:
        return None
    ends = [part for part in found if not any(_reads(other, part) for other in found)]
    inner = [part for part in found if part not in ends]
    filed = sorted(found, key=lambda part: part.place)
    runs = [("names", longest(found)), ("names", longest([*inner, *ends]))]
    if filed != sorted(found, key=lambda part: part.name):
        runs.append(("file", longest(filed)))
    for by, run in sorted(runs, key=lambda pair: weight(pair[1]), reverse=True):
        trunk = _with(run, [part for part in found if part not in run], by)
        if trunk is not None:
            return trunk
    return None


def _reads(after: Part, before: Part) -> bool:
    return after is not before and fits(before.units[-1], after.units[0])


def _sampled(units: Sequence[Unit]) -> bool:
    """Return whether a mean and its spread stand side by side, as in a variational network."""
    latent = [unit for unit in units if _latent(unit)]
    return any(_mean(unit) for unit in latent) and any(not _mean(unit) for unit in latent)


def _latent(unit: Unit) -> bool:
    return bool(_LATENT & set(words(unit.path[-1])))


def _mean(unit: Unit) -> bool:
    return bool(_MEAN & set(words(unit.path[-1])))


def _with(run: list[Part], left: list[Part], by: str) -> Trunk | None:
    """Return the run with every other part explained, or None where one is not."""
    run, left, why = _until_sample(run, left)
    beside: list[tuple[Unit, str]] = []
    for part in left:
        reason = why.get(part.name) or _branch(part, run)
        if reason is None:
            return None
        beside += [(unit, reason) for unit in part.units]
    units = tuple(unit for part in run for unit in part.units)
    return Trunk(units, by, tuple(beside), frozenset(part.units[-1].name for part in left))


def _until_sample(
    run: list[Part], left: list[Part]
) -> tuple[list[Part], list[Part], dict[str, str]]:
    """Cut a run at the mean of a distribution: what follows reads a sample, not the mean."""
    at = next((i for i, part in enumerate(run) if _latent(part.units[-1])), None)
    if at is None:
        return run, left, {}
    twins = [
        part
        for part in left
        if _latent(part.units[-1])
        and (part.units[0].fan, part.units[-1].width) == (run[at].units[0].fan,
                                                          run[at].units[-1].width)
    ]  # fmt: skip
    if not twins:
        return run, left, {}
    mean = next((part for part in [run[at], *twins] if _mean(part.units[-1])), run[at])
    behind = run[at + 1 :]
    kept = [*run[:at], mean]
    rest = [part for part in [*left, run[at], *behind] if part not in kept]
    why = {part.name: f"a branch beside {mean.units[-1].name}" for part in twins}
    why[run[at].name] = f"a branch beside {mean.units[-1].name}"
    why |= {part.name: f"reads a sample drawn around {mean.units[-1].name}" for part in behind}
    return kept, rest, why


def _branch(part: Part, run: list[Part]) -> str | None:
    """Return why a part is beside the chain, or None where it may belong inside it."""
    first, last = run[0].units[0], run[-1].units[0]
    begin, end = part.units[0], part.units[-1]
    if any(fits(end, other.units[0]) for other in run[1:]):
        return None
    chainable = fits(run[-1].units[-1], begin) or fits(end, first)
    same_input = begin.op == first.op and begin.fan == first.fan
    alone = len(run) == len(run[0].units) == 1
    if same_input and (len(part.units) > 1 or alone):
        rival = any(not compatible(part.answers, other.answers) for other in run)
        return f"a second network beside {first.name}" if rival or not chainable else None
    if len(run) > 1 and begin.op == last.op and begin.fan == last.fan:
        told = rank(part.name) == rank(run[-1].name) == rank("head")
        return f"a second head beside {last.name}" if told or not chainable else None
    return None
