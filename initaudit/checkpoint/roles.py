"""Layers whose zeros or odd scale are meant to be: what the name and the place of a module tell.

The patterns are those of published recipes: zero-initialised heads, last layers of residual
branches (Goyal et al. 2017), LayerScale and ReZero gates, position tables, LoRA pairs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from initaudit.checkpoint.blocks import Blocks
from initaudit.checkpoint.order import natural
from initaudit.checkpoint.units import NORMS, WEIGHTED, Unit, words

_HEAD = frozenset({"head", "heads", "classifier", "logits", "logit", "out", "output", "outputs",
                   "readout", "predictions"})  # fmt: skip
_GATE = re.compile(
    r"gates?|alpha|gamma\d*|layer_?scale|ls\d*|modulation|adaln\w*|ada_?ln\w*|adapter|zero_conv\w*"
    r"|rezero|resweight|skip_?gain|film",
    re.IGNORECASE,
)
_TABLE = re.compile(
    r"(abs_|absolute_)?pos(ition(al)?)?(_?emb(ed(ding)?s?)?)?|wpe|(cls|class|dist|mask|reg)_?tokens?"
    r"|class_embedding|(token_type|segment|relative_position|time)_?(bias_table|bias|embed\w*)?"
    r"|(position|token_type|relative)\w*embed\w*|query_embed|latents?|register_tokens|prompt\w*",
    re.IGNORECASE,
)
_BRANCH_END = frozenset({"out_proj", "o_proj", "c_proj", "down_proj", "proj", "fc2", "w2", "wo",
                         "linear2", "to_out", "dense_4h_to_h"})  # fmt: skip


def is_table(unit: Unit) -> bool:
    """Return whether the name tells a table added to a signal, such as positions."""
    return any(_TABLE.fullmatch(part) for part in (unit.path[-1], *unit.path[-2:-1]))


def roles(units: Sequence[Unit], blocks: Blocks, heads: frozenset[str]) -> Mapping[str, str]:
    """Return the role of each module that has one; ``heads`` are the known ends of chains."""
    found: dict[str, str] = {}
    for unit in units:
        role = _role(unit, blocks)
        if role is not None:
            found[unit.name] = role
    for last in _last_of_branches(units, blocks):
        found.setdefault(last, "residual_last")
    if not heads:
        for end in _unread_by_others(units, blocks):
            found.setdefault(end, "head")
    return found | dict.fromkeys(heads, "head")


def _unread_by_others(units: Sequence[Unit], blocks: Blocks) -> list[str]:
    """Return the linear layers outside blocks whose width is no other module's input."""
    inputs = Counter(unit.fan for unit in units if unit.op in WEIGHTED)
    return [
        unit.name
        for unit in units
        if unit.op == "linear"
        and unit.reason is None
        and unit.name not in blocks.inside
        and not inputs[unit.width]
    ]


def _role(unit: Unit, blocks: Blocks) -> str | None:
    lora = unit.attributes.get("lora")
    if lora:
        return "lora_a" if lora == "A" else "lora_b"
    if any(_GATE.fullmatch(part) for part in unit.path):
        return "gate"
    if unit.op == "embedding" or is_table(unit):
        return "table"
    if unit.op not in WEIGHTED or blocks.of(unit) is not None:
        return None
    # The outer modules of a chain may be called `out` too: only the last word names a layer.
    return "head" if _HEAD & set(words(unit.path[-1])) else None


def _last_of_branches(units: Sequence[Unit], blocks: Blocks) -> list[str]:
    contents: dict[tuple[str, ...], list[Unit]] = {}
    found: list[str] = []
    for unit in units:
        around = blocks.of(unit)
        if around is None or "lora" in unit.attributes:
            continue
        if unit.path[-1] in _BRANCH_END or "zero_init" in unit.name:
            found.append(unit.name)
        if not {"downsample", "shortcut", "skip"} & {w for p in unit.path for w in words(p)}:
            contents.setdefault(around, []).append(unit)
    for inside in contents.values():
        for ops in (NORMS, WEIGHTED):
            numbered = [u for u in inside if u.op in ops and re.search(r"\d", u.path[-1])]
            if len(numbered) > 1:
                found.append(max(numbered, key=lambda unit: natural(unit.path)).name)
    return found
