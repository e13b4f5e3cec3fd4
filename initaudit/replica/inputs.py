"""Random inputs of a network, and how many of them it can afford."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from initaudit.graph import placed
from initaudit.network import Layer, Network
from initaudit.replica.engine import OVERFLOW, Keep, forward, places
from initaudit.replica.loading import Arrays, Load, Real, loader
from initaudit.replica.ops.op import OpError
from initaudit.special import Array

SMALLEST = 64
"""Fewest samples that are measured with, however large the network is."""

FEWEST_SEQUENCES = 16
"""Fewest samples of a network of tokens: each position of a sequence is one for its weights."""

_PRODUCTS = 2e10
_BYTES = 2**30
_COPIES = 4
_SINGLE_FROM = 4e9
_TRIAL = 2
_SALT = 0x1A0D17
_STREAMS: Mapping[str, int] = {"signals": 0, "labels": 1}

Stream = Literal["signals", "labels"]


@dataclass(frozen=True, slots=True)
class Size:
    """What one sample costs: multiplications forward and numbers held; and the parameters.

    ``least`` is the fewest samples that are measured with.
    """

    products: float
    numbers: int
    parameters: int
    least: int = SMALLEST

    def samples(self, wanted: int, *, passes: int = 1) -> int:
        """Return how many samples keep ``passes`` forward passes within the budget.

        That is 2e10 multiplications and 1 GiB of activations; ``least`` samples are used even
        beyond it.
        """
        most = min(
            _PRODUCTS / (passes * max(self.products, 1.0)),
            _BYTES / (8 * _COPIES * max(self.numbers, 1)),
        )
        return min(wanted, max(self.least, int(most)))

    def fits(self, samples: int) -> bool:
        """Return whether the activations of this many samples are no more than the memory is."""
        held = self.numbers * samples * np.dtype(self.dtype(samples)).itemsize
        return held <= memory()

    def dtype(self, samples: int) -> Real:
        """Return the precision: single where a forward pass takes over 4e9 multiplications."""
        return np.float32 if self.products * samples > _SINGLE_FROM else np.float64


def memory() -> float:
    """Return the bytes of the machine's memory, infinity where the system does not tell."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return math.inf


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


def draw(
    network: Network,
    samples: int,
    random: np.random.Generator,
    dtype: Real = np.float64,
    load: Load | None = None,
) -> dict[str, Array]:
    """Return N(0, 1) inputs, or evenly drawn tokens, for each input layer of known shape.

    Padding is no token: it stands for nothing, and what it becomes is masked in training.
    ``load`` gives the weights that tell which tokens are padding.
    """
    found: dict[str, Any] = {}
    for layer in sources(network):
        shape = layer.attributes.get("shape")
        if not isinstance(shape, tuple) or not all(n > 0 for n in shape):
            continue
        tokens = layer.attributes.get("tokens")
        if isinstance(tokens, int):
            padding = [] if load is None else _padding(network, layer, load, tokens)
            drawn = random.integers(0, tokens - len(padding), (samples, *shape))
            found[layer.name] = np.delete(np.arange(tokens), padding)[drawn] if padding else drawn
        else:
            found[layer.name] = random.standard_normal((samples, *shape), dtype=dtype)
    return found


def _padding(network: Network, layer: Layer, load: Load, tokens: int) -> list[int]:
    """Return the tokens whose rows of the table that reads them hold nothing but zeros.

    Frameworks keep the row of padding at zero. Where half of a table or more is zero it is none.
    """
    for reader in network.layers:
        weight = reader.param("weight")
        if reader.op != "embedding" or layer.name not in reader.inputs or weight is None:
            continue
        tensor = weight.tensor
        dead = tensor.rows.dead if tensor is not None and tensor.rows is not None else 0
        if not 0 < dead * 2 < tokens:
            continue
        try:
            table = load(reader)["weight"]
        except OpError:
            continue
        if len(table) == tokens:
            return [int(n) for n in np.flatnonzero(~table.any(axis=tuple(range(1, table.ndim))))]
    return []


def measured(network: Network, arrays: Arrays) -> tuple[Size, Load]:
    """Return what a sample costs, and what loads the weights in single precision.

    Where they, or the signal, leave that, the cost is measured in double precision.
    """
    load = loader(arrays, np.float32)
    cost, stopped = _trial(network, load, np.float32)
    if any(lost_in_single(reason) for reason in stopped.values()):
        cost = size(network, loader(arrays))
    return cost, load


def lost_in_single(reason: str) -> bool:
    """Return whether a layer may have stopped for want of range alone."""
    return reason == OVERFLOW or reason.endswith("is not finite")


def size(network: Network, load: Load) -> Size:
    """Measure what a sample costs with a pass of two."""
    return _trial(network, load, np.float64)[0]


def _trial(network: Network, load: Load, dtype: Real) -> tuple[Size, Mapping[str, str]]:
    inputs = draw(network, _TRIAL, generator(0), dtype, load)
    tape = forward(network, load, inputs, keep=Keep(frozenset(), frozenset()), dtype=dtype)
    products, numbers = 0.0, 0
    held: dict[str, int] = {}
    for layer in network.layers:
        shape = tape.shapes.get(layer.name)
        if shape is None:
            continue
        numbers += math.prod(shape) // _TRIAL
        weights = [p.tensor for p in layer.params if p.tensor is not None]
        held |= {tensor.name: tensor.count for tensor in weights}
        if layer.op != "embedding":
            sites = places(shape, tape.axes[layer.name])
            products += float(sum(tensor.count for tensor in weights)) * sites
    sequences = any(isinstance(x.attributes.get("tokens"), int) for x in sources(network))
    least = FEWEST_SEQUENCES if sequences else SMALLEST
    return Size(products, numbers, sum(held.values()), least), tape.stopped
