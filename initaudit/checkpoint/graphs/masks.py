"""Masks of attention, as far as they are known while a graph is read."""

from __future__ import annotations

import numpy as np

from initaudit.checkpoint.graphs.values import Known

_HIDDEN = -1e9


def plain_mask(mask: Known, *, causal: bool) -> tuple[Known | None, bool]:
    """Return a mask as numbers to add, None where it hides nothing or only what is later."""
    array = mask.array
    added = np.where(array, 0.0, -np.inf).astype(np.float32) if array.dtype == np.bool_ else array
    if not added.any():
        return None, causal
    square = added.reshape(-1, *added.shape[-2:]) if added.ndim > 1 else added[None, None]
    hidden = square < _HIDDEN
    if square.shape[-1] == square.shape[-2] and not causal:
        later = np.triu(np.ones(square.shape[-2:], bool), 1)
        if (hidden == later).all() and not np.where(hidden, 0.0, square).any():
            return None, True
    return Known(added), causal
