"""What only sequences have: how alike their tokens are, and how far attention spreads."""

from __future__ import annotations

import numpy as np

from initaudit.replica.ops.attention import probabilities
from initaudit.replica.ops.op import Attributes, Inputs
from initaudit.special import Array

_SAMPLES = 8


def token_cosine(x: Array) -> float | None:
    """Return the mean cosine between two different tokens of one sample, over (N, T, D).

    None where a sample has fewer than two tokens that are not zero. In a stack without skip
    connections it tends to 1 doubly exponentially with depth (Dong et al. 2021).
    """
    if x.ndim != 3 or x.shape[1] < 2:
        return None
    found: list[float] = []
    for tokens in x[: 8 * _SAMPLES]:
        size = np.abs(tokens).max(1, initial=0.0)
        alive = tokens[size > 0.0] / size[size > 0.0, None]
        count = len(alive)
        if count > 1:
            total = (alive / np.linalg.norm(alive, axis=1, keepdims=True)).sum(0)
            found.append((float(total @ total) - count) / (count * (count - 1)))
    return float(np.mean(found)) if found else None


def attention_entropy(attributes: Attributes, inputs: Inputs) -> float | None:
    """Return the mean entropy of an attention's rows over the most they can have: 1 is uniform.

    The most is the logarithm of the number of positions that a row sees; rows that see one are
    left out. Taken over the first few samples. None where no row sees two.
    """
    few = tuple(x[:_SAMPLES] for x in inputs)
    rows = probabilities(attributes, few)
    seen = probabilities(attributes, (np.zeros_like(few[0]), *few[1:3])).max(-1)
    most = -np.log(seen)
    entropy = -(rows * np.log(np.maximum(rows, np.finfo(rows.dtype).tiny))).sum(-1)
    wide = np.broadcast_to(most, entropy.shape) > 0.5  # ln 2 and more: two positions or more
    if not wide.any():
        return None
    return float((entropy[wide] / np.broadcast_to(most, entropy.shape)[wide]).mean())
