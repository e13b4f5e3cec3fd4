"""Widths along a network's layers, and what the shapes of weights tell of attributes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from initaudit.architecture.entries import Value
from initaudit.network import Attribute, Layer, Param, whole_numbers

_NORMS = frozenset({"layer_norm", "rms_norm", "batch_norm", "group_norm"})


class MismatchError(Exception):
    """Tensors that do not make the architecture that their names promise, as one line."""


@dataclass(slots=True)
class Widths:
    """The number of features that each layer gives; absent where it is not known.

    ``places`` has the number of places of each, where a pool sets it whatever its input is.
    """

    known: dict[str, int] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)

    def of_input(self, name: str, attributes: Mapping[str, Attribute]) -> None:
        """Note an image's channels."""
        shape = attributes.get("shape")
        if whole_numbers(shape) and "tokens" not in attributes:
            self.known[name] = shape[0] if len(shape) > 2 else shape[-1]

    def of_layer(self, layer: Layer) -> None:
        """Note what a layer gives."""
        width = _WIDTHS.get(layer.op, _same)(layer, [self.known.get(n) for n in layer.inputs])
        places = self._places(layer)
        if places is not None:
            self.places[layer.name] = places
        if layer.op == "flatten" and width is not None:
            width = width * places if places is not None else None
        if width is not None:
            self.known[layer.name] = width

    def _places(self, layer: Layer) -> int | None:
        if layer.op == "global_avg_pool":
            return 1
        size = layer.attributes.get("size")
        if layer.op == "adaptive_avg_pool" and whole_numbers(size):
            return math.prod(size) or None
        kept = layer.op in _NORMS | {"activation", "dropout", "identity", "flatten"}
        return self.places.get(layer.inputs[0]) if kept and layer.inputs else None


Sources = list[int | None]


def _shape(layer: Layer) -> tuple[int, ...]:
    weight = layer.param("weight")
    return () if weight is None else tuple(n or 0 for n in weight.shape)


def _whole(layer: Layer, name: str, default: int) -> int:
    value = layer.attributes.get(name, default)
    return value if isinstance(value, int) else default


def _same(layer: Layer, sources: Sources) -> int | None:
    return next((width for width in sources if width is not None), None)


def _unknown(layer: Layer, sources: Sources) -> int | None:
    return None


def _linear(layer: Layer, sources: Sources) -> int | None:
    shape = _shape(layer)
    if len(shape) != 2:
        return None
    return shape[1] if layer.attributes.get("layout") == "io" else shape[0]


def _conv(layer: Layer, sources: Sources) -> int | None:
    shape = _shape(layer)
    return shape[0] if len(shape) > 2 else None


def _transposed(layer: Layer, sources: Sources) -> int | None:
    shape = _shape(layer)
    return shape[1] * _whole(layer, "groups", 1) if len(shape) > 2 else None


def _table(layer: Layer, sources: Sources) -> int | None:
    shape = _shape(layer)
    return shape[-1] if shape else None


def _recurrent(layer: Layer, sources: Sources) -> int | None:
    hidden = layer.param("weight_hh")
    return None if hidden is None else hidden.shape[-1]


def _slice(layer: Layer, sources: Sources) -> int | None:
    start, stop = layer.attributes.get("start"), layer.attributes.get("stop")
    if layer.attributes.get("axis", -1) != -1:
        return sources[0]
    if not isinstance(start, int) or not isinstance(stop, int):
        return None
    return (stop - start) * _whole(layer, "groups", 1)


def _concat(layer: Layer, sources: Sources) -> int | None:
    if layer.attributes.get("axis") not in (None, -1):
        return _same(layer, sources)
    widths = [width for width in sources if width is not None]
    return sum(widths) if len(widths) == len(sources) else None


def _attention(layer: Layer, sources: Sources) -> int | None:
    values = sources[2] if len(sources) > 2 else None
    heads = _whole(layer, "heads", 1)
    return None if values is None else values // _whole(layer, "kv_heads", heads) * heads


def _merged(layer: Layer, sources: Sources) -> int | None:
    return None if sources[0] is None else 4 * sources[0]


def _turned(layer: Layer, sources: Sources) -> int | None:
    """Channels first to last, or back, are the features still."""
    perm = layer.attributes.get("perm")
    if not isinstance(perm, tuple) or not perm:
        return None
    last = len(perm) - 1
    channels = perm in {(0, *range(2, last + 1), 1), (0, last, *range(1, last))}
    return sources[0] if channels else None


_WIDTHS: Mapping[str, Callable[[Layer, Sources], int | None]] = {
    "linear": _linear, "conv": _conv, "conv_transpose": _transposed, "embedding": _table,
    "table": _table, "constant": _table, "lstm": _recurrent, "gru": _recurrent, "rnn": _recurrent,
    "slice": _slice, "concat": _concat, "attention": _attention, "merge_patches": _merged,
    "transpose": _turned,
    **dict.fromkeys(
        ("reshape", "matmul", "relative_bias", "window_bias", "alibi_bias"), _unknown
    ),
}  # fmt: skip
"""The widths of operations that do not give what they read."""


def attributes_of(
    op: str,
    given: Mapping[str, Value | None],
    params: tuple[Param, ...],
    sources: tuple[str, ...],
    widths: Widths,
) -> dict[str, Attribute]:
    """Return a layer's attributes: those given, and what shapes tell where nothing is given.

    A convolution's groups follow from the channels that it reads, its padding is half its kernel;
    ``part`` of a fused projection becomes the bounds of a slice.

    Raises:
        MismatchError: where a width does not divide.
    """
    found: dict[str, Attribute] = {}
    for name, value in given.items():
        if value is None:
            continue
        if isinstance(value, tuple):
            found[name] = tuple(int(v) for v in value if not isinstance(v, str))
        else:
            found[name] = value
    into = widths.known.get(sources[0]) if sources else None
    weight = next((p.shape for p in params if p.name == "weight"), ())
    if op == "conv" and len(weight) > 2:
        kernel = tuple(n or 1 for n in weight[2:])
        spread = found.get("dilation", 1)
        spread = spread if isinstance(spread, int) else 1
        half = tuple((k - 1) // 2 * spread for k in kernel)
        found.setdefault("padding", half[0] if len(set(half)) == 1 else half)
        fan = weight[1] or 1
        if "groups" not in found and into is not None and into != fan:
            if into % fan:
                raise MismatchError(f"a kernel reads {fan} channels of {into}")
            found["groups"] = into // fan
    if op == "part":
        return _bounds(found, given, into)
    if op == "attention":
        heads = found.get("heads")
        if isinstance(heads, int):
            found.setdefault("kv_heads", heads)
    return found


def _bounds(
    found: dict[str, Attribute], given: Mapping[str, Value | None], width: int | None
) -> dict[str, Attribute]:
    part, groups = found.pop("part", 0), found.get("groups", 1)
    listed = found.pop("widths", None)
    count = found.pop("of", None)
    if not isinstance(part, int) or not isinstance(groups, int):
        raise MismatchError("the parts of a fused projection are not told")
    if isinstance(listed, tuple):
        ends = [sum(listed[:i]) for i in range(len(listed) + 1)]
    elif isinstance(count, int) and width is not None and width % (count * groups) == 0:
        step = width // (count * groups)
        ends = [step * i for i in range(count + 1)]
    else:
        raise MismatchError(f"a fused projection of width {width} does not fall into its parts")
    if part + 1 >= len(ends) or (width is not None and ends[-1] * groups > width):
        raise MismatchError(f"the parts of a fused projection exceed its width {width}")
    found["start"], found["stop"] = ends[part], ends[part + 1]
    return found


def check(layer: Layer, widths: Widths) -> None:
    """Raise MismatchError where a layer, or its weight, cannot read what its inputs give."""
    weight = layer.param("weight")
    if weight is None or not layer.inputs:
        _joined(layer, [widths.known.get(name) for name in layer.inputs])
        return
    shape = tuple(n or 0 for n in weight.shape)
    stored = weight.tensor.name if weight.tensor else layer.name
    into = widths.known.get(layer.inputs[0])
    if not all(shape):
        raise MismatchError(f"{stored} is empty")
    dims = {"linear": (2, 2), "embedding": (2, 2), "conv": (3, 5), "conv_transpose": (3, 5)}
    least, most = dims.get(layer.op, (0, 9))
    if not least <= len(shape) <= most:
        raise MismatchError(f"{stored} has shape {shape}, which is no {layer.op}")
    if into is None:
        return
    if layer.op == "linear":
        fan = shape[0] if layer.attributes.get("layout") == "io" else shape[1]
        if fan != into:
            raise MismatchError(f"{stored} reads {fan} features, its input has {into}")
    elif layer.op in _NORMS and _features(layer) != into and len(shape) == 1:
        raise MismatchError(f"{stored} has {shape[0]} features, its input {into}")


def _joined(layer: Layer, sources: Sources) -> None:
    """Raise MismatchError where the widths that an operation joins do not fit each other."""
    if layer.op in {"add", "multiply"}:
        widths = {width for width in sources if width not in (None, 1)}
        if len(widths) > 1:
            told = " and ".join(map(str, sorted(filter(None, widths))))
            raise MismatchError(f"{layer.name} joins {told} features")
    heads = _whole(layer, "heads", 1)
    if layer.op == "rotary" and sources[0] is not None and sources[0] % heads:
        raise MismatchError(f"{layer.name} turns {sources[0]} features in {heads} heads")
    if layer.op == "attention" and len(sources) > 2:
        each = (heads, *[_whole(layer, "kv_heads", heads)] * 2)
        parts = [width / n for width, n in zip(sources, each, strict=False) if width and n]
        if len(parts) > 2 and (parts[0] != parts[1] or any(part % 1 for part in parts)):
            queries, keys, _ = sources[:3]
            raise MismatchError(
                f"{layer.name} sets {queries} features in {heads} heads beside {keys} in {each[1]}"
            )


def _features(layer: Layer) -> int:
    return math.prod(_shape(layer)) * (
        _whole(layer, "heads", 1) if layer.op in {"rms_norm", "layer_norm"} else 1
    )
