"""Small networks with their arrays, for the replica's tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from initaudit.network import (
    Attribute,
    Interval,
    Layer,
    Network,
    Origin,
    Param,
    Site,
    Tensor,
    Weights,
)

Draw = Callable[[np.random.Generator, int, int], NDArray[np.float64]]


def tensor(name: str, array: NDArray[Any]) -> Tensor:
    finite = array[np.isfinite(array)]
    with np.errstate(over="ignore"):
        variance = float(finite.var()) if finite.size else None
    return Tensor(
        name=name,
        dtype="F64",
        shape=array.shape,
        count=array.size,
        mean=float(finite.mean()) if finite.size else None,
        variance=variance,
        minimum=float(finite.min()) if finite.size else None,
        maximum=float(finite.max()) if finite.size else None,
        zeros=int((array == 0).sum()),
        nans=int(np.isnan(array).sum()),
        infs=int(np.isinf(array).sum()),
        subnormals=0,
    )


def param(role: str, name: str, array: NDArray[Any]) -> Param:
    spread = Weights("empirical", Interval.unknown(), Interval.unknown())
    return Param(role, array.shape, spread, tensor(name, array))


def network(layers: Sequence[Layer]) -> Network:
    return Network("net", tuple(layers), Origin.MEASURED, "names", Site("net.safetensors"))


@dataclass
class Builder:
    """Adds layers one behind the other and keeps their arrays by stored name."""

    shape: tuple[int, ...]
    tokens: int | None = None
    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)

    def __post_init__(self) -> None:
        attributes: dict[str, Attribute] = {"shape": self.shape}
        if self.tokens is not None:
            attributes["tokens"] = self.tokens
        self.layers.append(Layer("input", "input", attributes=attributes))

    def add(
        self,
        name: str,
        op: str,
        params: Mapping[str, NDArray[Any]] | None = None,
        inputs: Sequence[str] | None = None,
        **attributes: Attribute,
    ) -> Builder:
        given = {} if params is None else params
        for role, array in given.items():
            self.arrays[f"{name}.{role}"] = array
        held = tuple(param(role, f"{name}.{role}", array) for role, array in given.items())
        behind = tuple(inputs) if inputs is not None else (self.layers[-1].name,)
        self.layers.append(Layer(name, op, behind, held, attributes))
        return self

    @property
    def network(self) -> Network:
        return network(self.layers)

    def load(self, name: str) -> NDArray[Any]:
        return self.arrays[name]


def mlp(
    widths: Sequence[int], function: str, draw: Draw, seed: int = 0, bias: Draw | None = None
) -> Builder:
    """Linear layers fc0, fc1, ... with zero biases and an activation behind all but the last."""
    generator = np.random.default_rng(seed)
    built = Builder((widths[0],))
    for i, (fan_in, fan_out) in enumerate(pairwise(widths)):
        shift = np.zeros(fan_out) if bias is None else bias(generator, fan_in, fan_out)
        built.add(f"fc{i}", "linear", {"weight": draw(generator, fan_in, fan_out), "bias": shift})
        if i < len(widths) - 2:
            built.add(f"fc{i}.{function}", "activation", function=function)
    return built


def normal(gain: float = 1.0) -> Draw:
    """N(0, gain^2 / fan_in)."""
    return lambda r, i, o: gain * r.standard_normal((o, i)) / np.sqrt(i)


def xavier(gain: float = 1.0) -> Draw:
    """N(0, gain^2 2 / (fan_in + fan_out))."""
    return lambda r, i, o: gain * r.standard_normal((o, i)) * np.sqrt(2.0 / (i + o))


HE = normal(np.sqrt(2.0))
LECUN = normal()


def plain(std: float) -> Draw:
    """N(0, std^2)."""
    return lambda r, i, o: std * r.standard_normal((o, i))


def positive(r: np.random.Generator, i: int, o: int) -> NDArray[np.float64]:
    """U[0, 1]."""
    return r.random((o, i))


def filled(value: float) -> Draw:
    """One constant."""
    return lambda r, i, o: np.full((o, i), value)


def torch_default(r: np.random.Generator, i: int, o: int) -> NDArray[np.float64]:
    """U(+-1 / sqrt(fan_in)), PyTorch's default for weights."""
    return r.uniform(-(i**-0.5), i**-0.5, (o, i))


def torch_default_bias(r: np.random.Generator, i: int, o: int) -> NDArray[np.float64]:
    """U(+-1 / sqrt(fan_in)), PyTorch's default for biases."""
    return r.uniform(-(i**-0.5), i**-0.5, o)
