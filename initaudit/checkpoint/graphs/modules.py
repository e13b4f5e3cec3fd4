"""Operations that have weights, and those that frameworks have modules for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

from initaudit.checkpoint.graphs import moving
from initaudit.checkpoint.graphs.naming import generated
from initaudit.checkpoint.graphs.steps import Builder, Part
from initaudit.checkpoint.graphs.values import (
    Signal,
    UnsupportedError,
    Value,
    Weight,
    known,
    signal,
)
from initaudit.network import Attribute
from initaudit.replica.ops.windows import overhang

_EXACT = 1e-5
"""How far a side may be from a whole number, relative, where its factor is in single precision."""


def parts_of(b: Builder, given: Mapping[str, Value | Part | None]) -> list[Part]:
    """Return the parameters of a step by their roles; None is one left out."""
    return [
        value if isinstance(value, Part) else b.part(role, value)
        for role, value in given.items()
        if value is not None
    ]


def linear(b: Builder, x: Signal, weight: Value, bias: Value | None, layout: str) -> Signal:
    """Return x W + b over the last axis; ``layout`` is that of the weight as the graph sees it."""
    if len(weight.shape if not isinstance(weight, Signal) else ()) != 2:
        raise UnsupportedError("its weight has not two dimensions")
    if isinstance(weight, Weight) and weight.swapped:
        layout = "oi" if layout == "io" else "io"
    if isinstance(weight, Weight):
        weight = replace(weight, shape=weight.stored.shape, swapped=False)
    parts = parts_of(b, {"weight": weight, "bias": bias})
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
    parts = parts_of(b, {"weight": weight, "bias": bias})
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
        sides = x.shape[2:]
        if more.get("ceil"):
            sides = tuple(n + over for n, over in zip(sides, hanging(x, kernel, settings),
                                                      strict=True))  # fmt: skip
        out = (*x.shape[:2], *_windows(sides, kernel, settings, up=False))
    attributes: dict[str, Attribute] = {
        "kernel": tuple(kernel), "stride": settings["stride"], "padding": settings["padding"],
    }  # fmt: skip
    if any(d != 1 for d in settings["dilation"]):
        attributes["dilation"] = settings["dilation"]
    return b.emit(op, [x], out, attributes={**attributes, **more})


def hanging(
    x: Signal, kernel: Sequence[int], settings: Mapping[str, Sequence[int]]
) -> tuple[int, ...]:
    """Return how far the last windows reach beyond each side where places are rounded up."""
    return tuple(
        overhang(side + pad, pad, dilation * (extent - 1) + 1, stride)
        for side, pad, dilation, extent, stride in zip(
            x.known[2:], settings["padding"], settings["dilation"], kernel, settings["stride"],
            strict=True,
        )
    )  # fmt: skip


def rounded(
    op: str, x: Signal, kernel: Sequence[int], settings: Mapping[str, Sequence[int]]
) -> dict[str, Attribute]:
    """Return the attributes of a pool that rounds its places up, none where that changes nothing.

    Raises:
        UnsupportedError: it takes means over padding, part of which counts.
    """
    if not any(hanging(x, kernel, settings)):
        return {}
    if op == "max_pool":
        return {"ceil": True}
    if any(settings["padding"]):
        raise UnsupportedError("it rounds its output's sides up over padding")
    return {"ceil": True, "count_include_pad": False}


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
        op, [x], x.shape, batch=x.batch, parts=parts_of(b, numbers),
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
    return moving.reshape(b, norm(b, op, signal(flat), whole, eps), shape)


def softmax(b: Builder, x: Signal, axis: int) -> Signal:
    """Return the softmax over one axis."""
    at = -1 if x.shape is None else x.axis(axis)
    if at == 0:
        raise UnsupportedError("it normalises over the samples")
    return b.emit("softmax", [x], x.shape, batch=x.batch, attributes={"axis": at})


def resize(
    b: Builder,
    x: Signal,
    factor: Sequence[float],
    mode: str,
    *,
    corners: bool = False,
) -> Signal:
    """Return an image of another size; ``corners`` holds its corners in place.

    Places are repeated by whole factors alone, and interpolated where the factors lead to whole
    sides: then every way to place the new ones between the old is the same.
    """
    whole = tuple(round(f) for f in factor)
    parted = any(w != f or w < 1 for w, f in zip(whole, factor, strict=True))
    reached = [n * f for n, f in zip(x.known[2:], factor, strict=True)]
    size = tuple(round(m) for m in reached)
    open_ = any(abs(m - n) > _EXACT * n for m, n in zip(reached, size, strict=True))
    if parted and (mode == "nearest" or open_):
        raise UnsupportedError(f"it resizes by {tuple(factor)}, not by a whole factor")
    if all(f == 1 for f in factor):
        return x
    value = whole[0] if len(set(whole)) == 1 else whole
    out = (*x.known[:2], *size)
    given: dict[str, Attribute] = {"size": size} if parted else {"factor": value}
    attributes: dict[str, Attribute] = {**given, "mode": mode}
    if corners:
        attributes["align_corners"] = True
    return b.emit("upsample", [x], out, attributes=attributes)
