"""How far a small step of the input moves the last hidden layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from initaudit.network import Layer, Network
from initaudit.replica.engine import Keep, forward, upstream
from initaudit.replica.loading import Load, Real
from initaudit.replica.statistics import extremes, residue
from initaudit.special import Array

_STEP = 1e-3
_FEW = 16
_PART = 8
# Rounding moves an output by about 1e-6 of itself in single precision, the step by 1e-3 of its
# spread: below this share of the power the one hides the other.
_LEAST_SPREAD = 1e-8


@dataclass(slots=True)
class Base:
    """What a step is made from: a few samples of what can be moved, and of the hidden layers.

    In single precision, that is for large networks, `few` samples are kept, else all. ``end``
    is the last hidden layer so far and ``output`` its output.
    """

    network: Network
    inputs: Mapping[str, Array]
    hidden: frozenset[str]
    samples: int
    end: str | None = None
    output: Array | None = None
    moved: dict[str, Array] = field(default_factory=dict)

    def see(self, layer: Layer, x: Array) -> None:
        """Keep of an output what is needed later.

        Tokens cannot be moved: behind them the tables' outputs are.
        """
        if x.dtype.kind != "f":
            return
        from_tokens = layer.op == "embedding" and layer.inputs and layer.inputs[0] in self.inputs
        if layer.op == "input" or from_tokens:
            self.moved[layer.name] = self._few(x)
        if layer.name in self.hidden:
            self.end, self.output = layer.name, self._few(x)

    def _few(self, x: Array) -> Array:
        return x if len(x) <= self.samples else x[: self.samples].copy()


def few(samples: int, dtype: Real) -> int:
    """Return how many samples are moved: in single precision an eighth, 16 at least."""
    return samples if dtype is np.float64 else min(samples, max(_FEW, samples // _PART))


def sensitivity(
    base: Base,
    load: Load,
    random: np.random.Generator,
    *,
    batch_statistics: bool,
    dtype: Real,
) -> float | None:
    """Return how much more a small step moves the last hidden layer than a linear map would."""
    if base.end is None or base.output is None:
        return None
    inside = upstream(base.network, base.end)
    network = replace(
        base.network, layers=tuple(x for x in base.network.layers if x.name in inside)
    )
    inputs = {name: x[: base.samples] for name, x in base.inputs.items()}

    def output(given: Mapping[str, Array]) -> Array | None:
        keep = Keep(frozenset({base.end or ""}), frozenset())
        tape = forward(
            network, load, given, batch_statistics=batch_statistics, keep=keep, dtype=dtype
        )
        return tape.outputs.get(base.end or "")

    here: Array | None = base.output
    fewer = any(len(x) > base.samples for x in base.inputs.values())
    if fewer and batch_statistics and any(x.op == "batch_norm" for x in network.layers):
        here = output(inputs)
    moved = {name: x + _STEP * _direction(x, random) for name, x in base.moved.items()}
    near = output({**inputs, **{n: x.astype(dtype, copy=False) for n, x in moved.items()}})
    if near is None or here is None:
        return None
    scale = max(abs(end) for end in extremes(here))
    if scale == 0.0:
        return None
    spread = _power((here - here.mean(0)) / scale)
    least = _LEAST_SPREAD if dtype is np.float32 else residue(here.dtype)
    if spread <= least * _power(here / scale):
        return None
    return _power((near - here) / scale) / (_STEP**2 * spread)


def _power(x: Array) -> float:
    return float(np.square(x).mean(dtype=np.float64))


def _direction(x: Array, random: np.random.Generator) -> Array:
    d = random.standard_normal(x.shape)
    flat, given = d.reshape(len(d), -1), x.reshape(len(x), -1)
    size = np.linalg.norm(flat, axis=1) / np.maximum(np.linalg.norm(given, axis=1), 1e-300)
    direction: Array = (flat / size[:, None]).reshape(x.shape)
    return direction
