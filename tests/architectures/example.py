"""What an example of an architecture is: how it is built, saved, loaded and fed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.architectures.draws import integers, normal

Array = NDArray[Any]
Feed = Mapping[str, Array]

BATCH = 4
LENGTH = 12
VOCABULARY = 100
FIRST_TOKEN = 4
"""Below it stand the tokens that models read as padding, beginning and end."""


@dataclass(frozen=True)
class Example:
    """An architecture at a small width and its real depth.

    ``build`` gives the model as its library initialises it, after seeding. ``feed`` gives its
    inputs by the names of the arguments of ``forward``. ``ends`` are the modules at whose output
    the cotangents enter ("" is the model itself: its first output). ``parity`` says whether the
    whole of it can be rebuilt; if not, it is judged layer by layer.
    """

    name: str
    family: str
    build: Callable[[], Any]
    feed: Callable[[int], Feed]
    save: Callable[[Any, Path], None]
    load: Callable[[Path], Any]
    ends: tuple[str, ...] = ("",)
    parity: bool = True
    input_shape: tuple[int, ...] | None = None
    notes: str = field(default="")

    @property
    def inputs(self) -> Callable[[int], Feed]:
        """What is fed for a seed."""
        return self.feed


def tokens(
    name: str = "input_ids", *, length: int = LENGTH, vocabulary: int = VOCABULARY
) -> Callable[[int], Feed]:
    """Evenly drawn tokens (N, T), none of them special."""
    return lambda seed: {name: integers(f"{name} {seed}", (BATCH, length), FIRST_TOKEN, vocabulary)}


def images(
    name: str = "pixel_values", *, size: int = 32, channels: int = 3
) -> Callable[[int], Feed]:
    """Standard normal images (N, C, H, W)."""
    return signals(name, (channels, size, size))


def signals(name: str, shape: tuple[int, ...]) -> Callable[[int], Feed]:
    """Standard normal numbers of a sample's shape."""
    return lambda seed: {
        name: normal(f"{name} {seed}", (BATCH, *shape)).astype(np.float32).astype(np.float64)
    }


def together(*feeds: Callable[[int], Feed]) -> Callable[[int], Feed]:
    """Several inputs of one model."""
    return lambda seed: {name: array for feed in feeds for name, array in feed(seed).items()}
