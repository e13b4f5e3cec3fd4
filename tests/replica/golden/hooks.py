"""The twelve networks as PyTorch modules, and what PyTorch's hooks see in them.

The modules are written out by hand beside `networks`, not translated from it, so that both would
have to be wrong alike.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tests.replica.golden.networks import Example, cotangent

Seen = dict[str, NDArray[np.float64]]


class Add(nn.Module):  # type: ignore[misc]
    def forward(self, x: Any, y: Any) -> Any:
        return x + y


class Scale(nn.Module):  # type: ignore[misc]
    def forward(self, x: Any, gate: Any) -> Any:
        return x * gate[..., None, None]


class MeanPool(nn.Module):  # type: ignore[misc]
    def forward(self, x: Any) -> Any:
        return x.mean((2, 3))


class ResidualMLP(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.fc0, self.fc1, self.fc2 = (nn.Linear(8, 8) for _ in range(3))
        self.norm0, self.norm1 = nn.BatchNorm1d(8), nn.BatchNorm1d(8)
        self.act0, self.act1 = nn.SiLU(), nn.SiLU()
        self.add0, self.add1 = Add(), Add()
        self.head = nn.Linear(8, 3)

    def forward(self, x: Any) -> Any:
        x = self.fc0(x)
        x = self.add0(x, self.fc1(self.act0(self.norm0(x))))
        x = self.add1(x, self.fc2(self.act1(self.norm1(x))))
        return self.head(x)


class DepthwiseCNN(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.act0 = nn.Hardswish()
        self.conv1 = nn.Conv2d(4, 6, 1)
        self.squeeze = MeanPool()
        self.gate = nn.Linear(6, 6)
        self.act1 = nn.Hardsigmoid()
        self.scaled = Scale()
        self.conv2 = nn.Conv2d(6, 4, 2, groups=2, dilation=2)
        self.flatten = nn.Flatten()
        self.head = nn.Linear(36, 2)

    def forward(self, x: Any) -> Any:
        x = self.conv1(self.act0(self.conv0(x)))
        x = self.scaled(x, self.act1(self.gate(self.squeeze(x))))
        return self.head(self.flatten(self.conv2(x)))


class ResidualCNN(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.conv0, self.norm0 = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.act0 = nn.LeakyReLU()
        self.conv1 = nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.norm1 = nn.BatchNorm2d(6)
        self.shortcut = nn.Conv2d(4, 6, 1, stride=2)
        self.add, self.act1 = Add(), nn.Softsign()
        self.pool, self.head = MeanPool(), nn.Linear(6, 3)

    def forward(self, x: Any) -> Any:
        x = self.act0(self.norm0(self.conv0(x)))
        x = self.act1(self.add(self.norm1(self.conv1(x)), self.shortcut(x)))
        return self.head(self.pool(x))


def _named(**modules: Any) -> Any:
    return nn.Sequential(OrderedDict(modules))


def _stack(function: Callable[[], Any], *widths: int) -> Any:
    modules: dict[str, Any] = {}
    for i in range(len(widths) - 1):
        modules[f"fc{i}"] = nn.Linear(widths[i], widths[i + 1])
        if i < len(widths) - 2:
            modules[f"act{i}"] = function()
    return _named(**modules)


MODULES: Mapping[str, Callable[[], Any]] = {
    "mlp_relu": lambda: _stack(nn.ReLU, 8, 12, 12, 12, 5),
    "mlp_tanh": lambda: _stack(nn.Tanh, 8, 16, 12, 8, 3),
    "mlp_sigmoid": lambda: _stack(nn.Sigmoid, 6, 10, 10, 10, 10, 10, 10, 4),
    "mlp_selu": lambda: _named(
        fc0=nn.Linear(8, 8), act0=nn.SELU(), drop0=nn.Dropout(0.0),
        fc1=nn.Linear(8, 8), act1=nn.SELU(), drop1=nn.Dropout(0.0),
        fc2=nn.Linear(8, 8), act2=nn.SELU(), drop2=nn.Dropout(0.0), fc3=nn.Linear(8, 1),
    ),
    "mlp_layer_norm": lambda: _named(
        fc0=nn.Linear(10, 10), norm0=nn.LayerNorm(10), act0=nn.GELU(),
        fc1=nn.Linear(10, 10), norm1=nn.LayerNorm(10), act1=nn.GELU(),
        fc2=nn.Linear(10, 10), norm2=nn.LayerNorm(10), act2=nn.GELU(), fc3=nn.Linear(10, 4),
    ),
    "mlp_residual": ResidualMLP,
    "cnn_pooled": lambda: _named(
        conv0=nn.Conv2d(2, 4, 3, padding=1), act0=nn.ReLU(), pool0=nn.MaxPool2d(2),
        conv1=nn.Conv2d(4, 4, 3, padding=1), act1=nn.ReLU(), flatten=nn.Flatten(),
        head=nn.Linear(36, 3),
    ),
    "cnn_batch_norm": lambda: _named(
        conv0=nn.Conv2d(3, 4, 3, 2, 1), norm0=nn.BatchNorm2d(4), act0=nn.ReLU6(),
        conv1=nn.Conv2d(4, 6, 3), norm1=nn.BatchNorm2d(6), act1=nn.Mish(),
        pool=MeanPool(), head=nn.Linear(6, 3),
    ),
    "cnn_depthwise": DepthwiseCNN,
    "cnn_1d": lambda: _named(
        conv0=nn.Conv1d(2, 6, 5, padding=2), norm0=nn.GroupNorm(3, 6), act0=nn.ELU(),
        pool0=nn.AvgPool1d(2), conv1=nn.Conv1d(6, 4, 3, 2), act1=nn.Softplus(),
        flatten=nn.Flatten(), head=nn.Linear(8, 3),
    ),
    "cnn_residual": ResidualCNN,
    "cnn_decoder": lambda: _named(
        conv0=nn.Conv3d(2, 4, (3, 3, 1), (2, 2, 1), (1, 1, 0)), act0=nn.Tanh(),
        up0=nn.ConvTranspose3d(4, 3, 2, (2, 2, 1)), act1=nn.Hardtanh(),
        conv1=nn.Conv3d(3, 2, (1, 1, 2)),
    ),
}  # fmt: skip


def observe(name: str, example: Example) -> Seen:
    """Return what hooks see in float64.

    The keys are ``<layer> forward``, ``<layer> backward`` and ``<layer>.<role> gradient``.
    """
    module = MODULES[name]().double().train(example.training)
    stored = {key: torch.tensor(array) for key, array in example.built.arrays.items()}
    module.load_state_dict(stored, strict=False)
    missing = set(stored) ^ {k for k in module.state_dict() if "num_batches" not in k}
    assert not missing, f"{name}: {missing}"
    seen: Seen = {}
    for path, child in module.named_children():
        child.register_forward_hook(_keep_output(path, seen))
        child.register_full_backward_hook(_keep_gradient(path, seen))
    y = module(torch.tensor(example.x, requires_grad=True))
    y.backward(torch.tensor(cotangent(tuple(y.shape))))
    for key, parameter in module.named_parameters():
        seen[f"{key} gradient"] = parameter.grad.numpy()
    return seen


def _keep_output(path: str, seen: Seen) -> Callable[..., None]:
    def hook(module: Any, inputs: Any, output: Any) -> None:
        seen[f"{path} forward"] = output.detach().numpy().copy()

    return hook


def _keep_gradient(path: str, seen: Seen) -> Callable[..., None]:
    def hook(module: Any, d_input: Any, d_output: Any) -> None:
        seen[f"{path} backward"] = d_output[0].numpy().copy()

    return hook
