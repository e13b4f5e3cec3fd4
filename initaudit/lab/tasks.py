"""Synthetic tasks: inputs, targets and the loss that goes with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from initaudit.network import Network
from initaudit.replica.inputs import draw
from initaudit.special import Array

_SALT = 0x7A5C
_TEACHER = 32


@dataclass(frozen=True, slots=True)
class Task:
    """What a network is trained on.

    ``inputs`` are by input layer, samples on axis 0. ``targets`` have the shape of the network's
    output: one-hot along its features for classes, values otherwise.
    """

    name: str
    inputs: Mapping[str, Array]
    targets: Array
    classes: bool


@dataclass(frozen=True, slots=True)
class Points:
    """Points of the plane in two classes: ``x`` is (samples, 2), ``labels`` are 0 and 1."""

    x: Array
    labels: Array


def salaries(samples: int, seed: int) -> tuple[Array, Array]:
    """Return standardised CGPA and IQ (samples, 2), and a salary (samples, 1) of mean 1.

    The salary rises with both, faster where both are high; its standard deviation is 0.5, a
    twelfth of which is noise.
    """
    random = _random(seed, 0)
    grade, iq = random.normal(size=(2, samples))
    pay = grade + 0.6 * iq + 0.4 * grade * iq + 0.1 * random.normal(size=samples)
    return np.stack([grade, iq], 1), 1.0 + 0.5 * ((pay - pay.mean()) / pay.std())[:, None]


def moons(samples: int, seed: int, noise: float = 0.15) -> Points:
    """Return two half circles that reach into each other, centred, of unit spread."""
    random = _random(seed, 1)
    labels: Array = (np.arange(samples) % 2).astype(np.float64)
    angle = random.uniform(0.0, np.pi, samples)
    x = np.where(labels == 0, np.cos(angle), 1.0 - np.cos(angle))
    y = np.where(labels == 0, np.sin(angle), 0.5 - np.sin(angle))
    return _spread(np.stack([x, y], 1) + random.normal(0.0, noise, (samples, 2)), labels)


def circles(samples: int, seed: int, noise: float = 0.1) -> Points:
    """Return a circle within another of twice its radius, centred, of unit spread."""
    random = _random(seed, 2)
    labels: Array = (np.arange(samples) % 2).astype(np.float64)
    angle = random.uniform(0.0, 2.0 * np.pi, samples)
    radius = np.where(labels == 0, 1.0, 0.5)[:, None]
    x = radius * np.stack([np.cos(angle), np.sin(angle)], 1)
    return _spread(x + random.normal(0.0, noise, (samples, 2)), labels)


def _spread(x: Array, labels: Array) -> Points:
    return Points((x - x.mean(0)) / x.std(), labels)


def one_hot(labels: Array, classes: int) -> Array:
    """Return labels (...) as (..., classes)."""
    hot: Array = (labels[..., None] == np.arange(classes)).astype(np.float64)
    return hot


def taught(x: Array, classes: int, seed: int) -> Array:
    """Return labels (samples,) that a random teacher of one hidden tanh layer gives to inputs.

    Its scores are centred over the samples, so that all classes occur.
    """
    random = _random(seed, 3)
    flat = x.reshape(len(x), -1)
    hidden = np.tanh(flat @ random.normal(size=(flat.shape[1], _TEACHER)) / flat.shape[1] ** 0.5)
    scores = hidden @ random.normal(size=(_TEACHER, classes))
    labels: Array = (scores - scores.mean(0)).argmax(1)
    return labels


def classify(network: Network, samples: int, classes: int, seed: int) -> Task:
    """Return the task of `taught` on standard normal inputs of a network of one input."""
    inputs = draw(network, samples, _random(seed, 4))
    (x,) = inputs.values()
    return Task(
        f"{classes} classes by a random teacher",
        inputs,
        one_hot(taught(x, classes, seed), classes),
        classes=True,
    )


def follow(inputs: Mapping[str, Array], shape: tuple[int, ...], axis: int, seed: int) -> Task:
    """Return a task for outputs of any shape: classes along ``axis``, or values for one feature.

    Labels come from a teacher that sees a whole sample; where there is an output for each token,
    from the token there.
    """
    classes = shape[axis]
    places = tuple(n for i, n in enumerate(shape) if i not in (0, axis % len(shape)))
    x = next(iter(inputs.values()))
    if classes == 1:
        flat = np.asarray(x, np.float64).reshape(len(x), -1)
        aim = _random(seed, 5).normal(size=flat.shape[1]) / flat.shape[1] ** 0.5
        values = np.tanh(2.0 * (flat @ aim)).reshape(len(x), *[1] * (len(shape) - 1))
        return Task("a smooth value", inputs, np.broadcast_to(values, shape).copy(), classes=False)
    if x.dtype.kind != "f" and x.shape[1:] == places:
        table = _random(seed, 6).integers(0, classes, int(x.max()) + 1)
        hot = one_hot(table[x], classes)
        name = f"{classes} classes by a random table of tokens"
    else:
        labels = taught(np.asarray(x, np.float64), classes, seed)
        labels = np.broadcast_to(labels.reshape(-1, *[1] * len(places)), (len(x), *places))
        hot = one_hot(labels, classes)
        name = f"{classes} classes by a random teacher"
    return Task(name, inputs, np.moveaxis(hot, -1, axis), classes=True)


def _random(seed: int, stream: int) -> np.random.Generator:
    return np.random.default_rng([_SALT, stream, seed])
