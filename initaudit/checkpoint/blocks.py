"""Where names say that a plain chain would be wrong: skip connections, attention, branches."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from functools import lru_cache

from initaudit.checkpoint.order import natural
from initaudit.checkpoint.units import WEIGHTED, Unit, words

REPEATED = "inside a repeated block whose skip connection names do not show"
BESIDE = "beside blocks whose connections names do not show"

_WORDS: Mapping[str, str] = {
    **dict.fromkeys(
        ("downsample", "shortcut", "skip", "residual", "res", "resblock", "resnet", "resnetblock",
         "bottleneck", "mixer", "mixing", "mix"),
        "part of a residual block, whose skip connection names do not show",
    ),
    **dict.fromkeys(
        ("attn", "attention", "mha", "mhsa", "qkv", "transformer"),
        "part of an attention block, whose connections names do not show",
    ),
    **dict.fromkeys(
        ("gate", "glu", "highway", "se", "squeeze", "excite", "excitation", "adaln", "film",
         "modulation", "expert", "experts", "moe"),
        "part of a gated block, whose connections names do not show",
    ),
    **dict.fromkeys(
        ("branch", "inception", "denseblock", "denselayer"),
        "part of parallel branches, whose connections names do not show",
    ),
}  # fmt: skip
_PROJECTION = re.compile(r"(to_)?[qkv](_proj|_lin)?|w[qkvo]|to_out|gate_proj|c_attn")
_TRIPLE = frozenset({"query", "key", "value", "q", "k", "v"})


@dataclass(frozen=True, slots=True)
class Blocks:
    """``inside`` maps a module to the reason it takes no part; ``keys`` are blocks' paths.

    A path is compared with its digits left out, so that all blocks of a stack share one.
    """

    inside: Mapping[str, str]
    keys: frozenset[tuple[str, ...]]

    def of(self, unit: Unit) -> tuple[str, ...] | None:
        """Return the path of the innermost block around a module, if it is in one."""
        masked = _key(unit.path)
        for length in range(len(masked) - 1, 0, -1):
            if masked[:length] in self.keys:
                return unit.path[:length]
        return None


def find(units: Iterable[Unit]) -> Blocks:
    """Return the modules inside blocks that must not be strung into a chain.

    A block is a container that names say is residual, gated or attention, or one of two or more
    siblings with the same children, two or more weights and equal widths at both ends.
    """
    weighted = [unit for unit in units if unit.op in WEIGHTED and "lora" not in unit.attributes]
    keys: dict[tuple[str, ...], str] = {}
    inside: dict[str, str] = {}
    for key in _repeated(weighted):
        keys[key] = REPEATED
    beside: dict[tuple[str, ...], set[str]] = {}
    for unit in weighted:
        beside.setdefault(unit.path[:-1], set()).add(unit.path[-1].lower())
    for unit in weighted:
        said = _said(unit, beside[unit.path[:-1]])
        if said is not None:
            depth, reason = said
            inside[unit.name] = reason
            if depth:
                keys.setdefault(_key(unit.path[:depth]), reason)
    blocks = Blocks({}, frozenset(keys))
    for unit in units:
        around = blocks.of(unit)
        if around is not None:
            inside.setdefault(unit.name, keys[_key(around)])
    return Blocks(inside, frozenset(keys))


def _key(path: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(_masked, path))


@lru_cache(maxsize=1 << 16)
def _masked(component: str) -> str:
    return re.sub(r"\d+", "#", component)


def _said(unit: Unit, beside: Set[str]) -> tuple[int, str] | None:
    """Return how deep the block lies in which a telling name stands, and what it tells.

    ``beside`` are the names of the modules in the same container, in lower case.
    """
    for depth, component in enumerate(unit.path):
        for word in words(component):
            if word in _WORDS:
                return depth, _WORDS[word]
    attention = _WORDS["attn"]
    depth = len(unit.path) - 1
    if unit.weight.name.endswith("in_proj_weight"):
        return depth, attention
    last = unit.path[-1].lower()
    if last in _TRIPLE:
        return (depth, attention) if len(beside & _TRIPLE) > 1 else None
    projection = (i for i, x in enumerate(unit.path) if _PROJECTION.fullmatch(x.lower()))
    found = next(projection, None)
    return None if found is None else (found, attention)


def _repeated(weighted: list[Unit]) -> set[tuple[str, ...]]:
    containers: dict[tuple[str, ...], list[Unit]] = {}
    for unit in weighted:
        for length in range(1, len(unit.path)):
            containers.setdefault(unit.path[:length], []).append(unit)
    alike: dict[tuple[tuple[str, ...], tuple[tuple[str, ...], ...]], int] = {}
    for path, members in containers.items():
        if len(members) < 2:
            continue
        ordered = sorted(members, key=lambda unit: natural(unit.path))
        if _into(ordered[0]) != ordered[-1].width:
            continue
        children = tuple(unit.path[len(path) :] for unit in ordered)
        alike[_key(path), children] = alike.get((_key(path), children), 0) + 1
    return {key for (key, _), count in alike.items() if count >= 2}


def _into(unit: Unit) -> int:
    """Return the input features of a module; a kernel of one channel may be depthwise."""
    return unit.width if unit.op == "conv" and unit.fan == 1 else unit.fan
