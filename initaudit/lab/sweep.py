"""Every sensible initialiser on one network, ranked by what was measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from initaudit import graph
from initaudit.lab.initialisers import start
from initaudit.lab.replay import Subject, task_for
from initaudit.lab.results import Bars, Result, Table, claim, shown
from initaudit.lab.settings import Settings, chosen
from initaudit.lab.train import TrainError, optimiser, train
from initaudit.network import Layer, Network
from initaudit.replica.run import run
from initaudit.special import Array

SENSIBLE = (
    "he", "he uniform", "xavier", "xavier normal", "lecun", "default", "orthogonal",
    "1.4142 x orthogonal", "4 x xavier", "normal_(0, 0.02)",
)  # fmt: skip
SAMPLES, STEPS, RATE = 128, 60, 1e-3


@dataclass(frozen=True, slots=True)
class Measured:
    """One initialiser on a network.

    ``forward`` and ``backward`` are the decades (of power) that signal and gradient change by over
    the hidden layers, ``rank`` the least effective rank, ``loss`` the share of the first loss that
    is left after the steps; None where it was not measured, or is not finite.
    """

    initialiser: str
    forward: float | None
    backward: float | None
    rank: float | None
    first_loss: float | None
    loss: float | None
    note: str = ""


def weights_of(network: Network) -> tuple[Layer, ...]:
    """Return the layers that are drawn anew: those with a weight that have a place."""
    return graph.weighted(network)


def ranked(
    network: Network,
    arrays: dict[str, Array],
    settings: Settings,
    initialisers: Sequence[str] = SENSIBLE,
    progress: Callable[[float], None] = lambda share: None,
) -> tuple[Measured, ...]:
    """Try initialisers on a network and return what was measured, the best first.

    ``arrays`` holds every stored array that the network names. Weights (and their biases) are
    drawn anew with the seed; norms, embeddings and the like stay as they are. The order is by the
    loss that is left after a short training on a synthetic task; those whose training broke come
    last.

    Raises:
        InitialiserError: for a text that is none.
        TrainError: where the network's input does not reach its head.
    """
    found = []
    for i, text in enumerate(initialisers):
        found.append(_tried(network, arrays, settings, text))
        progress((i + 1) / len(initialisers))
    return tuple(sorted(found, key=lambda m: math.inf if m.loss is None else m.loss))


def redrawn(network: Network, arrays: dict[str, Array], text: str, seed: int) -> dict[str, Array]:
    """Return the arrays with the weights and biases of `weights_of` drawn anew.

    A kernel is drawn as the matrix of its units by what each of them reads.
    """
    one = start(text)
    random = np.random.default_rng([0x53E, seed])
    made = dict(arrays)
    for layer in weights_of(network):
        weight, bias = layer.param("weight"), layer.param("bias")
        if weight is None or weight.tensor is None:
            continue
        known = arrays[weight.tensor.name]
        axis = _unit_axis(layer, known)
        moved = np.moveaxis(known, axis, 0).shape
        matrix = one.weight((moved[0], math.prod(moved[1:])), random)
        made[weight.tensor.name] = np.moveaxis(matrix.reshape(moved), 0, axis)
        if bias is not None and bias.tensor is not None:
            shape = (moved[0], math.prod(moved[1:]))
            drawn = one.biases(shape, random)
            if drawn.shape == arrays[bias.tensor.name].shape:
                made[bias.tensor.name] = drawn
    return made


def _unit_axis(layer: Layer, weight: Array) -> int:
    if layer.attributes.get("layout", "oi") == "io":
        return weight.ndim - 1
    return 1 if layer.op == "conv_transpose" else 0


def _tried(network: Network, arrays: dict[str, Array], settings: Settings, text: str) -> Measured:
    made = redrawn(network, arrays, text, settings.seed)
    trace = run(network, made.__getitem__, samples=SAMPLES, seed=settings.seed)
    first = last = None
    note = ""
    if trace.stopped:
        note = f"{trace.stopped[0][0]}: {trace.stopped[0][1]}"
    else:
        task = task_for(Subject(network, made), SAMPLES, settings.seed)
        name = settings.optimiser or "adam"
        by = optimiser(name, chosen(settings.rate, RATE if name == "adam" else 10.0 * RATE))
        course = train(network, made, task, by, chosen(settings.steps, STEPS))
        note = "" if course.ended is None else f"ended {course.ended}"
        if course.losses and course.ended is None:
            first, last = course.losses[0], course.losses[-1]
    return Measured(
        text,
        _decades(trace.forward_ratio),
        _decades(trace.backward_ratio),
        trace.effective_rank_min,
        first,
        last,
        note,
    )


def _decades(ratio: float | None) -> float | None:
    return math.log10(ratio) if ratio and math.isfinite(ratio) else None


def sweep(
    one: Subject, name: str, settings: Settings, progress: Callable[[float], None] = lambda s: None
) -> Result:
    """Rank `SENSIBLE`, and an initialiser of one's own, on a network.

    Raises:
        TrainError: where it cannot be trained.
    """
    if not weights_of(one.network):
        raise TrainError(f"{name}: no layer with a weight is reached from the input")
    own = () if settings.initialiser is None else (settings.initialiser,)
    order = ranked(one.network, one.arrays, settings, (*own, *SENSIBLE), progress)
    best = order[0]
    rows = tuple(
        (m.initialiser, shown(m.loss), _signed(m.forward), _signed(m.backward), shown(m.rank))
        for m in order
    )
    notes = [f"{m.initialiser}: {m.note}" for m in order if m.note]
    steps = chosen(settings.steps, STEPS)
    header = ("initialiser", f"loss after {steps} steps", "signal, decades", "gradient, decades",
              "least rank")  # fmt: skip
    said = [*one.said, *notes]
    return Result(
        "sweep",
        f"Initialisers for {name}",
        f"{len(weights_of(one.network))} layers drawn anew with each initialiser, sent through the "
        f"replica and trained for {steps} steps on a synthetic task."
        + (f" {'; '.join(said)}." if said else ""),
        (
            claim(
                "one initialiser at least learns",
                f"best: {best.initialiser}, loss {shown(best.first_loss)} -> {shown(best.loss)}",
                holds=best.loss is not None
                and best.first_loss is not None
                and best.loss < best.first_loss,
            ),
        ),
        (
            Table("Best first", header, rows),
            Bars("Loss that is left", tuple((m.initialiser, m.loss) for m in order)),
        ),
        (),
        {m.initialiser: m.loss for m in order if m.loss is not None},
    )


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.1f}"
