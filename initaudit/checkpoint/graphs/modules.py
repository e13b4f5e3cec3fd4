"""Operations that have weights, and those that frameworks have modules for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from initaudit.checkpoint.graphs import moving
from initaudit.checkpoint.graphs.masks import plain_mask
from initaudit.checkpoint.graphs.naming import generated
from initaudit.checkpoint.graphs.steps import Builder, Part
from initaudit.checkpoint.graphs.values import (
    Known,
    ShortTableError,
    Signal,
    UnsupportedError,
    Value,
    Weight,
    known,
)
from initaudit.network import Attribute


def _signal(x: object) -> Signal:
    if not isinstance(x, Signal):
        raise UnsupportedError("it does not read the input")
    return x


def _parts(b: Builder, given: Mapping[str, Value | None]) -> list[Part]:
    return [b.part(role, value) for role, value in given.items() if value is not None]


def linear(b: Builder, x: Signal, weight: Value, bias: Value | None, layout: str) -> Signal:
    """Return x W + b over the last axis; ``layout`` is that of the weight as the graph sees it."""
    if len(weight.shape if not isinstance(weight, Signal) else ()) != 2:
        raise UnsupportedError("its weight has not two dimensions")
    if isinstance(weight, Weight) and weight.swapped:
        layout = "oi" if layout == "io" else "io"
    if isinstance(weight, Weight):
        weight = replace(weight, shape=weight.stored.shape, swapped=False)
    parts = _parts(b, {"weight": weight, "bias": bias})
    width = parts[0].shape[1 if layout == "io" else 0]
    out = None if x.shape is None else (*x.shape[:-1], width)
    if x.shape is not None and x.batch == len(x.shape) - 1:
        raise UnsupportedError("it multiplies the samples' axis")
    made = b.emit("linear", [x], out, batch=x.batch, parts=parts, attributes={"layout": layout})
    return replace(made, merged=x.merged)


def _windows(
    sides: Sequence[int], kernel: Sequence[int], settings: Mapping[str, Sequence[int]], *, up: bool
) -> tuple[int, ...]:
    """Return the sides of a convolution's or a pool's output."""
    found = []
    for i, side in enumerate(sides):
        stride, pad = settings["stride"][i], settings["padding"][i]
        reach = settings["dilation"][i] * (kernel[i] - 1) + 1
        if up:
            extra = settings["output_padding"][i]
            found.append((side - 1) * stride - 2 * pad + reach + extra)
        else:
            found.append((side + 2 * pad - reach) // stride + 1)
    return tuple(found)


def conv(
    b: Builder,
    x: Signal,
    weight: Value,
    bias: Value | None,
    settings: Mapping[str, tuple[int, ...]],
    groups: int,
    *,
    transposed: bool = False,
) -> Signal:
    """Return a convolution; ``settings`` are stride, padding, dilation and output_padding."""
    parts = _parts(b, {"weight": weight, "bias": bias})
    shape = parts[0].shape
    if isinstance(weight, Weight) and (weight.swapped or weight.shape != shape):
        raise UnsupportedError("its kernel is stored in another shape")
    kernel, channels = shape[2:], shape[1] * groups if transposed else shape[0]
    out = None
    if x.shape is not None:
        if x.batch != 0 or len(x.shape) != len(shape):
            raise UnsupportedError(f"its kernel of shape {shape} reads a signal of {x.shape}")
        sides = _windows(x.shape[2:], kernel, settings, up=transposed)
        out = (x.shape[0], channels, *sides)
    attributes: dict[str, Attribute] = {
        "stride": settings["stride"], "padding": settings["padding"],
        "dilation": settings["dilation"], "groups": groups, "layout": "oi",
    }  # fmt: skip
    if transposed:
        attributes["output_padding"] = settings["output_padding"]
    op = "conv_transpose" if transposed else "conv"
    return b.emit(op, [x], out, parts=parts, attributes=attributes)


def pool(
    b: Builder,
    op: str,
    x: Signal,
    kernel: Sequence[int],
    settings: Mapping[str, tuple[int, ...]],
    **more: Attribute,
) -> Signal:
    """Return a max or average pool."""
    out = None
    if x.shape is not None:
        out = (*x.shape[:2], *_windows(x.shape[2:], kernel, settings, up=False))
    attributes: dict[str, Attribute] = {
        "kernel": tuple(kernel), "stride": settings["stride"], "padding": settings["padding"],
    }  # fmt: skip
    if any(d != 1 for d in settings["dilation"]):
        attributes["dilation"] = settings["dilation"]
    return b.emit(op, [x], out, attributes={**attributes, **more})


def global_pool(b: Builder, x: Signal, *, keepdims: bool = True) -> Signal:
    """Return the mean over all places of each channel."""
    out = None
    if x.shape is not None:
        out = (*x.shape[:2], *(1,) * (len(x.shape) - 2)) if keepdims else x.shape[:2]
    return b.emit("global_avg_pool", [x], out, attributes={"keepdims": keepdims})


def adaptive_pool(b: Builder, x: Signal, size: Sequence[int]) -> Signal:
    """Return means over as many regions as ``size`` says."""
    if all(n == 1 for n in size):
        return global_pool(b, x)
    shape = x.known
    size = tuple(shape[2 + i] if n < 0 else n for i, n in enumerate(size))
    if shape[2:] == size:
        return x
    if all(n % m == 0 for n, m in zip(shape[2:], size, strict=True)):
        step = tuple(n // m for n, m in zip(shape[2:], size, strict=True))
        zero, one = (0,) * len(step), (1,) * len(step)
        return pool(b, "avg_pool", x, step, {"stride": step, "padding": zero, "dilation": one})
    return b.emit("adaptive_avg_pool", [x], (*shape[:2], *size), attributes={"size": size})


def norm(
    b: Builder,
    op: str,
    x: Signal,
    given: Mapping[str, Value | None],
    eps: float,
    **more: Attribute,
) -> Signal:
    """Return a normalisation with its parameters."""
    numbers = {k: v for k, v in given.items() if v is not None and not _neutral(k, v)}
    made = b.emit(
        op, [x], x.shape, batch=x.batch, parts=_parts(b, numbers),
        attributes={"eps": eps, **more},
    )  # fmt: skip
    return replace(made, merged=x.merged)


def _neutral(role: str, value: Value) -> bool:
    """Return whether a parameter that an exporter made up changes nothing."""
    if role not in {"weight", "bias"} or isinstance(value, Signal):
        return False
    if isinstance(value, Weight) and not (generated(value.alias) and value.stored.count < 1 << 16):
        return False
    return bool((known(value) == (1.0 if role == "weight" else 0.0)).all())


def last_axes(
    b: Builder, op: str, x: Signal, count: int, given: Mapping[str, Value | None], eps: float
) -> Value:
    """Return a layer norm or RMS norm over the last ``count`` axes."""
    if count == 1:
        return norm(b, op, x, given, eps)
    shape = x.known
    flat = moving.reshape(b, x, (*shape[: len(shape) - count], prod(shape[-count:])))
    whole = {
        k: v.viewed((prod(v.shape),)) if isinstance(v, Weight) else v for k, v in given.items()
    }
    return moving.reshape(b, norm(b, op, _signal(flat), whole, eps), shape)


def softmax(b: Builder, x: Signal, axis: int) -> Signal:
    """Return the softmax over one axis."""
    at = -1 if x.shape is None else x.axis(axis)
    if at == 0:
        raise UnsupportedError("it normalises over the samples")
    return b.emit("softmax", [x], x.shape, batch=x.batch, attributes={"axis": at})


def embedding(b: Builder, weight: Weight, index: Value) -> Value:
    """Return rows of a stored table by tokens or by positions."""
    if len(weight.shape) != 2 or weight.swapped:
        raise UnsupportedError("its table has not two dimensions")
    rows, width = weight.shape
    part = b.part("weight", weight)
    if isinstance(index, Signal):
        _limit(b, index.step, rows)
        out = None if index.shape is None else (*index.shape, width)
        made = b.emit("embedding", [index], out, batch=index.batch, parts=[part])
        return replace(made, merged=index.merged)
    return _positions(b, weight, part, known(index))


def _limit(b: Builder, number: int, rows: int) -> None:
    """Let the input behind a step hold tokens of a table of so many rows."""
    step = b.steps[number]
    while step.op != "input" and len(step.inputs) == 1:
        step = b.steps[step.inputs[0]]
    tokens = step.attributes.get("tokens")
    if step.op == "input":
        step.attributes["tokens"] = min(rows, tokens) if isinstance(tokens, int) else rows


def _positions(b: Builder, weight: Weight, part: Part, index: np.ndarray) -> Value:  # type: ignore[type-arg]
    width = weight.shape[1]
    if index.size and (index.min() < -weight.shape[0] or index.max() >= weight.shape[0]):
        raise ShortTableError
    row = index.reshape(-1, index.shape[-1])[0] if index.ndim else index.reshape(1)
    rows = index.reshape(-1, row.size)
    alike = index.ndim > 0 and bool((rows == row).all()) and prod(index.shape[:-1]) in {
        1, b.samples
    }  # fmt: skip
    run = np.array_equal(row, np.arange(row[0], row[0] + row.size)) if row.size else False
    anchor = b.anchor()
    if alike and not row.any():
        name = Signal(anchor.step, None)
        kept = b.stem
        b.stem = f"{b.stem or 'token'}_ids"
        name = b.emit(
            "input", [], (b.samples, row.size), attributes={"shape": (row.size,), "tokens": 1}
        )
        b.stem = kept
        return b.emit("embedding", [name], (b.samples, row.size, width), parts=[part])
    long = b.steps[anchor.step].shape
    if alike and run and long is not None and len(long) > 1 and long[1] == row.size:
        attributes: dict[str, Attribute] = {"offset": int(row[0])}
        shape = (*index.shape[:-1], row.size, width)
        if index.ndim == 1:
            return b.emit(
                "table", [anchor], shape, batch=None, parts=[part], attributes=attributes
            )
        made = b.emit(
            "table", [anchor], (1, row.size, width), parts=[part], attributes=attributes
        )
        lead = (1,) * (index.ndim - 2)
        return moving.reshape(b, replace(made, shape=(b.samples, row.size, width)),
                              (b.samples, *lead, row.size, width))  # fmt: skip
    held = b.emit("constant", [anchor], weight.shape, batch=None, parts=[part])
    flat = b.part("value", Known(index.ravel()))
    places = b.emit("constant", [anchor], (index.size,), batch=None, parts=[flat])
    found = b.emit(
        "gather", [held, places], (index.size, width), batch=None, attributes={"axis": 1}
    )
    return moving.reshape(b, found, (*index.shape, width))


def attention(
    b: Builder,
    q: Signal,
    k: Signal,
    v: Signal,
    mask: Value | None,
    *,
    causal: bool,
    scale: float | None,
    softcap: float = 0.0,
) -> Value:
    """Return scaled dot-product attention of arrays (N, heads, T, width).

    A mask of booleans says which positions are seen, one of numbers is added to the scores.
    """
    if any(len(x.known) != 4 or x.batch != 0 for x in (q, k, v)):
        raise UnsupportedError("it attends over arrays that have not four dimensions")
    heads, length, width = q.known[1:]
    groups = k.known[1]
    plain = [_joined(b, x) for x in (q, k, v)]
    attributes: dict[str, Attribute] = {"heads": heads, "kv_heads": groups, "causal": causal}
    if scale is not None and not math.isclose(scale, 1.0 / math.sqrt(width)):
        attributes["scale"] = scale
    if softcap:
        attributes["softcap"] = softcap
    inputs = plain
    if isinstance(mask, Known):
        mask, attributes["causal"] = plain_mask(mask, causal=causal)
    if mask is not None:
        bias = b.given(moving.settle(b, mask), 4, 0)
        inputs = [*plain, bias]
    shape = (q.known[0], length, heads * v.known[3])
    y = b.emit("attention", inputs, shape, attributes=attributes)
    apart = moving.reshape(b, y, (q.known[0], length, heads, v.known[3]))
    return moving.transpose(b, apart, (0, 2, 1, 3))


def _joined(b: Builder, x: Signal) -> Signal:
    n, heads, length, width = x.known
    turned = moving.transpose(b, x, (0, 2, 1, 3))
    return _signal(moving.reshape(b, turned, (n, length, heads * width)))


def resize(
    b: Builder, x: Signal, factor: Sequence[float], mode: str, size: Sequence[int]
) -> Signal:
    """Return an image enlarged by a whole factor."""
    whole = tuple(round(f) for f in factor)
    if any(w != f or w < 1 for w, f in zip(whole, factor, strict=True)):
        raise UnsupportedError(f"it resizes by {tuple(factor)}, not by a whole factor")
    if all(f == 1 for f in whole):
        return x
    value = whole[0] if len(set(whole)) == 1 else whole
    out = None if x.shape is None else (*x.shape[:2], *size)
    return b.emit("upsample", [x], out, attributes={"factor": value, "mode": mode})


def recurrent(
    b: Builder,
    op: str,
    x: Signal,
    directions: Sequence[Mapping[str, Value | None]],
    *,
    reverse: bool = False,
) -> Signal:
    """Return the outputs of a recurrent layer over a sequence, one for each step.

    x is (N, T, features), or (T, N, features) with its samples on axis 1; so is what is returned,
    the directions side by side.
    """
    made: list[Signal] = []
    scope = b.scope
    for i, given in enumerate(directions):
        backwards = reverse or i == 1
        width = given["weight_hh"]
        size = width.shape[1] if width is not None and not isinstance(width, Signal) else 0
        b.scope = f"{scope}.reverse" if i == 1 and scope else scope
        out = None if x.shape is None else (*x.shape[:-1], size)
        attributes: dict[str, Attribute] = {"layout": "oi"}
        if backwards:
            attributes["reverse"] = True
        made.append(
            b.emit(op, [x], out, batch=x.batch, parts=_parts(b, given), attributes=attributes)
        )
    b.scope = scope
    if len(made) == 1:
        return made[0]
    return _signal(moving.concat(b, made, -1))


