"""What tells a bad start during training, step by step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from initaudit import graph
from initaudit.lab.train import Now
from initaudit.network import Network
from initaudit.replica import statistics
from initaudit.replica.points import hidden
from initaudit.special import Array

_MOST_ROWS = 512


def similarity(x: Array, axis: int = -1) -> float:
    """Return the mean |correlation| between two units over the samples (and places).

    1 where all units say the same, up to sign and scale; a unit that never varies is alike to
    every other. ``x`` holds the features along ``axis``.
    """
    rows = statistics.rows(x, axis)[:_MOST_ROWS]
    moving = rows - rows.mean(0)
    units = rows.shape[1]
    if units < 2:
        return 1.0
    size = np.sqrt(np.square(moving).sum(0))
    noise = math.sqrt(statistics.residue(rows.dtype)) * np.sqrt(np.square(rows).sum(0))
    alive = (size > noise) & (size > 0.0)
    scaled = moving[:, alive] / size[alive]
    living = int(alive.sum())
    between = np.abs(scaled.T @ scaled).sum() - living if living else 0.0
    silent = units * (units - 1) - living * (living - 1)
    return float((between + silent) / (units * (units - 1)))


def difference(x: Array, axis: int = -1) -> float:
    """Return the largest difference between the outputs of two units for one input."""
    rows = statistics.rows(x, axis)
    return float((rows.max(1) - rows.min(1)).max())


def rms(x: Array) -> float:
    """Return the root of the mean square."""
    return math.sqrt(statistics.moments(x)[2])


@dataclass(slots=True)
class Watch:
    """Collects statistics of a training; every list has one entry for each step kept.

    ``gradient_first`` and ``gradient_last`` are the RMS of the loss's gradient for the weights of
    the first and the last hidden layer; ``alike`` and ``rank`` the similarity and the effective
    rank of the units of the last hidden layer; ``saturated`` and ``silent`` the shares of its
    entries and units on a plateau or without variation; ``size`` the RMS of all weights.
    """

    network: Network
    every: int = 1
    steps: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    gradient_first: list[float] = field(default_factory=list)
    gradient_last: list[float] = field(default_factory=list)
    alike: list[float] = field(default_factory=list)
    rank: list[float] = field(default_factory=list)
    silent: list[float] = field(default_factory=list)
    size: list[float] = field(default_factory=list)

    def __call__(self, now: Now) -> None:
        """Take down one step."""
        if now.step % self.every:
            return
        names = _hidden_weights(self.network)
        points = [p.behind for p in hidden(self.network) if p.behind in now.tape.outputs]
        self.steps.append(now.step)
        self.losses.append(now.loss)
        for found, name in zip(
            (self.gradient_first, self.gradient_last), (names[0], names[-1]), strict=True
        ):
            found.append(rms(now.gradients[name]) if name in now.gradients else 0.0)
        self.size.append(_together(now.weights))
        if not points:
            return
        x, axis = now.tape.outputs[points[-1]], now.tape.axes[points[-1]]
        self.alike.append(similarity(x, axis))
        self.rank.append(statistics.participation(x, axis))
        self.silent.append(_silent(x, axis))


def _hidden_weights(network: Network) -> list[str]:
    """Return the stored weights of the hidden layers; of the head, where there are none."""
    layers = graph.weighted(network)
    named = [p.tensor.name for x in layers for p in x.params if p.name == "weight" and p.tensor]
    return named[:-1] or named


def _together(weights: Mapping[str, Array]) -> float:
    squares = sum(float(np.square(w).sum()) for w in weights.values())
    return math.sqrt(squares / max(sum(w.size for w in weights.values()), 1))


def _silent(x: Array, axis: int) -> float:
    rows = statistics.rows(x, axis)
    return float((np.ptp(rows, axis=0) == 0.0).mean())
