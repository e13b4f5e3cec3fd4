"""Recurrent layers over sequences (N, T, features), one layer in one direction.

Parameters are PyTorch's: weight_ih (gates H, in), weight_hh (gates H, H), bias_ih, bias_hh;
layout "io" means transposed matrices, ``reverse`` a layer that runs from the last step. Gates
stand in the order i, f, g, o (LSTM, also Keras's) and r, z, n (GRU, with the
reset inside: n = tanh(W x + b + r (U h + c))).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from initaudit.replica.ops.op import Attributes, Cache, Inputs, Op, OpError, Params, need
from initaudit.special import Array, sigmoid

State = tuple[Array, ...]
Forward = Callable[[Array, Array, State], tuple[State, Any]]
Backward = Callable[[Any, State], tuple[Array, Array, State]]


@dataclass(frozen=True, slots=True)
class _Cell:
    """One step: from W x + b, U h + c and the state to the next state, whose first part is h.

    ``back`` takes the gradient of the next state to those of W x + b, of U h + c, and of the state
    where it does not pass through U.
    """

    gates: int
    parts: int
    step: Forward
    back: Backward


def _lstm(into: Array, around: Array, state: State) -> tuple[State, Any]:
    _, c = state
    to_i, to_f, to_g, to_o = np.split(into + around, 4, axis=-1)
    i, f, g, o = sigmoid(to_i), sigmoid(to_f), np.tanh(to_g), sigmoid(to_o)
    following = f * c + i * g
    bent = np.tanh(following)
    return (o * bent, following), (i, f, g, o, c, bent)


def _d_lstm(kept: Any, d_state: State) -> tuple[Array, Array, State]:
    i, f, g, o, c, bent = kept
    d_h, d_c = d_state
    d_c = d_c + d_h * o * (1.0 - bent**2)
    d_gates = (d_c * g * i * (1 - i), d_c * c * f * (1 - f), d_c * i * (1 - g**2),
               d_h * bent * o * (1 - o))  # fmt: skip
    d_sum = np.concatenate(d_gates, -1)
    return d_sum, d_sum, (np.zeros_like(d_h), d_c * f)


def _gru(into: Array, around: Array, state: State) -> tuple[State, Any]:
    (h,) = state
    ir, iz, into_n = np.split(into, 3, axis=-1)
    hr, hz, around_n = np.split(around, 3, axis=-1)
    r, z = sigmoid(ir + hr), sigmoid(iz + hz)
    n = np.tanh(into_n + r * around_n)
    return ((1.0 - z) * n + z * h,), (r, z, n, h, around_n)


def _d_gru(kept: Any, d_state: State) -> tuple[Array, Array, State]:
    r, z, n, h, around_n = kept
    (d_h,) = d_state
    d_n = d_h * (1.0 - z) * (1.0 - n**2)
    d_z = d_h * (h - n) * z * (1.0 - z)
    d_r = d_n * around_n * r * (1.0 - r)
    into = np.concatenate((d_r, d_z, d_n), -1)
    around = np.concatenate((d_r, d_z, d_n * r), -1)
    return into, around, (d_h * z,)


def _plain(into: Array, around: Array, state: State) -> tuple[State, Any]:
    h = np.tanh(into + around)
    return (h,), h


def _d_plain(kept: Any, d_state: State) -> tuple[Array, Array, State]:
    d_sum = d_state[0] * (1.0 - kept**2)
    return d_sum, d_sum, (np.zeros_like(d_sum),)


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
    states, kept = [state], []
    for t in range(x.shape[1]):
        state, memory = cell.step(read[:, t], state[0] @ around + params.get("bias_hh", 0.0), state)
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
    for t in reversed(range(x.shape[1])):
        d_state = (d_state[0] + d_output[:, t], *d_state[1:])
        d_read[:, t], d_near[:, t], d_state = cell.back(kept[t], d_state)
        d_state = (d_state[0] + d_near[:, t] @ around.T, *d_state[1:])
    if turned:
        d_read = d_read[:, ::-1]
    sums = d_near.reshape(-1, around.shape[1])
    d_around = before.reshape(-1, around.shape[0]).T @ sums
    rows = d_read.reshape(-1, into.shape[1])
    d_into = x.reshape(-1, x.shape[-1]).T @ rows
    found = {
        "weight_ih": d_into if swapped else d_into.T,
        "weight_hh": d_around if swapped else d_around.T,
        "bias_ih": rows.sum(0),
        "bias_hh": sums.sum(0),
    }
    return (d_read @ into.T,), {role: found[role] for role in found if role in params}


def _op(cell: _Cell) -> Op:
    return Op(
        lambda attributes, inputs, params: _forward(cell, attributes, inputs, params),
        lambda cache, params, d_output: _backward(cell, cache, params, d_output),
        "last",
    )


lstm = _op(_Cell(4, 2, _lstm, _d_lstm))
gru = _op(_Cell(3, 1, _gru, _d_gru))
rnn = _op(_Cell(1, 1, _plain, _d_plain))
