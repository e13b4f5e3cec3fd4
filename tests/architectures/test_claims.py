"""Which architecture claims which example: each its own, by names alone, and no other."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")

from safetensors.numpy import load_file

from initaudit.architecture import load
from initaudit.architecture.lookup import matches
from tests.architecture.toy import assumed, network
from tests.architectures.library import hush
from tests.architectures.timm_models import needed
from tests.architectures.zoo import EXAMPLES
from tests.checkpoint.shapes import tensor
from tests.nets import Arrays

OWN: Mapping[str, str] = {
    "resnet18": "resnet_hf", "resnet50": "resnet_hf", "convnext": "convnext_hf",
    "convnextv2": "convnext_hf", "mobilenet_v1": "mobilenet_v1_hf",
    "mobilenet_v2": "mobilenet_v2_hf", "efficientnet": "efficientnet_hf",
    "tv_resnet18": "resnet", "tv_resnet18_zero": "resnet", "tv_resnet50": "resnet",
    "tv_resnet50_zero": "resnet", "tv_resnext50": "resnet", "tv_wide_resnet50": "resnet",
    "tv_vgg11": "vgg", "tv_vgg16_bn": "vgg", "tv_alexnet": "alexnet",
    "tv_mobilenet_v2": "mobilenet_v2", "tv_mobilenet_v3_large": "mobilenet_v3",
    "tv_efficientnet_b0": "efficientnet", "tv_convnext_tiny": "convnext",
    "tv_densenet121": "densenet", "tv_mobilenet_v3_small": "mobilenet_v3",
    "tv_efficientnet_v2_s": "efficientnet_v2",
    "segformer": "segformer", "unet": "unet", "unet_bilinear": "unet", "timm_resnet50": "resnet",
    "timm_resnet18": "resnet", "timm_resnet26": "resnet", "timm_resnet50d": "resnet",
    "timm_seresnet50": "resnet", "timm_vgg11": "vgg_timm", "timm_vgg11_bn": "vgg_timm",
    "timm_densenet121": "densenet", "timm_mobilenetv2": "efficientnet_timm",
    "timm_mobilenetv3_large": "mobilenet_v3_timm", "timm_mobilenetv3_small": "mobilenet_v3_timm",
    "timm_efficientnet_b0": "efficientnet_timm", "timm_convnext": "convnext_timm",
    "timm_convnext_conv": "convnext_timm", "timm_convnextv2": "convnext_timm",
}  # fmt: skip
"""The architecture of each convolutional example."""

BROKEN = {
    "tv_vgg11": ("features.8.weight", (16, 16, 5, 5), "the kernel of features.8 is 5, not 3"),
    "tv_vgg16_bn": ("classifier.0.weight", (256, 999), "classifier.0.weight reads 999 features"),
    "tv_alexnet": ("features.3.weight", (24, 3, 5, 5), "a kernel reads 3 channels of 8"),
    "tv_mobilenet_v2": (
        "features.4.conv.1.0.weight", (18, 1, 5, 5), "the kernel of features.4 is 5, not 3",
    ),
    "tv_densenet121": (
        "features.denseblock2.denselayer3.norm1.weight", (7,),
        "features.denseblock2.denselayer3.norm1.weight has 7 features",
    ),
    "tv_efficientnet_b0": ("features.3.1.block.2.fc2.weight", None, "fc2.weight is missing"),
    "tv_convnext_tiny": (
        "features.3.1.block.3.weight", (96, 25), "features.3.1.block.3.weight reads 25 features",
    ),
    "tv_mobilenet_v3_large": (
        "features.7.block.0.0.weight", (30, 7, 1, 1), "a kernel reads 7 channels of",
    ),
    "resnet18": (
        "resnet.encoder.stages.1.layers.1.layer.1.convolution.weight", None,
        "resnet.encoder.stages.1.layers.1.layer.0.convolution.weight is no part of it",
    ),
    "unet": ("up2.conv.double_conv.3.weight", None, "up2.conv.double_conv.3.weight is missing"),
    "efficientnet": (
        "efficientnet.encoder.blocks.9", None, "the blocks of efficientnet is 15, not 16",
    ),
    "timm_resnet18": ("layer2.0.bn2.weight", (5,), "layer2.0.bn2.weight has 5 features"),
    "timm_convnextv2": (
        "stages.2.blocks.1.conv_dw.weight", None, "stages.2.blocks.1.conv_dw.weight is missing",
    ),
}  # fmt: skip
"""A tensor that another example lacks or has of another shape, and what the report says."""


@cache
def stored(name: str, tmp: Path) -> Arrays:
    """What an example saves, by name."""
    hush()
    folder = tmp / name
    if not folder.exists():
        folder.mkdir()
        EXAMPLES[name].save(EXAMPLES[name].build(), folder)
    return {k: v for f in folder.glob("*.safetensors") for k, v in load_file(f).items()}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for what examples save."""
    return tmp_path_factory.mktemp("saved")


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", EXAMPLES)
def test_convolutional_architectures_claim_their_own_examples_alone(name: str, saved: Path) -> None:
    needed(name)
    tensors = {k: tensor(k, v.shape) for k, v in stored(name, saved).items()}
    found = {match.architecture.name for match in matches(load(), tensors, None)}
    assert found & set(OWN.values()) == ({OWN[name]} if name in OWN else set())


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", BROKEN)
def test_what_does_not_fit_is_judged_layer_by_layer_and_said(name: str, saved: Path) -> None:
    needed(name)
    key, shape, said = BROKEN[name]
    held = dict(stored(name, saved))
    if shape is None:
        held = {k: v for k, v in held.items() if not (k == key or k.startswith(f"{key}."))}
    else:
        held[key] = np.resize(held[key], shape)
    told = assumed(network(held))
    assert f"its names are those of {OWN[name]}, but" in told
    assert said in told
    assert "judged layer by layer" in told


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["tv_vgg11", "tv_densenet121", "tv_efficientnet_b0", "unet"])
def test_a_module_of_another_kind_inside_is_no_part_of_it(name: str, saved: Path) -> None:
    held = dict(stored(name, saved))
    place = next(k for k, v in held.items() if v.ndim == 4).rpartition(".")[0]
    held[f"{place}.extra.weight"] = np.ones((4, 4), np.float32)
    assert f"{place}.extra.weight is no part of it: judged layer by layer" in assumed(network(held))
