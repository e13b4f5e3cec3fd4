"""Units that compute the same: equal rows, and twins that no gradient can tell apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from initaudit import fans, graph
from initaudit.checks import attended
from initaudit.claims import Hit, Limits, check
from initaudit.judge import Arrays, Built, Stored
from initaudit.network import Layer, Network, Origin, Tensor
from initaudit.places import site_of, sites
from initaudit.rulebook import Severity

_PER_UNIT = ("bias", "running_mean", "running_var")


@check("IA108", "tensor")
def duplicated_rows(subject: Stored, limits: Limits) -> Iterator[Hit]:
    """Units with the same incoming weights."""
    network = subject.network
    inside = graph.placed(network)
    last = graph.head(network)
    found: list[tuple[Layer, Tensor, float, Severity | None]] = []
    for tensor in subject.tensors:
        layer = subject.holder.get(tensor.name)
        rows = tensor.rows
        if layer is None or rows is None or not _has_units(layer, tensor, last, limits):
            continue
        if _reads_apart(layer, tensor, placed=layer.name in inside):
            continue
        share = rows.duplicated / rows.count
        whole = rows.duplicated == rows.count
        if layer.name in inside:
            severity = None if whole or network.origin is not Origin.TRAINED else Severity.NOTE
            if share >= limits["share"]:
                found.append((layer, tensor, share, severity))
        elif whole:
            # Rows equal in groups are drawn on purpose in front of a pixel shuffle (Aitken 2017).
            severity = None if rows.largest == rows.count else Severity.NOTE
            found.append((layer, tensor, share, severity))
    for severity in (None, Severity.NOTE):
        group = [f for f in found if f[3] == severity]
        if group:
            layer, tensor, share, _ = group[0]
            rows = tensor.rows
            yield Hit(
                site_of(network, layer, tensor),
                {
                    "duplicated": rows.duplicated if rows else 0,
                    "units": rows.count if rows else 0,
                    "dead": rows.dead if rows else 0,
                    "share": f"{100 * share:.3g} %",
                    "layers": len(group),
                },
                layer,
                severity=severity,
                related=sites(network, [f[0] for f in group[1:]]),
            )


@check("IA201", "network")
def symmetric_units(subject: Built, limits: Limits) -> Iterator[Hit]:
    """Twins: equal incoming weights, bias, norm and outgoing weights, so equal gradients."""
    network = subject.network
    found: list[tuple[Layer, int, int, int]] = []
    sought = [
        *(
            (layer, partial(_signature, layer, readers, extras, subject.arrays))
            for layer, readers, extras in _between(network)
            if _may_be_twins([layer, *readers], limits["share"])
        ),
        *(
            (v.layer, partial(attended.signature, v, subject.arrays))
            for v in attended.values(network)
            if v.may_be_twins(limits["share"])
        ),
    ]
    for layer, signed in sought:
        try:
            signature = signed()
            if signature is None:
                continue
            twins, kinds = _twins(signature)
        except MemoryError:
            continue
        if twins / len(signature) >= limits["share"]:
            found.append((layer, twins, len(signature), kinds))
    if found:
        layer, twins, count, kinds = found[0]
        alike = kinds <= max(1, limits["distinct"] * count)
        everywhere = layer.name in graph.bottlenecks(network)
        yield Hit(
            site_of(network, layer),
            {
                "twins": twins,
                "units": count,
                "distinct": kinds,
                "share": f"{100 * twins / count:.3g} %",
                "layers": len(found),
            },
            layer,
            severity=None if alike and everywhere else Severity.WARNING,
            related=sites(network, [f[0] for f in found[1:]]),
        )


def _has_units(layer: Layer, tensor: Tensor, last: Layer | None, limits: Limits) -> bool:
    weight = layer.param("weight")
    return (
        layer.op in graph.WEIGHTED
        and layer is not last
        and layer.attributes.get("role") is None
        and weight is not None
        and weight.tensor is tensor
        and not tensor.constant
        and tensor.rows is not None
        and tensor.rows.count >= limits["units"]
        and tensor.count // tensor.rows.count >= limits["units"]
    )


def _reads_apart(layer: Layer, tensor: Tensor, *, placed: bool) -> bool:
    """Return whether units have inputs of their own, so that equal rows are no copies.

    So it is in grouped convolutions, such as fixed depthwise blurs; without a place, a kernel that
    reads one channel may be one.
    """
    return _grouped(layer) or (layer.op != "linear" and not placed and 1 in tensor.shape[:2])


def _between(network: Network) -> Iterator[tuple[Layer, list[Layer], list[Layer]]]:
    """Yield each hidden layer whose units one weight reads, that weight, norms between."""
    for layer in graph.weighted(network):
        following = graph.after(network, layer.name)
        if not following:
            continue
        reader = following[-1]
        if reader.op not in graph.WEIGHTED or _grouped(layer) or _grouped(reader):
            continue
        yield layer, [reader], [x for x in following if x.op in graph.NORMS]


def _grouped(layer: Layer) -> bool:
    return layer.attributes.get("groups", 1) not in (1, None)


def _may_be_twins(layers: Sequence[Layer], share: float) -> bool:
    first, *rest = layers
    lines = [first.param("weight"), *(x.param("weight") for x in rest)]
    tensors = [None if p is None else p.tensor for p in lines]
    if any(t is None or t.rows is None or t.columns is None for t in tensors):
        return False
    rows = tensors[0].rows if tensors[0] is not None else None
    return rows is not None and rows.count > 1 and rows.duplicated >= share * rows.count


def _signature(
    layer: Layer, readers: Sequence[Layer], norms: Sequence[Layer], arrays: Arrays
) -> NDArray[Any] | None:
    """Return one row per unit: all that tells it from another, shape (units, numbers)."""
    width = fans.units(layer)
    parts = [_incoming(layer, arrays)]
    for holder in (layer, *norms):
        names = _PER_UNIT if holder is layer else ("weight", *_PER_UNIT)
        for name in names:
            vector = _array(holder, name, arrays)
            if vector is not None and vector.ndim == 1 and vector.size == width:
                parts.append(vector[:, None])
    parts += [_outgoing(reader, width or 0, arrays) for reader in readers]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts) or any(len(part) != width for part in known):
        return None
    return np.concatenate(known, axis=1)


def _array(layer: Layer, name: str, arrays: Arrays) -> NDArray[Any] | None:
    param = layer.param(name)
    if param is None or param.tensor is None:
        return None
    array = np.asarray(arrays(param.tensor.name))
    return array.astype(np.complex128 if np.iscomplexobj(array) else np.float64)


def _incoming(layer: Layer, arrays: Arrays) -> NDArray[Any] | None:
    weight = _array(layer, "weight", arrays)
    if weight is None:
        return None
    swapped = layer.attributes.get("layout") == "io"
    axis = _unit_axis(layer, weight.ndim, swapped)
    return np.moveaxis(weight, axis, 0).reshape(weight.shape[axis], -1)


def _unit_axis(layer: Layer, dimensions: int, swapped: bool) -> int:  # noqa: FBT001
    if layer.op == "conv_transpose":
        return dimensions - 1 if swapped else 1
    return dimensions - 1 if swapped else 0


def _outgoing(layer: Layer, width: int, arrays: Arrays) -> NDArray[Any] | None:
    """Return the weights that read each unit; behind a flattening a unit is several inputs."""
    weight = _array(layer, "weight", arrays)
    if weight is None or not width:
        return None
    swapped = layer.attributes.get("layout") == "io"
    if layer.op == "linear":
        axis = 0 if swapped else 1
    elif layer.op == "conv":
        axis = weight.ndim - 2 if swapped else 1
    else:
        axis = weight.ndim - 2 if swapped else 0
    turned = np.moveaxis(weight, axis, 0)
    return turned.reshape(width, -1) if turned.shape[0] % width == 0 else None


def _twins(signature: NDArray[Any]) -> tuple[int, int]:
    """Return how many units have a twin, and how many different units there are."""
    plain = np.ascontiguousarray(signature) + 0.0
    lines = plain.view(np.dtype((np.void, plain.dtype.itemsize * plain.shape[1]))).ravel()
    _, counts = np.unique(lines, return_counts=True)
    return int(counts[counts > 1].sum()), len(counts)
