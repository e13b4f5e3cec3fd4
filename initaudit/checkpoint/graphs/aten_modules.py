"""Operators of torch.export with weights, pools, norms and attention."""

from __future__ import annotations

from typing import Any

import numpy as np

from initaudit.checkpoint.graphs import arithmetic as math
from initaudit.checkpoint.graphs import combining, gathering, modules, moving, selecting, sequences
from initaudit.checkpoint.graphs.aten_table import listed, operator
from initaudit.checkpoint.graphs.calls import Call
from initaudit.checkpoint.graphs.steps import Builder
from initaudit.checkpoint.graphs.values import (
    Signal,
    UnsupportedError,
    Value,
    Weight,
    integer,
    known,
    signal,
    value,
)


@operator("linear", rows=True)
def _linear(b: Builder, c: Call) -> Value:
    x, weight, bias = c.get(0), c.get(1), c.named("bias")
    if isinstance(x, Signal) and not isinstance(weight, Signal):
        return modules.linear(b, x, value(weight), bias, "oi")
    made = combining.matmul(b, value(x), moving.transpose(b, value(weight), (1, 0)))
    return made if bias is None else math.binary(b, "add", made, bias)


@operator("addmm", rows=True)
def _addmm(b: Builder, c: Call) -> Value:
    bias, x, weight = (value(c.get(i)) for i in range(3))
    if c.named("beta", 1) != 1 or c.named("alpha", 1) != 1:
        raise UnsupportedError("its factors are not 1")
    if isinstance(x, Signal) and not isinstance(weight, Signal):
        if isinstance(bias, Weight) and len(bias.shape) == 1:
            return modules.linear(b, x, weight, bias, "io")
        return math.binary(b, "add", modules.linear(b, x, weight, None, "io"), bias)
    return math.binary(b, "add", combining.matmul(b, x, weight), bias)


@operator("baddbmm")
def _baddbmm(b: Builder, c: Call) -> Value:
    x, y, z = (value(c.get(i)) for i in range(3))
    product = combining.matmul(b, y, z)
    scaled = math.binary(b, "multiply", product, value(c.named("alpha", 1)))
    beta = c.named("beta", 1)
    if beta == 0:
        return scaled
    return math.binary(b, "add", math.binary(b, "multiply", x, value(beta)), scaled)


@operator("matmul", "mm", "bmm", rows=True)
def _matmul(b: Builder, c: Call) -> Value:
    x, y = value(c.get(0)), value(c.get(1))
    if isinstance(x, Signal) and not isinstance(y, Signal) and len(y.shape) == 2:
        return modules.linear(b, x, y, None, "io")
    return combining.matmul(b, x, y)


def _each(given: Any, dims: int) -> tuple[int, ...]:
    found = listed(given)
    return found * dims if len(found) == 1 else found


@operator("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
          "conv_transpose3d")  # fmt: skip
def _conv(b: Builder, c: Call) -> Value:
    weight = value(c.get(1))
    if isinstance(weight, Signal):
        raise UnsupportedError("its kernel is computed from the input")
    dims = len(weight.shape) - 2
    padding = c.named("padding", 0)
    stride, dilation = (_each(c.named(name, 1), dims) for name in ("stride", "dilation"))
    x = signal(c.get(0))
    if padding == "same":
        total = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
        before = tuple(t // 2 for t in total)
        after = tuple(t - p for t, p in zip(total, before, strict=True))
        if before != after:
            x = signal(selecting.pad(b, x, (0, 0, *before), (0, 0, *after), 0.0))
            before = (0,) * dims
        padding = before
    settings = {
        "stride": stride, "dilation": dilation,
        "padding": (0,) * dims if padding == "valid" else _each(padding, dims),
        "output_padding": _each(c.named("output_padding", 0), dims),
    }  # fmt: skip
    transposed = "transpose" in c.node.operator
    groups = c.named("groups", 1)
    return modules.conv(b, x, weight, c.named("bias"), settings, groups, transposed=transposed)


@operator("max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d")
def _pool(b: Builder, c: Call) -> Value:
    x = signal(c.get(0))
    dims = len(x.known) - 2
    kernel = _each(c.get(1), dims)
    stride = c.named("stride") or kernel
    settings = {
        "stride": _each(stride, dims), "padding": _each(c.named("padding", 0), dims),
        "dilation": _each(c.named("dilation", 1), dims),
    }  # fmt: skip
    op = "max_pool" if "max_pool" in c.node.operator else "avg_pool"
    up = modules.rounded(op, x, kernel, settings) if c.named("ceil_mode", default=False) else {}
    if op == "max_pool":
        return modules.pool(b, op, x, kernel, settings, **up)
    if c.named("divisor_override") is not None:
        raise UnsupportedError("it divides by another number than its window has")
    counted = c.named("count_include_pad", default=True)
    more = {} if counted or not any(settings["padding"]) else {"count_include_pad": False}
    return modules.pool(b, op, x, kernel, settings, **more, **up)


@operator("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
def _adaptive(b: Builder, c: Call) -> Value:
    x = signal(c.get(0))
    return modules.adaptive_pool(b, x, _each(c.get(1), len(x.known) - 2))


@operator("batch_norm")
def _batch_norm(b: Builder, c: Call) -> Value:
    given = {name: c.named(name) for name in ("weight", "bias", "running_mean", "running_var")}
    return modules.norm(b, "batch_norm", signal(c.get(0)), given, c.named("eps", 1e-5), axis=1)


@operator("layer_norm", "rms_norm", rows=True)
def _layer_norm(b: Builder, c: Call) -> Value:
    x, count = signal(c.get(0)), len(listed(c.get(1)))
    plain = "layer_norm" in c.node.operator
    eps = c.named("eps")
    if eps is None:
        eps = 1e-5 if plain else float(np.finfo(np.float32).eps)
    given = {"weight": c.named("weight"), "bias": c.named("bias")}
    if count > 1:
        x = signal(moving.settle(b, x))
    op = "layer_norm" if plain else "rms_norm"
    return modules.last_axes(b, op, x, count, given, eps)


@operator("group_norm", "instance_norm")
def _group_norm(b: Builder, c: Call) -> Value:
    x = signal(c.get(0))
    groups = c.named("num_groups", x.known[1])
    given = {"weight": c.named("weight"), "bias": c.named("bias")}
    return modules.norm(b, "group_norm", x, given, c.named("eps", 1e-5), groups=groups)


@operator("softmax", "_softmax", "log_softmax", "_log_softmax")
def _softmax(b: Builder, c: Call) -> Value:
    made = modules.softmax(b, signal(c.get(0)), integer(c.get(1)))
    return math.unary(b, "log", made) if "log" in c.node.operator else made


@operator("embedding", rows=True)
def _embedding(b: Builder, c: Call) -> Value:
    table, index = value(c.get(0)), value(c.get(1))
    if isinstance(table, Weight) and (isinstance(index, Signal) or index.shape):
        return sequences.embedding(b, table, index)
    return gathering.gather(b, table, index, 0)


@operator("scaled_dot_product_attention")
def _attention(b: Builder, c: Call) -> Value:
    q, k, v = (signal(c.get(i)) for i in range(3))
    mask = c.named("attn_mask")
    return sequences.attention(
        b, q, k, v, None if mask is None else value(mask),
        causal=bool(c.named("is_causal", default=False)), scale=c.named("scale"),
    )  # fmt: skip


@operator("lstm", "gru", "rnn_tanh")
def _recurrent(b: Builder, c: Call) -> Any:
    kind = {"rnn_tanh": "rnn"}.get(c.node.operator.removeprefix("aten."), "")
    kind = kind or c.node.operator.removeprefix("aten.")
    y = signal(c.get(0))
    state = c.get(1) if isinstance(c.get(1), tuple) else (c.get(1),)
    if any(isinstance(s, Signal) or known(s).any() for s in state):
        raise UnsupportedError("its first state depends on the input")
    if not c.named("batch_first", default=False):
        y = signal(moving.transpose(b, y, (1, 0, 2)))
    weights = c.named("params")
    biased, layers = c.named("has_biases", default=True), c.named("num_layers", 1)
    directions = 2 if c.named("bidirectional", default=False) else 1
    each = 4 if biased else 2
    roles = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")[:each]
    if len(weights) != each * layers * directions:
        raise UnsupportedError("its weights are not those of its layers")
    scope = b.scope
    for layer in range(layers):
        given = [
            dict(zip(roles, weights[(layer * directions + d) * each :], strict=False))
            for d in range(directions)
        ]
        b.scope = f"{scope}.layer_{layer}" if layers > 1 and scope else scope
        y = sequences.recurrent(b, kind, y, given)
    b.scope = scope
    final = selecting.take(b, y, 1, -1) if directions == 1 else y
    if not c.named("batch_first", default=False):
        y = signal(moving.transpose(b, y, (1, 0, 2)))
    return (y, final, final)


@operator("upsample_nearest2d", "upsample_bilinear2d", "upsample_nearest1d", "upsample_linear1d",
          "upsample_nearest3d", "upsample_trilinear3d", "upsample_bicubic2d")  # fmt: skip
def _upsample(b: Builder, c: Call) -> Value:
    x = signal(c.get(0))
    sides = x.known[2:]
    factors = c.named("scale_factors")
    if factors is None:
        size = listed(c.named("output_size"))
        factors = tuple(m / n for n, m in zip(sides, size, strict=True))
    modes = ("nearest", "bicubic", "bilinear")
    mode = next((m for m in modes if m in c.node.operator), "bilinear")
    corners = bool(c.named("align_corners", default=False))
    return modules.resize(b, x, factors, mode, corners=corners)
