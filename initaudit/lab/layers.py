"""The layers of a report as pictures and numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from initaudit.finding import LayerReport, Report
from initaudit.lab.nets import SAMPLES
from initaudit.lab.results import Bars, Histogram, Histograms, shown
from initaudit.network import Network
from initaudit.replica.engine import forward
from initaudit.replica.inputs import draw, generator
from initaudit.replica.loading import Arrays, loader
from initaudit.replica.points import hidden
from initaudit.special import Array


def activations(report: Report) -> list[LayerReport]:
    """Return the measured activations of the first network, in order."""
    if not report.networks:
        return []
    layers = report.networks[0].layers
    return [x for x in layers if x.op == "activation" and x.forward is not None]


def spreads(report: Report) -> list[float]:
    """Return the standard deviation behind each activation."""
    return [x.forward.std for x in activations(report) if x.forward and x.forward.std is not None]


def histograms(title: str, report: Report) -> Histograms:
    """Return a histogram of each activation's output."""
    rows = []
    for i, layer in enumerate(activations(report), 1):
        seen = layer.forward
        if seen is not None and seen.histogram and seen.low is not None and seen.high is not None:
            note = f"std {shown(seen.std)}"
            rows.append(Histogram(f"layer {i}", seen.histogram, seen.low, seen.high, note))
    return Histograms(title, tuple(rows))


def gradients(report: Report) -> list[float]:
    """Return the standard deviation of the gradient at each hidden pre-activation."""
    if not report.networks:
        return []
    layers = report.networks[0].layers
    weighted = [x for x in layers if x.activation is not None and x.op != "activation"]
    return [x.backward.std for x in weighted if x.backward and x.backward.std is not None]


def gradient_bars(title: str, report: Report) -> Bars:
    """Return a bar for the gradient at each hidden layer."""
    found = enumerate(gradients(report), 1)
    return Bars(title, tuple((f"layer {i}", value) for i, value in found))


def outputs(network: Network, arrays: Arrays, samples: int = SAMPLES) -> list[Array]:
    """Return what each hidden layer hands on for the inputs that an audit draws."""
    inputs = draw(network, samples, generator(0))
    tape = forward(network, loader(arrays), inputs)
    return [tape.outputs[p.behind] for p in hidden(network) if p.behind in tape.outputs]


def shares(values: list[Array], test: Callable[[Array], NDArray[np.bool_]]) -> list[float]:
    """Return the share of entries of each array that pass a test."""
    return [float(np.mean(test(x))) for x in values]


def list_of(values: list[float], most: int = 12) -> str:
    """Return numbers in a row, the middle left out where there are many."""
    texts = [shown(v) for v in values]
    if len(texts) > most:
        texts = [*texts[: most // 2], "...", *texts[-most // 2 :]]
    return ", ".join(texts)
