"""The naming conventions of frameworks: stored names -> the tensors of one module.

Conventions follow the documentation of the frameworks: PyTorch (``fc1.weight``), Keras
(``dense/kernel:0``, ``vars/0``), Flax (``params/Dense_0/kernel`` beside ``batch_stats``), Haiku
(``linear/w``), MXNet (``fc1_weight``) and hand-written NumPy networks (``W1``, ``b1``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from initaudit.checkpoint import positional
from initaudit.checkpoint.positional import number
from initaudit.network import Tensor

Style = Literal["torch", "keras", "numpy"]

ROLES: Mapping[str, str] = {
    "weight": "weight", "bias": "bias", "running_mean": "running_mean",
    "running_var": "running_var", "num_batches_tracked": "num_batches_tracked",
    "weight_g": "weight_g", "weight_v": "weight_v", "weight_orig": "weight_orig",
    "weight_mask": "weight_mask", "weight_u": "weight_u",
    "gamma": "weight", "beta": "bias", "scale": "weight", "offset": "bias",
    "moving_mean": "running_mean", "moving_variance": "running_var", "moving_var": "running_var",
    "embeddings": "weight", "embedding": "weight",
    "weight_ih": "weight_ih", "weight_hh": "weight_hh", "bias_ih": "bias_ih", "bias_hh": "bias_hh",
    "qweight": "packed", "qzeros": "packed", "scales": "packed", "g_idx": "packed",
    "weight_scale": "packed", "weight_scale_inv": "packed", "weight_packed": "packed",
    "absmax": "packed", "quant_map": "packed", "SCB": "packed", "weight_zero_point": "packed",
}  # fmt: skip
_KERAS: Mapping[str, str] = {
    "kernel": "weight", "recurrent_kernel": "weight_hh",
    "depthwise_kernel": "depthwise", "pointwise_kernel": "pointwise",
}  # fmt: skip
_NUMPY: Mapping[str, str] = {
    "w": "weight",
    "W": "weight",
    "b": "bias",
    "B": "bias",
    "weights": "weight",
    "biases": "bias",
}

_TABLES: tuple[tuple[Mapping[str, str], Style], ...] = (
    (ROLES, "torch"),
    (_KERAS, "keras"),
    (_NUMPY, "numpy"),
)

_NUMBERED = re.compile(r"(W|w|[Ww]eights?|kernel|[Tt]heta|b|B|[Bb]ias(?:es)?)_?(\d+)")
_LISTED = frozenset({"weights", "biases", "coefs_", "intercepts_", "Ws", "bs", "W", "b"})
_LETTERED = re.compile(r"(W|w|b|B)_([A-Za-z]\w*)")
_SUFFIXED = re.compile(
    r"(.+)_(weights?|bias(?:es)?|kernel|[WwbB]|gamma|beta"
    r"|running_mean|running_var|moving_mean|moving_variance|moving_var)"
)
_RECURRENT = re.compile(r"(weight|bias)_(ih|hh|hr)_l(\d+)(_reverse)?")
_PARAMETRIZED = re.compile(r"(.*?)[./]?parametrizations[./](\w+)[./](original\d?)")
_LORA = re.compile(
    r"(.*(?:^|[./_])lora(?:[._](?:embedding_)?(?:[aAbB]|down|up))(?:[./](?!weight)\w+)?)"
    r"(?:[./]weight)?"
)
# jax.tree_util.keystr writes the path of a leaf as it is written in Python: ``['a'][0].weight``.
_BRACKETS = re.compile(r"\[['\"]?([^\]'\"]*)['\"]?\]")
_COLLECTIONS = frozenset({"params", "batch_stats"})


@dataclass(frozen=True, slots=True)
class Group:
    """The tensors of one module.

    ``name`` is the module's path as the checkpoint spells it; ``parts`` maps a role (``weight``,
    ``bias``, ``running_mean``, ..., or ``value`` where the name tells none) to its tensor;
    ``place`` is the position of its first tensor in the file.
    """

    name: str
    parts: Mapping[str, Tensor]
    style: Style
    place: int

    @property
    def path(self) -> tuple[str, ...]:
        """The components of the name; Keras' ``block1_conv2`` counts as two."""
        return components(self.name)


@dataclass(frozen=True, slots=True)
class _Leaf:
    """Where one stored name belongs: ``key`` is equal for the tensors of one module."""

    key: str
    name: str
    role: str
    style: Style


@lru_cache(maxsize=1 << 16)
def components(name: str) -> tuple[str, ...]:
    """Return the path of a module: ``layers.0.fc`` is (layers, 0, fc)."""
    parts: list[str] = []
    for part in re.split(r"[./]", name):
        nested = re.fullmatch(r"(.*block_?\d+)_(.+)", part)
        parts.extend(nested.groups() if nested else (part,))
    return tuple(parts)


def out_axis(name: str, shape: tuple[int, ...]) -> int:
    """Return the axis of output units of one stored tensor, as far as it tells by itself.

    That is 0 for torch and the last axis for Keras and Flax kernels, ``W1`` and their like;
    0 where there are fewer than two axes. `topology.out_axes` also asks the other tensors, which
    may tell otherwise: a bias beside ``W1``, the widths around it, a transposed convolution.
    """
    return len(shape) - 1 if len(shape) > 1 and _leaf(name).style != "torch" else 0


def grouped(tensors: Iterable[Tensor]) -> tuple[Group, ...]:
    """Return the modules that the names spell, in the order of the file.

    A name that follows no convention is a module of its own with the role ``value``.
    """
    found: dict[str, list[tuple[_Leaf, Tensor]]] = {}
    places: dict[str, int] = {}
    read = [(_leaf(tensor.name), tensor) for tensor in tensors]
    told = positional.modules((leaf.name, t) for leaf, t in read if leaf.role == "value")
    for place, (leaf, tensor) in enumerate(read):
        if tensor.name in told:
            module, role = told[tensor.name]
            leaf = _Leaf(module, module, role, "numpy")
        found.setdefault(leaf.key, []).append((leaf, tensor))
        places.setdefault(leaf.key, place)
    groups: list[Group] = []
    for key, members in found.items():
        members.sort(key=lambda member: not member[1].name.endswith(member[0].role))
        groups.extend(_assembled(members, places[key]))
    names = {group.name for group in groups}
    return _distinct([_single(group, names) for group in groups])


def _distinct(groups: list[Group]) -> tuple[Group, ...]:
    """Let a module give way to an earlier one of the same name."""
    taken: set[str] = set()
    for i, group in enumerate(groups):
        name = group.name
        while name in taken:
            name += "_"
        taken.add(name)
        groups[i] = replace(group, name=name)
    return tuple(groups)


def _single(group: Group, names: set[str]) -> Group:
    """Give a recurrent module of one layer in one direction its own name: ``lstm``, not ``l0``."""
    base, _, number = group.name.rpartition(".")
    alone = not names & {f"{base}.l1", f"{base}.l0_reverse"}
    if base and number == "l0" and "weight_ih" in group.parts and alone:
        return replace(group, name=base)
    return group


def _assembled(members: list[tuple[_Leaf, Tensor]], place: int) -> list[Group]:
    parts: dict[str, Tensor] = {}
    loose: list[Group] = []
    for leaf, tensor in members:
        if leaf.role == "value" or leaf.role in parts:
            loose.append(Group(tensor.name, {"value": tensor}, leaf.style, place))
        else:
            parts[leaf.role] = tensor
    if not parts:
        return loose
    if not parts.keys() - {"bias", "mean", "var"}:
        loose += [
            Group(tensor.name, {"value": tensor}, leaf.style, place) for leaf, tensor in members
        ]
        return loose
    leaves = [leaf for leaf, _ in members]
    lead = next((x for x in leaves if x.role not in {"bias", "mean", "var"}), leaves[0])
    style: Style = next((x.style for x in leaves if x.style != "torch"), "torch")
    return [Group(lead.name, _settled(parts), style, place), *loose]


def _settled(parts: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name the parts that only their neighbours tell: Keras' ``vars/N`` and Flax' ``mean``."""
    settled = dict(parts)
    for flax, role in (("mean", "running_mean"), ("var", "running_var")):
        if flax in settled:
            settled[role] = settled.pop(flax)
    numbered = sorted(
        (place, role)
        for role in settled
        if role.startswith("var") and (place := number(role[3:])) is not None
    )
    if numbered:
        values = [settled.pop(role) for _, role in numbered]
        settled.update(zip(_var_roles(values), values, strict=False))
    if "weight_hh" in settled and "weight_ih" not in settled and "weight" in settled:
        settled["weight_ih"] = settled.pop("weight")
        if "bias" in settled:
            settled["bias_ih"] = settled.pop("bias")
    return settled


def _var_roles(values: list[Tensor]) -> tuple[str, ...]:
    if len(values) == 4 and all(len(value.shape) == 1 for value in values):
        return ("weight", "bias", "running_mean", "running_var")
    if len(values) >= 2 and len(values[0].shape) == 2 and len(values[1].shape) == 2:
        return ("weight", "weight_hh", "bias")
    return ("weight", "bias")


def _leaf(stored: str) -> _Leaf:
    name = _BRACKETS.sub(r"/\1", re.sub(r":\d+$", "", stored)).lstrip("/.") or stored
    cut = max(name.rfind("."), name.rfind("/"))
    module, leaf = name[: max(cut, 0)], name[cut + 1 :]
    special = _special(name, module, leaf)
    if special is not None:
        return special
    for table, style in _TABLES:
        if leaf in table:
            found = _placed(module, table[leaf], style)
            return found if module else replace(found, name=leaf)
    if leaf in {"mean", "var"} and re.split(r"[./]", name)[0] == "batch_stats":
        return _placed(module, leaf, "torch")
    return _underscored(name, module, leaf)


def _special(name: str, module: str, leaf: str) -> _Leaf | None:
    """Names whose role takes more than the last component."""
    lora = _LORA.fullmatch(name)
    if lora:
        return _Leaf(lora[1], lora[1], "weight", "torch")
    made = _PARAMETRIZED.fullmatch(name)
    if made:
        role = {"original0": "weight_g", "original1": "weight_v"}.get(made[3], "weight_orig")
        return _Leaf(made[1], made[1], role if made[2] == "weight" else "value", "torch")
    recurrent = _RECURRENT.fullmatch(leaf)
    if recurrent:
        kind, side, level, reverse = recurrent.groups()
        unit = f"{module}.l{level}{reverse or ''}".lstrip(".")
        return _Leaf(unit, unit, f"{kind}_{side}", "torch")
    *above, last = re.split(r"[./]", module)
    if last == "vars" and number(leaf) is not None:
        return _placed(module[: -len("vars") - 1], f"var{leaf}", "keras")
    if last in _LISTED and number(leaf) is not None:
        role = "bias" if last in {"biases", "intercepts_", "bs", "b"} else "weight"
        return _Leaf("/".join([*above, "#", leaf]), name, role, "numpy")
    return None


def _underscored(name: str, module: str, leaf: str) -> _Leaf:
    """Names that join the layer and the role in one word: ``W1``, ``W_out``, ``fc1_weight``."""
    numbered = _NUMBERED.fullmatch(leaf) or _LETTERED.fullmatch(leaf)
    if numbered:
        role = "bias" if numbered[1][0] in "bB" else "weight"
        return _Leaf(f"{module}/#/{numbered[2]}", name, role, "numpy")
    suffixed = _SUFFIXED.fullmatch(leaf)
    if suffixed and not re.search(r"position|correction|attention_bias", leaf):
        word = suffixed[2]
        base = name[: len(name) - len(word) - 1]
        plural = "bias" if word.startswith("b") else "weight"
        role = {**ROLES, **_NUMPY, **_KERAS}.get(word, plural)
        style: Style = "keras" if word in _KERAS else "numpy" if word in _NUMPY else "torch"
        return _Leaf(base, base, role, style)
    return _Leaf(name, name, "value", "torch")


def _placed(module: str, role: str, style: Style) -> _Leaf:
    parts = re.split(r"[./]", module)
    key = module[len(parts[0]) + 1 :] if parts[0] in _COLLECTIONS else module
    return _Leaf(key or module, module, role, style)
