"""Where a window stands on a spatial grid: sizes, padding, and the entries under each offset."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from initaudit.replica.ops.op import Attributes, OpError, each
from initaudit.special import Array

Offset = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """A kernel moved over a padded input; each field has one number a spatial dimension.

    ``before`` and ``after`` are the padding on either side, ``sides`` those of the unpadded input
    and ``out`` those of the output.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    before: tuple[int, ...]
    after: tuple[int, ...]
    sides: tuple[int, ...]
    out: tuple[int, ...]

    def offsets(self) -> Iterator[Offset]:
        """Yield the positions inside the kernel, row by row."""
        return product(*(range(k) for k in self.kernel))

    def under(self, padded: Array, offset: Offset) -> Array:
        """Return the view of a padded array that an offset of the kernel meets, one per output."""
        cut = tuple(
            slice(o * d, o * d + (n - 1) * s + 1, s)
            for o, d, n, s in zip(offset, self.dilation, self.out, self.stride, strict=True)
        )
        return _cut(padded, cut)

    def padded(self, x: Array, fill: float = 0.0) -> Array:
        """Return the array with its padding."""
        if not any(self.before) and not any(self.after):
            return x
        around = [(0, 0)] * (x.ndim - len(self.sides))
        around += list(zip(self.before, self.after, strict=True))
        return np.pad(x, around, constant_values=fill)

    def blank(self, leading: tuple[int, ...], dtype: DTypeLike) -> Array:
        """Return zeros of the padded shape."""
        sides = (b + n + a for b, n, a in zip(self.before, self.sides, self.after, strict=True))
        return np.zeros((*leading, *sides), dtype)

    def inner(self, padded: Array) -> Array:
        """Return an array without its padding."""
        cut = tuple(slice(b, b + n) for b, n in zip(self.before, self.sides, strict=True))
        return _cut(padded, cut)

    @property
    def positions(self) -> int:
        """Number of output places."""
        return prod(self.out)


def _cut(x: Array, last: tuple[Any, ...]) -> Array:
    index: tuple[Any, ...] = (..., *last)
    view: Array = x[index]
    return view


def overhang(held: int, after: int, reach: int, stride: int) -> int:
    """Return how far the last window reaches beyond a side where places are rounded up.

    ``held`` is the side with the padding before it. A window that would start behind it is none,
    as in PyTorch and ONNX.
    """
    left = (held + after - reach) % stride
    start = held + after - reach - left + stride
    return stride - left if left and start < held else 0


def grid(
    attributes: Attributes,
    kernel: tuple[int, ...],
    sides: tuple[int, ...],
    *,
    default_stride: tuple[int, ...] | None = None,
) -> Grid:
    """Return the grid of a layer's stride, padding and dilation; OpError where nothing fits.

    Padding "same" gives ceil(side / stride) places, the odd one after (as Keras and PyTorch do).
    ``ceil`` rounds the number of places up.
    """
    dims = len(kernel)
    if len(sides) != dims:
        raise OpError(f"it reads {dims} spatial dimensions, its input has {len(sides)}")
    stride = each(attributes, "stride", dims, 1)
    if default_stride is not None and attributes.get("stride") is None:
        stride = default_stride
    dilation = each(attributes, "dilation", dims, 1)
    reach = tuple(d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True))
    padding = attributes.get("padding")
    if padding == "same":
        total = tuple(
            max((-(-n // s) - 1) * s + r - n, 0)
            for n, s, r in zip(sides, stride, reach, strict=True)
        )
        before = tuple(t // 2 for t in total)
        after = tuple(t - b for t, b in zip(total, before, strict=True))
    else:
        plain = {**attributes, "padding": 0 if padding in {"valid", None} else padding}
        before = after = each(plain, "padding", dims, 0)
    if attributes.get("ceil") is True:
        after = tuple(
            a + overhang(n + b, a, r, s)
            for n, b, a, r, s in zip(sides, before, after, reach, stride, strict=True)
        )
    out = tuple(
        (n + b + a - r) // s + 1
        for n, b, a, r, s in zip(sides, before, after, reach, stride, strict=True)
    )
    if min(out) < 1 or min(stride) < 1:
        raise OpError(f"its kernel {kernel} is larger than its input {sides}")
    return Grid(kernel, stride, dilation, before, after, sides, out)
