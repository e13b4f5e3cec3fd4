"""Numbers from arrays of signals: moments, participation ratio, cosine. None of them warns.

Sums are in float64 whatever the array is, and over pieces of it: no temporary is as large as the
array.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from initaudit.special import Array

BINS = 32

Ends = tuple[float, float]
LARGE = {np.dtype(np.float32): 1 << 20}
"""Entries from which an output counts as large: evenly spaced ones stand for all where said so."""

_HUGE = 1 << 25

_RESIDUE = {np.dtype(np.float32): 1e-10}
_FINEST = 1e-12
_ROWS = 8192
_FEW_ROWS = 512

_PIECE = 1 << 15
_COUNTED = 1 << 16
# Squares of float32 numbers within these, and sums of `_PIECE` of them, are normal numbers.
_SMALL, _BIG = 1e-15, 1e15


def residue(dtype: np.dtype[np.floating]) -> float:
    """Return the share of the power below which what depends on the input is rounding noise."""
    return _RESIDUE.get(dtype, _FINEST)


def _large(x: Array) -> bool:
    return x.size >= LARGE.get(x.dtype, _HUGE)


def extremes(x: Array) -> tuple[float, float]:
    """Return the least and the largest entry; NaN where one is NaN, 0 where there are none."""
    if not x.size:
        return 0.0, 0.0
    return float(x.min()), float(x.max())


def moments(x: Array, ends: Ends | None = None) -> tuple[float, float, float]:
    """Return mean, population standard deviation and mean square of all entries.

    The last two are infinite where an entry is not finite. ``ends`` are the `extremes` of ``x``
    where they are known, here and below.
    """
    low, high = ends or extremes(x)
    size = max(abs(low), abs(high))
    if size == 0.0 or not math.isfinite(low) or not math.isfinite(high):
        finite = math.isfinite(low) and math.isfinite(high)
        return (0.0, 0.0, 0.0) if finite else (math.nan, math.inf, math.inf)
    single = x.dtype == np.float32 and _SMALL < size < _BIG
    scale = 1.0 if single else size
    count, mean, spread = 0, 0.0, 0.0
    buffer: Array = np.empty(_PIECE, np.float32 if single else np.float64)
    shift = float(next(pieces(x)).mean(dtype=np.float64)) / scale
    for piece in pieces(x):
        scaled = buffer[: piece.size]
        if single:
            np.subtract(piece, np.float32(shift), out=scaled)
        else:
            np.divide(piece, size, out=scaled)
            scaled -= shift
        total, squares = float(scaled.sum()), float(scaled @ scaled)
        # Chan, Golub and LeVeque 1979: two counts, means and sums of squares become one.
        own = total / piece.size
        apart = own + shift - mean
        joint = count + piece.size
        spread += squares - total * own + apart * apart * count * piece.size / joint
        mean += apart * piece.size / joint
        count = joint
        shift = mean
    variance = max(spread, 0.0) / count
    return mean * scale, math.sqrt(variance) * scale, (variance + mean * mean) * scale * scale


def pieces(x: Array) -> Iterator[Array]:
    """Yield all entries as flat arrays of bounded size."""
    if x.flags.c_contiguous or x.size <= _PIECE:
        flat = x.reshape(-1)
        for i in range(0, flat.size, _PIECE):
            yield flat[i : i + _PIECE]
        return
    # The slowest axis goes first, so that a piece is copied from neighbouring memory.
    moved = np.moveaxis(x, int(np.argmax(np.abs(x.strides))), 0)
    step = _PIECE // max(x.size // len(moved), 1)
    for i in range(0, len(moved), max(step, 1)):
        yield from pieces(moved[i : i + step] if step else moved[i])


def share(x: Array, test: Callable[[Array], NDArray[np.bool_]]) -> float:
    """Return the share of the entries that pass a test."""
    return sum(int(np.count_nonzero(test(piece))) for piece in pieces(x)) / max(x.size, 1)


def histogram(x: Array, ends: Ends | None = None) -> tuple[tuple[int, ...], float, float]:
    """Return counts in `BINS` equal bins over [low, high], and low and high.

    Of a large output evenly spaced entries are counted.
    """
    low, high = ends or extremes(x)
    span = high - low
    if _large(x):
        x = _spaced(x, _COUNTED)
    if span == 0.0 or not math.isfinite(span):
        return (x.size, *[0] * (BINS - 1)), low, high
    index = ((x.ravel() - low) / span * BINS).astype(np.int64)
    counts = np.bincount(np.minimum(index, BINS - 1), minlength=BINS)
    return tuple(int(n) for n in counts), low, high


def _spaced(x: Array, count: int) -> Array:
    # An odd step does not fall on the same feature over and over where their number is even.
    step = x.size // count | 1
    if x.flags.c_contiguous:
        return x.reshape(-1)[::step]
    chosen: Array = x[np.unravel_index(np.arange(0, x.size, step), x.shape)]
    return chosen


def rows(x: Array, axis: int) -> Array:
    """Return an output as (samples x places, features)."""
    moved = np.moveaxis(x, axis, -1)
    return moved.reshape(-1, moved.shape[-1])


def participation(x: Array, axis: int) -> float:
    """Return the effective rank of the features: (tr C)^2 / tr C^2, C their covariance.

    Samples are the entries of axis 0 and places; each place is centred over the samples, so that
    what does not depend on the input has no part. 0 where the input moves less than `residue` of
    the power. Over `_ROWS` rows, and at least four for each feature, evenly spaced ones stand for
    all.

    Of a large output only so many evenly spaced places are read as give `_FEW_ROWS` rows, one at
    least. That bounds the result by their number, but it is judged near 1 alone, where fewer rows
    than these do.
    """
    if _large(x):
        x, axis = _few_places(x, axis), -1
    low, high = extremes(x)
    size = max(abs(low), abs(high))
    if size == 0.0 or not math.isfinite(size) or len(x) < 2:
        return 0.0
    scaled = x / size
    moving = scaled - scaled.mean(0)
    if _power(moving) < residue(x.dtype) * _power(scaled):
        return 0.0
    features = rows(moving, axis)
    keep = max(_ROWS, 4 * features.shape[1])
    if len(features) > keep:
        features = features[np.linspace(0, len(features) - 1, keep).astype(np.int64)]
    features = features / max(float(np.abs(features).max()), float(np.finfo(features.dtype).tiny))
    tall = features.shape[0] >= features.shape[1]
    gram = features.T @ features if tall else features @ features.T
    squared = float(np.square(gram).sum(dtype=np.float64))
    return float(np.trace(gram)) ** 2 / squared if squared > 0.0 else 0.0


def _power(x: Array) -> float:
    return float(np.square(x).mean(dtype=np.float64))


def _few_places(x: Array, axis: int) -> Array:
    """Return (samples, places, features) at a few evenly spaced places."""
    moved = np.moveaxis(x, axis, -1)
    shape = moved.shape[1:-1]
    places = math.prod(shape)
    samples = np.linspace(0, len(x) - 1, min(len(x), _FEW_ROWS)).astype(np.int64)
    wanted = max(1, min(places, _FEW_ROWS // len(samples)))
    # The middle of equal parts: at the ends of a sequence or the edges of an image is padding.
    at = ((np.arange(wanted) + 0.5) * places / wanted).astype(np.int64)
    where = np.unravel_index(at, shape) if shape else ()
    chosen = moved[(samples[:, None], *(i[None, :] for i in where))] if shape else moved[samples]
    return chosen.reshape(len(samples), -1, moved.shape[-1])


def cosine(x: Array, ends: Ends | None = None) -> float | None:
    """Return the mean cosine over pairs of samples, each flattened; None for fewer than two."""
    low, high = ends or extremes(x)
    size = max(abs(low), abs(high))
    if size == 0.0 or not math.isfinite(size) or len(x) < 2:
        return None
    flat = x.reshape(len(x), -1)
    if _large(x) and _SMALL < size < _BIG:
        squares = np.zeros(len(x))
        for i in range(0, flat.shape[1], _PIECE):
            part = flat[:, i : i + _PIECE]
            squares += np.einsum("ij,ij->i", part, part)
        alive = squares > 0.0
        count = int(np.count_nonzero(alive))
        factors = np.where(alive, 1.0 / np.sqrt(np.where(alive, squares, 1.0)), 0.0)
        total = (factors.astype(x.dtype) @ flat).astype(np.float64)
    else:
        peaks = np.abs(flat).max(1, initial=0.0)
        flat = flat[peaks > 0.0] / peaks[peaks > 0.0, None]
        count = len(flat)
        total = (flat / np.linalg.norm(flat, axis=1, keepdims=True)).sum(0, dtype=np.float64)
    if count < 2:
        return None
    return (float(total @ total) - count) / (count * (count - 1))


def dead_share(x: Array, axis: int, flat: Sequence[float]) -> float:
    """Return the share of features that hold one of some values over all samples and places."""
    others = tuple(i for i in range(x.ndim) if i != axis % x.ndim)
    top = x.max(others)
    return float(((top == x.min(others)) & np.isin(top, flat)).mean())
