"""The axis of output units of a layer's weight, as its architecture lays it out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from initaudit.architecture.entries import Architecture, Nested, Step
from initaudit.network import Layer


def unusual(architecture: Architecture) -> bool:
    """Return whether some weight does not have its output units on the first axis."""
    blocks = (block.steps for block in architecture.blocks.values())
    return any(map(_turned, (architecture.steps, *blocks)))


def _turned(steps: Iterable[Step | Nested]) -> bool:
    return any(
        isinstance(step, Step) and (step.op == "conv_transpose" or "layout" in step.attributes)
        for step in steps
    )


def of_layers(layers: Iterable[Layer]) -> Mapping[str, int]:
    """Return the axis of output units by the stored name of each weight that layers multiply by.

    A weight that two layers read along different axes (tied) has those of the first.
    """
    found: dict[str, int] = {}
    for layer in layers:
        weight = layer.param("weight")
        if layer.op in _FIRST and weight is not None and weight.tensor is not None:
            last = len(weight.shape) - 1
            swapped = layer.attributes.get("layout") == "io"
            found.setdefault(weight.tensor.name, last if swapped else _FIRST[layer.op])
    return found


_FIRST: Mapping[str, int] = {"linear": 0, "conv": 0, "conv_transpose": 1, "embedding": 0}
