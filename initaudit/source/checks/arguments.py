"""Calls whose arguments do not mean what was meant."""

from __future__ import annotations

from collections.abc import Iterator

from initaudit.claims import Hit, Limits, check
from initaudit.source.draws import Draw
from initaudit.source.file import File
from initaudit.source.fold import point

_NORMS = ("norm", "bn", "ln", "gamma", "scale", "gain")


@check("IA401", "draw")
def std_passed_as_mean(subject: File, limits: Limits) -> Iterator[Hit]:
    """A lone number where the mean stands first: the standard deviation stays at its default."""
    for draw in subject.draws:
        mean = point(draw.bound.get("mean"))
        if draw.callee.first_number != "mean" or "std" in _given(draw) or not mean:
            continue
        if mean <= 0 or not _positional(draw) or _is_norm_gain(draw, mean):
            continue
        yield Hit(
            subject.site(draw.node),
            {"mean": mean, "std": point(draw.weights.scale) or 0.0, "callee": draw.callee.name},
            fix="name-the-std",
        )


def _given(draw: Draw) -> set[str]:
    """Return the roles of the numbers that the call gives."""
    roles = {parameter: role for role, parameter in draw.callee.numbers.items()}
    return {roles[name] for name in draw.bound if name in roles}


def _positional(draw: Draw) -> bool:
    return not any(k.arg == draw.callee.numbers.get("mean") for k in draw.node.keywords)


def _is_norm_gain(draw: Draw, mean: float) -> bool:
    return mean == 1.0 and any(word in part.lower() for part in draw.path for word in _NORMS)
