"""Random inputs forward and random gradients backward, measured layer by layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import takewhile

import numpy as np

from initaudit import graph
from initaudit.network import Layer, Network
from initaudit.replica import statistics, tokens
from initaudit.replica.beside import Beside
from initaudit.replica.engine import Keep, Tape, backward, forward, upstream
from initaudit.replica.inputs import draw, generator, lost_in_single, measured, sources
from initaudit.replica.loading import Arrays, Load, Real, loader
from initaudit.replica.moving import Base, few, sensitivity
from initaudit.replica.ops.activations import function_of
from initaudit.replica.ops.product import Gradient, size
from initaudit.replica.points import Point, below_heads, hidden, stretches
from initaudit.replica.trace import Signal, Trace
from initaudit.special import Array

SAMPLES = 256
_ANY = 1 << 30
_MIN_INPUT_RANK = 4.0
_MIN_WIDTH = 2
_FAINT = 1e-30
"""Mean square above which single precision holds a signal."""


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
        samples: how many inputs are drawn; fewer, but at least 64, where the network is large, and
            at least 16 sequences of tokens. A large network is computed in single precision, and
            again in double precision where that loses the signal.
        seed: of `initaudit.replica.inputs.generator`; inputs are drawn first, then the cotangents,
            then the direction of the sensitivity.
        activation: stands in for every unknown activation.
        batch_statistics: whether batch norm uses those of the batch, as at initialisation, or the
            running ones, as in a trained network.

    Raises:
        MemoryError: the activations of the fewest samples are more than the machine's memory.
    """
    taken = network if activation is None else network.with_activation(activation)
    cost, load = measured(taken, arrays)
    count = cost.samples(samples)
    if not cost.fits(count):
        # The system would end the process rather than refuse it the last page.
        raise MemoryError
    affordable = cost.samples(_ANY)
    if cost.dtype(count) is np.float32:
        trace = measure(
            taken, load, count, seed, batch_statistics=batch_statistics, dtype=np.float32
        )
        if not _lost(taken, trace):
            return replace(trace, affordable=affordable)
    trace = measure(taken, loader(arrays), count, seed, batch_statistics=batch_statistics)
    return replace(trace, affordable=affordable)


def measure(
    network: Network,
    load: Load,
    samples: int,
    seed: int,
    *,
    batch_statistics: bool,
    dtype: Real = np.float64,
    drawn_for: Load | None = None,
) -> Trace:
    """Return what a network does with exactly this many samples, computed in ``dtype``.

    ``drawn_for`` are the weights that tell tokens from padding where they are not ``load``.

    Outputs are measured as they come up, and nothing is held that backward does not need.
    """
    random = generator(seed)
    inputs = draw(network, samples, random, dtype, drawn_for or load)
    points = hidden(network)
    behind = frozenset(point.behind for point in points)
    base = Base(network, inputs, behind, few(samples, dtype))
    signals: dict[str, Signal] = {}

    with np.errstate(all="ignore"), Beside(dtype is np.float32) as beside:

        def see(layer: Layer, x: Array, axis: int, read: tuple[Array, ...]) -> None:
            base.see(layer, x)
            signals[layer.name] = Signal(x.shape[1:], 1)

            def measured() -> None:
                signals[layer.name] = _forward_signal(layer, x, axis, read)

            beside.run(measured)

        tape = forward(
            network,
            load,
            inputs,
            batch_statistics=batch_statistics,
            keep=Keep(frozenset(), _differentiated(network, points, dtype)),
            dtype=dtype,
            see=see,
        )
        beside.wait()
        points = tuple(p for p in points if p.behind in signals)
        _differentiate(network, load, tape, points, random, signals, dtype)
        rank = _input_rank(network, inputs)
        ways = [[p for p in way if p in points] for way in stretches(network)]
        ahead, last = _growth(ways, signals, "second_moment", backwards=False)
        back, first = _growth(ways, signals, "gradient_power", backwards=True)
        least, where = _least(points, signals, rank)
        return Trace(
            signals=signals,
            samples=samples,
            input_rank=rank,
            forward_ratio=ahead,
            backward_ratio=back,
            forward_ends=last,
            backward_ends=first,
            effective_rank_min=least,
            effective_rank_layer=where,
            sensitivity=sensitivity(
                base, load, random, batch_statistics=batch_statistics, dtype=dtype
            ),
            stopped=tuple(tape.stopped.items()),
            hidden=tuple(point.behind for point in points),
            activation_bytes=tape.held.peak,
        )


def _lost(network: Network, trace: Trace) -> bool:
    """Return whether single precision may have lost the signal: beyond its range, or in rounding.

    A layer that gives nothing but zeros although its weight and its input are others has lost it.
    """
    if any(lost_in_single(reason) for _, reason in trace.stopped):
        return True
    for signal in trace.signals.values():
        for power in (signal.second_moment, signal.gradient_power, signal.weight_grad_power):
            if power is not None and not (power == 0.0 or _FAINT < power < math.inf):
                return True
    if any(
        trace.signals[name].effective_rank == 0.0 and trace.signals[name].second_moment
        for name in trace.hidden
    ):
        return True
    for layer in graph.weighted(network):
        mine = trace.signals.get(layer.name)
        if mine is not None and mine.second_moment == 0.0:
            above = trace.signals[layer.inputs[0]].second_moment
            weights = [p.tensor for p in layer.params if p.name == "weight" and p.tensor]
            if above and any(t.minimum or t.maximum for t in weights):
                return True
    return False


def _forward_signal(layer: Layer, x: Array, axis: int, read: tuple[Array, ...]) -> Signal:
    signal = Signal(x.shape[1:], x.shape[axis] if x.ndim > 1 else 1)
    if x.dtype.kind != "f" or not x.size:
        return signal
    ends = statistics.extremes(x)
    mean, std, second = statistics.moments(x, ends)
    counts, low, high = statistics.histogram(x, ends)
    saturated, dead = _plateaus(layer, x, axis)
    return replace(
        signal,
        mean=mean,
        std=std,
        second_moment=second,
        saturated=saturated,
        dead=dead,
        effective_rank=statistics.participation(x, axis) if x.ndim > 1 else None,
        cosine=statistics.cosine(x, ends),
        token_cosine=tokens.token_cosine(x),
        entropy=(
            tokens.attention_entropy(layer.attributes, read) if layer.op == "attention" else None
        ),
        histogram=counts,
        low=low,
        high=high,
    )


def _plateaus(layer: Layer, x: Array, axis: int) -> tuple[float | None, float | None]:
    """Return the saturated share and the dead share of an activation's output."""
    if layer.op != "activation":
        return None, None
    function = function_of(layer.attributes)
    saturated = None if function.saturated is None else statistics.share(x, function.saturated)
    return saturated, statistics.dead_share(x, axis, function.flat) if function.flat else None


def _differentiated(network: Network, points: tuple[Point, ...], dtype: Real) -> frozenset[str]:
    """Return the layers whose backward will be asked for."""
    entries = below_heads(network) or tuple(point.behind for point in points[-1:])
    found = frozenset(name for entry in entries for name in upstream(network, entry))
    apart = {head.name for head in graph.heads(network) if not _expected(head, dtype)}
    return found | apart


def _expected(head: Layer, dtype: Real) -> bool:
    """Return whether the gradient of a head's weight is taken at its expectation.

    Of a large network the head is often by far the largest layer, a row for each token, and the
    cotangent would be as large as its output.
    """
    return head.op == "linear" and dtype is np.float32


def _differentiate(
    network: Network,
    load: Load,
    tape: Tape,
    points: tuple[Point, ...],
    random: np.random.Generator,
    signals: dict[str, Signal],
    dtype: Real,
) -> None:
    """Send standard normal cotangents backward from below the heads and record what arrives.

    Where no head was reached one enters at the last hidden layer that was. The heads' own weights
    get their gradients from cotangents at their outputs; in single precision that of a linear head
    is its expectation, rows x mean square of the input for each entry.
    """
    entries = [name for name in below_heads(network) if name in tape.shapes]
    if not entries and points:
        entries = [points[-1].behind]
    cotangents = {name: random.standard_normal(tape.shapes[name], dtype=dtype) for name in entries}
    steps = backward(network, load, tape, cotangents, lean=True)
    del cotangents
    for step in steps:
        name = step.layer.name
        if step.layer.op != "input":
            _, std, power = statistics.moments(step.d_output)
            weight_std, weight_power = _weight_gradient(step.gradients)
            signals[name] = replace(
                signals[name],
                gradient_std=std,
                gradient_power=power,
                weight_grad_std=weight_std,
                weight_grad_power=weight_power,
            )
        del step
    for head in graph.heads(network):
        if head.name not in tape.shapes:
            continue
        if _expected(head, dtype):
            rows = math.prod(tape.shapes[head.inputs[0]][:-1])
            second = signals[head.inputs[0]].second_moment
            weight_power = None if second is None else rows * second
            weight_std = None if weight_power is None else math.sqrt(weight_power)
        else:
            cotangent = random.standard_normal(tape.shapes[head.name], dtype=dtype)
            step = next(backward(network, load, tape, {head.name: cotangent}, lean=True))
            weight_std, weight_power = _weight_gradient(step.gradients)
        signals[head.name] = replace(
            signals[head.name], weight_grad_std=weight_std, weight_grad_power=weight_power
        )


def _weight_gradient(gradients: Mapping[str, Gradient]) -> tuple[float | None, float | None]:
    """Return standard deviation and mean square of all gradients of two dimensions or more."""
    matrices = [g for g in gradients.values() if len(g.shape) > 1]
    if not matrices:
        return None, None
    count = sum(size(g) for g in matrices)
    mean, power = 0.0, 0.0
    for gradient in matrices:
        part = size(gradient) / count
        own_mean, own_power = _mean_and_power(gradient)
        mean += part * own_mean
        power += part * own_power
    return math.sqrt(max(power - mean * mean, 0.0)), power


def _mean_and_power(gradient: Gradient) -> tuple[float, float]:
    if isinstance(gradient, np.ndarray):
        mean, _, power = statistics.moments(gradient)
        return mean, power
    total, squares = gradient.sums()
    return total / size(gradient), squares / size(gradient)


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


def _growth(
    ways: Sequence[Sequence[Point]],
    signals: Mapping[str, Signal],
    field: str,
    *,
    backwards: bool,
) -> tuple[float | None, tuple[str, str] | None]:
    """Return by how much a power changes along the way on which it does so most, and its ends."""
    found: list[tuple[float, tuple[str, str]]] = []
    for way in ways:
        ends = (way[0].before, way[-1].before) if way else ("", "")
        first, last = (getattr(signals[n], field) if n in signals else None for n in ends)
        ratio = _ratio(first, last) if backwards else _ratio(last, first)
        if ratio is not None:
            found.append((ratio, ends))
    return max(found, key=lambda one: _decades(one[0]), default=(None, None))


def _decades(ratio: float) -> float:
    return abs(math.log10(ratio)) if 0.0 < ratio < math.inf else math.inf


def _ratio(above: float | None, below: float | None) -> float | None:
    if above is None or below is None:
        return None
    if above == 0.0:
        return 0.0
    return above / below if below > 0.0 and math.isfinite(above) else math.inf
