"""The arrays that a model's source declares, drawn with a seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from initaudit.checkpoint.graphs.values import Known
from initaudit.checkpoint.stored import Stored
from initaudit.reading.tape import fixed
from initaudit.reading.values import Drawn, Event, Parameter, StopError

LARGEST = 1 << 27
"""Elements of the largest model that is drawn."""

_KEPT = 1 << 25
_SALT = 0x5EED
_TYPES: Mapping[str, Any] = {"F32": np.float32, "I64": np.int64}


@dataclass(slots=True)
class Realised:
    """Parameters as arrays, drawn when they are asked for; the same each time.

    Each initialisation has random numbers of its own, so that copies of a module made before it
    was initialised anew differ, and those made after it do not.
    """

    parameters: Mapping[str, Parameter]
    seed: int = 0
    order: dict[int, int] = field(default_factory=dict)
    kept: dict[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for parameter in self.parameters.values():
            for event in parameter.chain:
                for one in (*event.source, event):
                    self.order.setdefault(id(one), len(self.order))

    def array(self, name: str) -> NDArray[Any]:
        """Return a parameter's array.

        Raises:
            StopError: the source does not tell what it starts from.
        """
        if name in self.kept:
            return self.kept[name]
        parameter = self.parameters[name]
        made = self._drawn(name, parameter)
        if made.size <= _KEPT:
            self.kept[name] = made
        return made

    def _drawn(self, name: str, parameter: Parameter) -> NDArray[Any]:
        held = parameter.held
        if held is not None:
            known = fixed(held) if isinstance(held, Drawn) else held
            if isinstance(known, Known):
                return np.ascontiguousarray(known.array)
        array = self._filled(name, parameter.chain)
        if array is None:
            raise StopError(f"nothing tells what {name} starts from", parameter.site)
        kind = _TYPES.get(parameter.dtype, np.float32)
        return np.ascontiguousarray(np.broadcast_to(array, parameter.shape), kind)

    def _filled(self, name: str, chain: Sequence[Event]) -> NDArray[Any] | None:
        array: NDArray[Any] | None = None
        for event in live(chain):
            if event.draw is None:
                raise StopError(f"what {name} starts from is not told: {event.text}", event.site)
            random = np.random.default_rng([_SALT, self.seed, self.order[id(event)]])
            before = self._filled(name, event.source) if event.source else array
            array = event.draw(random, before)
        return array

    def stored(self, name: str, path: str) -> Stored:
        """Return a parameter as a checkpoint stores it."""
        parameter = self.parameters[name]
        dtype = parameter.dtype
        held = parameter.held
        if isinstance(held, Known):
            kinds = {"i": "I64", "b": "BOOL", "u": "I64"}
            dtype = kinds.get(held.array.dtype.kind, "F32")

        def pieces(step: int) -> Iterator[NDArray[np.uint8]]:
            array = self.array(name)
            kind = {"I64": np.int64, "BOOL": np.bool_}.get(dtype, np.float32)
            raw = np.ascontiguousarray(array, kind).reshape(-1).view(np.uint8)
            for start in range(0, raw.size, step):
                yield raw[start : start + step]

        return Stored(name, dtype, tuple(int(n) for n in parameter.shape), path, pieces)


def live(chain: Sequence[Event]) -> Sequence[Event]:
    """Return the initialisations that still tell: the last whole one and what came behind it."""
    last = max((i for i, event in enumerate(chain) if event.whole), default=0)
    return chain[last:]


def obstacle(parameters: Mapping[str, Parameter], *, sized: bool = True) -> tuple[str, Any] | None:
    """Return why a model cannot be drawn, with the place, or None.

    Where it need not be ``sized``, the numbers that stand for open sizes are taken.
    """
    for name, parameter in parameters.items():
        if parameter.open and sized:
            return f"the shape of {name} is left open", parameter.site
        for event in live(parameter.chain) if parameter.held is None else ():
            for one in (*live(event.source), event):
                if one.draw is None:
                    return f"what {name} starts from is not told: {one.text}", one.site
    if sum(prod(p.shape) for p in parameters.values()) > LARGEST:
        return f"it has more than {LARGEST:,} parameters: too many to draw", None
    return None
