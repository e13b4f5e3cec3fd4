"""Weights too large and all positive: saturation, or overflow."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from initaudit.lab.layers import gradient_bars, histograms, list_of, outputs, shares, spreads
from initaudit.lab.nets import audited, opened, stack
from initaudit.lab.results import Claim, Curves, Named, Picture, Result, Series, claim, named, shown
from initaudit.lab.settings import Settings, chosen
from initaudit.lab.tasks import classify
from initaudit.lab.train import Course, optimiser, train
from initaudit.special import Array

TITLE = "Weights too large"
ABOUT = (
    "500 inputs, 10 hidden layers of 500, every weight U[0, 1]. The sum of 500 inputs reaches far "
    "beyond the bend of tanh and sigmoid, so units sit on their plateaus and pass no gradient; "
    "under ReLU each layer multiplies the signal by about 250. The positive mean makes all units "
    "of a layer say the same."
)
OWN = "uniform_(0, 1)"
WANTED = {"tanh": ("IA104", "IA105", "IA202", "IA205", "IA207"),
          "relu": ("IA104", "IA105", "IA202", "IA204", "IA206"),
          "sigmoid": ("IA105", "IA202", "IA205", "IA207")}  # fmt: skip
NEAR = 0.01
_BOUNDS = {"tanh": (-1.0, 2), "sigmoid": (0.0, 3)}
"""Lower plateau, and the layer from which on all outputs lie on one.

A sigmoid's first layer is near 0 as a whole for half of the inputs, which the second sees as none.
"""
_SOUND = {"relu": "he", "sigmoid": "4 x xavier", "selu": "lecun"}
_CLASSES = 10


def run(settings: Settings) -> Result:
    """Measure the stack under each activation, and train a smaller one."""
    depth, width = chosen(settings.depth, 10), chosen(settings.width, 500)
    text = chosen(settings.initialiser, OWN)
    claims: list[Claim] = []
    pictures: list[Picture] = []
    audits: list[Named] = []
    curves: list[Series] = []
    numbers: dict[str, float] = {}
    for activation in settings.activations("tanh", "sigmoid", "relu"):
        arrays = stack(width, width, depth, 10, activation, text, seed=settings.seed).arrays()
        report = audited(arrays, activation)
        values = outputs(opened(arrays, activation), arrays.__getitem__)
        if activation == "relu":
            claims.append(_explodes(spreads(report), width, numbers))
        elif activation in _BOUNDS:
            claims.append(_saturates(activation, values, numbers))
        course = _trained(activation, text, settings)
        good = _trained(activation, _SOUND.get(activation, "xavier"), settings)
        claims.append(_learns(activation, course, good, numbers))
        curves += [_series(f"{activation}, {text}", course), _series(f"{activation}, sound", good)]
        pictures.append(histograms(f"{activation}: what each layer hands on", report))
        pictures.append(gradient_bars(f"{activation}: gradient by layer", report))
        wanted = WANTED.get(activation, ("IA105",)) if text == OWN else ()
        audits.append(named(f"{activation}, {text}", report, wanted))
    pictures.append(
        Curves("Loss of 3 hidden layers of 64 on 10 classes", "step", tuple(curves), log=True)
    )
    return Result(
        "large",
        TITLE,
        ABOUT,
        tuple(claims),
        tuple(pictures),
        tuple(audits),
        numbers,
        "Centre the weights on zero and scale their variance by 1 / fan_in.",
    )


def _explodes(std: list[float], width: int, numbers: dict[str, float]) -> Claim:
    factors = [b / a for a, b in pairwise(std[1:])]
    numbers |= {f"relu std {i}": s for i, s in enumerate(std, 1)}
    numbers["relu factor"] = float(np.median(factors)) if factors else 0.0
    return claim(
        f"relu: the signal grows by width / 2 = {width / 2:g} a layer",
        f"by {shown(numbers['relu factor'])} a layer: {list_of(std)}",
        holds=abs(numbers["relu factor"] / (width / 2) - 1.0) < 0.1,
    )


def _saturates(activation: str, values: list[Array], numbers: dict[str, float]) -> Claim:
    low, behind = _BOUNDS[activation]
    values = values or [np.zeros((1, 1))]
    at_low = shares(values, lambda x: x < low + NEAR)
    at_one = shares(values, lambda x: x > 1.0 - NEAR)
    both = [a + b for a, b in zip(at_low, at_one, strict=True)]
    least = min(both[behind - 1 :], default=0.0)
    numbers |= {f"{activation} plateau {i}": s for i, s in enumerate(both, 1)}
    numbers |= {f"{activation} low 1": at_low[0], f"{activation} high 1": at_one[0]}
    return claim(
        f"{activation}: two clusters in the first layer; from layer {behind} on over 95 % of all "
        f"outputs lie within {NEAR:g} of {low:g} or 1",
        f"layer 1: {at_low[0]:.1%} at {low:g}, {at_one[0]:.1%} at 1; then at least {least:.1%}",
        holds=least > 0.95 and min(at_low[0], at_one[0]) > 0.3,
    )


def _trained(activation: str, text: str, settings: Settings) -> Course:
    arrays = stack(64, 64, 3, _CLASSES, activation, text, seed=settings.seed).arrays()
    network = opened(arrays, activation)
    task = classify(network, 256, _CLASSES, settings.seed)
    by = optimiser(settings.optimiser or "momentum", chosen(settings.rate, 0.05))
    return train(network, arrays, task, by, chosen(settings.steps, 150), batch=64)


def _learns(activation: str, course: Course, good: Course, numbers: dict[str, float]) -> Claim:
    losses = np.array(course.losses)
    first, peak = float(losses[0]), float(losses.max())
    last, sound = float(losses[-20:].mean()), float(np.mean(good.losses[-20:]))
    rises = np.diff(losses)
    swing = float(rises.max(initial=0.0))
    guess = math.log(_CLASSES)
    numbers |= {
        f"{activation} first loss": first,
        f"{activation} peak loss": peak,
        f"{activation} last loss": last,
        f"{activation} last loss sound": sound,
        f"{activation} largest rise": swing,
    }
    ended = "" if course.ended is None else f"; it ended {course.ended}"
    return claim(
        f"{activation}: the loss starts far above that of guessing (ln {_CLASSES} = {guess:.2f}), "
        "jumps about and ends no better than guessing",
        f"starts at {shown(first)}, peaks at {shown(peak)}, rises by up to {shown(swing)} in one "
        f"step, ends at {shown(last)} (sound start: {shown(sound)}){ended}",
        holds=first > 1.5 * guess and swing > 0.3 and last > 0.9 * guess > 2.0 * sound,
    )


def _series(label: str, course: Course) -> Series:
    return Series(label, tuple(map(float, range(len(course.losses)))), course.losses)
