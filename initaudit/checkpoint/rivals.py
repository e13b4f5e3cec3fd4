"""Sibling modules that stand beside each other, never one behind the other."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence

from initaudit.checkpoint.units import Unit, words

_ALTERNATIVES: tuple[frozenset[str], ...] = tuple(
    frozenset(group.split())
    for group in (
        "left right",
        "actor critic policy value pi vf qf advantage",
        "online target policy behaviour behavior",
        "student teacher",
        "generator discriminator critic",
        "image img visual vision text txt language audio speech video",
        "user item",
        "anchor positive negative",
        "rgb depth flow",
        "main aux auxiliary",
        "mu mean loc logvar var logsigma sigma std logstd scale",
        "global local",
        "slow fast",
        "alpha beta rgba density color colour",
    )
)
_HALVES = frozenset({"encoder", "decoder", "enc", "dec", "encode", "decode"})
_PLURAL = frozenset({"heads", "towers", "branches", "streams", "experts", "critics", "actors",
                     "members", "ensemble", "nets", "networks", "models", "estimators", "learners",
                     "paths", "columns", "qs"})  # fmt: skip


def tags(component: str, units: Sequence[Unit], depth: int) -> Iterable[tuple[Hashable, str]]:
    """Yield (question, answer) pairs of a sibling and the modules inside it.

    Two siblings with different answers to one question are rivals. ``component`` is the sibling's
    name, at ``depth`` in the paths of ``units``.
    """
    said = frozenset(words(component))
    if said & _HALVES:
        return
    for number, group in enumerate(_ALTERNATIVES):
        for word in sorted(said & group):
            yield number, word
    if len(units) > 1:
        # Equal content under names that differ in more than a number: two networks of one kind.
        inside = tuple((unit.path[depth + 1 :], unit.op, unit.fan, unit.width) for unit in units)
        yield inside, re.sub(r"\d+", "", component)


def parallel(container: str) -> bool:
    """Return whether a container's name is a plural that tells alternatives, such as ``heads``."""
    return container.lower() in _PLURAL


def compatible(first: Mapping[Hashable, str], second: Mapping[Hashable, str]) -> bool:
    """Return whether two siblings answer alike what both answer."""
    return all(second.get(question, answer) == answer for question, answer in first.items())
