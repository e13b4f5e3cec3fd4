"""Recurrent layers over sequences (N, T, features), one layer in one direction.

Parameters are PyTorch's: weight_ih (gates H, in), weight_hh (gates H, H), bias_ih, bias_hh;
layout "io" means transposed matrices, ``reverse`` a layer that runs from the last step. Gates
stand in the order i, f, g, o (LSTM, also Keras's) and r, z, n (GRU). The reset of a GRU acts on
the product, n = tanh(W x + b + r (U h + c)), as in PyTorch; where the attribute ``reset`` is
"before", on what the product reads, n = tanh(W x + b + U (r h) + c), as in ONNX where
linear_before_reset is 0 and in Keras where reset_after is False.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from initaudit.replica.ops.op import Attributes, Cache, Inputs, Op, OpError, Params, need
from initaudit.special import Array, sigmoid

State = tuple[Array, ...]
Product = Callable[[Array, slice], Array]
Forward = Callable[[Array, Product, State], tuple[State, Any]]
Backward = Callable[[Any, Product, State], tuple[Array, Array, State]]

_ALL = slice(None)


@dataclass(frozen=True, slots=True)
class _Cell:
    """One step: from W x + b and the state to the next state, whose first part is h.

    ``step`` is given the product U h + c of some of the gates, ``back`` that of a gradient with
    U's transpose. ``back`` takes the gradient of the next state to those of W x + b, of U h + c and
    of the state. ``read`` tells from what ``step`` kept what U of the last gate multiplies where
    that is not h.
    """

    gates: int
    parts: int
    step: Forward
    back: Backward
    read: Callable[[Any], Array] | None = None


def _lstm(into: Array, product: Product, state: State) -> tuple[State, Any]:
    h, c = state
    to_i, to_f, to_g, to_o = np.split(into + product(h, _ALL), 4, axis=-1)
    i, f, g, o = sigmoid(to_i), sigmoid(to_f), np.tanh(to_g), sigmoid(to_o)
    following = f * c + i * g
    bent = np.tanh(following)
    return (o * bent, following), (i, f, g, o, c, bent)


def _d_lstm(kept: Any, product: Product, d_state: State) -> tuple[Array, Array, State]:
    i, f, g, o, c, bent = kept
    d_h, d_c = d_state
    d_c = d_c + d_h * o * (1.0 - bent**2)
    d_gates = (d_c * g * i * (1 - i), d_c * c * f * (1 - f), d_c * i * (1 - g**2),
               d_h * bent * o * (1 - o))  # fmt: skip
    d_sum = np.concatenate(d_gates, -1)
    return d_sum, d_sum, (product(d_sum, _ALL), d_c * f)


def _gru(into: Array, product: Product, state: State) -> tuple[State, Any]:
    (h,) = state
    ir, iz, into_n = np.split(into, 3, axis=-1)
    hr, hz, around_n = np.split(product(h, _ALL), 3, axis=-1)
    r, z = sigmoid(ir + hr), sigmoid(iz + hz)
    n = np.tanh(into_n + r * around_n)
    return ((1.0 - z) * n + z * h,), (r, z, n, h, around_n)


def _d_gru(kept: Any, product: Product, d_state: State) -> tuple[Array, Array, State]:
    r, z, n, h, around_n = kept
    (d_h,) = d_state
    d_n = d_h * (1.0 - z) * (1.0 - n**2)
    d_z = d_h * (h - n) * z * (1.0 - z)
    d_r = d_n * around_n * r * (1.0 - r)
    into = np.concatenate((d_r, d_z, d_n), -1)
    around = np.concatenate((d_r, d_z, d_n * r), -1)
    return into, around, (d_h * z + product(around, _ALL),)


def _reset_gru(into: Array, product: Product, state: State) -> tuple[State, Any]:
    (h,) = state
    width = h.shape[-1]
    gates, new = slice(2 * width), slice(2 * width, None)
    r, z = np.split(sigmoid(into[:, gates] + product(h, gates)), 2, axis=-1)
    n = np.tanh(into[:, new] + product(r * h, new))
    return ((1.0 - z) * n + z * h,), (r, z, n, h)


def _d_reset_gru(kept: Any, product: Product, d_state: State) -> tuple[Array, Array, State]:
    r, z, n, h = kept
    (d_h,) = d_state
    width = h.shape[-1]
    d_n = d_h * (1.0 - z) * (1.0 - n**2)
    d_z = d_h * (h - n) * z * (1.0 - z)
    d_read = product(d_n, slice(2 * width, None))
    d_gates = np.concatenate((d_read * h * r * (1.0 - r), d_z), -1)
    d_sum = np.concatenate((d_gates, d_n), -1)
    return d_sum, d_sum, (d_h * z + d_read * r + product(d_gates, slice(2 * width)),)


def _plain(into: Array, product: Product, state: State) -> tuple[State, Any]:
    h = np.tanh(into + product(state[0], _ALL))
    return (h,), h


def _d_plain(kept: Any, product: Product, d_state: State) -> tuple[Array, Array, State]:
    d_sum = d_state[0] * (1.0 - kept**2)
    return d_sum, d_sum, (product(d_sum, _ALL),)


def _forward(
    cell: _Cell, attributes: Attributes, inputs: Inputs, params: Params
) -> tuple[Array, Cache]:
    (x,), (w, u) = inputs, need(params, "weight_ih", "weight_hh")
    swapped = attributes.get("layout", "oi") == "io"
    into, around = (w, u) if swapped else (w.T, u.T)
    if x.ndim != 3 or x.shape[-1] != into.shape[0]:
        raise OpError(f"it reads sequences of {into.shape[0]} features, not {x.shape[1:]}")
    width = around.shape[0]
    if into.shape[1] != cell.gates * width or around.shape[1] != cell.gates * width:
        raise OpError(f"its weights do not make {cell.gates} gates of {width} units")
    read = x @ into + params.get("bias_ih", 0.0)
    state: State = (np.zeros((len(x), width), read.dtype),) * cell.parts
    if attributes.get("reverse"):
        read = read[:, ::-1]
    bias = params.get("bias_hh", np.zeros(around.shape[1], read.dtype))
    states, kept = [state], []

    def product(h: Array, gates: slice) -> Array:
        return h @ around[:, gates] + bias[gates]

    for t in range(x.shape[1]):
        state, memory = cell.step(read[:, t], product, state)
        states.append(state)
        kept.append(memory)
    hidden = np.stack([h for h, *_ in states], 1)
    y = hidden[:, 1:]
    turned = bool(attributes.get("reverse"))
    return (y[:, ::-1] if turned else y), (x, hidden[:, :-1], kept, swapped, turned)


def _backward(
    cell: _Cell, cache: Cache, params: Params, d_output: Array
) -> tuple[Inputs, dict[str, Array]]:
    x, before, kept, swapped, turned = cache
    w, u = need(params, "weight_ih", "weight_hh")
    into, around = (w, u) if swapped else (w.T, u.T)
    d_state: State = (np.zeros_like(d_output[:, 0]),) * cell.parts
    d_read = np.empty((*x.shape[:2], into.shape[1]), d_output.dtype)
    d_near = np.empty_like(d_read)
    if turned:
        d_output = d_output[:, ::-1]

    def product(d_sum: Array, gates: slice) -> Array:
        return d_sum @ around[:, gates].T

    for t in reversed(range(x.shape[1])):
        d_state = (d_state[0] + d_output[:, t], *d_state[1:])
        d_read[:, t], d_near[:, t], d_state = cell.back(kept[t], product, d_state)
    if turned:
        d_read = d_read[:, ::-1]
    sums = d_near.reshape(-1, around.shape[1])
    width = around.shape[0]
    d_around = before.reshape(-1, width).T @ sums
    if cell.read is not None:
        seen = np.stack([cell.read(memory) for memory in kept], 1).reshape(-1, width)
        d_around[:, -width:] = seen.T @ sums[:, -width:]
    rows = d_read.reshape(-1, into.shape[1])
    d_into = x.reshape(-1, x.shape[-1]).T @ rows
    found = {
        "weight_ih": d_into if swapped else d_into.T,
        "weight_hh": d_around if swapped else d_around.T,
        "bias_ih": rows.sum(0),
        "bias_hh": sums.sum(0),
    }
    return (d_read @ into.T,), {role: found[role] for role in found if role in params}


_LSTM = _Cell(4, 2, _lstm, _d_lstm)
_GRU = _Cell(3, 1, _gru, _d_gru)
_RESET_GRU = _Cell(3, 1, _reset_gru, _d_reset_gru, lambda kept: kept[0] * kept[3])
_RNN = _Cell(1, 1, _plain, _d_plain)


def _op(cell_of: Callable[[Attributes], _Cell]) -> Op:
    def forward(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
        cell = cell_of(attributes)
        y, cache = _forward(cell, attributes, inputs, params)
        return y, (cell, cache)

    return Op(
        forward,
        lambda cache, params, d_output: _backward(cache[0], cache[1], params, d_output),
        "last",
    )


def _gru_cell(attributes: Attributes) -> _Cell:
    reset = attributes.get("reset", "after")
    if reset not in ("after", "before"):
        raise OpError(f"its reset acts {reset!r}, neither before nor after the product")
    return _RESET_GRU if reset == "before" else _GRU


lstm = _op(lambda attributes: _LSTM)
gru = _op(_gru_cell)
rnn = _op(lambda attributes: _RNN)
