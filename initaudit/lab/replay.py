"""The replica of a checkpoint, trained for a few hundred steps on a synthetic task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from initaudit import graph
from initaudit.auditing import open_network
from initaudit.checkpoint import reading
from initaudit.checkpoint.stored import Checkpoint, CheckpointError
from initaudit.lab.results import Curves, Result, Series, Table, as_found, claim, shown
from initaudit.lab.settings import Settings, chosen
from initaudit.lab.tasks import Task, follow
from initaudit.lab.train import Course, Now, TrainError, head_of, optimiser, train
from initaudit.lab.watch import Watch
from initaudit.network import Network
from initaudit.options import Options, OptionsError
from initaudit.replica.engine import Keep, forward
from initaudit.replica.inputs import draw, generator, measured
from initaudit.replica.loading import loader
from initaudit.running import run
from initaudit.special import Array

ASSUMED = "relu"
SAMPLES, STEPS, RATE = 128, 300, 1e-3
_MOST_WEIGHTS, _DEAREST = 1 << 25, 2e11
"""Weights, and multiplications of all steps' forward passes, that are still trained."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A network and its weights, ready to train; ``said`` are the assumptions made of it."""

    network: Network
    arrays: dict[str, Array]
    said: tuple[str, ...] = ()
    options: Options = field(default_factory=Options)


def subject(path: Path, settings: Settings, input_shape: tuple[int, ...] | None = None) -> Subject:
    """Return the network of a checkpoint or of ``net.py:Net``, with all its placed weights read.

    Raises:
        TrainError: where it cannot be read, is too large or not reached from its input.
    """
    options = Options(activation=settings.activation, input_shape=input_shape, seed=settings.seed)
    try:
        checkpoint = _source(path, options) or reading.read_checkpoint(path)
        opened = open_network(checkpoint, options)
    except CheckpointError as error:
        raise TrainError(f"{error.path}: {error.reason}") from None
    except OptionsError as error:
        raise TrainError("; ".join(error.mistakes)) from None
    network = opened.network
    said = [assumption.text for assumption in network.assumptions]
    if not network.activation_known:
        network = network.with_activation(ASSUMED)
        said.append(f"activation: {ASSUMED} (--activation tells another)")
    if graph.head(network) is None:
        raise TrainError(
            f"{path}: its input reaches no layer with a weight: see `initaudit {path}`"
        )
    cost, _ = measured(network, opened.arrays)
    if cost.parameters > _MOST_WEIGHTS:
        raise TrainError(f"{path}: {cost.parameters:,} weights are too many for the replica")
    inside = graph.placed(network)
    arrays = {
        param.tensor.name: np.asarray(opened.arrays(param.tensor.name))
        for layer in network.layers
        if layer.name in inside
        for param in layer.params
        if param.tensor is not None
    }
    broken = next((name for name, a in arrays.items() if not np.isfinite(a).all()), None)
    if broken is not None:
        raise TrainError(f"{path}: {broken} holds NaN or infinities: it cannot be trained")
    return Subject(network, arrays, tuple(said), options)


def _source(path: Path, options: Options) -> Checkpoint | None:
    """Return what ``net.py:Net``, or the one model of ``net.py``, declares; None for a file."""
    if ".py:" not in str(path) and path.suffix != ".py":
        return None
    from initaudit.declaring import declared_checkpoint

    return declared_checkpoint(str(path), options)


def task_for(one: Subject, samples: int, seed: int) -> Task:
    """Return a task that fits the network's inputs and outputs.

    Raises:
        TrainError: where its input does not reach its head.
    """
    network = one.network
    inputs = draw(network, samples, generator(seed))
    head = head_of(network)
    tape = forward(
        network, loader(one.arrays.__getitem__), inputs, keep=Keep(frozenset({head}), frozenset())
    )
    if head not in tape.outputs:
        raise TrainError(f"{head}: {tape.stopped.get(head, 'no output')}")
    return follow(inputs, tape.outputs[head].shape, tape.axes[head], seed)


def replay(
    path: Path,
    settings: Settings,
    input_shape: tuple[int, ...] | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> Result:
    """Train the replica of a checkpoint and show loss, gradients and unit similarity over time.

    Raises:
        TrainError: where it cannot be trained.
    """
    one = subject(path, settings, input_shape)
    steps = chosen(settings.steps, STEPS)
    cost, _ = measured(one.network, lambda name: one.arrays[name])
    samples = cost.samples(SAMPLES)
    if cost.products * samples * steps > _DEAREST:
        steps = max(int(_DEAREST / (cost.products * samples)), 1)
        one = replace(one, said=(*one.said, f"{steps} steps, for the network is large"))
    task = task_for(one, samples, settings.seed)
    watch = Watch(one.network, every=max(steps // 100, 1))

    def watched(now: Now) -> None:
        watch(now)
        progress(now.step / steps)

    name = settings.optimiser or "adam"
    by = optimiser(name, chosen(settings.rate, RATE if name == "adam" else 10.0 * RATE))
    course = train(one.network, one.arrays, task, by, steps, watched)
    return _result(path, one, task, watch, course, name)


def _result(
    path: Path, one: Subject, task: Task, watch: Watch, course: Course, optimiser_name: str
) -> Result:
    steps = tuple(map(float, watch.steps))
    first, last = course.losses[0], course.losses[-1]
    numbers = {
        "first loss": first,
        "last loss": last,
        "first gradient": watch.gradient_first[0],
        "last gradient": watch.gradient_last[0],
    }
    rows = [("loss", shown(first), shown(last))]
    if course.accuracies:
        rows.append(("accuracy", f"{course.accuracies[0]:.1%}", f"{course.accuracies[-1]:.1%}"))
    for what, values in (
        ("gradient of the first hidden weight", watch.gradient_first),
        ("gradient of the last hidden weight", watch.gradient_last),
        ("units alike (mean |correlation|)", watch.alike),
        ("effective rank", watch.rank),
        ("units that never vary", watch.silent),
        ("size of the weights (RMS)", watch.size),
    ):
        if values:
            rows.append((what, shown(values[0]), shown(values[-1])))
            numbers |= {f"{what}, first": values[0], f"{what}, last": values[-1]}
    count = len(course.losses) - 1
    said = f" Assumed: {'; '.join(one.said)}." if one.said else ""
    ended = "" if course.ended is None else f"; it ended {course.ended}"
    lines = [
        Curves("Loss", "step", (Series("loss", steps, tuple(watch.losses)),)),
        Curves(
            "Gradient, RMS",
            "step",
            (
                Series("first hidden weight", steps, tuple(watch.gradient_first)),
                Series("last hidden weight", steps, tuple(watch.gradient_last)),
            ),
            log=True,
        ),
    ]
    if watch.alike:
        label = "units of the last hidden layer"
        alike = Series(label, steps[: len(watch.alike)], tuple(watch.alike))
        lines.append(Curves("How alike units are (mean |correlation|)", "step", (alike,)))
    return Result(
        "replay",
        f"Replay of {path.name}",
        f"The replica of {path}, trained on {task.name}: {len(task.targets)} samples, "
        f"{count} steps of {optimiser_name}.{said}",
        (
            claim(
                "the loss falls by a tenth or more",
                f"{shown(first)} -> {shown(last)}{ended}",
                holds=last < 0.9 * first and course.ended is None,
            ),
        ),
        (*lines, Table("First and last step", ("", "first", "last"), tuple(rows))),
        (as_found(path.name, run([path], one.options)),),
        numbers,
    )
