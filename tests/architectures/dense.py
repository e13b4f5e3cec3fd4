"""Modules of torchvision's names: ConvNeXt, DenseNet."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from tests.architectures.example import images
from tests.architectures.hand import example
from tests.architectures.mobile import Classifier
from tests.architectures.vision import CLASSES, conv


class Permute(nn.Module):  # type: ignore[misc]
    def __init__(self, *axes: int) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, x: Any) -> Any:
        return x.permute(self.axes)


class ChannelNorm(nn.LayerNorm):  # type: ignore[misc]
    """Layer norm over the channels of images."""

    def forward(self, x: Any) -> Any:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class NextBlock(nn.Module):  # type: ignore[misc]
    def __init__(self, width: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(width, width, 7, padding=3, groups=width),
            Permute(0, 2, 3, 1),
            nn.LayerNorm(width, eps=1e-6),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
            Permute(0, 3, 1, 2),
        )
        self.layer_scale = nn.Parameter(torch.full((width, 1, 1), 1e-6))

    def forward(self, x: Any) -> Any:
        return x + self.layer_scale * self.block(x)


def convnext_tiny() -> Any:
    widths, depths = (12, 24, 48, 96), (3, 3, 9, 3)
    stem = nn.Conv2d(3, widths[0], 4, 4)
    features = [nn.Sequential(stem, ChannelNorm(widths[0], eps=1e-6))]
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        features.append(nn.Sequential(*(NextBlock(width) for _ in range(depth))))
        if stage < 3:
            down = nn.Conv2d(width, widths[stage + 1], 2, 2)
            features.append(nn.Sequential(ChannelNorm(width, eps=1e-6), down))
    head = [ChannelNorm(widths[-1], eps=1e-6), nn.Flatten(1), nn.Linear(widths[-1], CLASSES)]
    model = Classifier(features, head)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)
    return model


class DenseLayer(nn.Module):  # type: ignore[misc]
    def __init__(self, into: int, growth: int) -> None:
        super().__init__()
        self.norm1, self.relu1 = nn.BatchNorm2d(into), nn.ReLU(inplace=True)
        self.conv1 = conv(into, 4 * growth, 1)
        self.norm2, self.relu2 = nn.BatchNorm2d(4 * growth), nn.ReLU(inplace=True)
        self.conv2 = conv(4 * growth, growth, 3)

    def forward(self, x: Any) -> Any:
        y = self.conv1(self.relu1(self.norm1(x)))
        return self.conv2(self.relu2(self.norm2(y)))


class DenseBlock(nn.Module):  # type: ignore[misc]
    def __init__(self, into: int, growth: int, depth: int) -> None:
        super().__init__()
        for i in range(depth):
            self.add_module(f"denselayer{i + 1}", DenseLayer(into + i * growth, growth))

    def forward(self, x: Any) -> Any:
        for layer in self.children():
            x = torch.cat([x, layer(x)], 1)
        return x


class DenseNet(nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        growth, width = 4, 8
        parts = {
            "conv0": nn.Conv2d(3, width, 7, 2, 3, bias=False),
            "norm0": nn.BatchNorm2d(width),
            "relu0": nn.ReLU(inplace=True),
            "pool0": nn.MaxPool2d(3, 2, 1),
        }
        for i, depth in enumerate((6, 12, 24, 16)):
            parts[f"denseblock{i + 1}"] = DenseBlock(width, growth, depth)
            width += depth * growth
            if i < 3:
                parts[f"transition{i + 1}"] = _transition(width)
                width //= 2
        parts["norm5"] = nn.BatchNorm2d(width)
        self.features = _named(parts)
        self.classifier = nn.Linear(width, CLASSES)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, x: Any) -> Any:
        x = functional.relu(self.features(x))
        return self.classifier(functional.adaptive_avg_pool2d(x, 1).flatten(1))


def _transition(width: int) -> Any:
    return _named(
        {
            "norm": nn.BatchNorm2d(width),
            "relu": nn.ReLU(inplace=True),
            "conv": conv(width, width // 2, 1),
            "pool": nn.AvgPool2d(2, 2),
        }
    )


def _named(parts: dict[str, Any]) -> Any:
    found = nn.Sequential()
    for name, module in parts.items():
        found.add_module(name, module)
    return found


EXAMPLES = tuple(
    example(f"tv_{name}", "torchvision", make, images("x", size=64))
    for name, make in {"convnext_tiny": convnext_tiny, "densenet121": DenseNet}.items()
)
