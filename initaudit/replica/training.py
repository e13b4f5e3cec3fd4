"""Training of the replica: losses, the gradients of stored arrays, and optimisers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from initaudit.network import Network
from initaudit.replica.engine import Tape, backward
from initaudit.replica.loading import Load
from initaudit.special import Array

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
"""Adam's constants (Kingma and Ba 2015), as all frameworks default to."""


class Optimiser(Protocol):
    """Moves weights in place along their gradients, both by stored name."""

    def step(self, weights: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        """Take one step; weights without a gradient stay."""


Rates = float | Mapping[str, float]
"""A learning rate, or one for each stored array."""


@dataclass(slots=True)
class Descent:
    """Gradient descent with heavy-ball momentum (none at 0), as ``torch.optim.SGD``."""

    rates: Rates
    momentum: float = 0.0
    _velocity: dict[str, Array] = field(default_factory=dict)

    def step(self, weights: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        """Move by -rate x velocity; the velocity is momentum x itself + the gradient."""
        for name, gradient in gradients.items():
            moving = gradient
            if self.momentum:
                before = self._velocity.get(name)
                moving = gradient if before is None else self.momentum * before + gradient
                self._velocity[name] = moving
            weights[name][...] -= _rate(self.rates, name) * moving


@dataclass(slots=True)
class Adam:
    """Adam (Kingma and Ba 2015) without weight decay, as ``torch.optim.Adam``."""

    rates: Rates
    _first: dict[str, Array] = field(default_factory=dict)
    _second: dict[str, Array] = field(default_factory=dict)
    _count: int = 0

    def step(self, weights: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
        """Move by -rate x mean / (sqrt(mean square) + epsilon), both corrected for their start."""
        self._count += 1
        for name, gradient in gradients.items():
            if name not in self._first:
                self._first[name] = np.zeros_like(weights[name])
                self._second[name] = np.zeros_like(weights[name])
            first, second = self._first[name], self._second[name]
            first += (1.0 - BETA1) * (gradient - first)
            second += (1.0 - BETA2) * (np.square(gradient) - second)
            mean = first / (1.0 - BETA1**self._count)
            power = second / (1.0 - BETA2**self._count)
            weights[name][...] -= _rate(self.rates, name) * mean / (np.sqrt(power) + EPSILON)


def _rate(rates: Rates, name: str) -> float:
    return rates[name] if isinstance(rates, Mapping) else rates


def cross_entropy(logits: Array, labels: Array, axis: int) -> tuple[float, Array]:
    """Return the mean loss over samples and places, in nats, and its gradient.

    ``labels`` are one-hot along ``axis`` and of the shape of the logits.
    """
    count = logits.size / logits.shape[axis]
    shifted = logits - logits.max(axis, keepdims=True)
    exponentials = np.exp(shifted)
    total = exponentials.sum(axis, keepdims=True)
    loss = float(-(labels * (shifted - np.log(total))).sum() / count)
    gradient: Array = (exponentials / total - labels) / count
    return loss, gradient


def squared_error(outputs: Array, targets: Array, axis: int) -> tuple[float, Array]:
    """Return the mean over samples and places of the summed squared error, and its gradient."""
    count = outputs.size / outputs.shape[axis]
    off = outputs - targets
    gradient: Array = 2.0 * off / count
    return float(np.square(off).sum() / count), gradient


def weight_gradients(
    network: Network, load: Load, tape: Tape, cotangents: Mapping[str, Array]
) -> dict[str, Array]:
    """Return the gradients of the stored arrays by name, summed over the layers that share one."""
    gradients: dict[str, Array] = {}
    for found in backward(network, load, tape, cotangents):
        by_role = found.d_params
        for param in found.layer.params:
            # A value is a number of the graph, such as a mask, and no weight.
            if param.name in by_role and param.name != "value" and param.tensor is not None:
                name, gradient = param.tensor.name, by_role[param.name]
                gradients[name] = gradients[name] + gradient if name in gradients else gradient
    return gradients
