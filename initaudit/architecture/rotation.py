"""How ``config.json`` has rotary positions scaled, as far as the replica follows it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from initaudit.network import Attribute

Told = dict[str, Attribute]


@dataclass(frozen=True, slots=True)
class _Said:
    """What the file says: of the scaling itself, of the whole, and of the turned width if known."""

    scaling: Mapping[str, Any]
    config: Mapping[str, Any]
    pairs: int | None

    def number(self, *names: str) -> float | None:
        """Return the first of the scaling's numbers that is there and above zero."""
        return next((n for n in map(self.scaling.get, names) if _positive(n)), None)

    def divisors(self, name: str) -> tuple[float, ...] | None:
        """Return a list of one number above zero for each pair."""
        listed = self.scaling.get(name)
        if not isinstance(listed, list) or not all(map(_positive, listed)):
            return None
        return tuple(listed) if self.pairs in (None, len(listed)) else None

    @property
    def longest(self) -> float | None:
        """The number of positions that the model is for."""
        value = self.config.get("max_position_embeddings")
        return value if _positive(value) else None

    @property
    def original(self) -> float | None:
        """The number of positions that it was first trained on."""
        key = "original_max_position_embeddings"
        value = self.config.get(key) or self.scaling.get(key)
        return value if _positive(value) else self.longest

    @property
    def factor(self) -> float | None:
        """How much longer sequences became."""
        if self.scaling.get("factor") is not None:
            return self.number("factor")
        longest, original = self.longest, self.original
        return longest / original if longest and original else None


def scaled(
    attributes: Mapping[str, Attribute], config: Mapping[str, Any], width: int | None
) -> tuple[Told, str | None]:
    """Return a rotation's attributes with the scaling of ``config``, and what to say of it.

    ``width`` is the number of features of all heads, None where it is not known. A scaling that
    the attributes name themselves is left as it is.
    """
    plain = dict(attributes)
    given = config.get("rope_scaling") or config.get("rope_parameters")
    if "scaling" in plain or not isinstance(given, Mapping):
        return plain, None
    kind = _kind(given)
    if kind == "default":
        return plain, None
    said = _Said(given, config, _pairs(plain, width))
    found = _KINDS[kind](said, plain) if kind in _KINDS else None
    if found is None or None in found.values():
        return plain, (
            f"config.json scales rotary positions by {kind}, which is left out: attention is "
            "measured with positions as they are"
        )
    return {**plain, "scaling": kind, **found}, _told(kind, found)


def _kind(given: Mapping[str, Any]) -> str:
    """Return the word for a scaling; older files have others for what became ``longrope``."""
    if any(isinstance(value, Mapping) for value in given.values()):
        return "kinds of layer"
    kind = str(given.get("rope_type") or given.get("type") or "default")
    older = kind == "su" or (kind == "yarn" and "short_factor" in given)
    return "longrope" if older else kind


def _pairs(plain: Told, width: int | None) -> int | None:
    """Return how many pairs of a head's features are turned."""
    dims, heads = plain.get("dims"), plain.get("heads", 1)
    if dims is None and width is not None and isinstance(heads, int) and heads > 0:
        dims = width // heads
    return dims // 2 if isinstance(dims, int) else None


def _linear(said: _Said, plain: Told) -> Told | None:
    return {"factor": said.number("factor")}


def _dynamic(said: _Said, plain: Told) -> Told | None:
    return {"factor": said.number("factor"), "original": said.longest}


def _llama3(said: _Said, plain: Told) -> Told | None:
    low, high = said.number("low_freq_factor"), said.number("high_freq_factor")
    return {"factor": said.number("factor"), "low": low, "high": high, "original": said.original}


def _yarn(said: _Said, plain: Told) -> Told | None:
    """Peng et al. 2023: bands by turns, 32 and 1 where none are told; cosine and sine grow."""
    factor, base = said.factor, plain.get("base", 10000.0)
    if factor is None or not isinstance(base, int | float) or base <= 1:
        return None
    one, other = said.number("mscale"), said.number("mscale_all_dim")
    grown = _grown(factor, one) / _grown(factor, other) if one and other else _grown(factor)
    return {
        "factor": factor,
        "original": said.original,
        "low": said.number("beta_slow") or 1.0,
        "high": said.number("beta_fast") or 32.0,
        "magnitude": said.number("attention_factor") or grown,
        "whole": said.scaling.get("truncate") is not False,
    }


def _grown(factor: float, share: float = 1.0) -> float:
    """Return by how much longer sequences make cosine and sine larger (equation 22)."""
    return 0.1 * share * math.log(factor) + 1.0 if factor > 1 else 1.0


def _longrope(said: _Said, plain: Told) -> Told | None:
    """Ding et al. 2024: a divisor for each pair; cosine and sine grow as the length does."""
    factor, original = said.factor, said.original
    if factor is None or original is None or original <= 1:
        return None
    grown = math.sqrt(1 + math.log(factor) / math.log(original)) if factor > 1 else 1.0
    return {
        "original": original,
        "short": said.divisors("short_factor"),
        "long": said.divisors("long_factor"),
        "magnitude": said.number("attention_factor") or grown,
    }


_KINDS: Mapping[str, Callable[[_Said, Told], Told | None]] = {
    "linear": _linear,
    "dynamic": _dynamic,
    "llama3": _llama3,
    "yarn": _yarn,
    "longrope": _longrope,
}
"""The scalings that are computed, and the attributes of each; None where a number is missing."""


def _told(kind: str, found: Told) -> str | None:
    """Return what to say of a scaling that depends on the length of a sequence."""
    does = {
        "dynamic": "which leaves sequences of up to {:,} positions alone",
        "longrope": "sequences of up to {:,} positions by short_factor",
    }.get(kind)
    if does is None:
        return None
    return f"config.json scales rotary positions by {kind}, {does.format(found['original'])}"


def _positive(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 < value < math.inf
