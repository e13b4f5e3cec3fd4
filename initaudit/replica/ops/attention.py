"""Scaled dot-product attention (Vaswani et al. 2017), with grouped heads, masks and biases.

Inside, arrays are (N, W, G, R, positions, width): W windows of a sample (one where there are
none), G groups of heads that share keys and values, R heads of a group.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from initaudit.replica.ops.op import (
    Attributes,
    Cache,
    Inputs,
    Op,
    OpError,
    Params,
    narrow,
    number,
    real,
)
from initaudit.replica.ops.shifted_windows import shift_mask
from initaudit.special import Array

_SCORES = 1 << 18
"""Scores computed at a time, so that the passes over them stay in cache."""

_KEPT = 1 << 18
"""Scores of one head above which probabilities are not kept but computed again."""

Part = tuple[slice, slice, slice]


@dataclass(frozen=True, slots=True)
class _Plan:
    """How a layer attends: the number of groups and of heads in each, and its scores' form."""

    groups: int
    heads: int
    scale: float
    cap: float
    causal: bool
    window: int
    shifted: tuple[int, int, int, int] | None

    def split(self, x: Array, heads: int) -> Array:
        """(N, [W,] T, width) as a view (N, W, G, heads, T, width / (G heads))."""
        windows = x.shape[1] if x.ndim == 4 else 1
        parts = (len(x), windows, x.shape[-2], self.groups, heads, -1)
        return x.reshape(parts).transpose(0, 1, 3, 4, 2, 5)

    def laid(self, bias: Array, ndim: int) -> Array:
        """A bias that broadcasts to (N, [W,] heads, T, S) as a view with all six axes."""
        full = bias.reshape((1,) * (ndim + 1 - bias.ndim) + bias.shape)
        if full.ndim == 4:
            full = full[:, None]
        groups = (1, 1) if full.shape[2] == 1 else (self.groups, self.heads)
        return full.reshape(*full.shape[:2], *groups, *full.shape[3:])


def _plan(attributes: Attributes, inputs: Inputs) -> _Plan:
    q, k, v = inputs[:3]
    heads = number(attributes, "heads", 1)
    groups = heads if attributes.get("kv_heads") is None else number(attributes, "kv_heads", heads)
    if heads < 1 or groups < 1 or heads % groups:
        raise OpError(f"{heads} heads do not divide into {groups} groups of keys and values")
    leading = q.shape[:-2] == k.shape[:-2] == v.shape[:-2]
    if not leading or q.ndim not in {3, 4} or k.shape[-2] != v.shape[-2]:
        shapes = ", ".join(str(x.shape[1:]) for x in (q, k, v))
        raise OpError(f"its queries, keys and values have shapes {shapes}")
    for x, count in ((q, heads), (k, groups), (v, groups)):
        if x.shape[-1] % count:
            raise OpError(f"{x.shape[-1]} features do not divide into {count} heads")
    width = q.shape[-1] // heads
    if width != k.shape[-1] // groups:
        raise OpError(f"its queries have {width} features a head, its keys not")
    causal, window = bool(attributes.get("causal")), _window(attributes)
    if (causal or window) and q.shape[-2] != k.shape[-2]:
        raise OpError(f"its mask is square, for {q.shape[-2]} queries and {k.shape[-2]} keys")
    scale = real(attributes, "scale", 1.0 / math.sqrt(width))
    cap = real(attributes, "softcap", 0.0)
    shifted = None
    if attributes.get("shift"):
        height, across, size, shift = (
            number(attributes, name, 0) for name in ("height", "width", "size", "shift")
        )
        shifted = (height, across, size, shift)
    return _Plan(groups, heads // groups, scale, cap, causal, window, shifted)


def _window(attributes: Attributes) -> int:
    return 0 if attributes.get("window") is None else number(attributes, "window", 0)


@lru_cache(maxsize=8)
def _mask(length: int, causal: bool, window: int, dtype: DTypeLike) -> Array:  # noqa: FBT001
    """Return 0 where a query (row) sees a key (column) and -inf elsewhere."""
    back = np.arange(length)[:, None] - np.arange(length)
    hidden = back < 0 if causal else np.zeros_like(back, bool)
    if window:
        hidden |= (back if causal else np.abs(back)) >= window
    return np.where(hidden, -math.inf, 0.0).astype(dtype)


def _added(plan: _Plan, inputs: Inputs, heads: Array) -> list[Array]:
    """Return what is added to the scores, each with six axes; ``heads`` are the split queries."""
    found = []
    length = heads.shape[-2]
    if plan.causal or plan.window:
        found.append(_mask(length, plan.causal, plan.window, heads.dtype)[None, None, None, None])
    if plan.shifted is not None:
        mask = shift_mask(*plan.shifted, dtype=heads.dtype)
        if mask.shape != (heads.shape[1], length, length):
            raise OpError(f"its shifted windows are {mask.shape[:2]}, its input's {heads.shape[1]}")
        found.append(mask[None, :, None, None])
    if len(inputs) > 3:
        found.append(plan.laid(inputs[3], inputs[0].ndim))
    return found


def _parts(shape: tuple[int, ...]) -> Iterator[Part]:
    """Yield runs of samples, or of windows, or of groups whose scores number about `_SCORES`."""
    samples, windows, groups, heads, rows, columns = shape
    group = heads * rows * columns
    everything = slice(None)
    if groups * windows * group <= _SCORES:
        step = _SCORES // max(1, groups * windows * group)
        yield from ((slice(n, n + step), everything, everything) for n in range(0, samples, step))
        return
    for n in range(samples):
        one = slice(n, n + 1)
        if groups * group <= _SCORES:
            step = _SCORES // (groups * group)
            yield from ((one, slice(w, w + step), everything) for w in range(0, windows, step))
            continue
        step = max(1, _SCORES // group)
        for w in range(windows):
            yield from ((one, slice(w, w + 1), slice(g, g + step)) for g in range(0, groups, step))


def _at(x: Array, part: Part) -> Array:
    """Return a part of an array that may have one entry along any of the first three axes."""
    index: tuple[Any, ...] = tuple(
        slice(None) if n == 1 else cut for n, cut in zip(x.shape, part, strict=False)
    )
    view: Array = x[index]
    return view


def _probabilities(
    plan: _Plan, q: Array, k: Array, added: list[Array], part: Part, out: Array
) -> Array | None:
    """Write the softmax of a part's scores to ``out``; return tanh of the scores if capped."""
    np.matmul(_at(q, part) * plan.scale, np.swapaxes(_at(k, part), -1, -2), out=out)
    bent = None
    if plan.cap:
        out /= plan.cap
        bent = np.tanh(out)
        np.multiply(bent, plan.cap, out=out)
    for term in added:
        out += _at(term, part)
    out -= out.max(-1, keepdims=True)
    np.exp(out, out=out)
    out /= out.sum(-1, keepdims=True)
    return bent


def _met(inputs: Inputs) -> Inputs:
    """Give queries, keys and values that are the same for all samples one copy for each."""
    samples = max(len(x) for x in inputs[:3])
    alike = (np.broadcast_to(x, (samples, *x.shape[1:])) if len(x) == 1 else x for x in inputs[:3])
    return (*alike, *inputs[3:])


def _forward(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    given, inputs = [x.shape for x in inputs], _met(inputs)
    plan = _plan(attributes, inputs)
    q, k, v = _heads(plan, inputs)
    shape = (*q.shape[:-1], k.shape[-2])
    added = _added(plan, inputs, q)
    keep = shape[-1] * shape[-2] <= _KEPT and not plan.cap
    dtype = q.dtype
    kept = np.empty(shape, dtype) if keep else None
    y = np.empty((*inputs[0].shape[:-1], plan.groups * plan.heads * v.shape[-1]), dtype)
    heads = plan.split(y, plan.heads)
    for part in _parts(shape):
        out = kept[part] if kept is not None else np.empty(_extent(shape, part), dtype)
        _probabilities(plan, q, k, added, part, out)
        np.matmul(out, _at(v, part), out=heads[part])
    return y, (plan, given, inputs, kept, y)


def _heads(plan: _Plan, inputs: Inputs) -> tuple[Array, Array, Array]:
    q, k, v = inputs[:3]
    return plan.split(q, plan.heads), plan.split(k, 1), plan.split(v, 1)


def _extent(shape: tuple[int, ...], part: Part) -> tuple[int, ...]:
    counts = (len(range(*cut.indices(n))) for n, cut in zip(shape, part, strict=False))
    return (*counts, *shape[3:])


def _backward(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    plan, shapes, inputs, kept, y = cache
    q, k, v = _heads(plan, inputs)
    shape = (*q.shape[:-1], k.shape[-2])
    added = _added(plan, inputs, q)
    found = tuple(np.empty(x.shape, d_output.dtype) for x in inputs[:3])
    d_q, d_k, d_v = _heads(plan, found)
    d_heads, spent = plan.split(d_output, plan.heads), plan.split(y, plan.heads)
    d_bias = np.zeros(inputs[3].shape, d_output.dtype) if len(inputs) > 3 else None
    laid = None if d_bias is None else plan.laid(d_bias, inputs[0].ndim)
    for part in _parts(shape):
        bent = None
        if kept is not None:
            p = kept[part]
        else:
            p = np.empty(_extent(shape, part), q.dtype)
            bent = _probabilities(plan, q, k, added, part, p)
        d_y = d_heads[part]
        # The softmax's gradient is p (d_p - sum p d_p), and that sum is <d_y, y>.
        d_s = np.matmul(d_y, np.swapaxes(v[part], -1, -2))
        d_s -= np.einsum("...i,...i->...", d_y, spent[part])[..., None]
        d_s *= p
        if laid is not None:
            target = _at(laid, part)
            target += narrow(d_s, target.shape)
        if bent is not None:
            d_s *= 1.0 - bent * bent
        np.matmul(d_s, k[part], out=d_q[part])
        _shared(d_s, q[part], d_k[part])
        _shared(p, d_y, d_v[part])
    for gradient in found[:2]:
        gradient *= plan.scale
    if d_bias is not None:
        found = (*found, d_bias)
    return tuple(narrow(d, shape) for d, shape in zip(found, shapes, strict=True)), {}


def _shared(left: Array, right: Array, out: Array) -> None:
    """Write the sum over a group's heads of left^T right to ``out``."""
    turned = np.swapaxes(left, -1, -2)
    np.matmul(turned[:, :, :, :1], right[:, :, :, :1], out=out)
    for head in range(1, left.shape[3]):
        out += np.matmul(turned[:, :, :, head : head + 1], right[:, :, :, head : head + 1])


def probabilities(attributes: Attributes, inputs: Inputs) -> Array:
    """Return the attention of each query, (N, windows, groups, heads of a group, T, S).

    Raises:
        OpError: where the inputs do not fit.
    """
    inputs = _met(inputs)
    plan = _plan(attributes, inputs)
    q, k, _ = _heads(plan, inputs)
    shape = (*q.shape[:-1], k.shape[-2])
    added = _added(plan, inputs, q)
    out = np.empty(shape, q.dtype)
    for part in _parts(shape):
        _probabilities(plan, q, k, added, part, out[part])
    return out


attention = Op(_forward, _backward, "last")
