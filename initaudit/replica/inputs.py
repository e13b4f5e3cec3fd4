"""Random inputs of a network, and how many of them it can afford."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from initaudit.graph import placed
from initaudit.network import Layer, Network
from initaudit.replica.engine import Load, forward, places
from initaudit.special import Array

SMALLEST = 64
"""Fewest samples that are measured with, however large the network is."""

_PRODUCTS = 2e10
_BYTES = 512 * 2**20
_COPIES = 4
_TRIAL = 2
_SALT = 0x1A0D17
_STREAMS: Mapping[str, int] = {"signals": 0, "labels": 1}

Stream = Literal["signals", "labels"]


@dataclass(frozen=True, slots=True)
class Size:
    """What one sample costs: multiplications forward and numbers held; and the parameters."""

    products: float
    numbers: int
    parameters: int

    def samples(self, wanted: int, *, passes: int = 1) -> int:
        """Return how many samples keep ``passes`` forward passes within the budget.

        That is 2e10 multiplications and 512 MiB; `SMALLEST` samples are used even beyond it.
        """
        most = min(
            _PRODUCTS / (passes * max(self.products, 1.0)),
            _BYTES / (8 * _COPIES * max(self.numbers, 1)),
        )
        return min(wanted, max(SMALLEST, int(most)))


def generator(seed: int, stream: Stream = "signals") -> np.random.Generator:
    """Return the random numbers of a seed, one stream for inputs and gradients, one for labels.

    Never ``default_rng(seed)`` itself: weights drawn from that with the same small seed would be
    the very numbers that are sent through them, and the first layer's output far too large.
    """
    return np.random.default_rng([_SALT, _STREAMS[stream], seed])


def sources(network: Network) -> tuple[Layer, ...]:
    """Return the input layers that are connected."""
    inside = placed(network)
    return tuple(x for x in network.layers if x.op == "input" and x.name in inside)


def draw(network: Network, samples: int, random: np.random.Generator) -> dict[str, Array]:
    """Return N(0, 1) inputs, or evenly drawn tokens, for each input layer of known shape."""
    found: dict[str, Any] = {}
    for layer in sources(network):
        shape = layer.attributes.get("shape")
        if not isinstance(shape, tuple) or not all(n > 0 for n in shape):
            continue
        tokens = layer.attributes.get("tokens")
        if isinstance(tokens, int):
            found[layer.name] = random.integers(0, tokens, (samples, *shape))
        else:
            found[layer.name] = random.standard_normal((samples, *shape))
    return found


def size(network: Network, load: Load) -> Size:
    """Measure what a sample costs with a pass of two."""
    inputs = draw(network, _TRIAL, generator(0))
    tape = forward(network, load, inputs, keep=False)
    products, numbers = 0.0, 0
    held: dict[str, int] = {}
    for layer in network.layers:
        output = tape.outputs.get(layer.name)
        if output is None:
            continue
        numbers += output.size // _TRIAL
        weights = [p.tensor for p in layer.params if p.tensor is not None]
        held |= {tensor.name: tensor.count for tensor in weights}
        if layer.op != "embedding":
            sites = places(output, tape.axes[layer.name])
            products += float(sum(tensor.count for tensor in weights)) * sites
    return Size(products, numbers, sum(held.values()))
