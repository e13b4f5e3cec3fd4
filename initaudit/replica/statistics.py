"""Numbers from arrays of signals: moments, participation ratio, cosine. None of them warns."""

from __future__ import annotations

import math

import numpy as np

from initaudit.special import Array

BINS = 32
RESIDUE = 1e-12
"""Share of the power below which what depends on the input is rounding noise."""

_ROWS = 8192


def moments(x: Array) -> tuple[float, float, float]:
    """Return mean, population standard deviation and mean square of all entries.

    The last two are infinite where an entry is not finite.
    """
    size = float(np.abs(x).max(initial=0.0))
    if size == 0.0 or not math.isfinite(size):
        return (0.0, 0.0, 0.0) if size == 0.0 else (math.nan, math.inf, math.inf)
    scaled = x / size
    mean = float(scaled.mean())
    std = float(scaled.std())
    return mean * size, std * size, float(np.square(scaled).mean()) * size * size


def histogram(x: Array) -> tuple[tuple[int, ...], float, float]:
    """Return counts in `BINS` equal bins over [low, high], and low and high."""
    low, high = float(x.min()), float(x.max())
    span = high - low
    if span == 0.0 or not math.isfinite(span):
        return (x.size, *[0] * (BINS - 1)), low, high
    index = ((x.ravel() - low) / span * BINS).astype(np.int64)
    counts = np.bincount(np.minimum(index, BINS - 1), minlength=BINS)
    return tuple(int(n) for n in counts), low, high


def rows(x: Array, axis: int) -> Array:
    """Return an output as (samples x places, features)."""
    moved = np.moveaxis(x, axis, -1)
    return moved.reshape(-1, moved.shape[-1])


def participation(x: Array, axis: int) -> float:
    """Return the effective rank of the features: (tr C)^2 / tr C^2, C their covariance.

    Samples are the entries of axis 0 and places; each place is centred over the samples, so that
    what does not depend on the input has no part. 0 where the input moves less than `RESIDUE` of
    the power. Over `_ROWS` rows, and at least four for each feature, evenly spaced ones stand for
    all.
    """
    size = float(np.abs(x).max(initial=0.0))
    if size == 0.0 or not math.isfinite(size):
        return 0.0
    scaled = x / size
    moving = scaled - scaled.mean(0)
    if float(np.square(moving).mean()) < RESIDUE * float(np.square(scaled).mean()):
        return 0.0
    features = rows(moving, axis)
    keep = max(_ROWS, 4 * features.shape[1])
    if len(features) > keep:
        features = features[np.linspace(0, len(features) - 1, keep).astype(np.int64)]
    features = features / max(float(np.abs(features).max()), np.finfo(np.float64).tiny)
    tall = features.shape[0] >= features.shape[1]
    gram = features.T @ features if tall else features @ features.T
    squared = float(np.square(gram).sum())
    return float(np.trace(gram)) ** 2 / squared if squared > 0.0 else 0.0


def cosine(x: Array) -> float | None:
    """Return the mean cosine over pairs of samples, each flattened; None for fewer than two."""
    flat = x.reshape(len(x), -1)
    size = np.abs(flat).max(1, initial=0.0)
    flat = flat[size > 0.0] / size[size > 0.0, None]
    count = len(flat)
    if count < 2:
        return None
    total = (flat / np.linalg.norm(flat, axis=1, keepdims=True)).sum(0)
    return (float(total @ total) - count) / (count * (count - 1))


def dead_share(x: Array, axis: int) -> float:
    """Return the share of features that hold one value over all samples and places."""
    units = rows(x, axis)
    return float((units.max(0) == units.min(0)).mean())
