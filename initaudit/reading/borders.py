"""What a convolution's zero border takes from its power: taps that meet the image, on average."""

from __future__ import annotations

import math
from collections.abc import Mapping

from initaudit.network import Interval, Layer
from initaudit.reading.intervals import ANY, ONE


def share(
    layer: Layer, shape: tuple[int, ...], shapes: Mapping[str, tuple[int, ...] | None]
) -> Interval:
    """Return the share of a kernel's taps that meet the image, averaged over the output.

    ``shape`` is the kernel's, ``shapes`` are those of the layers' outputs, channels second.
    """
    swapped = layer.attributes.get("layout") == "io"
    across = layer.op == "conv_transpose"
    window = shape[:-2] if swapped else shape[2:]
    before = shapes.get(layer.inputs[0]) if layer.inputs else None
    after = shapes.get(layer.name)
    each = [_each(layer, name, len(window)) for name in ("stride", "dilation", "padding")]
    if before is None or after is None or None in each or (across and swapped):
        padded = any(each[2]) if each[2] is not None else True
        return ANY if across else ONE if not padded else Interval(0.0, 1.0)
    sizes = zip(window, before[2:], after[2:], *(e or () for e in each), strict=True)
    found = 1.0
    for taps, there, here, stride, dilation, padding in sizes:
        steps, end = (there, here) if across else (here, there)
        met = sum(
            0 <= i * stride + j * dilation - padding < end
            for i in range(steps) for j in range(taps)
        )  # fmt: skip
        found *= met / (here * taps)
    if across:
        # Its fan counts the kernel's second axis; an output is met from the first.
        groups = layer.attributes.get("groups", 1)
        found *= shape[0] / shape[1] / (groups if isinstance(groups, int) else 1)
    return Interval.point(found) if math.isfinite(found) else ANY


def _each(layer: Layer, name: str, dims: int) -> tuple[int, ...] | None:
    value = layer.attributes.get(name, 0 if name == "padding" else 1)
    if isinstance(value, int):
        return (value,) * dims
    if not isinstance(value, tuple) or len(value) != dims:
        return None
    whole = tuple(one for one in value if isinstance(one, int))
    return whole if len(whole) == dims else None
