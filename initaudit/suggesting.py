"""The same network under the suggested initialisers: what its layers would hold."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
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
    drawn: dict[str, float] = {}
    zero: set[str] = set()
    placed = graph.placed(network)
    for layer in graph.weighted(network):
        std = remedy.wanted_std(network, layer) if layer.name in placed else None
        weight, bias = fans.weight_of(layer), layer.param("bias")
        if std is None or weight is None:
            continue
        drawn[weight.name] = std
        if bias is not None and bias.tensor is not None:
            zero.add(bias.tensor.name)
    if not drawn:
        return {}

    def load(name: str) -> NDArray[Any]:
        stored: NDArray[Any] = arrays(name)
        if name in zero:
            return np.zeros_like(stored)
        if name not in drawn:
            return stored
        # Each tensor by its name, whatever the order in which they are asked for.
        random = np.random.default_rng((options.seed, zlib.crc32(name.encode("utf-8", "replace"))))
        made: NDArray[Any] = random.normal(0.0, drawn[name], stored.shape)
        return made.astype(stored.dtype)

    trace = run(network, load, samples=options.samples, seed=options.seed, batch_statistics=True)
    return {name: forward_of(signal) for name, signal in trace.signals.items()}
