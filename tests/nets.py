"""Small networks by name, shape and law, for tests of the whole audit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Arrays = dict[str, Array]
Fill = Callable[[np.random.Generator, tuple[int, ...]], Array]


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return (fan_in, fan_out) of a weight in PyTorch's layout."""
    taps = int(np.prod(shape[2:]))
    return shape[1] * taps, shape[0] * taps


def torch_default(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return U(-1/sqrt(fan_in), 1/sqrt(fan_in)): torch.nn.Linear and Conv."""
    bound = 1 / np.sqrt(fans(shape)[0])
    return rng.uniform(-bound, bound, shape)


def he(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return N(0, 2 / fan_in)."""
    return rng.normal(0, np.sqrt(2 / fans(shape)[0]), shape)


def he_uniform(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return U(-a, a), a = sqrt(6 / fan_in)."""
    bound = np.sqrt(6 / fans(shape)[0])
    return rng.uniform(-bound, bound, shape)


def xavier(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return U(-a, a), a = sqrt(6 / (fan_in + fan_out))."""
    bound = np.sqrt(6 / sum(fans(shape)))
    return rng.uniform(-bound, bound, shape)


def lecun(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return N(0, 1 / fan_in)."""
    return rng.normal(0, np.sqrt(1 / fans(shape)[0]), shape)


def orthogonal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return orthonormal rows or columns, as torch.nn.init.orthogonal_ with gain 1."""
    rows, columns = shape[0], int(np.prod(shape[1:]))
    q, r = np.linalg.qr(rng.normal(0, 1, (max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diag(r))
    return (q if rows >= columns else q.T).reshape(shape)


def normal(std: float) -> Fill:
    """Return a filler of N(0, std^2)."""
    return lambda rng, shape: rng.normal(0, std, shape)


def mlp(
    rng: np.random.Generator,
    widths: Sequence[int],
    fill: Fill,
    *,
    bias: str = "zero",
    dtype: Any = np.float32,
    name: str = "fc{}",
) -> Arrays:
    """Return linear layers in PyTorch's (out, in), numbered from 1.

    ``bias`` is zero, torch (its default uniform law) or none.
    """
    arrays: Arrays = {}
    for i in range(1, len(widths)):
        shape = (widths[i], widths[i - 1])
        arrays[f"{name.format(i)}.weight"] = fill(rng, shape).astype(dtype)
        if bias == "zero":
            arrays[f"{name.format(i)}.bias"] = np.zeros(shape[0], dtype)
        elif bias == "torch":
            bound = 1 / np.sqrt(shape[1])
            arrays[f"{name.format(i)}.bias"] = rng.uniform(-bound, bound, shape[0]).astype(dtype)
    return arrays


def batch_norm(prefix: str, width: int) -> Arrays:
    """Return a fresh batch norm."""
    return {
        f"{prefix}.weight": np.ones(width, np.float32),
        f"{prefix}.bias": np.zeros(width, np.float32),
        f"{prefix}.running_mean": np.zeros(width, np.float32),
        f"{prefix}.running_var": np.ones(width, np.float32),
        f"{prefix}.num_batches_tracked": np.array(0, np.int64),
    }


def layer_norm(prefix: str, width: int) -> Arrays:
    """Return a fresh layer norm."""
    return {
        f"{prefix}.weight": np.ones(width, np.float32),
        f"{prefix}.bias": np.zeros(width, np.float32),
    }


def cnn(
    rng: np.random.Generator,
    channels: Sequence[int],
    fill: Fill,
    *,
    size: int = 3,
    norm: bool = False,
    bias: bool = True,
    head: int | None = 10,
    flat: int = 1,
) -> Arrays:
    """Return convolutions, with batch norms if asked for, then one linear head."""
    arrays: Arrays = {}
    for i in range(1, len(channels)):
        shape = (channels[i], channels[i - 1], size, size)
        arrays[f"conv{i}.weight"] = fill(rng, shape).astype(np.float32)
        if bias:
            arrays[f"conv{i}.bias"] = np.zeros(shape[0], np.float32)
        if norm:
            arrays |= batch_norm(f"bn{i}", shape[0])
    if head is not None:
        shape2 = (head, channels[-1] * flat)
        arrays["fc.weight"] = fill(rng, shape2).astype(np.float32)
        arrays["fc.bias"] = np.zeros(head, np.float32)
    return arrays
