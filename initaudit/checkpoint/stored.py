"""One stored array, whatever file format holds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from initaudit.network import Network, Tensor, Unread

BITS: Mapping[str, int] = {
    "F64": 64, "F32": 32, "F16": 16, "BF16": 16,
    "F8_E4M3": 8, "F8_E5M2": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "F8_E8M0": 8,
    "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4,
    "I64": 64, "I32": 32, "I16": 16, "I8": 8,
    "U64": 64, "U32": 32, "U16": 16, "U8": 8,
    "BOOL": 8, "C64": 64,
}  # fmt: skip
"""Bits of one element, by the dtype names of the safetensors format."""

FLOATS = frozenset(d for d in BITS if d.startswith(("F", "B")) and d != "BOOL") | {"C64"}
"""Dtypes that hold weights; the others hold counters, indices, masks and packed codes."""


class CheckpointError(Exception):
    """A checkpoint, or a part of it, that cannot be read.

    ``path`` is the file and ``reason`` one line that says what is wrong and what to do.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Stored:
    """One array as its file stores it.

    ``pieces(step)`` yields the array's bytes in order (little endian, C order) as uint8 arrays of
    ``step`` bytes each, the last one shorter; a piece is only valid until the next is asked for.
    It raises `CheckpointError` when the file changes, ends early or vanishes. ``path`` is the
    file that holds the bytes.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    path: str
    pieces: Callable[[int], Iterator[NDArray[np.uint8]]]

    @property
    def count(self) -> int:
        """Number of elements."""
        product = 1
        for extent in self.shape:
            product *= extent
        return product

    @property
    def nbytes(self) -> int:
        """Number of bytes; sub-byte dtypes are packed."""
        return self.count * BITS[self.dtype] // 8


@dataclass(frozen=True, slots=True)
class Config:
    """What a ``config.json`` beside the weights says; None or empty where it is silent.

    ``activation`` is a canonical name of `initaudit.signal`, or None with ``activation_raw`` set
    when the file names one that is not known. ``init_std`` is a standard deviation.
    """

    path: str
    activation: str | None = None
    activation_raw: str | None = None
    init_std: float | None = None
    dtype: str | None = None
    tied: bool | None = None
    model_type: str | None = None
    input_shape: tuple[int, ...] | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)


class PlanError(Exception):
    """Why no network can be made of a graph, as one line; its weights are readable."""


@dataclass(frozen=True, slots=True)
class Plan:
    """An exact network that still lacks its statistics.

    ``network`` takes those of the stored arrays. ``computed`` are arrays that the network reads
    and the file does not store, by name. ``axes`` tell the axis of output units of stored weights.
    ``aside`` are stored arrays that are no weights: the graph only computes constants from them,
    or reads them in another order; these ``copies`` are measured in their stead.
    """

    network: Callable[[Sequence[Tensor]], Network]
    computed: Mapping[str, NDArray[Any]]
    axes: Mapping[str, int]
    aside: frozenset[str] = frozenset()
    copies: tuple[Stored, ...] = ()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The arrays of one checkpoint (one file, or the shards of one index), in file order.

    ``aliases`` maps the name of a shared tensor to the name it is stored under. ``unread`` are
    parts that could not be read while the rest could. ``graph`` makes the plan of the network for
    the input shape of one sample, None for the file's own, where the file tells its operations; it
    may raise `PlanError`. ``adapter`` is what the ``adapter_config.json`` beside adapters says.
    """

    path: str
    arrays: tuple[Stored, ...]
    aliases: Mapping[str, str] = field(default_factory=dict)
    config: Config | None = None
    unread: tuple[Unread, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    graph: Callable[[tuple[int, ...] | None], Plan] | None = None
    adapter: Mapping[str, Any] | None = None
