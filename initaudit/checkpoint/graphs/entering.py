"""Inputs of a graph: what enters by them, and the extents that the graph leaves open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from initaudit.checkpoint.graphs.program import Port
from initaudit.checkpoint.graphs.steps import Builder
from initaudit.checkpoint.graphs.values import (
    Known,
    Value,
)
from initaudit.checkpoint.stored import PlanError


@dataclass(slots=True)
class Reading:
    """What a graph has come to so far: its steps, its values by name, and which were read.

    ``left`` is how many operations of branches and loops may still be run.
    """

    builder: Builder
    values: dict[str, Any]
    read: set[str] = field(default_factory=set)
    left: int = 1 << 14


POSITIONS = (16, 8, 4)
"""Positions of a sequence whose length the graph leaves open; fewer where a table holds fewer."""


SIDE = 32
"""Height and width of an image that the graph leaves open."""


LARGEST = 1 << 28
"""Elements of the largest input, all samples together, for which a graph is followed."""


_SAMPLES = 3


def samples_of(ports: Sequence[Port]) -> int:
    """Return the samples that the file's shapes are written for."""
    stated = [p.shape[0] for p in ports if p.shape]
    return next((n for n in stated if n is not None), _SAMPLES)


def entered(
    reading: Reading, port: Port, length: int, input_shape: tuple[int, ...] | None
) -> Value:
    """Return what an input of the graph is: a signal, or numbers where its name says which.

    Raises:
        PlanError: it is too large.
    """
    b = reading.builder
    shape = _shape(reading, port, length, input_shape)
    if shape is None:
        return b.emit("input", [], None, attributes={"shape": None})
    count = prod(shape)
    if count > LARGEST or b.samples > LARGEST // max(count, 1):
        raise PlanError(
            f"its input {port.name} of shape {(b.samples, *shape)} holds more than"
            f" {LARGEST:,} numbers"
        )
    low = port.name.lower()
    whole = (b.samples, *shape)
    if port.booleans or (port.integers and "mask" in low) or low.endswith("attention_mask"):
        reading.builder.notes.append(f"the input {port.name} is all ones: nothing is masked")
        return Known(np.ones(whole, bool if port.booleans else np.int64))
    if port.integers and "position" in low and len(shape) == 1:
        reading.builder.notes.append(f"the input {port.name} counts the positions from 0")
        return Known(np.broadcast_to(np.arange(shape[0]), whole))
    attributes: dict[str, Any] = {"shape": shape}
    if port.integers:
        attributes["tokens"] = 1 if "token_type" in low else None
    b.stem = port.name
    made = b.emit("input", [], whole, attributes=attributes)
    b.stem = ""
    return made


def _shape(
    reading: Reading, port: Port, length: int, input_shape: tuple[int, ...] | None
) -> tuple[int, ...] | None:
    """Return the shape of one sample of an input, with what the file leaves open filled in."""
    if port.shape is None:
        return input_shape
    inner = port.shape[1:]
    if input_shape is not None and len(input_shape) == len(inner):
        fits = all(n in {None, m} for n, m in zip(inner, input_shape, strict=True))
        if not fits:
            reading.builder.notes.append(
                f"the graph is written for the input shape {inner}, not as given"
            )
        else:
            return input_shape
    default = SIDE if len(inner) > 2 else length
    filled = tuple(default if n is None else n for n in inner)
    if filled != inner:
        reading.builder.notes.append(
            f"the input {port.name} has the shape {filled}, which the graph leaves open;"
            " --input-shape sets it"
        )
    return filled
