"""Weights too small: the signal is lost on its way, in both directions."""

from __future__ import annotations

import numpy as np

from initaudit.lab.initialisers import start
from initaudit.lab.layers import gradient_bars, gradients, histograms, list_of, outputs
from initaudit.lab.nets import audited, opened, stack
from initaudit.lab.results import Claim, Named, Picture, Result, claim, named, shown
from initaudit.lab.settings import Settings, chosen
from initaudit.signal import ACTIVATIONS
from initaudit.special import Array

TITLE = "Weights too small"
ABOUT = (
    "500 inputs, 10 hidden layers of 500, every weight N(0, 0.01^2). A layer multiplies the "
    "standard deviation by 0.01 x sqrt(500) x slope at zero: 0.22 under tanh, 0.16 under ReLU, "
    "0.056 under a sigmoid. The gradient shrinks by the same factor on its way back."
)
OWN = "normal_(0, 0.01)"
WANTED = {"tanh": ("IA103", "IA203", "IA205"), "relu": ("IA103", "IA203", "IA205"),
          "sigmoid": ("IA103", "IA202", "IA205")}  # fmt: skip
GONE = 1e-6


def run(settings: Settings) -> Result:
    """Measure the stack under each activation."""
    depth, width = chosen(settings.depth, 10), chosen(settings.width, 500)
    text = chosen(settings.initialiser, OWN)
    claims: list[Claim] = []
    pictures: list[Picture] = []
    audits: list[Named] = []
    numbers: dict[str, float] = {}
    for activation in settings.activations("tanh", "sigmoid", "relu"):
        net = stack(width, width, depth, 10, activation, text, seed=settings.seed)
        arrays = net.arrays()
        report = audited(arrays, activation)
        std = [_moving(x) for x in outputs(opened(arrays, activation), arrays.__getitem__)]
        grad = gradients(report)
        ratio = grad[0] / grad[-1] if grad and grad[-1] else 0.0
        numbers |= {f"{activation} std {i}": s for i, s in enumerate(std, 1)}
        numbers[f"{activation} gradient ratio"] = ratio
        claims.append(
            claim(
                f"{activation}: what depends on the input has a standard deviation below "
                f"{GONE:g} in layer {depth}",
                f"by layer: {list_of(std)}",
                holds=len(std) == depth and std[-1] < GONE,
            )
        )
        factor = _factor(text, width, activation)
        expected = factor ** (depth - 1)
        claims.append(
            claim(
                f"{activation}: the gradient shrinks by {shown(factor)} a layer, "
                f"{shown(expected)} from the last to the first",
                f"{shown(ratio)}",
                holds=ratio > 0.0 and abs(np.log10(ratio / expected)) < 1.0,
            )
        )
        pictures.append(histograms(f"{activation}: what each layer hands on", report))
        pictures.append(gradient_bars(f"{activation}: gradient by layer", report))
        wanted = WANTED.get(activation, ("IA103",)) if text == OWN else ()
        audits.append(named(f"{activation}, {text}", report, wanted))
    return Result(
        "small",
        TITLE,
        ABOUT,
        tuple(claims),
        tuple(pictures),
        tuple(audits),
        numbers,
        "Scale the variance by 1 / fan_in and the depth no longer matters: `initaudit lab proper`.",
    )


def _moving(x: Array) -> float:
    """Return the standard deviation over the inputs, as the root of its mean square over units.

    A sigmoid's outputs also differ from unit to unit, whatever the input is.
    """
    return float(np.sqrt(x.var(0).mean()))


def _factor(text: str, width: int, activation: str) -> float:
    """Return what a layer does to a small gradient's standard deviation, on average.

    A rectifier passes half of the power; a smooth activation has its slope at zero.
    """
    rng = np.random.default_rng(0)
    gain = float(start(text).weight((width, width), rng).std()) * width**0.5
    known = ACTIVATIONS[activation]
    slope = 0.5**0.5 if known.flat else float(known.derivative(np.zeros(1))[0])
    return float(gain * slope)
