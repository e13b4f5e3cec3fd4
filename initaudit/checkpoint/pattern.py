"""Initialisers that are exact patterns: identity, Dirac, orthogonal, sparse, Fourier."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from initaudit.checkpoint.independence import gamma_score
from initaudit.network import Law

Array = NDArray[np.float64]

_PROBES = 48
_SCATTER = 6.0


def number(value: float) -> str:
    """Return a number in at most three significant digits."""
    return f"{value:.3g}"


def identity(block: Array, out_axis: int) -> Law | None:
    """Return the law of a scaled identity or of a Dirac kernel, all other elements zero."""
    gain = float(block.max() if block.max() > -block.min() else block.min())
    places = np.argwhere(block)
    if not gain or len(places) > max(block.shape) or np.any(block[tuple(places.T)] != gain):
        return None
    suffix = "" if gain == 1 else f", gain {number(gain)}"
    if block.ndim == 2:
        diagonal = len(places) == min(block.shape) and bool(np.all(places[:, 0] == places[:, 1]))
        return Law("identity", f"identity{suffix}") if diagonal else None
    return Law("identity", f"Dirac{suffix}") if _dirac(block.shape, places, out_axis) else None


def _dirac(shape: tuple[int, ...], places: NDArray[np.intp], out_axis: int) -> bool:
    """Return whether each group's channels pass to themselves at the kernel's centre."""
    out = out_axis % len(shape)
    inward = out - 1 if out else 1
    kernel = [axis for axis in range(len(shape)) if axis not in (out, inward)]
    if any(np.any(places[:, axis] != shape[axis] // 2) for axis in kernel):
        return False
    ordered = places[np.argsort(places[:, out])]
    outputs, inputs = shape[out], shape[inward]
    for group in range(1, outputs + 1):
        share = outputs // group
        kept = min(share, inputs)
        if outputs % group or group * kept != len(places):
            continue
        expected = [(g * share + unit, unit) for g in range(group) for unit in range(kept)]
        if np.array_equal(ordered[:, [out, inward]], expected):
            return True
    return False


def orthogonal(block: Array, out_axis: int, half_step: float) -> Law | None:
    """Return the law of a semi-orthogonal array, a centred (delta) kernel included.

    Args:
        block: the whole array; beyond two dimensions it is flattened to the first axis (torch) or
            to the last (Keras, JAX).
        out_axis: axis of output units.
        half_step: relative rounding error of the stored numbers.
    """
    if block.ndim > 2:
        centre = _centre(block, out_axis)
        if centre is not None:
            gain = _gain(centre, half_step)
            return None if gain is None else _orthogonal("delta-orthogonal", gain)
    gain = _gates(block, half_step) if block.ndim == 2 else None
    if gain is not None:
        return _orthogonal("orthogonal in each gate", gain)
    views = [block.reshape(block.shape[0], -1)]
    if block.ndim > 2:
        views.append(block.reshape(-1, block.shape[-1]))
    for view in views:
        gain = _gain(view, half_step)
        if gain is not None:
            return _orthogonal("orthogonal", gain)
    return None


def orthogonal_name(name: str, gain: float) -> str:
    """Return the name of an orthogonal law with its gain, unless that is 1."""
    return name if abs(gain - 1) < 5e-3 else f"{name}, gain {number(gain)}"


def _orthogonal(name: str, gain: float) -> Law:
    return Law("orthogonal", orthogonal_name(name, gain))


def _gates(matrix: Array, half_step: float) -> float | None:
    """Return the gain of stacked square orthogonal matrices, one for each gate of an RNN."""
    rows, columns = matrix.shape
    if columns < 2 or rows % columns or rows // columns not in (2, 3, 4):
        return None
    gains = [_gain(gate, half_step) for gate in matrix.reshape(-1, columns, columns)]
    known = [gain for gain in gains if gain is not None]
    if len(known) < len(gains) or max(known) - min(known) > 1e-2 * max(known):
        return None
    return known[0]


def _gain(matrix: Array, half_step: float) -> float | None:
    """Return the common length of a matrix's orthogonal lines, if they are so."""
    lines = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    count, size = lines.shape
    if count < 2:
        return None
    picked = np.linspace(0, count - 1, min(count, _PROBES)).astype(np.intp)
    lengths = np.einsum("ij,ij->i", lines, lines)
    power = float(lengths.mean())
    if not 0 < power < math.inf:
        return None
    # Rounding moves a product of two unit lines by about half_step / sqrt(size).
    allowed = 1e-4 + 12 * half_step / math.sqrt(size)
    if float(np.abs(lengths / power - 1).max()) > allowed + 3 * half_step * half_step:
        return None
    product = lines[picked] @ lines.T / power
    product[np.arange(picked.size), picked] = 0
    return math.sqrt(power) if float(np.abs(product).max()) <= allowed else None


def _centre(block: Array, out_axis: int) -> Array | None:
    """Return the only (in, out) matrix of a kernel that is not zero, if there is one."""
    out = out_axis % block.ndim
    inward = out - 1 if out else 1
    kernel = tuple(axis for axis in range(block.ndim) if axis not in (out, inward))
    filled = np.argwhere(np.any(block != 0, axis=(out, inward)))
    if len(filled) != 1 or block.size == block.shape[out] * block.shape[inward]:
        return None
    place: list[slice | int] = [slice(None)] * block.ndim
    for axis, index in zip(kernel, filled[0], strict=True):
        place[axis] = int(index)
    centre: Array = block[tuple(place)]
    return centre


def fourier(block: Array) -> Law | None:
    """Return the law of a short-time Fourier kernel, (frame, 1, frequencies), of any window."""
    if block.ndim != 3 or block.shape[1] != 1 or min(block.shape[0], block.shape[2]) < 4:
        return None
    kernel = block[:, 0, :]
    frame, frequencies = kernel.shape
    angles = np.outer(np.arange(frame), np.arange(frequencies)) * (math.pi / (frequencies - 1))
    largest = float(np.abs(kernel).max())
    real = kernel[:, :1] * np.cos(angles)
    if largest and np.abs(kernel - real).max() < 1e-2 * largest:
        return Law("identity", "STFT kernel, real part")
    sine = -np.sin(angles)
    window = np.einsum("ij,ij->i", kernel, sine) / np.maximum(
        np.einsum("ij,ij->i", sine, sine), 1e-9
    )
    if largest and np.abs(kernel - window[:, None] * sine).max() < 1e-2 * largest:
        return Law("identity", "STFT kernel, imaginary part")
    return None


def sparse_columns(block: Array, stray: float) -> bool:
    """Return whether every column, or else every row, of a matrix holds as many zeros.

    Across the other axis they must lie at random: dead units are no sparse draw. ``stray`` is the
    number of further zeros that rounding may have made.
    """
    if block.ndim != 2:
        return False
    for axis in (0, 1):
        zeros = np.count_nonzero(block == 0, axis=axis)
        least = int(zeros.min())
        extra = int(zeros.sum()) - least * zeros.size
        if not 0 < least < block.shape[axis] or extra > stray + 5 * math.sqrt(stray):
            continue
        across = np.count_nonzero(block == 0, axis=1 - axis)
        share = least / block.shape[axis]
        spread = float(((across - across.mean()) ** 2).sum()) / (share * (1 - share) * zeros.size)
        return gamma_score(spread, across.size - 1.0, 2.0 * (across.size - 1)) < _SCATTER
    return False
