"""Operators of ONNX that move, select, resize and reduce."""

from __future__ import annotations

from typing import Any

import numpy as np

from initaudit.checkpoint.graphs import arithmetic as math
from initaudit.checkpoint.graphs import combining, gathering, modules, moving, selecting, sequences
from initaudit.checkpoint.graphs.calls import Call, Operator
from initaudit.checkpoint.graphs.onnx_table import TABLE, Function, operator, scalar_of
from initaudit.checkpoint.graphs.steps import Builder
from initaudit.checkpoint.graphs.values import (
    Known,
    Signal,
    UnsupportedError,
    Value,
    Weight,
    integer,
    ints,
    known,
    scalar,
    signal,
)


@operator("Shape", rows=True)
def _shape(b: Builder, c: Call) -> Value:
    x = c.get(0)
    shape = x.seen if isinstance(x, Signal) else x.shape
    start, end = c.attribute("start", 0), c.attribute("end", len(shape))
    return Known(np.asarray(shape[start:end], np.int64))


@operator("Reshape", rows=True)
def _reshape(b: Builder, c: Call) -> Value:
    x, shape = c.get(0), ints(c.get(1))
    seen = x.seen if isinstance(x, Signal) else x.shape
    if not c.attribute("allowzero", 0):
        shape = tuple(seen[i] if n == 0 else n for i, n in enumerate(shape))
    return moving.reshape(b, x, shape)


@operator("Flatten")
def _flatten(b: Builder, c: Call) -> Value:
    x, axis = c.get(0), c.attribute("axis", 1)
    shape = x.known if isinstance(x, Signal) else x.shape
    if isinstance(x, Signal) and axis == 1 and x.batch == 0:
        size = int(np.prod(shape[1:]))
        return b.emit("flatten", [x], (shape[0], size))
    axis = axis % len(shape) if axis < 0 else axis
    return moving.reshape(b, x, (int(np.prod(shape[:axis])), -1))


@operator("Transpose")
def _transpose(b: Builder, c: Call) -> Value:
    x = c.get(0)
    rank = len(x.known if isinstance(x, Signal) else x.shape)
    return moving.transpose(b, x, c.attribute("perm", tuple(reversed(range(rank)))))


def _axes(c: Call, place: int = 1) -> tuple[int, ...] | None:
    given = c.get(place)
    if given is not None:
        found = ints(given)
        return found or (None if not c.attribute("noop_with_empty_axes", 0) else ())
    stated = c.attribute("axes")
    return None if stated is None else tuple(stated)


@operator("Unsqueeze")
def _unsqueeze(b: Builder, c: Call) -> Value:
    return moving.unsqueeze(b, c.get(0), _axes(c) or ())


@operator("Squeeze")
def _squeeze(b: Builder, c: Call) -> Value:
    return moving.squeeze(b, c.get(0), _axes(c))


@operator("Expand")
def _expand(b: Builder, c: Call) -> Value:
    return moving.expand(b, c.get(0), ints(c.get(1)))


@operator("Concat")
def _concat(b: Builder, c: Call) -> Value:
    return selecting.concat(b, c.inputs, c.attribute("axis", 0))


@operator("Split")
def _split(b: Builder, c: Call) -> Any:
    x, axis = c.get(0), c.attribute("axis", 0)
    extent = (x.known if isinstance(x, Signal) else x.shape)[axis]
    sizes = ints(c.get(1)) if c.get(1) is not None else tuple(c.attribute("split", ()))
    if not sizes:
        parts = c.attribute("num_outputs", len(c.node.outputs))
        each = -(-extent // parts)
        sizes = tuple(min(each, extent - i * each) for i in range(parts))
    return selecting.split(b, x, axis, sizes)


@operator("SplitToSequence")
def _split_to_sequence(b: Builder, c: Call) -> Any:
    x, axis = c.get(0), c.attribute("axis", 0)
    extent = (x.known if isinstance(x, Signal) else x.shape)[axis]
    if c.get(1) is None or not c.attribute("keepdims", 1):
        raise UnsupportedError("it splits into single positions")
    sizes = ints(c.get(1))
    if not known(c.get(1)).shape:
        sizes = tuple(min(sizes[0], extent - i) for i in range(0, extent, sizes[0]))
    return (selecting.split(b, x, axis, sizes),)


@operator("SequenceConstruct")
def _sequence(b: Builder, c: Call) -> Any:
    return (tuple(c.inputs),)


@operator("SequenceAt")
def _sequence_at(b: Builder, c: Call) -> Any:
    if not isinstance(c.get(0), tuple):
        raise UnsupportedError("its sequence is not known")
    return (c.get(0)[integer(c.get(1))],)


@operator("ConcatFromSequence")
def _concat_sequence(b: Builder, c: Call) -> Value:
    if not isinstance(c.get(0), tuple):
        raise UnsupportedError("its sequence is not known")
    axis, values = c.attribute("axis", 0), c.get(0)
    if c.attribute("new_axis", 0):
        values = [moving.unsqueeze(b, v, (axis,)) for v in values]
    return selecting.concat(b, values, axis)


@operator("Slice")
def _slice(b: Builder, c: Call) -> Value:
    x: Value = c.get(0)
    if c.get(1) is None:
        starts, stops = c.attribute("starts"), c.attribute("ends")
        axes, steps = c.attribute("axes"), None
    else:
        starts, stops = ints(c.get(1)), ints(c.get(2))
        axes = None if c.get(3) is None else ints(c.get(3))
        steps = None if c.get(4) is None else ints(c.get(4))
    axes = axes or tuple(range(len(starts)))
    for axis, start, stop, step in zip(axes, starts, stops, steps or (1,) * len(axes), strict=True):
        x = selecting.cut(b, x, axis, start, stop, step)
    return x


@operator("Gather", rows=True)
def _gather(b: Builder, c: Call) -> Value:
    x, index, axis = c.get(0), c.get(1), c.attribute("axis", 0)
    table = isinstance(x, Weight) and len(x.shape) == 2 and axis == 0
    if table and (isinstance(index, Signal) or index.shape):
        return sequences.embedding(b, x, index)
    return gathering.gather(b, moving.settle(b, x), moving.settle(b, index), axis)


@operator("GatherND")
def _gather_nd(b: Builder, c: Call) -> Value:
    if c.attribute("batch_dims", 0):
        raise UnsupportedError("it selects in each sample")
    index = known(c.get(1))
    return gathering.gather_together(b, c.get(0), tuple(np.moveaxis(index, -1, 0)))


@operator("ArgMax")
def _argmax(b: Builder, c: Call) -> Value:
    if c.attribute("select_last_index", 0):
        raise UnsupportedError("it chooses the last of several")
    keep = bool(c.attribute("keepdims", 1))
    return gathering.argmax(c.get(0), c.attribute("axis", 0), keepdims=keep)


@operator("Pad")
def _pad(b: Builder, c: Call) -> Value:
    x = c.get(0)
    pads = ints(c.get(1)) if c.get(1) is not None else tuple(c.attribute("pads", ()))
    rank = len(x.known if isinstance(x, Signal) else x.shape)
    if c.attribute("mode", "constant") != "constant":
        raise UnsupportedError(f"it pads by {c.attribute('mode')}")
    before, after = pads[: len(pads) // 2], pads[len(pads) // 2 :]
    if c.get(3) is not None:
        axes = [a % rank for a in ints(c.get(3))]
        full = [[0] * rank, [0] * rank]
        for axis, p, q in zip(axes, before, after, strict=True):
            full[0][axis], full[1][axis] = p, q
        before, after = tuple(full[0]), tuple(full[1])
    fill = scalar_of(c.get(2), c.attribute("value", 0.0)) or 0.0
    return selecting.pad(b, x, before, after, fill)


@operator("Resize", "Upsample")
def _resize(b: Builder, c: Call) -> Value:
    x = signal(c.get(0))
    given = c.inputs[1:] if c.node.operator == "Upsample" else c.inputs[2:]
    scales = () if not given or given[0] is None else tuple(known(given[0]).astype(float).ravel())
    rank = len(x.known)
    axes = tuple(axis % rank for axis in c.attribute("axes", range(rank)))
    if scales:
        told = dict(zip(axes, scales, strict=True))
    else:
        if c.attribute("keep_aspect_ratio_policy", "stretch") != "stretch":
            raise UnsupportedError("it keeps the ratio of the sides")
        told = {axis: m / x.known[axis] for axis, m in zip(axes, ints(given[1]), strict=True)}
    if x.batch != 0 or any(told.get(axis, 1.0) != 1.0 for axis in (0, 1)):
        raise UnsupportedError("it resizes what is not space")
    factor = tuple(told.get(axis, 1.0) for axis in range(2, rank))
    named = c.attribute("mode", "nearest")
    mode = {"linear": "bilinear", "cubic": "bicubic"}.get(named, named)
    form = c.attribute("coordinate_transformation_mode", "half_pixel")
    allowed = {"half_pixel", "pytorch_half_pixel"} | (
        {"asymmetric"} if mode == "nearest" else {"align_corners"}
    )
    if mode not in {"nearest", "bilinear", "bicubic"} or form not in allowed:
        raise UnsupportedError(f"it resizes by {mode} with {form} coordinates")
    if mode == "bicubic" and abs(c.attribute("cubic_coeff_a", -0.75) + 0.75) > 1e-6:
        raise UnsupportedError("its cubic kernel is not that of a = -0.75")
    if c.attribute("exclude_outside", 0) and mode == "bicubic":
        raise UnsupportedError("it leaves out what lies beyond the sides")
    if c.attribute("antialias", 0) and min(factor) < 1:
        raise UnsupportedError("it smooths what it makes smaller")
    return modules.resize(b, x, factor, mode, corners=form == "align_corners")


def _reduction(name: str) -> Function:
    def run(b: Builder, c: Call) -> Value:
        keep = bool(c.attribute("keepdims", 1))
        return combining.reduce(b, name, c.get(0), _axes(c), keepdims=keep)

    return run


for _name in ("Mean", "Sum", "Max"):
    TABLE[f"Reduce{_name}"] = Operator(_reduction(_name.lower()))


@operator("ReduceL2")
def _length(b: Builder, c: Call) -> Value:
    x = c.get(0)
    square = math.binary(b, "power", x, scalar(2.0))
    keep = bool(c.attribute("keepdims", 1))
    return math.unary(b, "sqrt", combining.reduce(b, "sum", square, _axes(c), keepdims=keep))


@operator("DepthToSpace", "SpaceToDepth")
def _blocks(b: Builder, c: Call) -> Value:
    x, size = signal(c.get(0)), c.attribute("blocksize", 1)
    n, channels, height, width = x.known
    if c.node.operator == "DepthToSpace":
        crd = c.attribute("mode", "DCR") == "CRD"
        few = channels // size**2
        first = (n, few, size, size, height, width) if crd else (n, size, size, few, height, width)
        order = (0, 1, 4, 2, 5, 3) if crd else (0, 3, 4, 1, 5, 2)
        last = (n, few, height * size, width * size)
    else:
        first = (n, channels, height // size, size, width // size, size)
        order = (0, 3, 5, 1, 2, 4)
        last = (n, channels * size**2, height // size, width // size)
    parted = moving.reshape(b, x, first)
    return moving.reshape(b, moving.transpose(b, parted, order), last)
