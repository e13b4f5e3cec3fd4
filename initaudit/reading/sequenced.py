"""Keras's LSTM, GRU and SimpleRNN: one kernel for all gates, (in, gates units).

The gates of an LSTM stand in the order of the replica's; those of a GRU are update, reset and new
(keras/src/layers/rnn/gru.py); where not ``reset_after`` the reset acts before the product, and
one row of biases stands for both.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from initaudit.catalogue import LayerSpec
from initaudit.checkpoint.graphs import modules as made_of
from initaudit.checkpoint.graphs import selecting
from initaudit.checkpoint.graphs.values import Known, Signal, UnsupportedError
from initaudit.network import Attribute
from initaudit.reading import evaluating, lasting, tensors
from initaudit.reading.state import State
from initaudit.reading.values import EMPTY, Event, Module, Parameter, StopError

_REFUSED = ("return_state", "go_backwards", "stateful", "time_major", "mask")


def forward(state: State, module: Module, spec: LayerSpec, x: Signal) -> Any:
    """Return the last output, or that of each step, the weights made at the first call.

    Raises:
        StopError: it has a setting that is not followed.
    """
    _check(state, module, spec)
    if not module.attrs.get("_made"):
        lasting.make(state, module, spec, tensors.shape(x)[-1])
        _biased(module, spec)
    tape = state.tape
    assert tape is not None  # noqa: S101
    b = tape.builder
    before = b.next
    size = evaluating.plain(module, "units")
    try:
        parts = made_of.parts_of(b, _parts(state, module, spec))
        shape = (*x.known[:-1], size)
        y: Any = b.emit(spec.op, [x], shape, batch=x.batch, parts=parts,
                        attributes=_attributes(module, spec))  # fmt: skip
        if module.attrs.get("_return_sequences") is not True:
            y = selecting.take(b, y, 1, -1)
    except UnsupportedError as error:
        return tape.broken_at(module.title, str(error), (x,), state.at)
    for number in range(before, b.next):
        tape.sites[number] = state.at
    return y


def _check(state: State, module: Module, spec: LayerSpec) -> None:
    for name in _REFUSED:
        if module.attrs.get(f"_{name}") not in (None, False):
            raise StopError(f"{module.title} with its {name} is not followed", state.at)
    if module.attrs.get("_return_sequences", False) not in (True, False):
        raise StopError(f"what {module.title} returns is not known", state.at)
    wanted = {"activation": "tanh", "recurrent_activation": "sigmoid"}
    for name, value in wanted.items():
        if name in {p.name for p in spec.parameters} and evaluating.plain(module, name) != value:
            raise StopError(f"{module.title} with another {name} is not followed", state.at)
    if spec.op == "gru" and module.attrs.get("_reset_after", True) not in (True, False):
        raise StopError(f"where {module.title} resets is not known", state.at)


def _before(module: Module, spec: LayerSpec) -> bool:
    return spec.op == "gru" and module.attrs.get("_reset_after", True) is False


def _attributes(module: Module, spec: LayerSpec) -> dict[str, Attribute]:
    return {"layout": "io", "reset": "before"} if _before(module, spec) else {"layout": "io"}


def _biased(module: Module, spec: LayerSpec) -> None:
    """Start the biases as Keras does: ones for an LSTM's forget gate, two rows for a GRU."""
    bias = module.params.get("bias")
    if bias is None:
        return
    zeros = bias.chain[-1].weights.law == "zeros"
    if spec.op == "gru" and not _before(module, spec):
        if not zeros:
            raise StopError(f"the two biases of {module.title} are not followed", module.site)
        bias.shape = (2, *bias.shape)
    if spec.op == "lstm" and evaluating.plain(module, "unit_forget_bias") is True:
        if not zeros:
            raise StopError(f"the bias of {module.title} is not followed", module.site)
        made = np.zeros(bias.shape, np.float32)
        made[len(made) // 4 : len(made) // 2] = 1.0
        text = f"unit_forget_bias of {module.title}"
        bias.chain.append(Event(EMPTY, text, module.site, lambda random, old: made))


def _parts(state: State, module: Module, spec: LayerSpec) -> dict[str, Any]:
    tape = state.tape
    assert tape is not None  # noqa: S101
    roles = {"weight_ih": "kernel", "weight_hh": "recurrent_kernel", "bias_ih": "bias"}
    held = {role: module.params.get(name) for role, name in roles.items()}
    if spec.op != "gru":
        return {role: tape.weight(p) for role, p in held.items() if p is not None}
    found = {role: _turned(_numbers(state, p)) for role, p in held.items() if p is not None}
    both = found.get("bias_ih")
    if both is not None and both.ndim > 1:
        found |= {"bias_ih": both[0], "bias_hh": both[1]}
    return {role: Known(array) for role, array in found.items()}


def _numbers(state: State, parameter: Parameter) -> NDArray[Any]:
    return np.asarray(tensors.numbers_of(state, parameter), np.float32)


def _turned(array: NDArray[Any]) -> NDArray[Any]:
    """Return update, reset, new as reset, update, new."""
    update, reset, new = np.split(array, 3, axis=-1)
    return np.concatenate((reset, update, new), -1)
