"""Operations over sequences: tables, attention, recurrent layers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from initaudit.checkpoint.graphs import moving, selecting, windows
from initaudit.checkpoint.graphs.masks import plain_mask
from initaudit.checkpoint.graphs.modules import parts_of
from initaudit.checkpoint.graphs.steps import Builder, Part
from initaudit.checkpoint.graphs.values import (
    Known,
    ShortTableError,
    Signal,
    UnsupportedError,
    Value,
    Weight,
    known,
    signal,
)
from initaudit.network import Attribute


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


def _positions(b: Builder, weight: Weight, part: Part, index: NDArray[Any]) -> Value:
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
            return b.emit("table", [anchor], shape, batch=None, parts=[part], attributes=attributes)
        made = b.emit("table", [anchor], (1, row.size, width), parts=[part], attributes=attributes)
        lead = (1,) * (index.ndim - 2)
        return moving.reshape(b, replace(made, shape=(b.samples, row.size, width)),
                              (b.samples, *lead, row.size, width))  # fmt: skip
    held = b.emit("constant", [anchor], weight.shape, batch=None, parts=[part])
    shared = alike and index.ndim > 1 and len(index) == b.samples
    flat = b.part("value", Known(row if shared else index.ravel()))
    places = b.emit("constant", [anchor], flat.shape, batch=None, parts=[flat])
    if shared:
        # One sample's rows are those of all.
        once = b.emit("gather", [held, places], (1, row.size, width), attributes={"axis": 1})
        lead = (b.samples, *index.shape[1:-1])
        return moving.reshape(b, replace(once, shape=(b.samples, row.size, width)),
                              (*lead, row.size, width))  # fmt: skip
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
    attributes: dict[str, Attribute] = {"heads": heads, "kv_heads": groups, "causal": causal}
    if scale is not None and not math.isclose(scale, 1.0 / math.sqrt(width)):
        attributes["scale"] = scale
    if softcap:
        attributes["softcap"] = softcap
    if isinstance(mask, Known):
        mask, attributes["causal"] = plain_mask(mask, causal=causal)
    mask = None if mask is None else moving.settle(b, mask)
    whole = (q.known[0], heads, length, k.known[2])
    if mask is not None and windows.several(b, q, whole, (mask,)):
        inputs = [windows.attended(b, x) for x in (q, k, v)]
        inputs.append(b.given(windows.parted(b, mask, whole), 5, 0))
    else:
        inputs = [_joined(b, x) for x in (q, k, v)]
        inputs += [] if mask is None else [b.given(mask, 4, 0)]
    shape = (*inputs[0].known[:-1], heads * v.known[3])
    y = b.emit("attention", inputs, shape, attributes=attributes)
    apart = moving.reshape(b, y, (q.known[0], length, heads, v.known[3]))
    return moving.transpose(b, apart, (0, 2, 1, 3))


def _joined(b: Builder, x: Signal) -> Signal:
    n, heads, length, width = x.known
    turned = moving.transpose(b, x, (0, 2, 1, 3))
    return signal(moving.reshape(b, turned, (n, length, heads * width)))


def recurrent(
    b: Builder,
    op: str,
    x: Signal,
    directions: Sequence[Mapping[str, Value | Part | None]],
    *,
    reverse: bool = False,
    more: Mapping[str, Attribute] | None = None,
) -> Signal:
    """Return the outputs of a recurrent layer over a sequence, one for each step.

    x is (N, T, features), or (T, N, features) with its samples on axis 1; so is what is returned,
    the directions side by side. ``more`` are attributes of the layer.
    """
    made: list[Signal] = []
    scope = b.scope
    for i, given in enumerate(directions):
        backwards = reverse or i == 1
        width = given["weight_hh"]
        size = width.shape[1] if width is not None and not isinstance(width, Signal) else 0
        b.scope = f"{scope}.reverse" if i == 1 and scope else scope
        out = None if x.shape is None else (*x.shape[:-1], size)
        attributes: dict[str, Attribute] = {"layout": "oi", **(more or {})}
        if backwards:
            attributes["reverse"] = True
        made.append(
            b.emit(op, [x], out, batch=x.batch, parts=parts_of(b, given), attributes=attributes)
        )
    b.scope = scope
    if len(made) == 1:
        return made[0]
    return signal(selecting.concat(b, made, -1))
