"""What a person may change about an experiment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar

OptimiserName = Literal["sgd", "momentum", "adam"]
OPTIMISERS: tuple[OptimiserName, ...] = ("sgd", "momentum", "adam")

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of an experiment; None leaves its own.

    ``depth`` counts hidden layers and ``width`` their units. ``initialiser`` is a text as
    `initaudit.lab.initialisers.start` reads it. ``rate`` is the learning rate.
    """

    depth: int | None = None
    width: int | None = None
    activation: str | None = None
    initialiser: str | None = None
    steps: int | None = None
    rate: float | None = None
    optimiser: OptimiserName | None = None
    seed: int = 0

    def activations(self, *own: str) -> tuple[str, ...]:
        """Return the one activation that was asked for, else the experiment's own."""
        return own if self.activation is None else (self.activation,)

    @property
    def changed(self) -> bool:
        """Whether anything but the seed differs from the experiment's own settings."""
        return self != Settings(seed=self.seed)


def chosen(asked: _Value | None, own: _Value) -> _Value:
    """Return what was asked for, else the experiment's own value."""
    return own if asked is None else asked
