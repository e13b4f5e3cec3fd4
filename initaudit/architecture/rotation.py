"""How ``config.json`` has rotary positions scaled, as far as the replica follows it."""

from __future__ import annotations

from collections.abc import Mapping

from initaudit.network import Attribute

_NEEDED: Mapping[str, tuple[str, ...]] = {
    "linear": ("factor",),
    "llama3": ("factor", "low", "high", "original"),
}
"""The scalings that are computed, and the numbers that each needs."""

_ALL = ("scaling", "factor", "low", "high", "original")


def scaled(attributes: Mapping[str, Attribute]) -> tuple[dict[str, Attribute], str | None]:
    """Return a rotation's attributes without a scaling that is left out, and what to say of it."""
    kind = attributes.get("scaling")
    plain = {name: value for name, value in attributes.items() if name not in _ALL}
    if kind is None or kind == "default":
        return plain, None
    needed = _NEEDED.get(str(kind))
    if needed is not None and all(_positive(attributes.get(name)) for name in needed):
        return {**plain, "scaling": kind, **{n: attributes[n] for n in needed}}, None
    return plain, (
        f"config.json scales rotary positions by {kind}, which is left out: attention is measured "
        "with positions as they are"
    )


def _positive(value: Attribute) -> bool:
    return isinstance(value, int | float) and value > 0
