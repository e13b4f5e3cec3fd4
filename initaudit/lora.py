"""Low-rank adapters (Hu et al. 2021): pairs of factors A and B whose product is added to a weight.

peft starts A at He uniform (a = sqrt 5) or N(0, 1 / r^2) and B at zero, for an embedding A at zero
and B at N(0, 1): the product is zero, and the factor that is zero has a gradient at once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from initaudit.network import Layer, Network, Tensor

_FACTOR = re.compile(r"lora([._])(embedding_)?(?:a|b|down|up)(?=$|[._/])", re.IGNORECASE)

_OF_BASE = ("pissa", "olora", "loftq", "corda", "eva", "lora_ga", "orthogonal", "mica")
"""Values of ``init_lora_weights`` under which neither factor starts at zero, or A is no draw."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The factors of one adapter; ``module`` is the module that it is added to."""

    module: str
    a: Layer
    b: Layer

    @property
    def rank(self) -> int | None:
        """The rank, where both factors have it."""
        a, b = _weight(self.a).shape, _weight(self.b).shape
        return a[0] if len(a) > 1 and len(b) > 1 and a[0] == b[1] else None

    @property
    def zero(self) -> int:
        """How many of the two factors hold nothing but zeros."""
        return sum(t.count > 0 and t.zeros == t.count for t in map(_weight, (self.a, self.b)))


def pairs(network: Network) -> tuple[Pair, ...]:
    """Return the adapters of a network that are stored with both factors, in order."""
    found: dict[str, dict[str, Layer]] = {}
    for layer in network.layers:
        role, weight = layer.attributes.get("role"), layer.param("weight")
        if role in {"lora_a", "lora_b"} and weight is not None and weight.tensor is not None:
            found.setdefault(_FACTOR.sub("lora*", layer.name), {})[str(role)] = layer
    return tuple(
        Pair(stem.partition("lora*")[0].rstrip("._/"), both["lora_a"], both["lora_b"])
        for stem, both in found.items()
        if len(both) == 2
    )


def told(network: Network, config: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return what is assumed of the adapters; ``config`` is that of ``adapter_config.json``."""
    found = pairs(network)
    if not found:
        return ()
    return (
        *_start(found, config),
        *_scaling(found, config or {}),
        *_contradicted(found, config or {}),
    )


def votes(network: Network, config: Mapping[str, Any] | None) -> Iterator[bool | None]:
    """Yield for each adapter whether it is fresh; None where nothing tells.

    The first step moves the factor that is zero.
    """
    known = _usual(config)
    for pair in pairs(network):
        yield True if pair.zero else False if known else None


def _usual(config: Mapping[str, Any] | None) -> bool:
    """Return whether a fresh adapter is said to have a factor of zero."""
    way = (config or {}).get("init_lora_weights")
    return way is True or (isinstance(way, str) and way.lower() == "gaussian")


def _start(found: Sequence[Pair], config: Mapping[str, Any] | None) -> Iterator[str]:
    still = [pair for pair in found if pair.zero == 1]
    moved = [pair for pair in found if not pair.zero]
    if still:
        of = "" if len(still) == len(found) else f" in {len(still)} of {len(found)} adapters"
        yield f"fresh LoRA: delta is zero{of}, one factor of each pair holds zeros"
    if moved:
        way = (config or {}).get("init_lora_weights")
        why = "trained, or drawn in a way that is not told"
        if way is False:
            why = "trained, or drawn at random (init_lora_weights is false)"
        elif isinstance(way, str) and way.lower().startswith(_OF_BASE):
            why = f"trained, or as {way} makes them"
        yield f"LoRA: neither factor is zero in {len(moved)} of {len(found)} adapters: {why}"


def _scaling(found: Sequence[Pair], config: Mapping[str, Any]) -> Iterator[str]:
    alpha, rank = config.get("lora_alpha"), found[0].rank
    ranks = {pair.rank for pair in found}
    plain = not config.get("alpha_pattern") and len(ranks) == 1
    if not plain or not rank or not isinstance(alpha, int | float):
        return
    rooted = config.get("use_rslora") is True
    scale = alpha / (math.sqrt(rank) if rooted else rank)
    by = "sqrt(r)" if rooted else "r"
    yield f"LoRA: {len(found)} adapters of rank {rank}, scaled by lora_alpha / {by} = {scale:.4g}"


def _contradicted(found: Sequence[Pair], config: Mapping[str, Any]) -> Iterator[str]:
    said = config.get("r")
    other = sorted({pair.rank for pair in found if pair.rank is not None} - {said})
    if isinstance(said, int) and other and not config.get("rank_pattern"):
        ranks = ", ".join(map(str, other))
        yield f"adapter_config.json says r = {said}, weights have {ranks}: the weights are believed"
    odd = [pair.module for pair in found if pair.rank is None]
    if odd:
        more = f" and {len(odd) - 1} more" if len(odd) > 1 else ""
        yield f"the factors of {odd[0]}{more} have different ranks: they do not multiply"
    targets = config.get("target_modules")
    if isinstance(targets, list):
        missing = [t for t in targets if isinstance(t, str) and not _named_any(found, t)]
        if missing:
            names = ", ".join(sorted(missing))
            yield f"adapter_config.json names target_modules {names}, of which none is stored"


def _named_any(found: Sequence[Pair], target: str) -> bool:
    return any(f".{pair.module}".endswith(f".{target}") for pair in found)


def _weight(layer: Layer) -> Tensor:
    weight = layer.param("weight")
    if weight is None or weight.tensor is None:
        raise ValueError(f"{layer.name} has no stored weight")
    return weight.tensor
