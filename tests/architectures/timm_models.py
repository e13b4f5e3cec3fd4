"""Models of images from timm, built by its own functions with its own initialisation."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import pytest
import torch

from tests.architectures.example import Example, images
from tests.architectures.hand import of_builder
from tests.architectures.library import SEED, ready
from tests.architectures.standin import timm
from tests.architectures.vision import CLASSES

_NARROW = {"channels": (8, 16, 32, 64)}
_VGG11 = [4, "M", 8, "M", 16, 16, "M", 32, 32, "M", 32, 32, "M"]


def example(name: str, model: str, settings: Mapping[str, Any] | None = None) -> Example:
    """An example of a model that timm knows by name."""

    def build() -> Any:
        torch.manual_seed(SEED)
        return ready(timm().create_model(model, num_classes=CLASSES, **(settings or {})))

    return of_builder(f"timm_{name}", "timm itself", build, images("x", size=64))


def vgg(name: str, *, batch_norm: bool) -> Example:
    """A VGG-11 of a narrow width; the functions by name know only the full one."""

    def build() -> Any:
        torch.manual_seed(SEED)
        norm = torch.nn.BatchNorm2d if batch_norm else None
        kind = timm().models.vgg.VGG
        return ready(kind(_VGG11, CLASSES, mlp_ratio=0.02, norm_layer=norm))

    return of_builder(f"timm_{name}", "timm itself", build, images("x", size=64))


EXAMPLES = (
    example("resnet18", "resnet18", _NARROW),
    example("resnet26", "resnet26", _NARROW),
    example("resnet50d", "resnet50d", _NARROW),
    example("seresnet50", "seresnet50", _NARROW),
    vgg("vgg11", batch_norm=False),
    vgg("vgg11_bn", batch_norm=True),
    example("densenet121", "densenet121", {"growth_rate": 8}),
    example("mobilenetv2", "mobilenetv2_050"),
    example("mobilenetv3_large", "mobilenetv3_large_100"),
    example("mobilenetv3_small", "mobilenetv3_small_050"),
    example("efficientnet_b0", "efficientnet_b0"),
    example("convnext", "convnext_tiny", {"dims": (8, 16, 32, 64)}),
    example("convnext_conv", "convnext_atto", {"dims": (8, 16, 32, 64)}),
    example("convnextv2", "convnextv2_tiny", {"dims": (8, 16, 32, 64)}),
)


def needed(name: str) -> None:
    """Skip a test of an example of these where timm is not installed."""
    if any(name == one.name for one in EXAMPLES) and find_spec("timm") is None:
        pytest.skip("timm is not installed")
