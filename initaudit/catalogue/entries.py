"""The values that the catalogue holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Literal, TypeAlias

from initaudit.network import Interval, Weights


class Unknown(Enum):
    """An argument that is there but could not be read."""

    UNKNOWN = "unknown"


class Required(Enum):
    """The default of a parameter that has none."""

    REQUIRED = "required"


UNKNOWN: Final = Unknown.UNKNOWN
REQUIRED: Final = Required.REQUIRED

Value: TypeAlias = "Interval | str | bool | Unknown | tuple[Value, ...] | None"
"""What an argument folds to; every number is an `Interval`, a shape a tuple."""

Form = Literal["inplace", "method", "factory", "object", "module"]
FirstNumber = Literal["mean", "std", "low", "value", "gain", "slope", "scale", "none"]

FORMS: Final = ("inplace", "method", "factory", "object", "module")
LAWS: Final = (
    "zeros", "constant", "uniform", "normal", "truncated", "orthogonal", "identity", "sparse",
    "scaling", "empty", "data", "unknown",
)  # fmt: skip
ROLES: Final = (
    "mean", "std", "low", "high", "value", "gain", "slope", "scale", "mode", "nonlinearity",
    "distribution", "normal", "below", "above", "sparsity", "fan", "bias", "shape",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a callable.

    A variadic one (``*size``) takes all positional arguments that are left; a keyword one is
    never positional; others stands for every keyword that is not named. A variadic parameter may
    be given by its name as well.
    """

    name: str
    default: Value | Required = REQUIRED
    kind: Literal["plain", "variadic", "keyword", "others"] = "plain"


@dataclass(frozen=True, slots=True)
class Initialiser:
    """A callable that fills or makes weights.

    Attributes:
        name: the canonical qualified name.
        framework: whose it is.
        form: ``inplace`` fills its first parameter (a tensor); ``method`` fills the object it is
            called on; ``factory`` returns the array; ``object`` returns what a layer or variable
            is initialised with; ``module`` fills ``weight`` (by the law) and ``bias`` (by the role
            "bias") of its first parameter, a layer.
        parameters: in positional order; for ``inplace`` and ``module`` the target comes first.
        law: one of zeros, constant, uniform, normal, truncated, orthogonal, identity, sparse,
            scaling (the distribution is an argument), empty (memory as found), data (a copy),
            unknown.
        numbers: role to the parameter that holds it. The roles are mean, std, low and high (values,
            also the cuts of a truncated law), below and above (cuts in deviations), value, gain,
            slope and nonlinearity (of Kaiming's gain), scale (of a variance over a fan), mode,
            distribution (a name, or whether it is uniform), fan (a fan that replaces the
            tensor's), sparsity, bias (of a module's) and shape.
        fixed: role to a value that no argument changes. The role "normal" says what law the
            distribution of that name is.
        deprecated: the name that replaces this one.
    """

    name: str
    framework: str
    form: Form
    parameters: tuple[Parameter, ...]
    law: str
    numbers: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, Value] = field(default_factory=dict)
    deprecated: str | None = None

    @property
    def variadic(self) -> bool:
        """Whether a shape is given as separate arguments."""
        return any(p.kind == "variadic" for p in self.parameters)

    @property
    def target(self) -> str | None:
        """The parameter that is filled."""
        return self.parameters[0].name if self.form in ("inplace", "module") else None

    @property
    def told(self) -> frozenset[str]:
        """The parameters that the law depends on."""
        return frozenset(name for role, name in self.numbers.items() if role != "shape")

    @property
    def first_number(self) -> FirstNumber:
        """What a lone positional number means, after the target, key and shape."""
        roles = {parameter: role for role, parameter in self.numbers.items()}
        for parameter in self.parameters:
            match roles.get(parameter.name):
                case "mean" | "std" | "low" | "value" | "gain" | "slope" | "scale" as role:
                    return role if parameter.kind == "plain" else "none"
                case None | "shape":
                    continue
                case _:
                    return "none"
        return "none"


@dataclass(frozen=True, slots=True)
class LayerWeight:
    """One parameter of a layer as its constructor makes it.

    Attributes:
        name: its attribute (``weight``, ``kernel``, ``weight_ih_l0``).
        role: what it is to the representation: weight, bias or another `Param` name.
        shape: roles of its axes: ``inputs``, ``outputs``, ``kernel`` (one axis a dimension of the
            convolution), ``gates`` (outputs times the gates), ``features`` (of a norm), a literal
            size, or a constructor parameter's name.
        default: what it holds where nothing was said. Its fan is the *layer's* fan, for biases
            as for weights.
        keyword: the constructor parameter that takes its initialiser.
        switches: the constructor parameters that must all hold for it to exist.
    """

    name: str
    role: str
    shape: tuple[str | int, ...]
    default: Weights
    keyword: str | None = None
    switches: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """A layer class and its constructor.

    Attributes:
        name: the canonical qualified name.
        framework: whose it is.
        op: the operation as in `network.Layer`, or "embedding", "attention",
            "transformer", "einsum", "container", "module" (a base class), "variable" (a lone
            parameter), "buffer" or "wrapper" (holds an initialiser for another).
        parameters: the constructor's, in positional order.
        weights: by attribute name, in the order in which they are made.
        inputs, outputs: the parameters that name the numbers of input and output features.
        kernel, groups: the parameters that name a convolution's window and groups.
        dims: the dimensions of the window of a convolution, pooling or norm.
        gates: matrices stacked along the outputs of a recurrent layer.
        grouped: the axis role that ``groups`` divides.
        attributes: fixed `Layer.attributes`, such as function and layout.
        options: attribute name to the constructor parameter that holds it (slope, stride, eps).
        activation: the parameter that names an activation behind the layer.
    """

    name: str
    framework: str
    op: str
    parameters: tuple[Parameter, ...]
    weights: Mapping[str, LayerWeight] = field(default_factory=dict)
    inputs: str | None = None
    outputs: str | None = None
    kernel: str | None = None
    groups: str | None = None
    dims: int | None = None
    gates: int = 1
    grouped: str = "inputs"
    attributes: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)
    activation: str | None = None

    @property
    def norm(self) -> bool:
        """Whether it normalises."""
        return self.op.endswith("_norm")

    @property
    def keywords(self) -> Mapping[str, LayerWeight]:
        """Its weights by the constructor parameter that takes their initialiser."""
        return {w.keyword: w for w in self.weights.values() if w.keyword is not None}
