"""Modules of torchvision's names: MobileNets and EfficientNets."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from torch import nn
from torch.nn import functional

from tests.architectures.example import images
from tests.architectures.hand import example
from tests.architectures.vision import CLASSES, conv, he_fan_out

SHARE = 8
"""Widths are divided by this; none goes below 4."""


def narrow(width: float) -> int:
    return max(4, int(width / SHARE) // 2 * 2)


def unit(
    into: int,
    out: int,
    size: int,
    stride: int = 1,
    groups: int = 1,
    act: Any = None,
    eps: float = 1e-5,
) -> Any:
    """Convolution, batch norm and, where there is one, an activation: ``0``, ``1``, ``2``."""
    layers = [conv(into, out, size, stride, groups), nn.BatchNorm2d(out, eps=eps)]
    return nn.Sequential(*layers, *([] if act is None else [act(inplace=True)]))


class Squeeze(nn.Module):  # type: ignore[misc]
    """``fc1``, activation, ``fc2``, gate: both are 1x1 convolutions."""

    def __init__(self, width: int, inner: int, act: Any, gate: Any) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1, self.fc2 = nn.Conv2d(width, inner, 1), nn.Conv2d(inner, width, 1)
        self.activation, self.scale_activation = act(), gate()

    def forward(self, x: Any) -> Any:
        y = self.fc2(self.activation(self.fc1(self.avgpool(x))))
        return self.scale_activation(y) * x


class Inverted(nn.Module):  # type: ignore[misc]
    """MobileNetV2's block: ``conv.0`` (expand), ``conv.1`` (depthwise), ``conv.2``, ``conv.3``."""

    def __init__(self, into: int, out: int, stride: int, expand: int) -> None:
        super().__init__()
        inner = into * expand
        layers = [] if expand == 1 else [unit(into, inner, 1, act=nn.ReLU6)]
        layers.append(unit(inner, inner, 3, stride, inner, nn.ReLU6))
        self.conv = nn.Sequential(*layers, conv(inner, out, 1), nn.BatchNorm2d(out))
        self.residual = stride == 1 and into == out

    def forward(self, x: Any) -> Any:
        return x + self.conv(x) if self.residual else self.conv(x)


class Squeezed(nn.Module):  # type: ignore[misc]
    """The block of MobileNetV3 and EfficientNet: ``block.0``, ``block.1``, ..."""

    def __init__(
        self,
        into: int,
        inner: int,
        out: int,
        size: int,
        stride: int,
        act: Any,
        squeeze: Any,
        eps: float,
    ) -> None:
        super().__init__()
        layers = [] if inner == into else [unit(into, inner, 1, act=act, eps=eps)]
        layers.append(unit(inner, inner, size, stride, inner, act, eps))
        layers += [] if squeeze is None else [squeeze(inner)]
        self.block = nn.Sequential(*layers, unit(inner, out, 1, eps=eps))
        self.residual = stride == 1 and into == out

    def forward(self, x: Any) -> Any:
        y = self.block(x)
        if self.residual:
            y += x
        return y


class Classifier(nn.Module):  # type: ignore[misc]
    """``features``, mean over space, ``classifier``."""

    def __init__(self, features: list[Any], classifier: list[Any], *, pooled: bool = True) -> None:
        super().__init__()
        self.features = nn.Sequential(*features)
        if pooled:
            self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(*classifier)

    def forward(self, x: Any) -> Any:
        x = self.features(x)
        x = self.avgpool(x) if hasattr(self, "avgpool") else functional.adaptive_avg_pool2d(x, 1)
        norm_first = isinstance(self.classifier[0], nn.LayerNorm)
        return self.classifier(x if norm_first else x.flatten(1))


def mobilenet_v2() -> Any:
    plan = (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2),
        (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    )  # fmt: skip
    into = narrow(32)
    features = [unit(3, into, 3, 2, act=nn.ReLU6)]
    for expand, width, depth, stride in plan:
        for i in range(depth):
            features.append(Inverted(into, narrow(width), 1 if i else stride, expand))
            into = narrow(width)
    features.append(unit(into, narrow(1280), 1, act=nn.ReLU6))
    head = [nn.Dropout(0.2), nn.Linear(narrow(1280), CLASSES)]
    model = Classifier(features, head, pooled=False)
    he_fan_out(model, linear_std=0.01 * SHARE**0.5)
    return model


_V3 = (
    # into, size, inner, out, squeezed, hardswish, stride
    (16, 3, 16, 16, 0, 0, 1), (16, 3, 64, 24, 0, 0, 2), (24, 3, 72, 24, 0, 0, 1),
    (24, 5, 72, 40, 1, 0, 2), (40, 5, 120, 40, 1, 0, 1), (40, 5, 120, 40, 1, 0, 1),
    (40, 3, 240, 80, 0, 1, 2), (80, 3, 200, 80, 0, 1, 1), (80, 3, 184, 80, 0, 1, 1),
    (80, 3, 184, 80, 0, 1, 1), (80, 3, 480, 112, 1, 1, 1), (112, 3, 672, 112, 1, 1, 1),
    (112, 5, 672, 160, 1, 1, 2), (160, 5, 960, 160, 1, 1, 1), (160, 5, 960, 160, 1, 1, 1),
)  # fmt: skip


_V3_SMALL = (
    (16, 3, 16, 16, 1, 0, 2), (16, 3, 72, 24, 0, 0, 2), (24, 3, 88, 24, 0, 0, 1),
    (24, 5, 96, 40, 1, 1, 2), (40, 5, 240, 40, 1, 1, 1), (40, 5, 240, 40, 1, 1, 1),
    (40, 5, 120, 48, 1, 1, 1), (48, 5, 144, 48, 1, 1, 1), (48, 5, 288, 96, 1, 1, 2),
    (96, 5, 576, 96, 1, 1, 1), (96, 5, 576, 96, 1, 1, 1),
)  # fmt: skip


def mobilenet_v3(plan: tuple[tuple[int, ...], ...], last: int, hidden: int) -> Any:
    eps = 0.001
    features = [unit(3, narrow(16), 3, 2, act=nn.Hardswish, eps=eps)]
    for into, size, inner, out, squeezed, hard, stride in plan:
        squeeze = lambda width: Squeeze(width, max(4, width // 4), nn.ReLU, nn.Hardsigmoid)  # noqa: E731
        features.append(
            Squeezed(
                narrow(into), narrow(inner), narrow(out), size, stride,
                nn.Hardswish if hard else nn.ReLU, squeeze if squeezed else None, eps,
            )
        )  # fmt: skip
    features.append(unit(narrow(plan[-1][3]), narrow(last), 1, act=nn.Hardswish, eps=eps))
    head = [
        nn.Linear(narrow(last), narrow(hidden)), nn.Hardswish(inplace=True), nn.Dropout(0.2),
        nn.Linear(narrow(hidden), CLASSES),
    ]  # fmt: skip
    model = Classifier(features, head)
    he_fan_out(model, linear_std=0.01 * SHARE**0.5)
    return model


def efficientnet_b0() -> Any:
    plan = (
        (1, 3, 1, 32, 16, 1), (6, 3, 2, 16, 24, 2), (6, 5, 2, 24, 40, 2), (6, 3, 2, 40, 80, 3),
        (6, 5, 1, 80, 112, 3), (6, 5, 2, 112, 192, 4), (6, 3, 1, 192, 320, 1),
    )  # fmt: skip
    features = [unit(3, narrow(32), 3, 2, act=nn.SiLU)]
    for expand, size, stride, first, out, depth in plan:
        stage = []
        for i in range(depth):
            into = narrow(out if i else first)
            squeeze = partial(Squeeze, inner=max(1, into // 4), act=nn.SiLU, gate=nn.Sigmoid)
            stage.append(
                Squeezed(
                    into, into * expand, narrow(out), size, 1 if i else stride,
                    nn.SiLU, squeeze, 1e-5,
                )
            )  # fmt: skip
        features.append(nn.Sequential(*stage))
    features.append(unit(narrow(320), narrow(1280), 1, act=nn.SiLU))
    head = nn.Linear(narrow(1280), CLASSES)
    model = Classifier(features, [nn.Dropout(0.2), head])
    he_fan_out(model)
    bound = 1.0 / math.sqrt(CLASSES)
    nn.init.uniform_(head.weight, -bound, bound)
    nn.init.zeros_(head.bias)
    return model


class Fused(nn.Module):  # type: ignore[misc]
    """EfficientNetV2's early block: a 3x3 convolution that expands, a 1x1 that projects."""

    def __init__(self, into: int, out: int, stride: int, expand: int) -> None:
        super().__init__()
        inner, eps = into * expand, 1e-3
        layers = [unit(into, out if expand == 1 else inner, 3, stride, act=nn.SiLU, eps=eps)]
        layers += [] if expand == 1 else [unit(inner, out, 1, eps=eps)]
        self.block = nn.Sequential(*layers)
        self.residual = stride == 1 and into == out

    def forward(self, x: Any) -> Any:
        return x + self.block(x) if self.residual else self.block(x)


def efficientnet_v2_s() -> Any:
    plan = (
        (1, 1, 24, 24, 2), (4, 2, 24, 48, 4), (4, 2, 48, 64, 4), (4, 2, 64, 128, 6),
        (6, 1, 128, 160, 9), (6, 2, 160, 256, 15),
    )  # fmt: skip
    features = [unit(3, narrow(24), 3, 2, act=nn.SiLU, eps=1e-3)]
    for number, (expand, stride, first, out, depth) in enumerate(plan):
        stage = []
        for i in range(depth):
            into, by = narrow(out if i else first), 1 if i else stride
            squeeze = partial(Squeeze, inner=max(1, into // 4), act=nn.SiLU, gate=nn.Sigmoid)
            stage.append(
                Fused(into, narrow(out), by, expand)
                if number < 3
                else Squeezed(into, into * expand, narrow(out), 3, by, nn.SiLU, squeeze, 1e-3)
            )
        features.append(nn.Sequential(*stage))
    features.append(unit(narrow(256), narrow(1280), 1, act=nn.SiLU, eps=1e-3))
    head = nn.Linear(narrow(1280), CLASSES)
    model = Classifier(features, [nn.Dropout(0.2), head])
    he_fan_out(model)
    bound = 1.0 / math.sqrt(CLASSES)
    nn.init.uniform_(head.weight, -bound, bound)
    nn.init.zeros_(head.bias)
    return model


EXAMPLES = tuple(
    example(f"tv_{name}", "torchvision", make, images("x", size=64))
    for name, make in {
        "mobilenet_v2": mobilenet_v2,
        "mobilenet_v3_large": lambda: mobilenet_v3(_V3, 960, 1280),
        "mobilenet_v3_small": lambda: mobilenet_v3(_V3_SMALL, 576, 1024),
        "efficientnet_b0": efficientnet_b0,
        "efficientnet_v2_s": efficientnet_v2_s,
    }.items()
)
