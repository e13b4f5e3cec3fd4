"""Modules of torchvision's names: ResNets, VGG, AlexNet.

The names, strides and initialisations are those of torchvision's models; widths are divided.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from tests.architectures.example import images
from tests.architectures.hand import example

CLASSES = 10


def he_fan_out(model: Any, *, linear_std: float | None = None) -> None:
    """Initialise as most of torchvision's networks do: convolutions He normal by fan_out."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear) and linear_std is not None:
            nn.init.normal_(module.weight, std=linear_std)
            nn.init.zeros_(module.bias)


def conv(into: int, out: int, size: int, stride: int = 1, groups: int = 1) -> Any:
    """A convolution without bias that keeps the extent at stride 1."""
    return nn.Conv2d(into, out, size, stride, size // 2, groups=groups, bias=False)


class Basic(nn.Module):  # type: ignore[misc]
    expansion = 1

    def __init__(self, into: int, width: int, out: int, stride: int, groups: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(into, width, 3, stride), nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2, self.bn2 = conv(width, out, 3), nn.BatchNorm2d(out)
        self.downsample = _shortcut(into, out, stride)

    def forward(self, x: Any) -> Any:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += x if self.downsample is None else self.downsample(x)
        return self.relu(y)


class Bottleneck(nn.Module):  # type: ignore[misc]
    expansion = 4

    def __init__(self, into: int, width: int, out: int, stride: int, groups: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv(into, width, 1), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv(width, width, 3, stride, groups), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = conv(width, out, 1), nn.BatchNorm2d(out)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(into, out, stride)

    def forward(self, x: Any) -> Any:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        y += x if self.downsample is None else self.downsample(x)
        return self.relu(y)


def _shortcut(into: int, out: int, stride: int) -> Any:
    if stride == 1 and into == out:
        return None
    return nn.Sequential(conv(into, out, 1, stride), nn.BatchNorm2d(out))


class ResNet(nn.Module):  # type: ignore[misc]
    """torchvision's ResNet of a narrow base width; ``inner`` scales the width inside a block."""

    def __init__(
        self,
        block: Any,
        depths: tuple[int, ...],
        *,
        base: int = 8,
        inner: int = 1,
        groups: int = 1,
        zero_last: bool = False,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, base, 7, 2, 3, bias=False)
        self.bn1, self.relu = nn.BatchNorm2d(base), nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        into = base
        for stage, depth in enumerate(depths):
            width, blocks = base * 2**stage, []
            out = width * block.expansion
            for i in range(depth):
                stride = 2 if stage and not i else 1
                blocks.append(block(into, width * inner, out, stride, groups))
                into = out
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(into, CLASSES)
        he_fan_out(self)
        if zero_last:
            for module in self.modules():
                if isinstance(module, Basic | Bottleneck):
                    last = module.bn3 if isinstance(module, Bottleneck) else module.bn2
                    nn.init.zeros_(last.weight)

    def forward(self, x: Any) -> Any:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


_VGG11 = (4, 0, 8, 0, 16, 16, 0, 32, 32, 0, 32, 32, 0)
_VGG16 = (4, 4, 0, 8, 8, 0, 16, 16, 16, 0, 32, 32, 32, 0, 32, 32, 32, 0)


class VGG(nn.Module):  # type: ignore[misc]
    """torchvision's VGG: ``features.N``, pooled to 7 by 7, ``classifier.0``, ``.3``, ``.6``."""

    def __init__(self, plan: tuple[int, ...], *, batch_norm: bool) -> None:
        super().__init__()
        layers: list[Any] = []
        into = 3
        for width in plan:
            if not width:
                layers.append(nn.MaxPool2d(2, 2))
                continue
            layers.append(nn.Conv2d(into, width, 3, padding=1))
            layers += [nn.BatchNorm2d(width)] if batch_norm else []
            layers.append(nn.ReLU(inplace=True))
            into = width
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(into * 49, 256), nn.ReLU(True), nn.Dropout(),
            nn.Linear(256, 256), nn.ReLU(True), nn.Dropout(),
            nn.Linear(256, CLASSES),
        )  # fmt: skip
        # All widths are a sixteenth: the 0.01 of the full ones leaves as much of the signal.
        he_fan_out(self, linear_std=0.01 * 16**0.5)

    def forward(self, x: Any) -> Any:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


class AlexNet(nn.Module):  # type: ignore[misc]
    """torchvision's AlexNet, with torch's own initialisation."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 11, 4, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
            nn.Conv2d(8, 24, 5, padding=2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
            nn.Conv2d(24, 48, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(48, 32, 3, padding=1), nn.ReLU(inplace=True),
            nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2),
        )  # fmt: skip
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(), nn.Linear(32 * 36, 64), nn.ReLU(inplace=True),
            nn.Dropout(), nn.Linear(64, 64), nn.ReLU(inplace=True),
            nn.Linear(64, CLASSES),
        )  # fmt: skip

    def forward(self, x: Any) -> Any:
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


_LARGE = images("x", size=64)


def _example(name: str, make: Any, feed: Any = _LARGE) -> Any:
    return example(f"tv_{name}", "torchvision", make, feed)


EXAMPLES = (
    _example("resnet18", lambda: ResNet(Basic, (2, 2, 2, 2))),
    _example("resnet18_zero", lambda: ResNet(Basic, (2, 2, 2, 2), zero_last=True)),
    _example("resnet50", lambda: ResNet(Bottleneck, (3, 4, 6, 3))),
    _example("resnet50_zero", lambda: ResNet(Bottleneck, (3, 4, 6, 3), zero_last=True)),
    _example("resnext50", lambda: ResNet(Bottleneck, (3, 4, 6, 3), inner=2, groups=4)),
    _example("wide_resnet50", lambda: ResNet(Bottleneck, (3, 4, 6, 3), inner=2)),
    _example("vgg11", lambda: VGG(_VGG11, batch_norm=False)),
    _example("vgg16_bn", lambda: VGG(_VGG16, batch_norm=True)),
    _example("alexnet", AlexNet, images("x", size=128)),
)
