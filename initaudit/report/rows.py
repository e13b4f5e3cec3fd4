"""The rows of a network's table: layers with their activations, and what a long one leaves out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from initaudit.finding import LayerReport
from initaudit.rulebook import Severity

# A table longer than a screen hides its end; these many rows are kept of a longer one.
MOST = 40
HEAD = 10
TAIL = 10


@dataclass(frozen=True, slots=True)
class Row:
    """A layer, the activation that follows it, and the worst finding at either."""

    layer: LayerReport
    activation: LayerReport | None = None
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """A run of rows left out, and how many of them have findings."""

    rows: int
    found: int


def rows(
    layers: Sequence[LayerReport], worst: Mapping[str, Severity], *, fold: bool = True
) -> tuple[Row, ...]:
    """Return one row a layer; with ``fold`` an activation joins the row of the layer before it."""
    made: list[Row] = []
    where: dict[str, int] = {}
    for layer in layers:
        at = _host(layer, made, where) if fold else None
        if at is None:
            where[layer.name] = len(made)
            made.append(Row(layer, None, worst.get(layer.name)))
        else:
            both = [s for s in (made[at].severity, worst.get(layer.name)) if s is not None]
            made[at] = Row(made[at].layer, layer, max(both, default=None))
    return tuple(made)


def cut(all_rows: Sequence[Row], most: int = MOST) -> tuple[Row | Gap, ...]:
    """Return the rows of a long table's two ends and those with findings, with gaps between.

    Where more rows have findings than there is room for, the worst stay, the earlier first.
    """
    if len(all_rows) <= most:
        return tuple(all_rows)
    ends = {*range(HEAD), *range(len(all_rows) - TAIL, len(all_rows))}
    found = [i for i, row in enumerate(all_rows) if row.severity is not None and i not in ends]
    found.sort(key=lambda i: (-(all_rows[i].severity or 0), i))
    kept = ends | set(found[: most - len(ends)])
    shown: list[Row | Gap] = []
    left_out: list[Row] = []
    for i, row in enumerate(all_rows):
        if i not in kept:
            left_out.append(row)
            continue
        shown += _gap(left_out)
        left_out = []
        shown.append(row)
    return tuple(shown)


def _gap(left_out: list[Row]) -> list[Row | Gap]:
    """Return a gap, or the row itself where the gap would take as much room."""
    if len(left_out) < 2:
        return list(left_out)
    return [Gap(len(left_out), sum(row.severity is not None for row in left_out))]


def _host(activation: LayerReport, made: list[Row], where: Mapping[str, int]) -> int | None:
    if activation.op != "activation" or not made:
        return None
    owner = activation.name.rpartition(".")[0]
    at = where.get(owner, len(made) - 1)
    taken = made[at].activation is not None or made[at].layer.op == "activation"
    return None if taken or made[at].layer.apart is not None else at


def is_weighted(layer: LayerReport) -> bool:
    """Return whether there is anything to judge a layer's weights by."""
    return layer.tensor is not None or layer.gain is not None or layer.law is not None
