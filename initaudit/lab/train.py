"""Training of a network on a task, watched at every step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from initaudit import graph
from initaudit.lab.settings import OptimiserName
from initaudit.lab.tasks import Task
from initaudit.network import Network
from initaudit.replica.engine import EVERYTHING, Tape, forward
from initaudit.replica.loading import loader
from initaudit.replica.training import (
    Adam,
    Descent,
    Optimiser,
    cross_entropy,
    squared_error,
    weight_gradients,
)
from initaudit.special import Array

MOMENTUM = 0.9


class TrainError(ValueError):
    """A network that cannot be trained as it is; the text says why in one line."""


@dataclass(frozen=True, slots=True)
class Now:
    """One step, before the weights move: ``weights`` and ``gradients`` are by stored name."""

    step: int
    loss: float
    accuracy: float | None
    weights: Mapping[str, Array]
    gradients: Mapping[str, Array]
    tape: Tape


@dataclass(frozen=True, slots=True)
class Course:
    """How a training went.

    ``losses[k]`` and ``accuracies[k]`` are those after k steps, the first before any.
    ``weights`` are the last ones. ``ended`` says why there are fewer steps than asked for.
    """

    losses: tuple[float, ...]
    accuracies: tuple[float, ...]
    weights: Mapping[str, Array]
    ended: str | None = None

    def steps_to(self, loss: float) -> int | None:
        """Return the first step after which the loss is at most this; None if it never is."""
        return next((i for i, now in enumerate(self.losses) if now <= loss), None)


def optimiser(name: OptimiserName, rate: float) -> Optimiser:
    """Return an optimiser by its name, fresh."""
    match name:
        case "adam":
            return Adam(rate)
        case "momentum":
            return Descent(rate, MOMENTUM)
        case "sgd":
            return Descent(rate)


def head_of(network: Network) -> str:
    """Return the layer whose output is trained.

    Raises:
        TrainError: where the input reaches no layer with a weight.
    """
    head = graph.head(network)
    if head is None:
        raise TrainError("no layer with a weight is reached from the input")
    return head.name


def train(
    network: Network,
    arrays: Mapping[str, Array],
    task: Task,
    by: Optimiser,
    steps: int,
    watch: Callable[[Now], None] | None = None,
    *,
    batch: int | None = None,
    seed: int = 0,
    until: float | None = None,
) -> Course:
    """Train copies of the arrays in double precision; the loss is that of `Task`.

    All samples make one step, or ``batch`` of them drawn anew for each. The training ends early,
    and says so, where an output, the loss or a gradient is no longer finite; and, without a word,
    once the loss is at most ``until``.

    Raises:
        TrainError: where the first output or its loss is not finite.
    """
    head = head_of(network)
    weights = {name: np.array(array, np.float64) for name, array in arrays.items()}
    load = loader(weights.__getitem__)
    random = np.random.default_rng([0x57E9, seed])
    losses: list[float] = []
    accuracies: list[float] = []
    ended = None
    with np.errstate(all="ignore"):
        for step in range(steps + 1):
            inputs, targets = _batch(task, batch, random)
            tape = forward(network, load, inputs, keep=EVERYTHING)
            if head not in tape.outputs:
                ended = f"after {step} steps: {tape.stopped.get(head, 'no output')}"
                break
            output, axis = tape.outputs[head], tape.axes[head]
            measure = cross_entropy if task.classes else squared_error
            loss, cotangent = measure(output, targets, axis)
            if not np.isfinite(loss):
                ended = f"after {step} steps: the loss is not finite"
                break
            losses.append(loss)
            accuracy = _accuracy(output, targets, axis) if task.classes else None
            if accuracy is not None:
                accuracies.append(accuracy)
            done = step == steps or (until is not None and loss <= until)
            if done and watch is None:
                break
            gradients = weight_gradients(network, load, tape, {head: cotangent})
            if not all(np.isfinite(g).all() for g in gradients.values()):
                ended = f"after {step} steps: a gradient is not finite"
                break
            if watch is not None:
                watch(Now(step, loss, accuracy, weights, gradients, tape))
            if done:
                break
            by.step(weights, gradients)
    if not losses:
        raise TrainError(f"it cannot be trained: {(ended or '').removeprefix('after 0 steps: ')}")
    return Course(tuple(losses), tuple(accuracies), weights, ended)


def output_of(network: Network, weights: Mapping[str, Array], x: Array) -> Array:
    """Return what the head makes of inputs of a network with one input layer.

    Raises:
        TrainError: where it gives no finite output.
    """
    head = head_of(network)
    source = next(layer.name for layer in network.layers if layer.op == "input")
    tape = forward(network, loader(weights.__getitem__), {source: x})
    if head not in tape.outputs:
        raise TrainError(tape.stopped.get(head, "no output"))
    return tape.outputs[head]


def input_of(network: Network) -> str:
    """Return the name of the input layer."""
    return next(layer.name for layer in network.layers if layer.op == "input")


def _batch(
    task: Task, batch: int | None, random: np.random.Generator
) -> tuple[Mapping[str, Array], Array]:
    if batch is None or batch >= len(task.targets):
        return task.inputs, task.targets
    rows = random.choice(len(task.targets), batch, replace=False)
    return {name: x[rows] for name, x in task.inputs.items()}, task.targets[rows]


def _accuracy(output: Array, targets: Array, axis: int) -> float:
    return float((output.argmax(axis) == targets.argmax(axis)).mean())
