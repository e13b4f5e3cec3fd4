"""Stored tensors looked up by their names and by the modules that the names stand for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from initaudit.checkpoint.groups import ROLES
from initaudit.checkpoint.layers import spread
from initaudit.network import Tensor, Weights


@dataclass(frozen=True, slots=True)
class Index:
    """Tensors by every name they have, aliases included; modules and what lies in them."""

    tensors: Mapping[str, Tensor]
    modules: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)
    children: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Return the index of tensors by name."""
        modules: dict[str, dict[str, Tensor]] = {}
        children: dict[str, set[str]] = {}
        for name, tensor in tensors.items():
            parts = name.split(".")
            role = ROLES.get(parts[-1])
            if role is not None:
                modules.setdefault(".".join(parts[:-1]), {}).setdefault(role, tensor)
            for i in range(len(parts)):
                children.setdefault(".".join(parts[:i]), set()).add(parts[i])
        return cls(tensors, modules, {k: frozenset(v) for k, v in children.items()})

    def parts(self, module: str) -> Mapping[str, Tensor]:
        """Return the parameters of a module by role."""
        return self.modules.get(module, {})

    def has(self, name: str) -> bool:
        """Return whether there is a tensor, or a module, of that name."""
        return name in self.tensors or name in self.children

    def numbers(self, pattern: str) -> list[int]:
        """Return the numbers that stand for ``{i}`` in a module's path, in order."""
        head, _, tail = pattern.partition("{i}")
        parent, _, stem = head.rpartition(".")
        word = re.compile(re.escape(stem) + r"(\d{1,6})" + re.escape(tail))
        found = (word.fullmatch(child) for child in self.children.get(parent, ()))
        return sorted(int(match[1]) for match in found if match)

    def spread(self, tensor: Tensor) -> Weights:
        """Return how a tensor is spread."""
        return spread(tensor)
