"""Weight norm: a weight stored as a direction and a gain."""

from __future__ import annotations

from collections.abc import Mapping

from initaudit.network import Tensor


def stand_in(parts: Mapping[str, Tensor]) -> tuple[str | None, str | None]:
    """Return why the direction cannot stand for the weight, or the note that it does.

    The weight is g v / |v| per output unit (Salimans and Kingma 2016): it equals v where g = |v|,
    which holds on average where the sums of squares agree.
    """
    direction, gain = parts["weight_v"], parts["weight_g"]
    if direction.variance is None or direction.mean is None:
        return None, None
    if gain.variance is None or gain.mean is None:
        return "weight norm whose gain is not finite", None
    v = direction.count * (direction.variance + direction.mean**2)
    g = gain.count * (gain.variance + gain.mean**2)
    if abs(v - g) > 1e-3 * max(v, g):
        return "weight norm: its weight is weight_v rescaled row by row to weight_g", None
    return None, "weight_v stands for the weight: weight_g equals its norm"
