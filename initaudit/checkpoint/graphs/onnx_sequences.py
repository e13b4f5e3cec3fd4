"""Operators of ONNX over sequences: recurrent layers and attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from initaudit.checkpoint.graphs import moving, selecting, sequences
from initaudit.checkpoint.graphs.calls import Call
from initaudit.checkpoint.graphs.onnx_table import operator
from initaudit.checkpoint.graphs.steps import Builder, Part
from initaudit.checkpoint.graphs.values import (
    Signal,
    UnsupportedError,
    Value,
    known,
    signal,
)
from initaudit.network import Attribute

Array = NDArray[Any]

_ORDER = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}


@operator("LSTM", "GRU", "RNN")
def _recurrent(b: Builder, c: Call) -> Any:
    x = signal(c.get(0))
    kind, layout = c.node.operator, c.attribute("layout", 0)
    _plain(c, kind)
    if x.batch != (0 if layout else 1):
        raise UnsupportedError("it runs over the samples")
    weights, around = known(c.get(1)), known(c.get(2))
    biases = None if c.get(3) is None else known(c.get(3))
    hidden = around.shape[-1]
    order = _ORDER[kind]
    given: list[dict[str, Value | Part | None]] = []
    for d in range(len(weights)):
        parts = [("weight_ih", 1, f"{d}", weights[d]), ("weight_hh", 2, f"{d}", around[d])]
        if biases is not None:
            half = biases.shape[1] // 2
            parts.append(("bias_ih", 3, f"{d}, :{half}", biases[d, :half]))
            parts.append(("bias_hh", 3, f"{d}, {half}:", biases[d, half:]))
        given.append({
            role: b.copy(role, c.get(i), index, _gates(array, order, hidden))
            for role, i, index, array in parts
        })  # fmt: skip
    backwards = c.attribute("direction", "forward") == "reverse"
    inside = kind == "GRU" and not c.attribute("linear_before_reset", 0)
    more: dict[str, Attribute] = {"reset": "before"} if inside else {}
    y = sequences.recurrent(b, kind.lower(), x, given, reverse=backwards, more=more)
    # Y is (T, directions, N, hidden), or (N, T, directions, hidden).
    time = 1 if layout else 0
    last = selecting.take(b, y, time, 0 if backwards else -1) if len(given) == 1 else y
    shape = y.known
    whole = (*shape[:2], len(given), hidden)
    apart = moving.reshape(b, y, whole)
    if not layout:
        apart = moving.transpose(b, apart, (0, 2, 1, 3))
    final = last if len(given) > 1 else moving.unsqueeze(b, last, (1 if layout else 0,))
    return (apart, final, final)


def _plain(c: Call, kind: str) -> None:
    """Refuse what the replica's recurrent layers do not do."""
    state = [c.get(5), c.get(6)]
    zero = all(v is None or (not isinstance(v, Signal) and not known(v).any()) for v in state)
    if not zero or (c.get(4) is not None and isinstance(c.get(4), Signal)):
        raise UnsupportedError("its first state or its lengths depend on the input")
    if c.get(7) is not None or c.attribute("clip"):
        raise UnsupportedError("it has peepholes or clips its cells")
    usual = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
    functions = c.node.attributes.get("activations")
    if functions and tuple(functions)[: len(usual[kind])] != usual[kind]:
        raise UnsupportedError(f"its gates are {functions}")


def _gates(array: Array, order: Sequence[int], hidden: int) -> Array:
    return np.concatenate([array[i * hidden : (i + 1) * hidden] for i in order])


@operator("Attention")
def _attention(b: Builder, c: Call) -> Any:
    q, k, v = (signal(c.get(i)) for i in range(3))
    flat = len(q.known) == 3
    if c.get(4) is not None or c.get(5) is not None:
        raise UnsupportedError("it has past keys and values")
    if flat:
        heads, groups = c.attribute("q_num_heads"), c.attribute("kv_num_heads")
        q, k, v = (_apart(b, x, n) for x, n in ((q, heads), (k, groups), (v, groups)))
    made = sequences.attention(
        b, q, k, v, c.get(3), causal=bool(c.attribute("is_causal", 0)),
        scale=c.attribute("scale"), softcap=c.attribute("softcap", 0.0),
    )  # fmt: skip
    if not flat:
        return (made,)
    n, heads, length, width = signal(made).known
    turned = moving.transpose(b, made, (0, 2, 1, 3))
    return (moving.reshape(b, turned, (n, length, heads * width)),)


def _apart(b: Builder, x: Signal, heads: int) -> Signal:
    n, length, width = x.known
    parted = moving.reshape(b, x, (n, length, heads, width // heads))
    return signal(moving.transpose(b, parted, (0, 2, 1, 3)))
