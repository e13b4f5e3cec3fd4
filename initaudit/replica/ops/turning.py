"""How fast rotary positions turn, where they are stretched to longer sequences."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from initaudit.replica.ops.op import Attributes, OpError, real
from initaudit.special import Array

KINDS = frozenset({"linear", "dynamic", "llama3", "yarn", "longrope"})
"""The kinds of scaling that are computed."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """A kind of scaling with its numbers; each kind reads those that it needs.

    ``original`` is the number of positions that a model was first trained on. Bands of speeds are
    told by the turns that they take in ``original`` positions: ``low`` and ``high`` of them.
    ``short`` and ``long`` are divisors by pair, for sequences up to ``original`` and longer ones.
    ``magnitude`` is what cosine and sine are multiplied by. ``whole`` rounds the ends of a band
    outwards to whole pairs.
    """

    kind: str
    factor: float = 1.0
    low: float = 1.0
    high: float = 1.0
    original: float = 1.0
    short: tuple[float, ...] = ()
    long: tuple[float, ...] = ()
    magnitude: float = 1.0
    whole: bool = True


def scaling_of(attributes: Attributes) -> Scaling | None:
    """Return the scaling that attributes name; None without one, OpError where it is not known."""
    kind = attributes.get("scaling")
    if kind is None:
        return None
    if kind not in KINDS:
        raise OpError(f"the scaling {kind} of rotary positions is not known")
    factor, low, high, original = (
        real(attributes, name, 1.0) for name in ("factor", "low", "high", "original")
    )
    return Scaling(
        str(kind), factor, low, high, original,
        short=_listed(attributes, "short"),
        long=_listed(attributes, "long"),
        magnitude=real(attributes, "magnitude", 1.0),
        whole=bool(attributes.get("whole", True)),
    )  # fmt: skip


def _listed(attributes: Attributes, name: str) -> tuple[float, ...]:
    value = attributes.get(name)
    return tuple(map(float, value)) if isinstance(value, tuple) else ()


def speeds(dims: int, base: float, length: int, scaling: Scaling | None) -> Array:
    """Return base^(-2 i / dims), (dims / 2,), in radians a position, scaled as ``scaling`` says.

    ``linear`` divides all by the factor. ``dynamic`` takes a larger base for sequences longer than
    ``original`` (the NTK-aware one, by their length), and leaves others as they are. ``llama3``
    (Llama 3.1) and ``yarn`` (Peng et al. 2023, section 3.2) divide the slow ones, keep the fast
    ones and blend between: the first by turns, the second by the number of the pair. ``longrope``
    (Ding et al. 2024) has a divisor for each pair.

    Raises:
        OpError: where divisors do not number the pairs.
    """
    if scaling is not None and scaling.kind == "dynamic":
        base = _longer(dims, base, length, scaling)
    plain: Array = base ** (-np.arange(0, dims, 2) / dims)
    if scaling is None or scaling.kind == "dynamic":
        return plain
    if scaling.kind == "longrope":
        divisors = scaling.long if length > scaling.original else scaling.short
        if len(divisors) != len(plain):
            raise OpError(f"it has {len(divisors)} divisors for {len(plain)} pairs")
        return np.asarray(plain / np.array(divisors))
    kept: Array | float = 0.0
    if scaling.kind == "llama3":
        kept = _fast(plain, scaling)
    elif scaling.kind == "yarn":
        kept = _first(dims, base, scaling)
    return plain * (kept + (1.0 - kept) / scaling.factor)


def _longer(dims: int, base: float, length: int, scaling: Scaling) -> float:
    """Return the base at which the slowest pair turns over ``factor`` times what is too long."""
    if length <= scaling.original or dims <= 2:
        return base
    ratio = scaling.factor * length / scaling.original - (scaling.factor - 1.0)
    return float(base * ratio ** (dims / (dims - 2)))


def _fast(plain: Array, scaling: Scaling) -> Array:
    """Return the share kept of each speed: 1 from ``high`` turns on, 0 up to ``low``."""
    low, high = scaling.low, scaling.high
    turns = scaling.original * plain / (2.0 * np.pi)
    if high == low:
        return np.asarray(turns > low, dtype=np.float64)
    return np.asarray(np.clip((turns - low) / (high - low), 0.0, 1.0))


def _first(dims: int, base: float, scaling: Scaling) -> Array:
    """Return the share kept of each speed, falling with the number of the pair.

    It is 1 up to the pair that takes ``high`` turns, 0 from the one that takes ``low``.
    """
    start, stop = (
        dims * math.log(scaling.original / (turns * 2.0 * math.pi)) / (2.0 * math.log(base))
        for turns in (scaling.high, scaling.low)
    )
    if scaling.whole:
        start, stop = math.floor(start), math.ceil(stop)
    start, stop = max(start, 0), min(stop, dims - 1)
    # A band of no width is a step.
    width = stop - start or 1e-3
    return np.asarray(1.0 - np.clip((np.arange(dims // 2) - start) / width, 0.0, 1.0))
