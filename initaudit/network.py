"""The values that readers build and checks judge: one representation for source and checkpoint."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal, TypeGuard

Attribute = int | float | str | bool | tuple[int, ...] | tuple[float, ...] | None
Fan = Literal["none", "in", "out", "average"]
Topology = Literal["graph", "source", "config", "names", "shapes"]

UNKNOWN_ACTIVATION = "unknown"


def whole_numbers(value: Attribute) -> TypeGuard[tuple[int, ...]]:
    """Return whether an attribute is several whole numbers, such as one for each axis."""
    return isinstance(value, tuple) and all(isinstance(n, int) for n in value)


class Origin(StrEnum):
    """Where a network's numbers come from."""

    DECLARED = "declared"
    MEASURED = "measured"
    TRAINED = "trained"


@dataclass(frozen=True, slots=True)
class Site:
    """A place in an input: a span of source or a stored tensor.

    Lines and columns count from 1. In a notebook, lines are those of the cell, and ``cell`` is
    its number among all cells.
    """

    path: str
    line: int | None = None
    column: int | None = None
    end_line: int | None = None
    end_column: int | None = None
    tensor: str | None = None
    layer: str | None = None
    cell: int | None = None


@dataclass(frozen=True, slots=True)
class Unread:
    """Something that was not judged, and why.

    ``lost`` is False where nothing that was asked for is missing: a file beside the checkpoint,
    settings that could not be read while the weights could.
    """

    site: Site
    reason: str
    lost: bool = True


@dataclass(frozen=True, slots=True)
class Assumption:
    """A guess that a verdict rests on, as a sentence for the report."""

    text: str


@dataclass(frozen=True, slots=True)
class Interval:
    """A number known only to lie between two bounds (inclusive)."""

    lo: float
    hi: float

    def __post_init__(self) -> None:
        if not self.lo <= self.hi:
            raise ValueError(f"not an interval: [{self.lo}, {self.hi}]")

    @classmethod
    def point(cls, value: float) -> Interval:
        """Return the interval that holds one number."""
        return cls(value, value)

    @classmethod
    def unknown(cls) -> Interval:
        """Return the interval that excludes nothing."""
        return cls(-math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class Weights:
    """How a tensor is spread: variance ``scale / fan`` about ``mean``.

    ``law`` is one of zeros, constant, uniform, normal, truncated, orthogonal, identity,
    sparse, empirical, unknown. With ``fan="none"`` the variance is ``scale`` itself.
    """

    law: str
    mean: Interval
    scale: Interval
    fan: Fan = "none"


@dataclass(frozen=True, slots=True)
class Law:
    """The initialiser that a stored tensor looks like.

    ``family`` is a law as in `Weights`; ``label`` names the initialiser for a person
    ("He normal, fan_in"); ``others`` are names that the same numbers fit equally well.
    """

    family: str
    label: str
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lines:
    """What is known of a matrix's rows (one per unit) or columns.

    ``dead`` lines hold only zeros. ``duplicated`` counts the lines, dead ones included,
    that equal at least one other line bit for bit; ``largest`` is the size of the
    largest such group (1 where all differ).
    """

    count: int
    dead: int
    duplicated: int
    largest: int


@dataclass(frozen=True, slots=True)
class Tensor:
    """One stored array with its statistics.

    Mean, variance (population), minimum and maximum are over the finite elements and None where
    there are none. ``subnormals`` counts non-zero values below the dtype's smallest normal.
    ``histogram`` has 64 equal bins over [minimum, maximum] of ``sampled`` elements.
    ``rows`` run along the axis of output units, ``columns`` across it; both are None for fewer
    than two dimensions, and for more lines than `checkpoint.lines.LIMIT`. ``dtype`` is the
    safetensors name (``F32``, ``BF16``, ...).
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    count: int
    mean: float | None
    variance: float | None
    minimum: float | None
    maximum: float | None
    zeros: int
    nans: int
    infs: int
    subnormals: int
    histogram: tuple[int, ...] = ()
    sampled: int = 0
    rows: Lines | None = None
    columns: Lines | None = None
    law: Law | None = None

    @property
    def std(self) -> float | None:
        """Standard deviation of the finite elements."""
        return None if self.variance is None else math.sqrt(self.variance)

    @property
    def nonfinite(self) -> int:
        """NaN and infinite elements."""
        return self.nans + self.infs

    @property
    def constant(self) -> bool:
        """Whether every element holds the same finite value."""
        return self.count > 0 and self.nonfinite == 0 and self.minimum == self.maximum


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter of a layer.

    ``name`` is its role in the layer (``weight``, ``bias``, ``running_mean``, ...), whatever the
    checkpoint calls it; the stored name is ``tensor.name``. An unknown dimension is None.
    """

    name: str
    shape: tuple[int | None, ...]
    weights: Weights
    tensor: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Layer:
    """One operation.

    ``inputs`` name the layers it reads; none means that its place is not known.
    """

    name: str
    op: str
    inputs: tuple[str, ...] = ()
    params: tuple[Param, ...] = ()
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    site: Site | None = None

    def param(self, name: str) -> Param | None:
        """Return the parameter with this role, if there is one."""
        return next((p for p in self.params if p.name == name), None)


@dataclass(frozen=True, slots=True)
class Network:
    """Layers in topological order, with what had to be guessed and what has no known place.

    A layer in ``apart`` takes no part in the signal: its op may be known but what feeds it is not.
    Each entry is (layer name, reason).
    """

    name: str
    layers: tuple[Layer, ...]
    origin: Origin
    topology: Topology
    site: Site
    assumptions: tuple[Assumption, ...] = ()
    apart: tuple[tuple[str, str], ...] = ()
    evidence: tuple[str, ...] = ()

    def layer(self, name: str) -> Layer:
        """Return the layer of that name; KeyError where there is none."""
        for candidate in self.layers:
            if candidate.name == name:
                return candidate
        raise KeyError(name)

    @property
    def activation_known(self) -> bool:
        """Whether no activation was left open."""
        return not any(
            layer.op == "activation" and layer.attributes.get("function") == UNKNOWN_ACTIVATION
            for layer in self.layers
        )

    def with_activation(self, function: str) -> Network:
        """Return this network with every unknown activation set to ``function``."""
        return replace(
            self,
            layers=tuple(
                replace(layer, attributes={**layer.attributes, "function": function})
                if layer.op == "activation"
                and layer.attributes.get("function") == UNKNOWN_ACTIVATION
                else layer
                for layer in self.layers
            ),
        )
