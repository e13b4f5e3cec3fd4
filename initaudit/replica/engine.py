"""Forward and backward through a network: outputs, and vector-Jacobian products."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from initaudit.graph import NORMS, consumers, placed
from initaudit.network import Layer, Network
from initaudit.replica.ops import OPS
from initaudit.replica.ops.op import Attributes, Cache, OpError
from initaudit.special import Array

Arrays = Callable[[str], NDArray[Any]]
Load = Callable[[Layer], Mapping[str, Array]]

_SINGLE = 1 << 22
"""Elements above which float32 weights are kept as they are and widened product by product."""

# Hand-written code and Equinox store these with axes of one element, as (n, 1) or (n, 1, 1).
_VECTORS = frozenset({"bias", "bias_ih", "bias_hh", "running_mean", "running_var"})

_CHANNELS_FIRST = frozenset(
    {"conv", "conv_transpose", "batch_norm", "group_norm", "max_pool", "avg_pool",
     "global_avg_pool"}
)  # fmt: skip


@dataclass(slots=True)
class Tape:
    """What one forward pass left: outputs, what backward needs of them, and where it ended.

    ``axes`` tells the axis of the features of each output; axis 0 holds the samples. ``stopped``
    gives the reason for each placed layer that has no output.
    """

    outputs: dict[str, Array] = field(default_factory=dict)
    caches: dict[str, Cache] = field(default_factory=dict)
    axes: dict[str, int] = field(default_factory=dict)
    stopped: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """The gradient at one layer's output and of its parameters, by role."""

    layer: Layer
    d_output: Array
    d_params: Mapping[str, Array]


def loader(arrays: Arrays) -> Load:
    """Return a function that gives a layer's parameters by role, each read once.

    Raises:
        OpError: from the returned function, where a stored array is missing or holds no reals.
    """
    read: dict[str, Array] = {}

    def load(layer: Layer) -> Mapping[str, Array]:
        found = {}
        for param in layer.params:
            if param.tensor is None:
                continue
            name = param.tensor.name
            if name not in read:
                read[name] = _widened(name, arrays)
            flat = param.name in _VECTORS or layer.op in NORMS
            found[param.name] = read[name].ravel() if flat else read[name]
        return found

    return load


def _widened(name: str, arrays: Arrays) -> Array:
    try:
        array = arrays(name)
    except KeyError:
        raise OpError(f"the array {name} is not stored") from None
    if np.iscomplexobj(array):
        raise OpError(f"the array {name} holds complex numbers")
    if array.dtype == np.float32 and array.size > _SINGLE:
        return array
    return array.astype(np.float64, copy=False)


def feature_axis(network: Network, layer: Layer) -> int:
    """Return the axis of the features of an input layer, as its readers take it."""
    readers = consumers(network)[layer.name]
    if any(network.layer(name).op in _CHANNELS_FIRST for name in readers):
        return 1
    shape = layer.attributes.get("shape")
    return len(shape) if isinstance(shape, tuple) else 1


def forward(
    network: Network,
    load: Load,
    given: Mapping[str, Array],
    *,
    batch_statistics: bool = True,
    keep: bool = True,
) -> Tape:
    """Return the outputs of all layers that the input reaches.

    ``given`` holds the outputs of the input layers (samples on axis 0) and may hold those of
    others, whose operations are then passed over. A layer that does not fit its input, whose
    parameter is missing or whose output is not finite is stopped, and so is all behind it;
    nothing is raised. ``keep=False`` leaves no caches, for a pass without a backward one.
    """
    tape = Tape()
    inside = placed(network)
    for layer in network.layers:
        if layer.name not in inside:
            continue
        reason = _blocked(layer, tape)
        if reason is None:
            try:
                with np.errstate(all="ignore"):
                    _step(network, layer, load, given, tape, batch_statistics)
            except OpError as error:
                reason = str(error)
            except (ValueError, IndexError):
                shapes = " and ".join(str(tape.outputs[i].shape[1:]) for i in layer.inputs)
                reason = f"its parameters do not fit its input of shape {shapes}"
        if reason is not None:
            tape.stopped[layer.name] = reason
        if not keep:
            tape.caches.clear()
    return tape


def _blocked(layer: Layer, tape: Tape) -> str | None:
    behind = next((name for name in layer.inputs if name in tape.stopped), None)
    return None if behind is None else f"not reached: {behind} gives no output"


def _step(
    network: Network,
    layer: Layer,
    load: Load,
    given: Mapping[str, Array],
    tape: Tape,
    batch_statistics: bool,  # noqa: FBT001
) -> None:
    if layer.name in given:
        output = given[layer.name]
        tape.outputs[layer.name] = output
        along = feature_axis(network, layer) if layer.op == "input" else output.ndim - 1
        tape.axes[layer.name] = min(along, output.ndim - 1)
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
        "batch_statistics": batch_statistics,
        **layer.attributes,
    }
    output, cache = op.forward(attributes, inputs, load(layer))
    if not np.isfinite(output).all():
        raise OpError(_nonfinite(layer, load))
    tape.outputs[layer.name] = output
    tape.caches[layer.name] = cache
    tape.axes[layer.name] = op.features_at(attributes, near, inputs[0].shape, output.shape)


def _nonfinite(layer: Layer, load: Load) -> str:
    for role, array in load(layer).items():
        if not np.isfinite(array).all():
            return f"its {role} is not finite"
    return "its output overflows"


def backward(
    network: Network, load: Load, tape: Tape, cotangents: Mapping[str, Array]
) -> Iterator[Step]:
    """Yield the gradients of the sum of <cotangent, output>, from the last layer to the first.

    ``cotangents`` map layers to arrays of their output's shape. Layers that no gradient reaches
    are left out. The gradients of the parameters are summed over the samples.
    """
    arrived = dict(cotangents)
    for layer in reversed(network.layers):
        if layer.name not in arrived:
            continue
        d_output = arrived.pop(layer.name)
        if layer.name not in tape.caches:
            yield Step(layer, d_output, {})
            continue
        with np.errstate(all="ignore"):
            op = OPS[layer.op]
            d_inputs, d_params = op.backward(tape.caches[layer.name], load(layer), d_output)
            for name, gradient in zip(layer.inputs, d_inputs, strict=True):
                arrived[name] = arrived[name] + gradient if name in arrived else gradient
        yield Step(layer, d_output, d_params)


def places(output: Array, axis: int) -> int:
    """Return the number of places (spatial or in time) of one sample of an output."""
    return prod(n for i, n in enumerate(output.shape) if i not in {0, axis % output.ndim})
