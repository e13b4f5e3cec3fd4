"""Where a network is measured: its hidden layers as pre-activation and output, and its head."""

from __future__ import annotations

from dataclasses import dataclass

from initaudit import graph
from initaudit.network import Layer, Network

_OPENING = graph.WEIGHTED | graph.RECURRENT | {"add", "multiply", "concat"}


@dataclass(frozen=True, slots=True)
class Point:
    """One hidden layer that every path crosses, by the names of two layers.

    ``before`` gives the pre-activation and ``behind`` what the activation makes of it; both are
    the same layer where no activation follows.
    """

    before: str
    behind: str


def hidden(network: Network) -> tuple[Point, ...]:
    """Return the hidden layers that every path from input to output crosses, in order.

    A point opens at a weight, a recurrent layer, or where branches meet; with a norm between the
    weight and its activation, the norm's output is the pre-activation. Branches beside a skip
    connection, the heads and what follows them are left out.
    """
    crossed = graph.bottlenecks(network)
    ends = {layer.name for layer in graph.heads(network)}
    found: dict[str, Point] = {}
    for layer in network.layers:
        if ends & {layer.name, *layer.inputs}:
            ends.add(layer.name)
        elif layer.op in _OPENING and layer.name in crossed:
            point = _point(network, layer)
            found[point.behind] = point
    return tuple(found.values())


def stretches(network: Network) -> tuple[tuple[Point, ...], ...]:
    """Return the points on the way of each input, as far as its signal is carried on whole.

    What an attention reads as keys or values of another signal (cross-attention) is averaged over
    positions and added beside a skip connection: power there says nothing of power before it.
    """
    points = hidden(network)
    found: dict[tuple[Point, ...], None] = {}
    for source in network.layers:
        if source.op == "input":
            carried = _carried(network, source.name)
            found[tuple(point for point in points if point.before in carried)] = None
    return tuple(way for way in found if way)


def _carried(network: Network, source: str) -> set[str]:
    found = {source}
    for layer in network.layers:
        reads = layer.inputs[:1] if layer.op == "attention" else layer.inputs
        if found.intersection(reads):
            found.add(layer.name)
    return found


def _point(network: Network, layer: Layer) -> Point:
    function = graph.activation_after(network, layer.name)
    if layer.op in graph.RECURRENT or function is None or len(function.inputs) != 1:
        return Point(layer.name, layer.name)
    return Point(function.inputs[0], function.name)


def below_heads(network: Network) -> tuple[str, ...]:
    """Return the layers that the heads read: where random cotangents enter."""
    return tuple(dict.fromkeys(x.inputs[0] for x in graph.heads(network) if x.inputs))
