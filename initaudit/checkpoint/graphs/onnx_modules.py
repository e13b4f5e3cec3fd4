"""Operators of ONNX with weights, pools and norms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from initaudit.checkpoint.graphs import arithmetic as math
from initaudit.checkpoint.graphs import combining, modules, moving, selecting
from initaudit.checkpoint.graphs.calls import Call
from initaudit.checkpoint.graphs.onnx_table import operator
from initaudit.checkpoint.graphs.steps import Builder
from initaudit.checkpoint.graphs.values import (
    Known,
    Signal,
    UnsupportedError,
    Value,
    Weight,
    scalar,
    signal,
)

_MS = "com.microsoft."


def _matrix(value: object) -> bool:
    return isinstance(value, Known | Weight) and len(value.shape) == 2


@operator("MatMul", rows=True)
def _matmul(b: Builder, c: Call) -> Value:
    x, y = c.get(0), c.get(1)
    if isinstance(x, Signal) and _matrix(y):
        return modules.linear(b, x, y, None, "io")
    return combining.matmul(b, x, y)


@operator("Gemm", rows=True)
def _gemm(b: Builder, c: Call) -> Value:
    x, y, bias = c.get(0), c.get(1), c.get(2)
    if c.attribute("transA", 0):
        x = moving.transpose(b, moving.settle(b, x), (1, 0))
    turned = bool(c.attribute("transB", 0))
    alpha, beta = c.attribute("alpha", 1.0), c.attribute("beta", 1.0)
    if not isinstance(x, Signal) or not _matrix(y):
        right = moving.transpose(b, y, (1, 0)) if turned else y
        return _plus(b, combining.matmul(b, x, right), bias, alpha, beta)
    layout = "oi" if turned else "io"
    plain = isinstance(bias, Weight) and len(bias.shape) == 1 and alpha == beta == 1.0
    made = modules.linear(b, x, y, bias if plain else None, layout)
    return made if plain else _plus(b, made, bias, alpha, beta)


def _plus(b: Builder, made: Value, bias: Value | None, alpha: float, beta: float) -> Value:
    made = math.binary(b, "multiply", made, scalar(alpha))
    if bias is None or beta == 0.0:
        return made
    if beta != 1.0:
        bias = math.binary(b, "multiply", bias, scalar(beta))
    return math.binary(b, "add", made, bias)


def _window(c: Call, x: Signal, kernel: Sequence[int], b: Builder) -> tuple[Signal, dict[str, Any]]:
    """Return stride, padding and dilation, the input padded first where its sides differ."""
    dims = len(kernel)
    stride = tuple(c.attribute("strides", (1,) * dims))
    dilation = tuple(c.attribute("dilations", (1,) * dims))
    pads = tuple(c.attribute("pads", (0,) * 2 * dims))
    auto = c.attribute("auto_pad", "NOTSET")
    if auto in {"SAME_UPPER", "SAME_LOWER"}:
        pads = _same(x, kernel, stride, dilation, upper=auto == "SAME_UPPER")
    before, after = pads[:dims], pads[dims:]
    if before != after:
        if c.node.operator not in {"Conv", "AveragePool"}:
            raise UnsupportedError("its padding differs between the sides")
        x = signal(selecting.pad(b, x, (0, 0, *before), (0, 0, *after), 0.0))
        before = (0,) * dims
    extra = tuple(c.attribute("output_padding", (0,) * dims))
    return x, {"stride": stride, "padding": before, "dilation": dilation, "output_padding": extra}


def _same(
    x: Signal, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int], *, upper: bool
) -> tuple[int, ...]:
    total = [
        max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
        for n, k, s, d in zip(x.known[2:], kernel, stride, dilation, strict=True)
    ]
    small = tuple(t // 2 for t in total)
    large = tuple(t - s for t, s in zip(total, small, strict=True))
    return (*small, *large) if upper else (*large, *small)


@operator("Conv", "ConvTranspose")
def _conv(b: Builder, c: Call) -> Value:
    weight = c.get(1)
    if isinstance(weight, Signal) or len(weight.shape) < 3:
        raise UnsupportedError("its kernel is computed from the input")
    x, settings = _window(c, signal(c.get(0)), weight.shape[2:], b)
    if c.attribute("output_shape"):
        raise UnsupportedError("it states its output's shape instead of its padding")
    transposed = c.node.operator == "ConvTranspose"
    groups = c.attribute("group", 1)
    return modules.conv(b, x, weight, c.get(2), settings, groups, transposed=transposed)


@operator("MaxPool", "AveragePool")
def _pool(b: Builder, c: Call) -> Value:
    kernel = tuple(c.attribute("kernel_shape", ()))
    given = signal(c.get(0))
    x, settings = _window(c, given, kernel, b)
    op = "max_pool" if c.node.operator == "MaxPool" else "avg_pool"
    up = modules.rounded(op, x, kernel, settings) if c.attribute("ceil_mode", 0) else {}
    if op == "max_pool":
        return modules.pool(b, op, x, kernel, settings, **up)
    counted = bool(c.attribute("count_include_pad", 0))
    if x is not given and not counted:
        raise UnsupportedError("its padding differs between the sides")
    more = {} if counted or not any(settings["padding"]) else {"count_include_pad": False}
    return modules.pool(b, op, x, kernel, settings, **more, **up)


@operator("GlobalAveragePool")
def _global_average(b: Builder, c: Call) -> Value:
    return modules.global_pool(b, signal(c.get(0)))


@operator("GlobalMaxPool")
def _global_max(b: Builder, c: Call) -> Value:
    x = signal(c.get(0))
    return combining.reduce(b, "max", x, range(2, len(x.known)), keepdims=True)


@operator("BatchNormalization")
def _batch_norm(b: Builder, c: Call) -> Value:
    roles = ("weight", "bias", "running_mean", "running_var")
    given = dict(zip(roles, c.inputs[1:5], strict=True))
    return modules.norm(b, "batch_norm", signal(c.get(0)), given, c.attribute("epsilon", 1e-5),
                        axis=1)  # fmt: skip


@operator("LayerNormalization", "RMSNormalization", f"{_MS}SimplifiedLayerNormalization",
          "SimplifiedLayerNormalization", rows=True)  # fmt: skip
def _layer_norm(b: Builder, c: Call) -> Value:
    x, weight, bias = signal(c.get(0)), c.get(1), c.get(2)
    plain = c.node.operator == "LayerNormalization"
    axis = c.attribute("axis", -1)
    count = -axis if axis < 0 else len(x.seen) - axis
    given = {"weight": weight, "bias": bias if plain else None}
    op = "layer_norm" if plain else "rms_norm"
    if count > 1:
        x = signal(moving.settle(b, x))
    return modules.last_axes(b, op, x, count, given, c.attribute("epsilon", 1e-5))


@operator(f"{_MS}SkipLayerNormalization", f"{_MS}SkipSimplifiedLayerNormalization")
def _skip_norm(b: Builder, c: Call) -> Any:
    plain = "Simplified" not in c.node.operator
    total = math.binary(b, "add", c.get(0), c.get(1))
    extra = c.get(4 if plain else 3)
    if extra is not None:
        total = math.binary(b, "add", total, extra)
    given = {"weight": c.get(2), "bias": c.get(3) if plain else None}
    op = "layer_norm" if plain else "rms_norm"
    made = modules.norm(b, op, signal(total), given, c.attribute("epsilon", 1e-5))
    none = Known(np.zeros(0))
    return (made, none, none, total)


@operator("InstanceNormalization")
def _instance_norm(b: Builder, c: Call) -> Value:
    x = signal(c.get(0))
    given = {"weight": c.get(1), "bias": c.get(2)}
    eps = c.attribute("epsilon", 1e-5)
    return modules.norm(b, "group_norm", x, given, eps, groups=x.known[1])


@operator("GroupNormalization")
def _group_norm(b: Builder, c: Call) -> Value:
    given = {"weight": c.get(1), "bias": c.get(2)}
    groups = c.attribute("num_groups", 1)
    eps = c.attribute("epsilon", 1e-5)
    return modules.norm(b, "group_norm", signal(c.get(0)), given, eps, groups=groups)


@operator("Softmax", "LogSoftmax")
def _softmax(b: Builder, c: Call) -> Value:
    x = c.get(0)
    axis = c.attribute("axis", -1 if c.opset >= 13 else 1)
    if not isinstance(x, Signal):
        return math.computed(lambda a: _exact_softmax(a, axis), x)
    if c.opset < 13 and len(x.known) != 2 and axis % len(x.known) != len(x.known) - 1:
        raise UnsupportedError("it normalises over several axes")
    made = modules.softmax(b, x, axis)
    return math.unary(b, "log", made) if c.node.operator == "LogSoftmax" else made


def _exact_softmax(a: Any, axis: int) -> Any:
    y = np.exp(a - a.max(axis, keepdims=True))
    return y / y.sum(axis, keepdims=True)
