"""The replica of an example's checkpoint against what was seen in PyTorch.

Nothing here needs PyTorch: what was seen comes from `hooks` or from the golden file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from initaudit import auditing
from initaudit.checkpoint import reading
from initaudit.network import Layer, Network
from initaudit.options import Options, quiet
from initaudit.replica.engine import Tape, backward, forward, loader
from tests.architectures.draws import normal

Array = NDArray[Any]

STD, GRADIENT = 1e-4, 1e-3
"""Largest relative errors: of a standard deviation forward, of a mean square backward."""

_ROUNDING = 1e-9
"""Standard deviations below this share of the largest, and gradients below its square, are
zeros that both sides round differently."""


class Output(Protocol):
    """What was seen of a module: ``hooks.Output`` or a number of the golden file."""

    @property
    def std(self) -> float: ...
    @property
    def size(self) -> int: ...
    @property
    def kind(self) -> str: ...


class Seen(Protocol):
    """What was seen of a model: ``hooks.Seen`` or the golden file."""

    @property
    def modules(self) -> Mapping[str, Output]: ...
    @property
    def gradients(self) -> Mapping[str, float]: ...
    @property
    def ends(self) -> Mapping[str, tuple[tuple[int, ...], float]]: ...


@dataclass(frozen=True)
class Row:
    """One number on both sides. ``layer`` is the layer of ours that stands for the module."""

    name: str
    layer: str
    ours: float
    theirs: float
    error: float


@dataclass(frozen=True)
class Comparison:
    """All numbers that both have, and the names that one of them lacks.

    ``failed`` says why nothing could be compared; ``stopped`` are layers without an output.
    """

    name: str
    forward: tuple[Row, ...] = ()
    backward: tuple[Row, ...] = ()
    lacking: tuple[str, ...] = ()
    beyond: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    stopped: Mapping[str, str] = field(default_factory=dict)
    failed: str = ""

    @property
    def worst(self) -> tuple[float, float]:
        """The largest error forward and backward; infinite where nothing was compared."""
        return _worst(self.forward), _worst(self.backward)

    @property
    def agrees(self) -> bool:
        """Whether all is within the limits and no weight lacks its gradient."""
        ahead, back = self.worst
        return not self.failed and not self.without and ahead < STD and back < GRADIENT


def _worst(rows: Sequence[Row]) -> float:
    return max((row.error for row in rows), default=np.inf)


def rebuilt(path: Path) -> tuple[Network, Callable[[str], Array]]:
    """The network of a checkpoint and its arrays, as `initaudit.auditing` builds them."""
    options = Options()
    checkpoint = reading.read_checkpoint(path)
    tensors, _ = auditing._measured(checkpoint, None, options, quiet)
    network = auditing.rebuilt(checkpoint, tensors, options)
    return network, auditing._reader(checkpoint, None)


def compare(
    name: str,
    network: Network,
    arrays: Callable[[str], Array],
    feed: Mapping[str, Array],
    seen: Seen,
) -> Comparison:
    """Send the inputs and cotangents of ``seen`` through the replica and set both side by side."""
    load = loader(arrays)
    try:
        tape = forward(network, load, given(network, feed))
        ends = {layer: _cotangent(end, seen) for end, layer in _ends(network, tape, seen).items()}
        gradients = _gradients(network, load, tape, ends)
    except Exception as error:  # one example that fails leaves the table of the others
        return Comparison(name, failed=f"{type(error).__name__}: {error}")
    ahead, lacking = _ahead(network, tape, seen)
    back = _rows(gradients, seen.gradients, _ROUNDING**2)
    known = {row.layer for row in ahead}
    return Comparison(
        name,
        forward=ahead,
        backward=back,
        lacking=lacking,
        beyond=tuple(x.name for x in network.layers if x.name not in known and x.op != "input"),
        without=tuple(key for key in seen.gradients if key not in gradients),
        stopped=tape.stopped,
    )


def given(network: Network, feed: Mapping[str, Array]) -> dict[str, Array]:
    """Give each input layer its array: by name, else the next of its kind (tokens or numbers).

    Raises:
        ValueError: an input layer is left without an array.
    """
    left = dict(feed)
    found: dict[str, Array] = {}
    layers = [layer for layer in network.layers if layer.op == "input"]
    for layer in layers:
        if layer.name in left:
            found[layer.name] = left.pop(layer.name)
    for layer in layers:
        if layer.name in found:
            continue
        tokens = layer.attributes.get("tokens") is not None or _embeds(network, layer)
        fits = [name for name, array in left.items() if (array.dtype.kind == "i") == tokens]
        if not fits:
            raise ValueError(f"nothing to feed the input layer {layer.name} with")
        found[layer.name] = left.pop(fits[0])
    return found


def _embeds(network: Network, layer: Layer) -> bool:
    return any(layer.name in x.inputs and x.op == "embedding" for x in network.layers)


def _ends(network: Network, tape: Tape, seen: Seen) -> dict[str, str]:
    """The layer whose output each end is: of its name, the last inside it, or the network's last.

    Raises:
        ValueError: there is no such layer, or its output is not of the end's shape.
    """
    read = {name for layer in network.layers for name in layer.inputs}
    found = {}
    for end, (shape, std) in seen.ends.items():
        last = [x.name for x in network.layers if x.name not in read and x.name in tape.outputs]
        names = [end, *_exits(network, end)] if end else last
        fits = [n for n in names if n in tape.outputs and tape.outputs[n].shape == shape]
        if not fits and not end:
            # What a pooler reads is an output of the model too.
            near = [n for n, y in tape.outputs.items() if y.shape == shape]
            fits = [n for n in near if abs(float(tape.outputs[n].std()) - std) < STD * std][-1:]
        if not fits:
            why = "; ".join(f"{k}: {v}" for k, v in list(tape.stopped.items())[:1])
            raise ValueError(f"no layer gives the output {end or 'of the model'} {shape}; {why}")
        # A pooler beside the main output may have the same shape.
        found[end] = min(fits, key=lambda n: abs(float(tape.outputs[n].std()) - std))
    return found


def _cotangent(end: str, seen: Seen) -> Array:
    return normal(f"cotangent {end}", seen.ends[end][0])


def _gradients(
    network: Network, load: Any, tape: Tape, ends: Mapping[str, Array]
) -> dict[str, float]:
    """Mean squares by stored tensor, over all the places where a tensor is used."""
    total: dict[str, Array] = {}
    for step in backward(network, load, tape, ends):
        for role, gradient in step.d_params.items():
            param = step.layer.param(role)
            if param is None or param.tensor is None:
                continue
            tensor = param.tensor
            whole = _whole(step.layer, gradient, tensor.shape)
            total[tensor.name] = total.get(tensor.name, 0.0) + whole
    return {name: float(np.square(gradient).mean()) for name, gradient in total.items()}


def _whole(layer: Layer, gradient: Array, shape: tuple[int, ...]) -> Array:
    """Put the gradient of a part of a stored tensor where that part stands."""
    if gradient.size == np.prod(shape):
        return gradient.reshape(shape)
    start, stop, axis = (layer.attributes.get(key, 0) for key in ("start", "stop", "axis"))
    assert isinstance(start, int)
    assert isinstance(stop, int)
    assert isinstance(axis, int)
    whole = np.zeros(shape, dtype=gradient.dtype)
    np.moveaxis(whole, axis, 0)[start:stop] = np.moveaxis(gradient, axis, 0)
    return whole


def _ahead(network: Network, tape: Tape, seen: Seen) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """Compare each module with the layer of its name, or with what comes out of those inside."""
    largest = max((output.std for output in seen.modules.values()), default=1.0)
    rows, lacking = [], []
    for name, output in seen.modules.items():
        layer = _stands_for(network, tape, name, output.size)
        if layer is None:
            lacking.append(name)
            continue
        ours = float(tape.outputs[layer].std(dtype=np.float64))
        rows.append(
            Row(name, layer, ours, output.std, _error(ours, output.std, largest * _ROUNDING))
        )
    return tuple(rows), tuple(lacking)


def _stands_for(network: Network, tape: Tape, name: str, size: int) -> str | None:
    if name in tape.outputs:
        return name
    fits = [x for x in _exits(network, name) if x in tape.outputs and tape.outputs[x].size == size]
    return fits[0] if len(fits) == 1 else None


def _exits(network: Network, module: str) -> list[str]:
    """The layers inside a module that layers outside of it read, or none reads."""
    within = f"{module}."
    inside = [x.name for x in network.layers if x.name.startswith(within)]
    readers: dict[str, list[str]] = {name: [] for name in inside}
    for layer in network.layers:
        for name in layer.inputs:
            if name in readers:
                readers[name].append(layer.name)
    return [
        name for name, by in readers.items() if not by or any(not x.startswith(within) for x in by)
    ]


def _rows(
    ours: Mapping[str, float], theirs: Mapping[str, float], rounding: float
) -> tuple[Row, ...]:
    floor = max(theirs.values(), default=1.0) * rounding
    return tuple(
        Row(name, name, ours[name], value, _error(ours[name], value, floor))
        for name, value in theirs.items()
        if name in ours
    )


def _error(ours: float, theirs: float, floor: float) -> float:
    if not np.isfinite(ours):
        return np.inf
    return abs(ours - theirs) / max(abs(theirs), floor)


def table(comparisons: Sequence[Comparison]) -> str:
    """The comparisons as lines of text."""
    lines = [
        f"{'architecture':<20} {'layers':>6} {'lack':>5} {'params':>6} {'lack':>5}"
        f" {'forward':>9} {'gradient':>9}"
    ]
    for c in comparisons:
        ahead, back = c.worst
        lines.append(
            f"{c.name:<20} {len(c.forward):>6} {len(c.lacking):>5} {len(c.backward):>6}"
            f" {len(c.without):>5} {ahead:>9.1e} {back:>9.1e} {'' if c.agrees else 'FAILS'}"
            f" {c.failed[:110]}".rstrip()
        )
    agree = sum(c.agrees for c in comparisons)
    lines.append(
        f"{agree} of {len(comparisons)} agree to {STD:g} forward and {GRADIENT:g} backward"
    )
    return "\n".join(lines)
