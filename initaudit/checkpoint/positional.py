"""Arrays that are numbered instead of named: ``arr_0, arr_1`` of numpy.savez, ``0/0`` of a pytree.

In such lists a vector behind a matrix is its bias where it has one of the matrix's widths.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from initaudit.network import Tensor

_NUMBERED = re.compile(r"(?:(.*)[./]|)(?:arr_)?(\d+)")
_DIGITS = 18
_BARE = frozenset({"", "params"})


def number(component: str) -> int | None:
    """Return the number that a component of a name is; None for words and absurdly long ones."""
    return int(component) if component.isdecimal() and len(component) <= _DIGITS else None


def modules(named: Iterable[tuple[str, Tensor]]) -> Mapping[str, tuple[str, str]]:
    """Return (module, role) by stored name, for the arrays whose position tells what they are.

    ``named`` are (name as a path, tensor) of the arrays whose names tell no role.
    """
    lists: dict[str, list[tuple[int, str, Tensor]]] = {}
    for name, tensor in named:
        found = _NUMBERED.fullmatch(name)
        place = number(found[2]) if found else None
        if found and place is not None:
            lists.setdefault(found[1] or "", []).append((place, name, tensor))
    told: dict[str, tuple[str, str]] = {}
    for parent, members in lists.items():
        members.sort(key=lambda member: member[0])
        told |= _paired(parent, members)
    return told


def _paired(parent: str, members: list[tuple[int, str, Tensor]]) -> dict[str, tuple[str, str]]:
    told: dict[str, tuple[str, str]] = {}
    rows = _row_vectors([tensor for _, _, tensor in members])
    module: str | None = None
    widths: tuple[int, ...] = ()
    pairs = 0
    for place, (_, name, tensor) in enumerate(members):
        if len(tensor.shape) > 1 and not (rows and place % 2):
            single = len(members) == 2 and parent not in _BARE
            module, widths = parent if single else name, tensor.shape
            told[tensor.name] = (module, "weight")
        elif module is not None and tensor.count in widths:
            told[tensor.name] = (module, "bias")
            pairs += 1
            module = None
        else:
            return {}
    return told if pairs or (parent in _BARE and len(told) > 1) else {}


def _row_vectors(tensors: list[Tensor]) -> bool:
    """Return whether matrices alternate with biases kept as (1, n) or (n, 1)."""
    odd = tensors[1::2]
    return len(tensors) % 2 == 0 and all(len(t.shape) == 2 and 1 in t.shape for t in odd)
