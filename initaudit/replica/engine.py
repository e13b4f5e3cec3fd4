"""Forward and backward through a network: outputs, and vector-Jacobian products."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite, prod
from typing import Any

import numpy as np

from initaudit.graph import consumers, faults, placed
from initaudit.network import Layer, Network
from initaudit.replica.held import Held
from initaudit.replica.loading import Arrays, Load, Real, loader
from initaudit.replica.ops import OPS
from initaudit.replica.ops.op import Attributes, Cache, OpError
from initaudit.replica.ops.product import Gradient, dense
from initaudit.replica.statistics import extremes
from initaudit.special import Array

__all__ = [
    "EVERYTHING", "Arrays", "Keep", "Load", "Step", "Tape",
    "backward", "feature_axis", "forward", "loader", "places", "upstream",
]  # fmt: skip

OVERFLOW = "its output overflows"
_NOT_REACHED = "not reached"

See = Callable[[Layer, Array, int, tuple[Array, ...]], None]
"""What is told each output as it comes up, with the axis of its features and what it read."""

_CHANNELS_FIRST = frozenset(
    {"conv", "conv_transpose", "batch_norm", "group_norm", "max_pool", "avg_pool",
     "global_avg_pool"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Keep:
    """The layers whose outputs, and whose caches, outlive a forward pass; None for all.

    An output that is not kept is let go when the last layer that reads it has run.
    """

    outputs: frozenset[str] | None = None
    caches: frozenset[str] | None = None


EVERYTHING = Keep()


@dataclass(slots=True)
class Tape:
    """What one forward pass left: outputs, what backward needs of them, and where it ended.

    ``axes`` tells the axis of the features of each output and ``shapes`` its shape, of those too
    that were not kept; axis 0 holds the samples. ``stopped`` gives the reason for each placed
    layer that has no output. ``held`` counts the bytes of outputs and caches.
    """

    outputs: dict[str, Array] = field(default_factory=dict)
    caches: dict[str, Cache] = field(default_factory=dict)
    axes: dict[str, int] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    stopped: dict[str, str] = field(default_factory=dict)
    held: Held = field(default_factory=Held)


@dataclass(frozen=True, slots=True)
class Step:
    """The gradient at one layer's output and of its parameters, by role.

    ``gradients`` may hold values of `initaudit.replica.ops.product`, ``d_params`` are arrays.
    """

    layer: Layer
    d_output: Array
    gradients: Mapping[str, Gradient]

    @property
    def d_params(self) -> Mapping[str, Array]:
        """The gradients of the parameters as arrays."""
        return {role: dense(gradient) for role, gradient in self.gradients.items()}


@dataclass(frozen=True, slots=True)
class _Setting:
    network: Network
    load: Load
    given: Mapping[str, Array]
    batch_statistics: bool
    dtype: Real


def feature_axis(network: Network, layer: Layer) -> int:
    """Return the axis of the features of an input layer, as its readers take it."""
    readers = consumers(network)[layer.name]
    if any(network.layer(name).op in _CHANNELS_FIRST for name in readers):
        return 1
    shape = layer.attributes.get("shape")
    return len(shape) if isinstance(shape, tuple) else 1


def upstream(network: Network, name: str) -> frozenset[str]:
    """Return a layer and all that its output depends on."""
    found = {name}
    for layer in reversed(network.layers):
        if layer.name in found:
            found.update(layer.inputs)
    return frozenset(found)


def forward(
    network: Network,
    load: Load,
    given: Mapping[str, Array],
    *,
    batch_statistics: bool = True,
    keep: Keep = EVERYTHING,
    dtype: Real = np.float64,
    see: See | None = None,
) -> Tape:
    """Send what is given through all layers that the input reaches.

    ``given`` holds the outputs of the input layers (samples on axis 0) and may hold those of
    others, whose operations are then passed over. A layer that does not fit its input, whose
    parameter is missing or whose output is not finite is stopped, and so is all behind it;
    nothing is raised. Outputs are of ``dtype``, whole numbers apart.
    """
    tape = Tape()
    inside = placed(network)
    tape.stopped.update(faults(network))
    setting = _Setting(network, load, given, batch_statistics, dtype)
    waiting = Counter(i for x in network.layers if x.name in inside for i in set(x.inputs))
    for layer in network.layers:
        if layer.name not in inside:
            continue
        reason = _blocked(layer, tape)
        if reason is None:
            try:
                with np.errstate(all="ignore"):
                    _run(setting, layer, tape, keep)
            except OpError as error:
                reason = str(error)
            except (ValueError, IndexError):
                shapes = " and ".join(str(tape.shapes[i][1:]) for i in layer.inputs)
                reason = f"its parameters do not fit its input of shape {shapes}"
        if reason is not None:
            tape.stopped[layer.name] = reason
        elif see is not None:
            read = tuple(tape.outputs[name] for name in layer.inputs)
            see(layer, tape.outputs[layer.name], tape.axes[layer.name], read)
        waiting.subtract(set(layer.inputs))
        for name in (*layer.inputs, layer.name):
            if keep.outputs is not None and name not in keep.outputs and not waiting[name]:
                _let_go(tape, name)
    return tape


def _let_go(tape: Tape, name: str) -> None:
    output = tape.outputs.pop(name, None)
    if output is not None:
        tape.held.drop(output)


def _blocked(layer: Layer, tape: Tape) -> str | None:
    """Return why a layer is not reached: the first one in front of it that gives nothing."""
    behind = next((name for name in layer.inputs if name in tape.stopped), None)
    if behind is None or tape.stopped[behind].startswith(_NOT_REACHED):
        return None if behind is None else tape.stopped[behind]
    return f"{_NOT_REACHED}: {behind} gives no output"


def _run(setting: _Setting, layer: Layer, tape: Tape, keep: Keep) -> None:
    if layer.name in setting.given:
        output = _typed(setting.given[layer.name], setting.dtype)
        along = feature_axis(setting.network, layer) if layer.op == "input" else output.ndim - 1
        _put(tape, layer, output, min(along, output.ndim - 1))
        return
    if layer.op == "input":
        raise OpError("the shape of this input is not known")
    op = OPS.get(layer.op)
    if op is None:
        raise OpError(f"the operation {layer.op} is not known")
    inputs = tuple(tape.outputs[name] for name in layer.inputs)
    near = tape.axes[layer.inputs[0]]
    attributes: Attributes = {
        "axis": near if op.axis is None else op.axis,
        "batch_statistics": setting.batch_statistics,
        **layer.attributes,
    }
    params = setting.load(layer)
    output, cache = op.forward(attributes, inputs, params)
    output = _typed(output, setting.dtype)
    if not all(isfinite(end) for end in extremes(output)):
        raise OpError(_nonfinite(params))
    _put(tape, layer, output, op.features_at(attributes, near, inputs[0].shape, output.shape))
    if keep.caches is None or layer.name in keep.caches:
        tape.caches[layer.name] = cache
        tape.held.add(cache)


def _typed(x: Array, dtype: Real) -> Array:
    return x.astype(dtype, copy=False) if x.dtype.kind == "f" else x


def _put(tape: Tape, layer: Layer, output: Array, axis: int) -> None:
    tape.outputs[layer.name] = output
    tape.axes[layer.name] = axis
    tape.shapes[layer.name] = output.shape
    tape.held.add(output)


def _nonfinite(params: Mapping[str, Array]) -> str:
    for role, array in params.items():
        if not all(isfinite(end) for end in extremes(array)):
            return f"its {role} is not finite"
    return OVERFLOW


def backward(
    network: Network,
    load: Load,
    tape: Tape,
    cotangents: Mapping[str, Array],
    *,
    lean: bool = False,
) -> Iterator[Step]:
    """Yield the gradients of the sum of <cotangent, output>, from the last layer to the first.

    ``cotangents`` map layers to arrays of their output's shape. Layers that no gradient reaches
    are left out. The gradients of the parameters are summed over the samples.

    ``lean`` leaves those as values that tell their moments, takes a cache off the tape when it was
    used, and counts in ``tape.held`` the gradients that are on their way; the reader lets go of a
    step before it asks for the next.
    """
    arrived = dict(cotangents)
    for layer in reversed(network.layers):
        if layer.name not in arrived:
            continue
        d_output = arrived.pop(layer.name)
        gradients: Mapping[str, Gradient] = {}
        if layer.name in tape.caches:
            op = OPS[layer.op]
            cache = tape.caches[layer.name]
            run: Any = op.lazy if lean and op.lazy is not None else op.backward
            with np.errstate(all="ignore"):
                d_inputs, gradients = run(cache, load(layer), d_output)
                for name, gradient in zip(layer.inputs, d_inputs, strict=True):
                    d_input = gradient.astype(d_output.dtype, copy=False)
                    arrived[name] = arrived[name] + d_input if name in arrived else d_input
            del d_inputs, d_input, gradient
            if lean:
                _count_gradients(tape.held, arrived)
                tape.held.drop(tape.caches.pop(layer.name))
            del cache
        step = Step(layer, d_output, gradients)
        del d_output, gradients
        yield step
        del step


def _count_gradients(held: Held, arrived: Mapping[str, Array]) -> None:
    held.add(arrived)
    held.drop(arrived)


def places(shape: tuple[int, ...], axis: int) -> int:
    """Return the number of places (spatial or in time) of one sample of an output's shape."""
    return prod(n for i, n in enumerate(shape) if i not in {0, axis % len(shape)})
