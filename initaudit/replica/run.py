"""Random inputs forward and random gradients backward, measured layer by layer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import takewhile

import numpy as np

from initaudit import graph
from initaudit.network import Layer, Network
from initaudit.replica import statistics, tokens
from initaudit.replica.engine import Arrays, Load, Tape, backward, forward, loader
from initaudit.replica.inputs import draw, generator, size, sources
from initaudit.replica.ops.activations import function_of
from initaudit.replica.points import Point, below_heads, hidden
from initaudit.replica.trace import Signal, Trace
from initaudit.special import Array

SAMPLES = 256
_MIN_INPUT_RANK = 4.0
_MIN_WIDTH = 2
_STEP = 1e-3


def run(
    network: Network,
    arrays: Arrays,
    *,
    samples: int = SAMPLES,
    seed: int = 0,
    activation: str | None = None,
    batch_statistics: bool = True,
) -> Trace:
    """Return what random inputs and random gradients do in a network.

    Args:
        network: as a reader gives it; input layers tell the ``shape`` of a sample and, for whole
            numbers, how many ``tokens`` there are.
        arrays: returns the array of a stored tensor by its name; KeyError where there is none.
        samples: how many inputs are drawn; fewer, but at least 64, where the network is large.
        seed: of `initaudit.replica.inputs.generator`; inputs are drawn first, then the cotangents,
            then the direction of the sensitivity.
        activation: stands in for every unknown activation.
        batch_statistics: whether batch norm uses those of the batch, as at initialisation, or the
            running ones, as in a trained network.
    """
    taken = network if activation is None else network.with_activation(activation)
    load = loader(arrays)
    count = size(taken, load).samples(samples)
    return measure(taken, load, count, seed, batch_statistics=batch_statistics)


def measure(
    network: Network, load: Load, samples: int, seed: int, *, batch_statistics: bool
) -> Trace:
    """Return what a network does with exactly this many samples; see `run`."""
    random = generator(seed)
    inputs = draw(network, samples, random)
    with np.errstate(all="ignore"):
        pass_ = _Pass(network, load, inputs, batch_statistics)
        tape = forward(network, load, inputs, batch_statistics=batch_statistics)
        signals = {
            layer.name: _forward_signal(layer, tape)
            for layer in network.layers
            if layer.name in tape.outputs
        }
        points = tuple(p for p in hidden(network) if p.behind in tape.outputs)
        _differentiate(network, load, tape, points, random, signals)
        rank = _input_rank(network, inputs)
        least, where = _least(points, signals, rank)
        tape.caches.clear()
        return Trace(
            signals=signals,
            samples=samples,
            input_rank=rank,
            forward_ratio=_ratio(*_ends(points, signals, "second_moment", backwards=True)),
            backward_ratio=_ratio(*_ends(points, signals, "gradient_power", backwards=False)),
            effective_rank_min=least,
            effective_rank_layer=where,
            sensitivity=_sensitivity(pass_, tape, points, random),
            stopped=tuple(tape.stopped.items()),
            hidden=tuple(point.behind for point in points),
        )


@dataclass(frozen=True, slots=True)
class _Pass:
    network: Network
    load: Load
    inputs: Mapping[str, Array]
    batch_statistics: bool


def _forward_signal(layer: Layer, tape: Tape) -> Signal:
    x, axis = tape.outputs[layer.name], tape.axes[layer.name]
    signal = Signal(x.shape[1:], x.shape[axis] if x.ndim > 1 else 1)
    if np.issubdtype(x.dtype, np.integer) or not x.size:
        return signal
    mean, std, second = statistics.moments(x)
    counts, low, high = statistics.histogram(x)
    saturated, dead = _plateaus(layer, x, axis)
    return replace(
        signal,
        mean=mean,
        std=std,
        second_moment=second,
        saturated=saturated,
        dead=dead,
        effective_rank=statistics.participation(x, axis) if x.ndim > 1 else None,
        cosine=statistics.cosine(x),
        token_cosine=tokens.token_cosine(x),
        entropy=_entropy(layer, tape),
        histogram=counts,
        low=low,
        high=high,
    )


def _entropy(layer: Layer, tape: Tape) -> float | None:
    if layer.op != "attention":
        return None
    inputs = tuple(tape.outputs[name] for name in layer.inputs)
    return tokens.attention_entropy(layer.attributes, inputs)


def _plateaus(layer: Layer, x: Array, axis: int) -> tuple[float | None, float | None]:
    """Return the saturated share and the dead share of an activation's output."""
    if layer.op != "activation":
        return None, None
    function = function_of(layer.attributes)
    saturated = None if function.saturated is None else float(function.saturated(x).mean())
    return saturated, statistics.dead_share(x, axis) if function.rectifier else None


def _differentiate(
    network: Network,
    load: Load,
    tape: Tape,
    points: tuple[Point, ...],
    random: np.random.Generator,
    signals: dict[str, Signal],
) -> None:
    """Send standard normal cotangents backward from below the heads and record what arrives.

    Where no head was reached one enters at the last hidden layer that was. The heads' own weights
    get their gradients from cotangents at their outputs.
    """
    entries = [name for name in below_heads(network) if name in tape.outputs]
    if not entries and points:
        entries = [points[-1].behind]
    cotangents = {name: random.standard_normal(tape.outputs[name].shape) for name in entries}
    for step in backward(network, load, tape, cotangents):
        name = step.layer.name
        if step.layer.op == "input":
            continue
        _, std, power = statistics.moments(step.d_output)
        weight_std, weight_power = _weight_gradient(step.d_params)
        signals[name] = replace(
            signals[name],
            gradient_std=std,
            gradient_power=power,
            weight_grad_std=weight_std,
            weight_grad_power=weight_power,
        )
    for head in graph.heads(network):
        if head.name not in tape.caches:
            continue
        cotangent = random.standard_normal(tape.outputs[head.name].shape)
        step = next(backward(network, load, tape, {head.name: cotangent}))
        weight_std, weight_power = _weight_gradient(step.d_params)
        signals[head.name] = replace(
            signals[head.name], weight_grad_std=weight_std, weight_grad_power=weight_power
        )


def _weight_gradient(d_params: Mapping[str, Array]) -> tuple[float | None, float | None]:
    matrices = [d.ravel() for d in d_params.values() if d.ndim > 1]
    if not matrices:
        return None, None
    _, std, power = statistics.moments(np.concatenate(matrices))
    return std, power


def _input_rank(network: Network, inputs: Mapping[str, Array]) -> float | None:
    """Return the participation ratio of the flattened inputs; of tokens, as one-hot vectors."""
    found: list[float] = []
    for layer in sources(network):
        x = inputs.get(layer.name)
        if x is None:
            continue
        tokens = layer.attributes.get("tokens")
        if isinstance(tokens, int):
            found.append(float((tokens - 1) * math.prod(x.shape[1:])))
        else:
            found.append(statistics.participation(x.reshape(len(x), -1), 1))
    return sum(found) if found else None


def _least(
    points: tuple[Point, ...], signals: Mapping[str, Signal], input_rank: float | None
) -> tuple[float | None, str | None]:
    """Return the smallest effective rank and its layer.

    A layer of so few units is a bottleneck by design, and bounds the rank of all behind it.
    """
    if input_rank is None or input_rank < _MIN_INPUT_RANK:
        return None, None
    wide = takewhile(lambda point: signals[point.behind].features > _MIN_WIDTH, points)
    ranks = [
        (rank, point.behind)
        for point in wide
        if (rank := signals[point.behind].effective_rank) is not None
    ]
    return min(ranks, default=(None, None))


def _ends(
    points: tuple[Point, ...], signals: Mapping[str, Signal], field: str, *, backwards: bool
) -> tuple[float | None, float | None]:
    if not points:
        return None, None
    values = [getattr(signals[p.before], field) for p in (points[0], points[-1])]
    first, last = values
    return (last, first) if backwards else (first, last)


def _ratio(above: float | None, below: float | None) -> float | None:
    if above is None or below is None:
        return None
    if above == 0.0:
        return 0.0
    return above / below if below > 0.0 and math.isfinite(above) else math.inf


def _sensitivity(
    pass_: _Pass, tape: Tape, points: tuple[Point, ...], random: np.random.Generator
) -> float | None:
    """Return how much more a small step moves the last hidden layer than a linear map would.

    Tokens cannot be moved: behind them the tables' outputs are.
    """
    if not points:
        return None
    end = points[-1].behind
    network = pass_.network
    moved = dict(pass_.inputs)
    for layer in network.layers:
        base = tape.outputs.get(layer.name)
        from_tokens = layer.op == "embedding" and layer.inputs and layer.inputs[0] in pass_.inputs
        if base is None or np.issubdtype(base.dtype, np.integer):
            continue
        if layer.op == "input" or from_tokens:
            moved[layer.name] = base + _STEP * _direction(base, random)
    near = forward(
        network, pass_.load, moved, batch_statistics=pass_.batch_statistics, keep=False
    ).outputs.get(end)
    if near is None:
        return None
    here = tape.outputs[end]
    scale = float(np.abs(here).max(initial=0.0))
    if scale == 0.0:
        return None
    spread = float(np.square((here - here.mean(0)) / scale).mean())
    if spread <= statistics.RESIDUE * float(np.square(here / scale).mean()):
        return None
    return float(np.square((near - here) / scale).mean()) / (_STEP**2 * spread)


def _direction(x: Array, random: np.random.Generator) -> Array:
    d = random.standard_normal(x.shape)
    flat, given = d.reshape(len(d), -1), x.reshape(len(x), -1)
    size_ = np.linalg.norm(flat, axis=1) / np.maximum(np.linalg.norm(given, axis=1), 1e-300)
    direction: Array = (flat / size_[:, None]).reshape(x.shape)
    return direction
