"""What one module is, as far as its names and shapes tell: op, orientation and widths."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

from initaudit import graph
from initaudit.checkpoint import weight_norm
from initaudit.checkpoint.groups import Group
from initaudit.checkpoint.stored import FLOATS
from initaudit.network import Attribute, Tensor

Layout = Literal["oi", "io"]

WEIGHTED = frozenset({"linear", "conv", "conv_transpose", "embedding", "lstm", "gru", "rnn"})
NORMS = frozenset({"batch_norm", "layer_norm", "group_norm", "rms_norm"})

_GATES: Mapping[int, str] = {4: "lstm", 3: "gru", 1: "rnn"}
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

_TABLES = frozenset({"emb", "embed", "embeds", "embedding", "embeddings", "wte", "wpe", "lookup"})
KERAS_TRANSPOSED = "a Keras transposed kernel, whose last axes are (out, in)"

_TRANSPOSED = re.compile(r"transpos|deconv|upconv|up_conv|convt|conv_t|tconv", re.IGNORECASE)
_NORMED = frozenset({"norm", "ln", "bn", "gn", "rms", "rmsnorm", "layernorm", "batchnorm",
                     "groupnorm", "instancenorm"})  # fmt: skip
_BATCH = frozenset({"bn", "batch", "batchnorm"})
_GROUP = frozenset({"gn", "group", "groupnorm"})
_INSTANCE = frozenset({"instance", "instancenorm"})
_PRELU = frozenset({"prelu", "act", "activation"})


@dataclass(frozen=True, slots=True)
class Unit:
    """One module read from its tensors.

    ``fan`` is the number of input features (for a convolution: channels of one group) and
    ``width`` the number of output features; both are 0 for what has none. ``decided`` says whether
    the orientation is certain. ``reason`` is why the module cannot take part, if it cannot.
    ``back`` is the module that runs from the last step beside a recurrent one; ``width`` is then
    that of both.
    """

    group: Group
    op: str
    fan: int = 0
    width: int = 0
    layout: Layout = "oi"
    decided: bool = True
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    reason: str | None = None
    note: str | None = None
    back: Unit | None = None

    @property
    def name(self) -> str:
        """The module's path."""
        return self.group.name

    @property
    def path(self) -> tuple[str, ...]:
        """The components of the module's path."""
        return self.group.path

    @property
    def dims(self) -> int:
        """Spatial dimensions of a kernel, 0 where there are none."""
        return len(self.weight.shape) - 2 if self.op in {"conv", "conv_transpose"} else 0

    @property
    def weight(self) -> Tensor:
        """The tensor that the widths come from."""
        return main_tensor(self.group)


def words(name: str) -> tuple[str, ...]:
    """Return the words and numbers of a name in lower case: ``fcOut_2`` is (fc, out, 2)."""
    return tuple(word.lower() for word in _WORDS.findall(name))


def main_tensor(group: Group) -> Tensor:
    """Return the tensor that a module is read from."""
    for role in ("weight", "weight_v", "weight_ih", "value"):
        if role in group.parts:
            return group.parts[role]
    return next(iter(group.parts.values()))


def read(group: Group) -> Unit:
    """Return what the module is; the op is ``parameter`` where its names and shapes do not tell."""
    parts = group.parts
    if any(tensor.dtype not in FLOATS for tensor in _weights(parts)):
        dtype = next(t.dtype for t in _weights(parts) if t.dtype not in FLOATS)
        return _unread(group, f"holds {dtype} codes, not weights")
    if "packed" in parts:
        return _unread(group, "packed by quantisation: its weights are codes and scales")
    if "weight_orig" in parts:
        return _unread(group, "its weight is computed from another tensor (a parametrisation)")
    if parts.keys() & {"depthwise", "pointwise"}:
        return _unread(group, "a separable kernel, which is two convolutions in one module")
    if "weight_hh" in parts:
        return _recurrent(group)
    if "weight_g" in parts and "weight_v" in parts:
        return _matrix(group, parts["weight_v"], *weight_norm.stand_in(parts))
    if parts.keys() & {"running_mean", "running_var"}:
        width = next(parts[r].count for r in ("running_mean", "running_var") if r in parts)
        return Unit(group, "batch_norm", width, width, attributes={"eps": _epsilon(group)})
    if "weight" not in parts:
        return _unread(group, "its name names no layer")
    weight = parts["weight"]
    if len(weight.shape) <= 1:
        return _vector(group, weight)
    return _matrix(group, weight, None, None)


def _weights(parts: Mapping[str, Tensor]) -> list[Tensor]:
    return [t for role, t in parts.items() if role not in {"num_batches_tracked", "packed"}]


def _unread(group: Group, reason: str) -> Unit:
    return Unit(group, "parameter", reason=reason)


def _recurrent(group: Group) -> Unit:
    parts = group.parts
    hidden, into = parts["weight_hh"], parts.get("weight_ih")
    if into is None or len(hidden.shape) != 2 or len(into.shape) != 2:
        return _unread(group, "a recurrent layer without one of its two matrices")
    layout: Layout = "io" if group.style == "keras" else "oi"
    gates, width = (hidden.shape[0], hidden.shape[1])
    fan = into.shape[1]
    if layout == "io":
        gates, width, fan = hidden.shape[1], hidden.shape[0], into.shape[0]
    op = _GATES.get(gates // width) if width and gates % width == 0 else None
    if op is None:
        return _unread(group, "a recurrent layer with an unknown number of gates")
    reason = None
    if group.name.endswith("_reverse"):
        reason = "the reverse direction of a recurrent layer"
    elif "weight_hr" in parts:
        reason = "a recurrent layer with a projection of its state"
    elif layout == "io" and op == "gru":
        reason = "a Keras GRU: its gates are ordered otherwise"
    return Unit(group, op, fan, width, layout, attributes={"layout": layout}, reason=reason)


def paired(units: Sequence[Unit]) -> list[Unit]:
    """Return the modules, recurrent ones with the reverse direction that stands beside them."""
    found = {unit.name: unit for unit in units}
    return [_both(unit, found.get(f"{unit.name}_reverse")) for unit in units]


def _both(unit: Unit, back: Unit | None) -> Unit:
    alike = back is not None and (unit.op, unit.fan, unit.width) == (back.op, back.fan, back.width)
    if back is None or not alike or unit.op not in graph.RECURRENT or unit.reason is not None:
        return unit
    return replace(unit, width=2 * unit.width, back=back)


def _vector(group: Group, weight: Tensor) -> Unit:
    said = frozenset(words(" ".join(group.path[-2:]))) | frozenset(_joined(group.path[-1]))
    bias = group.parts.get("bias")
    if bias is not None and bias.shape == weight.shape and weight.shape:
        if re.fullmatch(r"in\d+", group.path[-1]):
            said |= _INSTANCE
        op, attributes = _norm_kind(said, weight.count)
        return Unit(group, op, weight.count, weight.count, attributes=attributes)
    if weight.shape and weight.count > 1 and said & _NORMED:
        attributes = {"eps": 1e-5}
        return Unit(group, "rms_norm", weight.count, weight.count, attributes=attributes)
    if said & _PRELU or (weight.count == 1 and group.path[-1].isdecimal()):
        return Unit(group, "parameter", reason="the learned slope of a PReLU", attributes={
            "prelu": True})  # fmt: skip
    return _unread(group, "a vector whose name names no layer")


def _joined(component: str) -> tuple[str, ...]:
    """Return the words of a component with neighbours joined too: ``LayerNorm_0``: layernorm."""
    found = words(component)
    return (*found, *(a + b for a, b in pairwise(found)))


def _norm_kind(said: frozenset[str], width: int) -> tuple[str, dict[str, Attribute]]:
    if said & _BATCH:
        return "batch_norm", {"eps": 1e-5}
    if said & _GROUP:
        groups = 32 if width % 32 == 0 else 1
        return "group_norm", {"eps": 1e-5, "groups": groups}
    if said & _INSTANCE:
        return "group_norm", {"eps": 1e-5, "groups": width}
    return "layer_norm", {"eps": 1e-5}


def _epsilon(group: Group) -> float:
    # keras.layers.BatchNormalization defaults to epsilon=1e-3, torch.nn.BatchNorm to 1e-5.
    stored = " ".join(tensor.name for tensor in group.parts.values())
    return 1e-3 if re.search(r"moving_|/vars/", stored) else 1e-5


def _matrix(group: Group, weight: Tensor, reason: str | None, note: str | None) -> Unit:
    shape = weight.shape
    if not all(shape):
        return _unread(group, "an empty tensor")
    if len(shape) > 5:
        return _unread(group, f"a weight of {len(shape)} dimensions")
    said = frozenset(words(group.name))
    bias = group.parts.get("bias")
    lora = _lora(group.name)
    if len(shape) == 3 and (said & {"expert", "experts"} or (bias and len(bias.shape) > 1)):
        return _unread(group, "a stack of matrices, one for each expert")
    if len(shape) > 2:
        unit = _convolution(group, shape, bias, reason, note)
    elif bias is None and lora is None and _is_table(group, weight, said):
        unit = Unit(group, "embedding", shape[0], shape[1], reason=reason)
    else:
        unit = _linear(group, shape, bias, reason, note)
    if lora is None:
        return unit
    pair = "LoRA pair: a branch beside its base layer"
    return replace(unit, attributes={**unit.attributes, "lora": lora}, reason=pair)


def _is_table(group: Group, weight: Tensor, said: frozenset[str]) -> bool:
    stored = weight.name.endswith(("embedding", "embeddings", "embeddings:0"))
    return group.style == "torch" and (stored or bool(said & _TABLES))


def _lora(name: str) -> str | None:
    found = re.search(r"lora[._](?:embedding_)?([aAbB]|down|up)(?:[./]|$)", name)
    return None if found is None else "A" if found[1] in {"a", "A", "down"} else "B"


def _linear(
    group: Group, shape: tuple[int, ...], bias: Tensor | None, reason: str | None, note: str | None
) -> Unit:
    layout: Layout = "oi" if group.style == "torch" else "io"
    decided = group.style != "numpy"
    if bias is not None and shape[0] != shape[1] and bias.count in shape:
        layout, decided = ("oi", True) if bias.count == shape[0] else ("io", True)
    elif bias is not None and bias.count not in shape:
        reason = reason or f"its bias has {bias.count} elements, its weight {shape}"
    return oriented(
        Unit(group, "linear", layout=layout, decided=decided, reason=reason, note=note), layout
    )


def oriented(unit: Unit, layout: Layout) -> Unit:
    """Return a linear layer read as (out, in) or as (in, out)."""
    first, second = unit.weight.shape
    fan, width = (second, first) if layout == "oi" else (first, second)
    return Unit(unit.group, "linear", fan, width, layout, unit.decided, {"layout": layout},
                unit.reason, unit.note)  # fmt: skip


def _convolution(
    group: Group, shape: tuple[int, ...], bias: Tensor | None, reason: str | None, note: str | None
) -> Unit:
    layout = _kernel_layout(group, shape, bias)
    first, second = (shape[0], shape[1]) if layout == "oi" else (shape[-1], shape[-2])
    unit = Unit(group, "conv", second, first, layout, reason=reason, note=note)
    named = bool(_TRANSPOSED.search(group.name))
    told = bias is not None and first != second and bias.count in {first, second}
    transposed = bias is not None and bias.count == second if told else named
    if transposed and layout == "io" and (told or "_transpose" in group.name):
        reason = reason or KERAS_TRANSPOSED
    return replace(convolved(unit, transposed=transposed, decided=named or told), reason=reason)


def _kernel_layout(group: Group, shape: tuple[int, ...], bias: Tensor | None) -> Layout:
    """Return where a kernel has its channels; hand-written ones may have them on either side."""
    if group.style != "numpy":
        return "oi" if group.style == "torch" else "io"
    if bias is not None and (bias.count == shape[0]) != (bias.count == shape[-1]):
        return "oi" if bias.count == shape[0] else "io"
    behind, ahead = set(shape[2:]), set(shape[:-2])
    return "oi" if len(behind) == 1 and max(behind) < min(shape[:2]) and len(ahead) > 1 else "io"


def convolved(unit: Unit, *, transposed: bool, decided: bool) -> Unit:
    """Return a convolution read as a transposed one or not.

    Stored shapes: torch (out, in/groups, *k) and transposed (in, out/groups, *k); Keras and Flax
    (*k, in/groups, out), for Flax' transposed ones too. Stride and padding are not stored: an
    even kernel is taken to have stride 2, since no padding keeps the number of places with it.
    """
    shape = unit.weight.shape
    kernel = shape[2:] if unit.layout == "oi" else shape[:-2]
    first, second = (shape[0], shape[1]) if unit.layout == "oi" else (shape[-1], shape[-2])
    fan, width = second, first
    op = "conv_transpose" if transposed else "conv"
    if transposed and unit.layout == "oi":
        fan, width = first, second
    halved = all(k % 2 == 0 for k in kernel)
    stride = 2 if halved else 1
    padding = tuple((k - 2) // 2 if halved else k // 2 for k in kernel)
    attributes: dict[str, Attribute] = {
        "layout": unit.layout, "groups": 1, "dims": len(kernel), "stride": stride,
        "padding": padding[0] if len(set(padding)) == 1 else padding, "dilation": 1,
    }  # fmt: skip
    return Unit(unit.group, op, fan, width, unit.layout, decided, attributes,
                unit.reason, unit.note)  # fmt: skip
