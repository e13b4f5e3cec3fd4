"""Twelve small networks, six MLPs and six CNNs, with seeded weights, an input and a cotangent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.replica.build import Builder

Array = NDArray[np.float64]
BATCH = 4


@dataclass(frozen=True)
class Example:
    """A network with what is sent through it; the cotangent enters at the last layer's output.

    ``training`` is the mode of batch norm: batch statistics (True) or running ones.
    """

    built: Builder
    x: Array
    training: bool = True


class _Draws:
    """Parameters by PyTorch's roles, all random, so that no term can hide behind a zero."""

    def __init__(self, seed: int) -> None:
        self.generator = np.random.default_rng(seed)

    def weight(self, *shape: int, fan_in: int, gain: float = 1.4) -> dict[str, NDArray[Any]]:
        out = shape[0]
        weight = gain * self.generator.standard_normal(shape) / np.sqrt(fan_in)
        return {"weight": weight, "bias": 0.1 * self.generator.standard_normal(out)}

    def linear(self, fan_in: int, out: int, gain: float = 1.4) -> dict[str, NDArray[Any]]:
        return self.weight(out, fan_in, fan_in=fan_in, gain=gain)

    def conv(self, out: int, into: int, *kernel: int) -> dict[str, NDArray[Any]]:
        return self.weight(out, into, *kernel, fan_in=into * int(np.prod(kernel)))

    def norm(self, width: int) -> dict[str, NDArray[Any]]:
        return {
            "weight": 1.0 + 0.2 * self.generator.standard_normal(width),
            "bias": 0.1 * self.generator.standard_normal(width),
        }

    def batch_norm(self, width: int) -> dict[str, NDArray[Any]]:
        running = {
            "running_mean": 0.1 * self.generator.standard_normal(width),
            "running_var": 0.5 + self.generator.random(width),
        }
        return self.norm(width) | running


def _example(built: Builder, draws: _Draws, *, training: bool = True) -> Example:
    return Example(built, draws.generator.standard_normal((BATCH, *built.shape)), training)


def _stack(function: str, widths: tuple[int, ...], seed: int, gain: float) -> Example:
    draws, built = _Draws(seed), Builder((widths[0],))
    for i in range(len(widths) - 1):
        built.add(f"fc{i}", "linear", draws.linear(widths[i], widths[i + 1], gain))
        if i < len(widths) - 2:
            built.add(f"act{i}", "activation", function=function)
    return _example(built, draws)


def mlp_relu() -> Example:
    return _stack("relu", (8, 12, 12, 12, 5), 1, 1.414)


def mlp_tanh() -> Example:
    return _stack("tanh", (8, 16, 12, 8, 3), 2, 1.0)


def mlp_sigmoid() -> Example:
    return _stack("sigmoid", (6, 10, 10, 10, 10, 10, 10, 4), 3, 1.0)


def mlp_selu() -> Example:
    draws, built = _Draws(4), Builder((8,))
    for i in range(3):
        built.add(f"fc{i}", "linear", draws.linear(8, 8, 1.0))
        built.add(f"act{i}", "activation", function="selu").add(f"drop{i}", "dropout")
    return _example(built.add("fc3", "linear", draws.linear(8, 1)), draws)


def mlp_layer_norm() -> Example:
    draws, built = _Draws(5), Builder((10,))
    for i in range(3):
        built.add(f"fc{i}", "linear", draws.linear(10, 10))
        built.add(f"norm{i}", "layer_norm", draws.norm(10), eps=1e-5)
        built.add(f"act{i}", "activation", function="gelu")
    return _example(built.add("fc3", "linear", draws.linear(10, 4)), draws)


def mlp_residual() -> Example:
    draws, built = _Draws(6), Builder((8,))
    built.add("fc0", "linear", draws.linear(8, 8))
    stream = "fc0"
    for i in range(2):
        built.add(f"norm{i}", "batch_norm", draws.batch_norm(8), [stream], eps=1e-5)
        built.add(f"act{i}", "activation", function="silu")
        built.add(f"fc{i + 1}", "linear", draws.linear(8, 8))
        built.add(f"add{i}", "add", None, [stream, f"fc{i + 1}"])
        stream = f"add{i}"
    return _example(built.add("head", "linear", draws.linear(8, 3)), draws)


def cnn_pooled() -> Example:
    draws, built = _Draws(7), Builder((2, 6, 6))
    built.add("conv0", "conv", draws.conv(4, 2, 3, 3), padding=1)
    built.add("act0", "activation", function="relu").add("pool0", "max_pool", kernel=2, stride=2)
    built.add("conv1", "conv", draws.conv(4, 4, 3, 3), padding=1)
    built.add("act1", "activation", function="relu").add("flatten", "flatten")
    return _example(built.add("head", "linear", draws.linear(36, 3)), draws)


def cnn_batch_norm() -> Example:
    draws, built = _Draws(8), Builder((3, 7, 7))
    built.add("conv0", "conv", draws.conv(4, 3, 3, 3), stride=2, padding=1)
    built.add("norm0", "batch_norm", draws.batch_norm(4), eps=1e-5)
    built.add("act0", "activation", function="relu6")
    built.add("conv1", "conv", draws.conv(6, 4, 3, 3))
    built.add("norm1", "batch_norm", draws.batch_norm(6), eps=1e-5)
    built.add("act1", "activation", function="mish")
    built.add("pool", "global_avg_pool")
    return _example(built.add("head", "linear", draws.linear(6, 3)), draws)


def cnn_depthwise() -> Example:
    draws, built = _Draws(9), Builder((4, 5, 5))
    built.add("conv0", "conv", draws.conv(4, 1, 3, 3), padding=1, groups=4)
    built.add("act0", "activation", function="hardswish")
    built.add("conv1", "conv", draws.conv(6, 4, 1, 1))
    built.add("squeeze", "global_avg_pool").add("gate", "linear", draws.linear(6, 6))
    built.add("act1", "activation", function="hardsigmoid")
    built.add("scaled", "multiply", None, ["conv1", "act1"])
    built.add("conv2", "conv", draws.conv(4, 3, 2, 2), groups=2, dilation=2)
    built.add("flatten", "flatten")
    return _example(built.add("head", "linear", draws.linear(36, 2)), draws)


def cnn_1d() -> Example:
    draws, built = _Draws(10), Builder((2, 12))
    built.add("conv0", "conv", draws.conv(6, 2, 5), padding=2)
    built.add("norm0", "group_norm", draws.norm(6), groups=3, eps=1e-5)
    built.add("act0", "activation", function="elu").add("pool0", "avg_pool", kernel=2, stride=2)
    built.add("conv1", "conv", draws.conv(4, 6, 3), stride=2)
    built.add("act1", "activation", function="softplus").add("flatten", "flatten")
    return _example(built.add("head", "linear", draws.linear(8, 3)), draws)


def cnn_residual() -> Example:
    draws, built = _Draws(11), Builder((3, 5, 5))
    built.add("conv0", "conv", draws.conv(4, 3, 3, 3), padding=1)
    built.add("norm0", "batch_norm", draws.batch_norm(4), eps=1e-5)
    built.add("act0", "activation", function="leaky_relu")
    built.add("conv1", "conv", draws.conv(6, 4, 3, 3), stride=2, padding=1)
    built.add("norm1", "batch_norm", draws.batch_norm(6), eps=1e-5)
    built.add("shortcut", "conv", draws.conv(6, 4, 1, 1), ["act0"], stride=2)
    built.add("add", "add", None, ["norm1", "shortcut"])
    built.add("act1", "activation", function="softsign")
    built.add("pool", "global_avg_pool")
    return _example(built.add("head", "linear", draws.linear(6, 3)), draws, training=False)


def cnn_decoder() -> Example:
    draws, built = _Draws(12), Builder((2, 4, 4, 2))
    built.add("conv0", "conv", draws.conv(4, 2, 3, 3, 1), padding=(1, 1, 0), stride=(2, 2, 1))
    built.add("act0", "activation", function="tanh")
    up = draws.weight(4, 3, 2, 2, 2, fan_in=4) | {"bias": np.array([0.1, -0.2, 0.3])}
    built.add("up0", "conv_transpose", up, stride=(2, 2, 1))
    built.add("act1", "activation", function="hardtanh")
    return _example(built.add("conv1", "conv", draws.conv(2, 3, 1, 1, 2)), draws)


EXAMPLES: Mapping[str, Callable[[], Example]] = {
    make.__name__: make
    for make in (
        mlp_relu, mlp_tanh, mlp_sigmoid, mlp_selu, mlp_layer_norm, mlp_residual,
        cnn_pooled, cnn_batch_norm, cnn_depthwise, cnn_1d, cnn_residual, cnn_decoder,
    )
}  # fmt: skip


def cotangent(shape: tuple[int, ...]) -> Array:
    """Return the gradient that enters at the last layer's output."""
    return np.random.default_rng(99).standard_normal(shape)
