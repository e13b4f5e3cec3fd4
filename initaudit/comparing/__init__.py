"""Two checkpoints of one network: what moved, layer by layer, and which findings came and went."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from initaudit.auditing import audit_files
from initaudit.checkpoint.reading import array, read_checkpoint
from initaudit.finding import Finding, Report
from initaudit.inputs import Input
from initaudit.network import Origin, Unread
from initaudit.options import Options, rules_for
from initaudit.report.fingerprint import fingerprints
from initaudit.report.placing import worst_first

_STAGE = {Origin.DECLARED: "fresh", Origin.MEASURED: "fresh", Origin.TRAINED: "trained"}
PIECE = 1 << 22
"""Elements of a tensor that are compared at once."""
COVERAGE = 0.01
"""Share of the weights by which two replicas may differ before that is told."""


@dataclass(frozen=True, slots=True)
class Moved:
    """One tensor of both: standard deviations, and how far the second is from the first.

    ``distance`` is ||b - a|| / ||a||, ``cosine`` that between the two as vectors; both are None
    where the tensors have no finite norm, ``distance`` also where ``a`` is all zero and ``b`` not.
    """

    name: str
    shape: tuple[int, ...]
    before: float | None
    after: float | None
    distance: float | None
    cosine: float | None
    same: bool

    @property
    def ratio(self) -> float | None:
        """The second standard deviation over the first."""
        if not self.before or self.after is None:
            return None
        return self.after / self.before


@dataclass(frozen=True, slots=True)
class Compared:
    """What became of the first checkpoint in the second.

    Nothing is compared where one of the two ``failed``, which ``unread`` tells.
    ``came`` and ``went`` are findings of one alone, ``stayed`` those of both; one that is more
    severe in the second came. ``reshaped`` are tensors of one name and two shapes.
    """

    before: Report
    after: Report
    moved: tuple[Moved, ...]
    lost: tuple[str, ...]
    gained: tuple[str, ...]
    reshaped: tuple[str, ...]
    came: tuple[Finding, ...]
    went: tuple[Finding, ...]
    stayed: tuple[Finding, ...]
    unread: tuple[Unread, ...]

    @property
    def failed(self) -> bool:
        """Whether one of the two could not be judged."""
        return self.before.failed or self.after.failed

    @property
    def cautions(self) -> tuple[str, ...]:
        """What the two were not judged alike in: findings may have come or gone by that alone."""
        told = []
        for a, b in zip(self.before.networks, self.after.networks, strict=False):
            if a.origin != b.origin:
                stages = _STAGE[a.origin], _STAGE[b.origin]
                told.append(
                    "the first was judged as {}, the second as {}: ".format(*stages)
                    + "trained weights are judged by fewer rules (--stage decides it)"
                )
            if abs(a.coverage - b.coverage) > COVERAGE:
                told.append(
                    f"the signal went through {a.coverage:.0%} of the first's weights and "
                    f"{b.coverage:.0%} of the second's"
                )
        return tuple(told)


def compare(first: Path, second: Path, options: Options) -> Compared:
    """Audit two checkpoints and lay them side by side.

    Raises:
        OptionsError: where the options cannot be used.
    """
    rules = rules_for(options)
    before, after = (
        audit_files([Input(path, named=True)], options, rules) for path in (first, second)
    )
    unread = (*before.unread, *after.unread)
    if before.failed or after.failed:
        # Findings of one alone would look as if they came or went.
        return Compared(before, after, (), (), (), (), (), (), (), unread)
    came, went, stayed = findings_of(before.findings, after.findings)
    old, new = ({x.name: x for x in read_checkpoint(path).arrays} for path in (first, second))
    both = [name for name in old if name in new]
    even = [name for name in both if old[name].shape == new[name].shape]
    moved = tuple(
        _moved(name, old[name].shape, array(old[name]), array(new[name])) for name in even
    )
    return Compared(
        before, after, moved,
        tuple(name for name in old if name not in new),
        tuple(name for name in new if name not in old),
        tuple(name for name in both if name not in set(even)),
        came, went, stayed, unread,
    )  # fmt: skip


def findings_of(
    before: Sequence[Finding], after: Sequence[Finding]
) -> tuple[tuple[Finding, ...], tuple[Finding, ...], tuple[Finding, ...]]:
    """Return what came, went and stayed; the files' names do not count."""
    old = dict(zip(fingerprints(before, [""] * len(before)), before, strict=True))
    new = dict(zip(fingerprints(after, [""] * len(after)), after, strict=True))
    worse = {mark for mark, f in new.items() if mark in old and f.severity > old[mark].severity}
    came = worst_first(f for mark, f in new.items() if mark not in old or mark in worse)
    went = worst_first(f for mark, f in old.items() if mark not in new)
    return came, went, worst_first(new[mark] for mark in new if mark in old and mark not in worse)


def _moved(name: str, shape: tuple[int, ...], a: NDArray[Any], b: NDArray[Any]) -> Moved:
    sums = np.zeros(7)
    same = True
    for x, y in _pieces(a, b):
        same = same and np.array_equal(x, y, equal_nan=True)
        with np.errstate(invalid="ignore", over="ignore"):
            sums += [x.size, x.sum(), y.sum(), x @ x, y @ y, x @ y, (y - x) @ (y - x)]
    count, one, two, aa, bb, ab, dd = map(float, sums)
    finite = all(map(math.isfinite, (aa, bb, ab, dd)))
    distance = cosine = None
    if finite and aa > 0:
        distance = math.sqrt(dd / aa)
        cosine = ab / math.sqrt(aa * bb) if bb > 0 else None
    elif finite and not dd:
        distance = 0.0
    return Moved(name, shape, _std(count, one, aa), _std(count, two, bb), distance, cosine, same)


def _std(count: float, total: float, squares: float) -> float | None:
    if not count or not math.isfinite(squares):
        return None
    return math.sqrt(max(squares / count - (total / count) ** 2, 0.0))


def _pieces(a: NDArray[Any], b: NDArray[Any]) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    x, y = a.reshape(-1), b.reshape(-1)
    for start in range(0, x.size, PIECE):
        yield (
            x[start : start + PIECE].astype(np.float64),
            y[start : start + PIECE].astype(np.float64),
        )
