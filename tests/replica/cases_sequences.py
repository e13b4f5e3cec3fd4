"""Cases of what transformers are made of; what PyTorch has no function for, transformers has."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.replica.case import Case


def _split(x: Any, heads: int) -> Any:
    """(N, [W,] T, heads d) as (N, [W,] heads, T, d)."""
    return x.unflatten(-1, (heads, -1)).transpose(-2, -3)


def _joined(x: Any) -> Any:
    return x.transpose(-2, -3).flatten(-2)


def _attend(q: Any, k: Any, v: Any, heads: int, groups: int = 0, **kw: Any) -> Any:
    import torch

    groups = groups or heads
    split = (_split(q, heads), _split(k, groups), _split(v, groups))
    attend = torch.nn.functional.scaled_dot_product_attention
    return _joined(attend(*split, enable_gqa=groups != heads, **kw))


def _capped(q: Any, k: Any, v: Any, cap: float) -> Any:
    import torch

    q, k, v = (_split(x, 2) for x in (q, k, v))
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    scores = cap * torch.tanh(scores / cap)
    hidden = torch.ones(scores.shape[-2:]).triu(1).bool()
    return _joined(scores.masked_fill(hidden, -math.inf).softmax(-1) @ v)


def _band(length: int, window: int, *, causal: bool) -> Any:
    import torch

    back = torch.arange(length)[:, None] - torch.arange(length)
    return (back < window) & (back >= 0 if causal else back > -window)


def _llama(x: Any, heads: int, dims: int, base: float = 10000.0) -> Any:
    import torch

    llama = pytest.importorskip("transformers.models.llama.modeling_llama")
    speeds = 1.0 / base ** (torch.arange(0, dims, 2, dtype=torch.float64) / dims)
    angles = torch.arange(x.shape[1], dtype=torch.float64)[:, None] * speeds
    cosine, sine = (f(torch.cat((angles, angles), -1))[None] for f in (torch.cos, torch.sin))
    split = _split(x, heads)
    turned, _ = llama.apply_rotary_pos_emb(split[..., :dims], split[..., :dims], cosine, sine)
    return _joined(torch.cat((turned, split[..., dims:]), -1))


def _gptj(x: Any, heads: int, dims: int) -> Any:
    import torch

    gptj = pytest.importorskip("transformers.models.gptj.modeling_gptj")
    speeds = 1.0 / 10000.0 ** (torch.arange(0, dims, 2, dtype=torch.float64) / dims)
    angles = torch.arange(x.shape[1], dtype=torch.float64)[:, None] * speeds
    split = x.unflatten(-1, (heads, -1))
    turned = gptj.apply_rotary_pos_emb(
        split[..., :dims], torch.sin(angles)[None], torch.cos(angles)[None]
    )
    return torch.cat((turned, split[..., dims:]), -1).flatten(-2)


QKV = ((2, 3, 4), (2, 3, 4), (2, 3, 4))

SEQUENCES = [
    Case("attention", QKV, {}, {"heads": 2},
         torch=lambda q, k, v, p: _attend(q, k, v, 2)),
    Case("attention", QKV, {}, {"heads": 2, "causal": True, "scale": 1.0},
         id="attention, causal and unscaled",
         torch=lambda q, k, v, p: _attend(q, k, v, 2, is_causal=True, scale=1.0)),
    Case("attention", ((2, 3, 4), (2, 5, 4), (2, 5, 6)), {}, {"heads": 2}, id="cross attention",
         torch=lambda q, k, v, p: _attend(q, k, v, 2)),
    Case("attention", ((2, 3, 8), (2, 3, 4), (2, 3, 2)), {}, {"heads": 4, "kv_heads": 2},
         id="attention with grouped keys",
         torch=lambda q, k, v, p: _attend(q, k, v, 4, 2)),
    Case("attention", ((2, 3, 8), (2, 3, 4), (2, 3, 4)), {}, {"heads": 2, "kv_heads": 1},
         id="attention with one key for all heads",
         torch=lambda q, k, v, p: _attend(q, k, v, 2, 1)),
    Case("attention", ((1, 3, 4), (2, 5, 4), (2, 5, 4)), {}, {"heads": 2},
         id="attention of queries that all samples share",
         torch=lambda q, k, v, p: _attend(q.expand(2, 3, 4), k, v, 2)),
    Case("attention", (*QKV, (1, 2, 3, 3)), {}, {"heads": 2}, id="attention with a bias",
         torch=lambda q, k, v, b, p: _attend(q, k, v, 2, attn_mask=b)),
    Case("attention", (*QKV, (2, 1, 1, 3)), {}, {"heads": 2}, id="attention with a bias of keys",
         torch=lambda q, k, v, b, p: _attend(q, k, v, 2, attn_mask=b)),
    Case("attention", ((2, 3, 2, 4),) * 3 + ((1, 2, 2, 2),), {}, {"heads": 2},
         id="attention inside windows",
         torch=lambda q, k, v, b, p: _attend(q, k, v, 2, attn_mask=b[:, None])),
    Case("attention", ((2, 3, 2, 4),) * 3 + ((2, 1, 2, 2, 2),), {}, {"heads": 2},
         id="attention inside windows, a bias for each sample",
         torch=lambda q, k, v, b, p: _attend(q, k, v, 2, attn_mask=b)),
    Case("attention", ((2, 5, 4),) * 3, {}, {"heads": 2, "causal": True, "window": 2},
         id="attention, causal over a window",
         torch=lambda q, k, v, p: _attend(q, k, v, 2, attn_mask=_band(5, 2, causal=True))),
    Case("attention", ((2, 5, 4),) * 3, {}, {"heads": 2, "window": 2}, id="attention over a window",
         torch=lambda q, k, v, p: _attend(q, k, v, 2, attn_mask=_band(5, 2, causal=False))),
    Case("attention", QKV, {}, {"heads": 2, "causal": True, "softcap": 0.7},
         id="attention with capped scores", torch=lambda q, k, v, p: _capped(q, k, v, 0.7)),
    Case("rotary", ((2, 5, 8),), {}, {"heads": 2}, torch=lambda x, p: _llama(x, 2, 4)),
    Case("rotary", ((2, 5, 12),), {}, {"heads": 2, "dims": 4, "base": 100.0},
         id="rotary over a part of each head", torch=lambda x, p: _llama(x, 2, 4, 100.0)),
    Case("rotary", ((2, 5, 12),), {}, {"heads": 2, "dims": 4, "interleaved": True},
         id="rotary over pairs", torch=lambda x, p: _gptj(x, 2, 4)),
    Case("table", ((2, 3, 4),), {"weight": (5, 4)}, {"offset": 2},
         torch=lambda x, p: p["weight"][None, 2:5] + 0.0 * x.sum()),
    Case("table", ((2, 3, 4),), {"weight": (1, 5, 4)}, id="table stored for one sample",
         torch=lambda x, p: p["weight"][:, :3] + 0.0 * x.sum()),
    Case("table", ((2, 3, 4),), {"weight": (2, 4)}, {"length": 1}, id="table, one row of it",
         torch=lambda x, p: p["weight"][None, :1] + 0.0 * x.sum()),
    Case("constant", ((2, 3),), {"weight": (1, 4)},
         torch=lambda x, p: p["weight"][None] + 0.0 * x.sum()),
    Case("constant", ((2, 3),), {"value": (1, 2, 4)}, {"batch": True},
         id="constant that has a sample axis", torch=lambda x, p: p["value"] + 0.0 * x.sum()),
    Case("scale", ((2, 3),), {}, {"factor": 3.0}, torch=lambda x, p: 3.0 * x),
    Case("scale", ((2, 3, 4),), {"weight": (4,)}, {"axis": 2, "factor": 0.5},
         id="scale the features", torch=lambda x, p: 0.5 * x * p["weight"]),
    Case("scale", ((2, 3, 4, 2),), {"weight": (3, 1, 1)}, id="scale the channels",
         torch=lambda x, p: x * p["weight"]),
    Case("scale", ((2, 3, 4),), {"weight": ()}, id="scale by one stored number",
         torch=lambda x, p: x * p["weight"]),
    Case("bias", ((2, 3, 4),), {"weight": (4,)}, {"axis": -1},
         torch=lambda x, p: x + p["weight"]),
    Case("bias", ((2, 3, 4),), {"weight": (3,)}, id="bias of channels",
         torch=lambda x, p: x + p["weight"][:, None]),
    Case("bias", ((2, 3, 4),), {"weight": (1, 3, 4)}, id="bias of every place",
         torch=lambda x, p: x + p["weight"]),
    Case("slice", ((2, 3, 6),), {}, {"start": 2, "stop": 4}, torch=lambda x, p: x[..., 2:4]),
    Case("slice", ((2, 3, 6),), {}, {"start": 1, "stop": 3, "groups": 2}, id="slice of each head",
         torch=lambda x, p: x.unflatten(-1, (2, 3))[..., 1:3].flatten(-2)),
    Case("slice", ((2, 5, 3),), {}, {"start": 1, "step": 2, "axis": 1}, id="slice of positions",
         torch=lambda x, p: x[:, 1::2]),
    Case("take", ((2, 3, 4),), {}, {"index": -1}, torch=lambda x, p: x[:, -1]),
    Case("take", ((2, 3, 4),), {}, {"index": 1, "axis": 2}, id="take one feature",
         torch=lambda x, p: x[..., 1]),
    Case("tokens", ((2, 3, 2, 4),), torch=lambda x, p: x.flatten(2).transpose(1, 2)),
    Case("image", ((2, 6, 4),), {}, {"height": 2, "width": 3},
         torch=lambda x, p: x.transpose(1, 2).unflatten(2, (2, 3))),
    Case("add", ((1, 3, 4), (2, 3, 4)), id="add a table of positions",
         torch=lambda x, y, p: x + y),
    Case("add", ((2, 3, 4), (4,)), id="add a vector", torch=lambda x, y, p: x + y),
    Case("add", ((2, 3, 4), (3, 4)), id="add a matrix", torch=lambda x, y, p: x + y),
    Case("multiply", ((2, 3, 4), (1, 1, 4)), id="multiply by one row for all",
         torch=lambda x, y, p: x * y),
    Case("multiply", ((2, 3, 4), (2, 3, 1)), id="multiply by a gate of each position",
         torch=lambda x, y, p: x * y),
    Case("concat", ((1, 1, 4), (2, 3, 4)), {}, {"axis": 1}, id="concat one token for all samples",
         torch=lambda x, y, p: _cat(x.expand(2, 1, 4), y)),
]  # fmt: skip


def _cat(*parts: Any) -> Any:
    import torch

    return torch.cat(parts, 1)
