"""Questions about the edges of a network: who reads whom, and what every path crosses."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from typing import TypeVar

from initaudit.network import Layer, Network

WEIGHTED = frozenset({"linear", "conv", "conv_transpose"})
RECURRENT = frozenset({"lstm", "gru", "rnn"})
NORMS = frozenset({"batch_norm", "layer_norm", "group_norm", "rms_norm"})
UNITWISE = NORMS | {
    "activation", "dropout", "identity", "flatten", "max_pool", "avg_pool", "global_avg_pool",
    "adaptive_avg_pool", "scale", "bias", "clip", "pad", "upsample", "take", "tokens", "image",
}  # fmt: skip
"""Operations that keep units (features, channels) apart or in place."""


_OF_HEADS = NORMS | {"slice", "rotary", "scale", "bias", "identity", "reshape", "transpose"}
"""Operations between a projection and the attention that reads it."""

_Answer = TypeVar("_Answer")
_REMEMBERED = 8


def _remembered(question: Callable[[Network], _Answer]) -> Callable[[Network], _Answer]:
    """Keep the answers for the last few networks, by identity: a network does not change."""
    recent: deque[tuple[Network, _Answer]] = deque(maxlen=_REMEMBERED)

    @wraps(question)
    def answer(network: Network) -> _Answer:
        for known, value in tuple(recent):
            if known is network:
                return value
        value = question(network)
        recent.append((network, value))
        return value

    return answer


@_remembered
def by_name(network: Network) -> Mapping[str, Layer]:
    """Return the layers by their names."""
    return {layer.name: layer for layer in network.layers}


@_remembered
def consumers(network: Network) -> Mapping[str, tuple[str, ...]]:
    """Return, for each layer, the layers that read it, in topological order."""
    found: dict[str, list[str]] = {layer.name: [] for layer in network.layers}
    for layer in network.layers:
        for name in layer.inputs:
            if name in found:
                found[name].append(layer.name)
    return {name: tuple(readers) for name, readers in found.items()}


@_remembered
def faults(network: Network) -> Mapping[str, str]:
    """Return the layers that have no place in a graph, each with the reason in one line.

    A layer that reads one that does not exist, a layer on a cycle or before what it reads, and
    the second of a name.
    """
    layers = by_name(network)
    found: dict[str, str] = {}
    seen: set[str] = set()
    for layer in network.layers:
        missing = next((i for i in layer.inputs if i not in layers), None)
        if layer.name in seen:
            found[layer.name] = "two layers have this name"
        elif missing is not None:
            found[layer.name] = f"it reads {missing}, which is no layer"
        elif (late := next((i for i in layer.inputs if i not in seen), None)) is not None:
            cyclic = _reads(layers, late, layer.name)
            found[layer.name] = (
                f"it lies on a cycle: it reads {late}, which reads it"
                if cyclic
                else f"it reads {late}, which comes after it"
            )
        seen.add(layer.name)
    return found


def _reads(layers: Mapping[str, Layer], name: str, other: str) -> bool:
    """Return whether a layer reads another, be it through layers between them."""
    waiting, seen = [name], {name}
    while waiting:
        here = waiting.pop()
        if here == other:
            return True
        for behind in layers[here].inputs if here in layers else ():
            if behind not in seen:
                seen.add(behind)
                waiting.append(behind)
    return False


@_remembered
def placed(network: Network) -> frozenset[str]:
    """Return the layers that the input reaches."""
    reached: set[str] = set()
    broken = faults(network)
    for layer in network.layers:
        if layer.name in broken:
            continue
        if layer.op == "input" or (layer.inputs and all(i in reached for i in layer.inputs)):
            reached.add(layer.name)
    return frozenset(reached)


@_remembered
def bottlenecks(network: Network) -> frozenset[str]:
    """Return the layers that every path from one of the inputs to an output crosses.

    A layer beside a skip connection is not one of them.
    """
    inside = placed(network)
    readers = consumers(network)
    ways_out: dict[str, int] = {}
    for layer in reversed(network.layers):
        if layer.name in inside:
            ways_out[layer.name] = sum(ways_out[r] for r in readers[layer.name] if r in inside) or 1
    found: set[str] = set()
    for source in network.layers:
        if source.op != "input":
            continue
        ways_in = {source.name: 1}
        for layer in network.layers:
            count = sum(ways_in.get(i, 0) for i in layer.inputs)
            if count and layer.name in inside:
                ways_in[layer.name] = count
        total = ways_out[source.name]
        found |= {n for n, count in ways_in.items() if count * ways_out[n] == total}
    return frozenset(found)


@_remembered
def weighted(network: Network) -> tuple[Layer, ...]:
    """Return the placed layers with a weight matrix or kernel, in topological order."""
    inside = placed(network)
    return tuple(x for x in network.layers if x.op in WEIGHTED and x.name in inside)


@_remembered
def multiplying(network: Network) -> tuple[Layer, ...]:
    """Return those and the recurrent ones: all that multiply what they read by a matrix."""
    inside = placed(network)
    ops = WEIGHTED | RECURRENT
    return tuple(x for x in network.layers if x.op in ops and x.name in inside)


def head(network: Network) -> Layer | None:
    """Return the last placed layer with a weight, whose output is the network's."""
    layers = weighted(network)
    return layers[-1] if layers else None


@_remembered
def heads(network: Network) -> tuple[Layer, ...]:
    """Return the placed layers with a weight that no other weight reads, in topological order.

    A network of one output has one; one of two towers has two.
    """
    layers = by_name(network)
    inner: set[str] = set()
    for layer in weighted(network):
        waiting = list(layer.inputs)
        while waiting:
            name = waiting.pop()
            if name not in inner:
                inner.add(name)
                waiting += layers[name].inputs
    return tuple(layer for layer in weighted(network) if layer.name not in inner)


@_remembered
def trunk(network: Network) -> tuple[Layer, ...]:
    """Return the hidden layers that every path crosses: those whose scale nothing goes around.

    What stands in a branch beside a skip connection only adds to a signal that passes it by.
    """
    crossed = bottlenecks(network)
    return tuple(layer for layer in hidden(network) if layer.name in crossed)


def feeds_keys_or_values(network: Network, name: str) -> bool:
    """Return whether a layer's units, perhaps cut, turned or normed, are keys or values.

    Heads that start as copies of one another are a legal way from grouped heads to separate ones:
    their queries differ.
    """
    layers, readers = by_name(network), consumers(network)
    waiting, seen = [name], {name}
    while waiting:
        current = waiting.pop()
        for reader in readers[current]:
            layer = layers[reader]
            if layer.op == "attention" and current in layer.inputs[1:3]:
                return True
            if layer.op in _OF_HEADS and reader not in seen:
                seen.add(reader)
                waiting.append(reader)
    return False


def ends_branch(network: Network, name: str) -> bool:
    """Return whether a layer's output is, by way of unit-wise layers, added to another signal.

    Zero is a right start for the last layer of a residual branch (Goyal et al. 2017).
    """
    following = after(network, name)
    return bool(following) and following[-1].op == "add"


def branches(network: Network, names: Iterable[str]) -> Iterator[frozenset[str]]:
    """Yield, for each layer, those of its branch that feed it or read it, itself included.

    A branch begins and ends at layers that every path crosses.
    """
    crossed = bottlenecks(network)
    sides = {layer.name: layer.inputs for layer in network.layers}, consumers(network)
    for name in names:
        found = {name}
        for side in sides:
            waiting = [name]
            while waiting:
                for near in side[waiting.pop()]:
                    if near not in found and near not in crossed:
                        found.add(near)
                        waiting.append(near)
        yield frozenset(found)


def after(network: Network, name: str, stop: frozenset[str] = WEIGHTED) -> tuple[Layer, ...]:
    """Return the unit-wise layers behind ``name`` and, last, what ends them.

    Empty or without an ending where the output forks or another operation comes first.
    """
    layers = by_name(network)
    readers = consumers(network)
    found: list[Layer] = []
    while len(readers[name]) == 1:
        layer = layers[readers[name][0]]
        found.append(layer)
        if layer.op in stop or layer.op not in UNITWISE:
            break
        name = layer.name
    return tuple(found)


def activation_after(network: Network, name: str) -> Layer | None:
    """Return the activation that a layer's output goes through before the next weight."""
    return next((x for x in after(network, name) if x.op == "activation"), None)


def norm_after(network: Network, name: str) -> Layer | None:
    """Return the norm that a layer's output meets before any activation or weight."""
    for layer in after(network, name):
        if layer.op in NORMS:
            return layer
        if layer.op not in {"dropout", "identity", "max_pool", "avg_pool"}:
            return None
    return None


def normed(network: Network, name: str) -> bool:
    """Return whether a norm stands between this layer and the next weight."""
    return any(layer.op in NORMS for layer in after(network, name))


@_remembered
def hidden(network: Network) -> tuple[Layer, ...]:
    """Return the placed layers with a weight, but for the heads and layers with a role."""
    ends = {layer.name for layer in heads(network)}
    return tuple(
        layer
        for layer in weighted(network)
        if layer.name not in ends and layer.attributes.get("role") is None
    )
