"""Convolutions over images with their channels last, by kernels that store them so."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from initaudit.catalogue import LayerSpec
from initaudit.checkpoint.graphs import modules as made_of
from initaudit.checkpoint.graphs import moving, selecting
from initaudit.checkpoint.graphs.values import Known, Signal, UnsupportedError, Weight
from initaudit.reading import evaluating, tensors
from initaudit.reading.state import State
from initaudit.reading.values import Module, StopError


def conv(state: State, module: Module, spec: LayerSpec, x: Signal, *, single: bool = False) -> Any:
    """Return a convolution over an image with its channels last.

    ``single`` is one of each channel alone, its kernel (..., in, times).
    """
    tape = state.tape
    kernel, bias = module.params["kernel"], module.params.get("bias")
    assert tape is not None and kernel is not None  # noqa: S101, PT018
    window = kernel.shape[:-2]
    dims = len(window)
    each = {name: _each(module, spec.options.get(name), dims) for name in ("stride", "dilation")}
    groups = evaluating.plain(module, spec.groups) if spec.groups else 1
    outputs = int(kernel.shape[-1])
    if single:
        groups, outputs = int(kernel.shape[-2]), int(kernel.shape[-2] * kernel.shape[-1])
    b = tape.builder
    rank = dims + 2
    before = b.next
    try:
        moved = moving.transpose(b, x, (0, rank - 1, *range(1, rank - 1)))
        padded = _padded(module, spec, moved, window, each, b)
        weight = tape.weight(kernel)
        if single:
            array = np.asarray(tensors.numbers_of(state, kernel), np.float32)
            weight = Known(array.reshape(*window, 1, outputs))
        parts = made_of.parts_of(b, {
            "weight": weight, "bias": None if bias is None else tape.weight(bias)
        })  # fmt: skip
        if not isinstance(weight, Weight | Known) or not isinstance(padded, Signal):
            raise UnsupportedError("its kernel is not followed")
        sides = tuple(
            (n - each["dilation"][i] * (window[i] - 1) - 1) // each["stride"][i] + 1
            for i, n in enumerate(padded.known[2:])
        )
        attributes: dict[str, Any] = {
            "stride": each["stride"], "padding": (0,) * dims, "dilation": each["dilation"],
            "groups": groups, "layout": "io",
        }  # fmt: skip
        out = (padded.known[0], outputs, *sides)
        made = b.emit("conv", [padded], out, parts=parts, attributes=attributes)
        back = moving.transpose(b, made, (0, *range(2, rank), 1))
    except UnsupportedError as error:
        return tape.broken_at(module.title, str(error), (x,), state.at)
    for number in range(before, b.next):
        tape.sites[number] = state.at
    return back


def _each(module: Module, name: str | None, dims: int) -> tuple[int, ...]:
    value = evaluating.plain(module, name) if name else 1
    if value is None:
        value = 1
    if isinstance(value, int):
        return (value,) * dims
    if isinstance(value, tuple) and len(value) == dims:
        return value
    raise StopError(f"the {name} of {module.title} is not known", module.site)


def _padded(
    module: Module,
    spec: LayerSpec,
    x: Any,
    window: Sequence[int],
    each: Mapping[str, tuple[int, ...]],
    b: Any,
) -> Any:
    """Return an image with the border that ``same`` means, as XLA and TensorFlow put it."""
    padding = evaluating.plain(module, spec.options.get("padding", "padding"))
    if isinstance(padding, str) and padding.lower() == "valid":
        return x
    if not isinstance(padding, str) or padding.lower() != "same":
        raise UnsupportedError(f"its padding is {padding}")
    before, after = [0, 0], [0, 0]
    for i, side in enumerate(x.known[2:]):
        stride = each["stride"][i]
        reach = each["dilation"][i] * (window[i] - 1) + 1
        total = max((math.ceil(side / stride) - 1) * stride + reach - side, 0)
        before.append(total // 2)
        after.append(total - total // 2)
    return selecting.pad(b, x, before, after, 0.0)
