"""The same network under the suggested initialisers: what its layers would hold."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from initaudit import fans, graph, remedy
from initaudit.assemble import forward_of
from initaudit.finding import Forward
from initaudit.judge import Arrays
from initaudit.network import Network
from initaudit.options import Options
from initaudit.replica.run import run


def suggested(network: Network, arrays: Arrays, options: Options) -> Mapping[str, Forward]:
    """Return what each layer's output would be, drawn as the cure says, by the layer's name.

    Each weight with a place, a known activation and fans is drawn from a normal law of the
    suggested standard deviation, its bias is zero; all else stays as it is stored. Empty where no
    layer can be drawn or nothing can be sent.
    """
    wanted = _wanted(network)
    if not wanted:
        return {}
    zero = {
        bias.tensor.name
        for layer in graph.weighted(network)
        if (weight := fans.weight_of(layer)) is not None
        and weight.name in wanted
        and (bias := layer.param("bias")) is not None
        and bias.tensor is not None
    }
    drawn = _drawn(wanted, arrays, options)

    def load(name: str) -> NDArray[Any]:
        return np.zeros_like(arrays(name)) if name in zero else drawn(name)

    trace = run(network, load, samples=options.samples, seed=options.seed, batch_statistics=True)
    return {name: forward_of(signal) for name, signal in trace.signals.items()}


def mended(
    network: Network, arrays: Arrays, options: Options, tensors: Collection[str]
) -> Arrays | None:
    """Return the arrays with some weights drawn as the cure says; None where one cannot be."""
    wanted = {name: std for name, std in _wanted(network).items() if name in tensors}
    return _drawn(wanted, arrays, options) if len(wanted) == len(tensors) else None


def _wanted(network: Network) -> Mapping[str, float]:
    """Return the suggested standard deviation of each weight that has one, by tensor."""
    placed = graph.placed(network)
    return {
        weight.name: std
        for layer in graph.weighted(network)
        if layer.name in placed
        and (weight := fans.weight_of(layer)) is not None
        and (std := remedy.wanted_std(network, layer)) is not None
    }


def _drawn(wanted: Mapping[str, float], arrays: Arrays, options: Options) -> Arrays:
    def load(name: str) -> NDArray[Any]:
        stored: NDArray[Any] = arrays(name)
        if name not in wanted:
            return stored
        # Each tensor by its name, whatever the order in which they are asked for.
        random = np.random.default_rng((options.seed, zlib.crc32(name.encode("utf-8", "replace"))))
        made: NDArray[Any] = random.normal(0.0, wanted[name], stored.shape)
        return made.astype(stored.dtype)

    return load
