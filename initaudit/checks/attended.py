"""The units of an attention's values: what feeds each of them, and what reads it.

Attention mixes positions, not features: feature j of a head's values goes to feature j of the
outputs of the heads that share them. Two such units of one head with equal incoming and outgoing
weights stay equal, as those of a plain hidden layer do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from initaudit import graph
from initaudit.judge import Arrays
from initaudit.network import Layer, Network


@dataclass(frozen=True, slots=True)
class Values:
    """The values of one attention.

    ``layer`` projects them, perhaps with queries and keys: of each of ``groups`` equal runs of its
    units, those from ``start`` to ``stop`` are the values. ``reader`` is the output projection.
    ``shared`` heads of queries read each of ``heads`` heads of values.
    """

    layer: Layer
    reader: Layer
    start: int
    stop: int
    groups: int
    heads: int
    shared: int

    def may_be_twins(self, share: float) -> bool:
        """Return whether the statistics of the rows leave room for twins."""
        weight = self.layer.param("weight")
        tensor = None if weight is None else weight.tensor
        wanted = (self.stop - self.start) * self.groups
        # Where a name does not tell that (in, out) is stored, the units are the columns.
        lines = () if tensor is None else (tensor.rows, tensor.columns)
        return wanted > 1 and any(x is not None and x.duplicated >= share * wanted for x in lines)


def values(network: Network) -> Iterator[Values]:
    """Yield the values of each attention whose projections are plain linear layers."""
    layers = graph.by_name(network)
    for layer in network.layers:
        if layer.op != "attention" or len(layer.inputs) < 3:
            continue
        following = graph.after(network, layer.name)
        heads, kept = layer.attributes.get("heads"), layer.attributes.get("kv_heads")
        if not following or following[-1].op != "linear" or not isinstance(heads, int):
            continue
        kept = kept if isinstance(kept, int) else heads
        source = layers[layer.inputs[2]]
        cut = source if source.op == "slice" else None
        if cut is not None:
            source = layers[cut.inputs[0]]
        width = _units(source)
        if source.op != "linear" or not width or heads % kept:
            continue
        start, stop, groups = _bounds(cut, width)
        yield Values(source, following[-1], start, stop, groups, kept, heads // kept)


def signature(found: Values, arrays: Arrays) -> NDArray[Any] | None:
    """Return one row for each unit of the values: its head, what feeds it, what reads it."""
    into = _matrix(found.layer, arrays)
    out = _matrix(found.reader, arrays)
    if into is None or out is None:
        return None
    units = np.arange(len(into)).reshape(found.groups, -1)[:, found.start : found.stop].ravel()
    width = len(units) // found.heads
    if len(units) % found.heads or out.shape[1] != len(units) * found.shared:
        return None
    read = out.T.reshape(found.heads, found.shared, width, -1).swapaxes(1, 2)
    parts = [np.repeat(np.arange(found.heads), width)[:, None], into[units]]
    bias = found.layer.param("bias")
    if bias is not None and bias.tensor is not None:
        parts.append(np.asarray(arrays(bias.tensor.name), np.float64).reshape(-1, 1)[units])
    parts.append(read.reshape(len(units), -1))
    return np.concatenate(parts, axis=1)


def _matrix(layer: Layer, arrays: Arrays) -> NDArray[Any] | None:
    """Return a linear layer's weight as (out, in)."""
    weight = layer.param("weight")
    if weight is None or weight.tensor is None:
        return None
    matrix = np.asarray(arrays(weight.tensor.name), np.float64)
    return matrix.T if layer.attributes.get("layout") == "io" else matrix


def _units(layer: Layer) -> int | None:
    weight = layer.param("weight")
    if weight is None or len(weight.shape) != 2:
        return None
    return weight.shape[1] if layer.attributes.get("layout") == "io" else weight.shape[0]


def _bounds(cut: Layer | None, width: int) -> tuple[int, int, int]:
    if cut is None:
        return 0, width, 1
    start, stop = cut.attributes.get("start"), cut.attributes.get("stop")
    groups = cut.attributes.get("groups", 1)
    if not isinstance(start, int) or not isinstance(stop, int) or not isinstance(groups, int):
        return 0, width, 1
    return start, stop, groups
