"""The network that stored names and shapes tell, where they tell one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set

from initaudit.checkpoint import blocks as skips
from initaudit.checkpoint import norms, order, orientation, roles, spatial, trunk
from initaudit.checkpoint.groups import Group, grouped
from initaudit.checkpoint.layers import Activation, Chain, apart, connected
from initaudit.checkpoint.positional import number
from initaudit.checkpoint.stored import FLOATS, Config
from initaudit.checkpoint.units import NORMS, WEIGHTED, Unit, paired, read
from initaudit.network import (
    UNKNOWN_ACTIVATION,
    Assumption,
    Network,
    Origin,
    Site,
    Tensor,
    Topology,
)

_OPTIMISER = re.compile(
    r"(^|[./_])(optimi[sz]er\w*|optim|opt_state|exp_avg(_sq)?|momentum(_buffer)?|adam\w*"
    r"|ema|ema_model|model_ema)([./_:]|$)",
    re.IGNORECASE,
)
_BUFFER = re.compile(r"(^|[./])(position_ids|inv_freq|attn_mask|mask|causal_mask|attn\.bias"
                     r"|masked_bias|rotary_emb\.\w+|relative_position_index)$")  # fmt: skip


def build(
    tensors: Sequence[Tensor],
    *,
    name: str,
    path: str,
    config: Config | None = None,
    aliases: Mapping[str, str] | None = None,
    input_shape: tuple[int, ...] | None = None,
    activation: str | None = None,
) -> Network:
    """Return the network of a checkpoint as far as names and shapes tell it.

    Modules whose widths meet in one order become a chain with an activation behind each; all
    others are listed in `Network.apart` with the reason. ``aliases`` maps a tied name to the name
    it is stored under; ``input_shape`` has no batch axis. Every guess is an assumption.
    """
    weights, foreign = sorted_out(tensors)
    groups = _tied(grouped(weights), weights, aliases or {})
    lone, guessed = orientation.resolved([read(group) for group in groups])
    units = paired(lone)
    blocks = skips.find(units)
    reasons = {**blocks.inside, **{u.name: u.reason for u in units if u.reason is not None}}
    found = _chain(units, reasons, blocks)
    acts = _activation(units, config, activation)
    shape = input_shape or (config.input_shape if config is not None else None)
    chain: Chain | None = None
    if found is not None:
        reasons |= {unit.name: reason for unit, reason in found.beside}
        free = [u for u in units if u.op in NORMS and u.name not in reasons]
        placed = norms.place(found.units, free)
        plan = spatial.plan(found.units, shape)
        reasons |= {unit.name: reason for unit, reason in placed.left}
        why_not = plan.reason
        if placed.left:
            why_not = f"the norm {placed.left[0][0].name}, whose place is not known, may be between"
        if why_not is None:
            chain = Chain(found.units, placed, plan, acts, _slopes(units))
        else:
            for unit in units:
                reasons.setdefault(unit.name, why_not)
    ends = frozenset({chain.units[-1].name}) if chain is not None else frozenset()
    given = roles.roles(units, blocks, ends | found.ends if found is not None else ends)
    taken = {unit.name for unit in units}
    run, used, notes = ((), frozenset(), ()) if chain is None else connected(chain, given, taken)
    rest = [unit for unit in units if unit.name not in used]
    why = [(u.name, reasons.get(u.name) or "what feeds it is not known") for u in rest]
    said = [*_told(found, chain), *guessed, *(note for u in units if (note := u.note)), *notes]
    return Network(
        name=name,
        layers=(*run, *(apart(unit, given) for unit in rest)),
        origin=Origin.MEASURED,
        topology=_source(found),
        site=Site(path),
        assumptions=tuple(Assumption(text) for text in dict.fromkeys(said)),
        apart=(*why, *foreign),
    )


def _source(found: trunk.Trunk | None) -> Topology:
    return "shapes" if found is not None and found.by == "widths" else "names"


def sorted_out(
    tensors: Sequence[Tensor],
) -> tuple[list[Tensor], list[tuple[str, str]]]:
    """Split off what is no weight; of that, matrices are worth a reason: (name, reason)."""
    kept: list[Tensor] = []
    foreign: list[tuple[str, str]] = []
    for tensor in tensors:
        reason = None
        if _OPTIMISER.search(tensor.name):
            reason = "state of an optimiser or an average of other weights"
        elif _BUFFER.search(tensor.name):
            reason = "a buffer, not a weight"
        elif tensor.dtype not in FLOATS and not tensor.name.endswith("num_batches_tracked"):
            codes = re.search(r"(^|[./])(q?weight|qzeros|kernel)$", tensor.name)
            reason = None if codes else f"holds {tensor.dtype}, not weights"
        if reason is None:
            kept.append(tensor)
        elif len(tensor.shape) > 1:
            foreign.append((tensor.name, reason))
    return kept, foreign


def _tied(
    groups: tuple[Group, ...], tensors: Sequence[Tensor], aliases: Mapping[str, str]
) -> list[Group]:
    """Add a tied head, or a tied weight beside a stored bias; other aliases are counted once."""
    found = {group.name: group for group in groups}
    stored = {tensor.name: tensor for tensor in tensors}
    for alias, kept in sorted(aliases.items()):
        if kept not in stored or not alias.endswith((".weight", "/kernel")):
            continue
        module = re.split(r"[./][^./]*$", alias)[0]
        group = found.pop(module + ".bias", None) or found.get(module)
        parts = {"weight": stored[kept]}
        if group is not None and "weight" not in group.parts:
            bias = group.parts.get("bias") or group.parts.get("value")
            if bias is not None:
                parts["bias"] = bias
        elif group is not None or order.natural((module,))[0][0] != _HEAD_RANK:
            continue
        found[module] = Group(module, parts, "torch", len(found))
    return list(found.values())


_HEAD_RANK = order.natural(("head",))[0][0]


def _chain(
    units: Sequence[Unit], reasons: dict[str, str], blocks: skips.Blocks
) -> trunk.Trunk | None:
    """Return the chain, or None after telling each module why there is none."""
    usable = [
        unit
        for unit in units
        if unit.op in WEIGHTED and unit.name not in reasons and not roles.is_table(unit)
    ]
    for unit in units:
        if roles.is_table(unit):
            reasons[unit.name] = "a table that is added to a signal"
    widths = {width for unit in usable for width in (unit.fan, unit.width)}
    backs = {unit.back.name for unit in usable if unit.back is not None}
    broken = next((u.name for u in units if u.name not in backs and _breaks(u, widths)), None)
    why = None
    found = None
    if any(unit.op in WEIGHTED and unit.name in blocks.inside for unit in units):
        why = skips.BESIDE
    elif broken is not None:
        why = f"{broken}, which may stand between the others, could not be read"
    elif usable:
        found = trunk.find(usable)
        why = None if found else "no single order of the layers is told by their names and widths"
    if why is not None:
        for unit in units:
            reasons.setdefault(unit.name, why)
    return found


def _breaks(unit: Unit, widths: Set[int]) -> bool:
    """Return whether a module that could not be read may stand inside a chain.

    A matrix whose name tells no layer may if it meets widths of the chain on both sides.
    """
    if unit.reason is None or "lora" in unit.attributes or roles.is_table(unit):
        return False
    if "value" in unit.group.parts:
        shape = unit.group.parts["value"].shape
        return len(shape) > 1 and {shape[0], shape[-1]} <= widths
    return any(len(tensor.shape) > 1 for tensor in unit.group.parts.values())


def _slopes(units: Sequence[Unit]) -> dict[tuple[str, ...], list[tuple[int, float]]]:
    """Return the number and mean slope of each PReLU in a numbered container, in order."""
    found: dict[tuple[str, ...], list[tuple[int, float]]] = {}
    for unit in units:
        place, mean = number(unit.path[-1]), unit.weight.mean
        if unit.attributes.get("prelu") and place is not None and mean is not None:
            found.setdefault(unit.path[:-1], []).append((place, mean))
    for known in found.values():
        known.sort()
    return found


def _activation(units: Sequence[Unit], config: Config | None, given: str | None) -> Activation:
    if given is not None:
        return Activation(given, f"activation {given}, as given")
    if config is not None and config.activation is not None:
        file = config.path.replace("\\", "/").rpartition("/")[2]
        return Activation(config.activation, f"activation {config.activation}, from {file}")
    note = "an activation follows every layer but the last; which one is not stored"
    if config is not None and config.activation_raw is not None:
        note += f" ({config.activation_raw!r} of the configuration is not known)"
    if any(unit.attributes.get("prelu") for unit in units):
        note += "; at least one is a PReLU, whose slope is learned"
    return Activation(UNKNOWN_ACTIVATION, note)


def _told(found: trunk.Trunk | None, chain: Chain | None) -> list[str]:
    if found is None or chain is None:
        return []
    names = [unit.name for unit in found.units]
    if len(names) == 1:
        return []
    listed = " -> ".join(names if len(names) <= 6 else [*names[:3], "...", *names[-2:]])
    by = {
        "names": "the order of their names, in which their widths meet",
        "widths": "the only order in which their widths meet",
        "file": "the order of the file, in which their widths meet",
    }[found.by]
    return [f"the layers run one after another, {listed}: {by}; no skip connection is assumed"]
