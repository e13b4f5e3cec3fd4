"""A short training of the replica on random labels: whether the first steps move it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from initaudit import graph
from initaudit.network import Layer, Network
from initaudit.replica.engine import Keep, forward
from initaudit.replica.inputs import draw, generator, measured
from initaudit.replica.loading import Arrays, Load, Real, loader
from initaudit.replica.ops.op import OpError
from initaudit.replica.run import SAMPLES, measure
from initaudit.replica.trace import Trace
from initaudit.replica.training import Adam, cross_entropy, squared_error, weight_gradients
from initaudit.special import Array

STEPS = 8
LEARNING_RATE = 3e-3

_WIDE = 128
"""Fan-in above which the learning rate of a weight falls as 1 / fan_in."""

_MOST = 1 << 25

_DEAREST = 2e10
"""Multiplications of a forward pass of all samples; the probe takes some 27 times as many."""


def probe(
    network: Network,
    arrays: Arrays,
    *,
    samples: int = SAMPLES,
    seed: int = 0,
    activation: str | None = None,
    batch_statistics: bool = True,
    steps: int = STEPS,
    learning_rate: float = LEARNING_RATE,
) -> Trace | None:
    """Return what `run` measures, on its inputs, after a few Adam steps of a copy of the weights.

    Labels are drawn evenly over the head's outputs, one for each sample and place, and the loss is
    the cross-entropy of the head; with one output, squared error against N(0, 1) targets. Where a
    step would leave finite numbers the training ends before it and ``notes`` say so.

    An Adam step moves every weight by the learning rate, and so the output of a unit by about
    learning rate x fan_in: at one rate for all widths eight steps wreck a healthy layer of 2000
    units. Above a fan-in of 128 the rate is therefore scaled by 128 / fan_in, as in Yang and Hu
    2021 (maximal update parametrisation).

    Returns:
        None where the input does not reach a head, or the network is too large: over 2^25 weights
            or 2e10 multiplications.
    """
    taken = network if activation is None else network.with_activation(activation)
    head = graph.head(taken)
    if head is None or _parameters(taken) > _MOST:
        return None
    cost, _ = measured(taken, arrays)
    count = cost.samples(samples)
    if not 0 < cost.parameters <= _MOST or cost.products * count > _DEAREST:
        return None
    dtype = cost.dtype(count)
    stored = loader(arrays, dtype)
    inputs = draw(taken, count, generator(seed), dtype, stored)
    task = _Task(taken, inputs, head.name, batch_statistics, dtype)
    weights = _weights(taken, stored, dtype)
    if weights is None:
        return None
    note = _train(task, weights, seed, steps, learning_rate)
    if note == _NO_HEAD:
        return None
    trace = measure(
        taken,
        loader(weights.__getitem__, dtype),
        count,
        seed,
        batch_statistics=batch_statistics,
        dtype=dtype,
        drawn_for=stored,
    )
    return trace if note is None else replace(trace, notes=(*trace.notes, note))


@dataclass(frozen=True, slots=True)
class _Task:
    network: Network
    inputs: Mapping[str, Array]
    head: str
    batch_statistics: bool
    dtype: Real = np.float64


_NO_HEAD = "the input does not reach the head"


def _parameters(network: Network) -> int:
    inside = graph.placed(network)
    held = {
        p.tensor.name: p.tensor.count
        for layer in network.layers
        if layer.name in inside
        for p in layer.params
        if p.tensor is not None
    }
    return sum(held.values())


def _weights(network: Network, load: Load, dtype: Real) -> dict[str, Array] | None:
    """Return copies of the arrays of placed layers by stored name, None where one is missing."""
    found: dict[str, Array] = {}
    inside = graph.placed(network)
    for layer in network.layers:
        if layer.name not in inside:
            continue
        try:
            by_role = load(layer)
        except OpError:
            return None
        for param in layer.params:
            if param.tensor is not None:
                found[param.tensor.name] = np.array(by_role[param.name], dtype)
    return found


def _train(
    task: _Task, weights: dict[str, Array], seed: int, steps: int, learning_rate: float
) -> str | None:
    """Move the weights in place; return why that ended early, if it did."""
    scales = _scales(task.network)
    optimiser = Adam({name: learning_rate * scale for name, scale in scales.items()})
    labels: Array | None = None
    with np.errstate(all="ignore"):
        for step in range(1, steps + 1):
            load = loader(weights.__getitem__, task.dtype)
            tape = forward(
                task.network,
                load,
                task.inputs,
                batch_statistics=task.batch_statistics,
                keep=Keep(outputs=frozenset({task.head})),
                dtype=task.dtype,
            )
            if task.head not in tape.outputs:
                reason = tape.stopped.get(task.head, "")
                return _NO_HEAD if step == 1 else f"the probe ended after step {step - 1}: {reason}"
            logits, axis = tape.outputs[task.head], tape.axes[task.head]
            if labels is None:
                labels = _labels(logits, axis, seed).astype(task.dtype, copy=False)
            loss = squared_error if logits.shape[axis] == 1 else cross_entropy
            cotangents = {task.head: loss(logits, labels, axis)[1]}
            gradients = weight_gradients(task.network, load, tape, cotangents)
            if not all(np.isfinite(g).all() for g in gradients.values()):
                return f"the probe ended before step {step}: a gradient is not finite"
            optimiser.step(weights, gradients)
    return None


def _scales(network: Network) -> dict[str, float]:
    """Return what the learning rate of each stored array is multiplied by."""
    found: dict[str, float] = {}
    for layer in network.layers:
        for param in layer.params:
            if param.tensor is not None:
                scale = min(1.0, _WIDE / max(_fan_in(layer, param.tensor.shape), 1))
                found[param.tensor.name] = min(scale, found.get(param.tensor.name, 1.0))
    return found


def _fan_in(layer: Layer, shape: tuple[int, ...]) -> int:
    """Return how many inputs an output unit sums; a table's row is one."""
    if len(shape) < 2 or layer.op == "embedding" or 0 in shape:
        return 1
    if layer.attributes.get("layout", "oi") == "io":
        return math.prod(shape[:-1])
    units = shape[1] if layer.op == "conv_transpose" else shape[0]
    return math.prod(shape) // units


def _labels(logits: Array, axis: int, seed: int) -> Array:
    """Return one-hot labels, or targets for a single output, of the shape of the logits."""
    random = generator(seed, "labels")
    if logits.shape[axis] == 1:
        return random.standard_normal(logits.shape)
    classes = logits.shape[axis]
    moved = np.moveaxis(logits, axis, -1).shape
    drawn = random.integers(0, classes, moved[:-1])
    return np.moveaxis((drawn[..., None] == np.arange(classes)).astype(np.float64), -1, axis)
