"""Items and parts of values by an index."""

from __future__ import annotations

from typing import Any

from initaudit.checkpoint.graphs.values import Known
from initaudit.reading import (
    evaluating,
    parts,
    python,
)
from initaudit.reading.python import PLAIN
from initaudit.reading.state import State
from initaudit.reading.values import (
    External,
    Module,
    Unknown,
    UserClass,
)
from initaudit.reading.windows import Window


def subscript(state: State, subject: Any, index: Any) -> Any:
    """Return an item, or a part, of a value."""
    if isinstance(subject, evaluating.TENSORS):
        return parts.index(state, subject, index)
    if isinstance(subject, Window):
        return subject
    if isinstance(subject, Unknown):
        key = f"{subject.key}[]" if subject.key else ""
        return Unknown(subject.reason, key)
    if isinstance(index, Unknown):
        return index
    if isinstance(subject, Module):
        return _child(subject, index)
    if isinstance(subject, UserClass | External):
        return subject
    if isinstance(index, Known) and index.array.size == 1:
        index = index.array.item()
    if isinstance(subject, PLAIN):
        try:
            return subject[index]  # type: ignore[index]
        except (TypeError, LookupError, ValueError):
            return Unknown("there is no such item")
    return Unknown("an item of this is not followed")


def _child(module: Module, index: Any) -> Any:
    names = list(module.children)
    if isinstance(index, str):
        return module.children.get(index, Unknown(f"there is no {index} in it"))
    if isinstance(index, slice):
        ends = (index.start, index.stop, index.step)
        if any(isinstance(e, Unknown) for e in ends) or python.tainted(*(e for e in ends if e)):
            return Unknown("the ends of a slice are not known")
        part = Module(module.kind, module.site)
        for i, name in enumerate(names[index]):
            part.children[str(i) if module.kind != "torch.nn.Sequential" else name] = (
                module.children[name]
            )
        return part
    if isinstance(index, int) and -len(names) <= index < len(names) and not python.tainted(index):
        return module.children[names[index]]
    return Unknown("there is no such module in it")
