"""Windows of a grid of tokens, shifted and merged (Liu et al. 2021, "Swin Transformer")."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import DTypeLike

from initaudit.replica.ops.op import Attributes, Cache, Inputs, Op, OpError, Params, number
from initaudit.special import Array

_FAR = -100.0
"""What Swin adds to the score of two places that only the cyclic shift made neighbours."""


def _sides(attributes: Attributes, size: int) -> tuple[int, int]:
    height, width = number(attributes, "height", 0), number(attributes, "width", 0)
    if size < 1 or height < 1 or width < 1 or height % size or width % size:
        raise OpError(f"a grid of {height} by {width} does not divide into sides of {size}")
    return height, width


def _cut(grid: Array, size: int) -> Array:
    """(N, H, W, C) as (N, windows, size^2, C), windows row by row."""
    n, height, width, channels = grid.shape
    parts = grid.reshape(n, height // size, size, width // size, size, channels)
    return parts.transpose(0, 1, 3, 2, 4, 5).reshape(n, -1, size * size, channels)


def _joined(parts: Array, size: int, height: int, width: int) -> Array:
    """Undo `_cut`."""
    n, channels = len(parts), parts.shape[-1]
    cut = parts.reshape(n, height // size, width // size, size, size, channels)
    return cut.transpose(0, 1, 3, 2, 4, 5).reshape(n, height, width, channels)


def _windows_of(x: Array, size: int, shift: int, height: int, width: int) -> Array:
    grid = x.reshape(len(x), height, width, x.shape[-1])
    if shift:
        grid = np.roll(grid, (-shift, -shift), (1, 2))
    return _cut(grid, size)


def _grid_of(parts: Array, size: int, shift: int, height: int, width: int) -> Array:
    grid = _joined(parts, size, height, width)
    if shift:
        grid = np.roll(grid, (shift, shift), (1, 2))
    return grid.reshape(len(parts), height * width, parts.shape[-1])


@lru_cache(maxsize=16)
def shift_mask(height: int, width: int, size: int, shift: int, *, dtype: DTypeLike) -> Array:
    """Return (windows, size^2, size^2): 0 for places of one region, -100 for others."""
    _sides({"height": height, "width": width}, size)
    regions = np.zeros((1, height, width, 1), np.float32)
    bounds = (slice(0, -size), slice(-size, -shift), slice(-shift, None))
    for row, across in enumerate(bounds):
        for column, down in enumerate(bounds):
            regions[:, across, down] = 3 * row + column
    flat = _cut(regions, size)[0, :, :, 0]
    apart = flat[:, None, :] != flat[:, :, None]
    return np.where(apart, _FAR, 0.0).astype(dtype)


def _asked(attributes: Attributes) -> tuple[int, int, int, int]:
    size = number(attributes, "size", 1)
    return (size, number(attributes, "shift", 0), *_sides(attributes, size))


def _windows(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    size, shift, height, width = _asked(attributes)
    if x.ndim != 3 or x.shape[1] != height * width:
        raise OpError(f"its input has shape {x.shape[1:]}, not {height} by {width} tokens")
    return _windows_of(x, size, shift, height, width), (size, shift, height, width)


def _d_windows(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    return (_grid_of(d_output, *cache),), {}


def _unwindows(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    size, shift, height, width = _asked(attributes)
    if x.ndim != 4 or x.shape[1] * x.shape[2] != height * width or x.shape[2] != size * size:
        raise OpError(f"its input has shape {x.shape[1:]}, not windows of {size} by {size}")
    return _grid_of(x, size, shift, height, width), (size, shift, height, width)


def _d_unwindows(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    return (_windows_of(d_output, *cache),), {}


def _merge(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    # Swin's order of a patch: (0, 0), (1, 0), (0, 1), (1, 1) as (row, column).
    (x,) = inputs
    height, width = _sides(attributes, 2)
    if x.ndim != 3 or x.shape[1] != height * width:
        raise OpError(f"its input has shape {x.shape[1:]}, not {height} by {width} tokens")
    cut = x.reshape(len(x), height // 2, 2, width // 2, 2, x.shape[-1])
    merged = cut.transpose(0, 1, 3, 4, 2, 5).reshape(len(x), -1, 4 * x.shape[-1])
    return merged, (height, width)


def _d_merge(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    height, width = cache
    channels = d_output.shape[-1] // 4
    cut = d_output.reshape(len(d_output), height // 2, width // 2, 2, 2, channels)
    return (cut.transpose(0, 1, 4, 2, 3, 5).reshape(len(d_output), -1, channels),), {}


windows = Op(_windows, _d_windows, "last")
unwindows = Op(_unwindows, _d_unwindows, "last")
merge_patches = Op(_merge, _d_merge, "last")
