"""Elementwise functions over pieces that fit a cache, by two threads."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np

from initaudit.special import Array

_PIECE = 1 << 14
_WHOLE = 1 << 17
"""Numbers up to which an array is computed in one go."""


def in_pieces(function: Callable[..., Array], *arrays: Array) -> Array:
    """Return an elementwise function of arrays of one shape, whose result has their dtype.

    The temporaries of a formula are as large as what it is given: for a large array they leave the
    cache, and each costs a walk through fresh memory.
    """
    first = arrays[0]
    alike = all(x.shape == first.shape and x.dtype == first.dtype for x in arrays)
    if first.size <= _WHOLE or not alike:
        return function(*arrays)
    flats = [np.ascontiguousarray(x).reshape(-1) for x in arrays]
    out = np.empty_like(flats[0])

    def fill(begin: int, end: int) -> None:
        # The error state belongs to the thread.
        with np.errstate(all="ignore"):
            for i in range(begin, end, _PIECE):
                part = slice(i, min(i + _PIECE, end))
                out[part] = function(*(flat[part] for flat in flats))

    middle = first.size // 2 // _PIECE * _PIECE
    other = _helper().submit(fill, middle, first.size) if _cores() > 1 else None
    fill(0, middle if other else first.size)
    if other is not None:
        other.result()
    return out.reshape(first.shape)


@cache
def _helper() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="initaudit")


@cache
def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
