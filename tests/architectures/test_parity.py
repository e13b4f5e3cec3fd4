"""Architectures rebuilt from their names, next to PyTorch's own models, layer by layer."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")

from tests.architectures.__main__ import live
from tests.architectures.compare import GRADIENT, STD
from tests.architectures.timm_models import needed
from tests.architectures.zoo import EXAMPLES

EXACT = (
    "gpt2", "gpt_neox", "llama", "llama_scaled", "llama_tied", "mistral", "qwen2", "qwen3", "gemma",
    "gemma2", "falcon_alibi",
    "phi", "phi3", "mixtral", "opt", "bloom", "gptj", "falcon", "bert", "bert_classifier",
    "roberta", "distilbert", "electra", "t5", "t5_encoder", "t5_gated", "bart", "whisper", "clip",
    "vit", "deit", "swin", "dinov2", "lstm", "gru", "tv_resnet18", "tv_resnet18_zero",
    "tv_resnet50", "tv_resnet50_zero", "tv_resnext50", "tv_wide_resnet50", "timm_resnet50",
    "nanogpt", "nanogpt_biasless", "mingpt", "mingpt_old", "timm_vit", "torch_pre_norm",
    "torch_post_norm", "lstm_bidirectional", "tv_vgg11", "tv_vgg16_bn", "tv_alexnet",
    "tv_mobilenet_v2", "tv_mobilenet_v3_large", "tv_efficientnet_b0", "tv_convnext_tiny",
    "tv_densenet121", "resnet18", "resnet50", "unet", "convnext", "convnextv2", "mobilenet_v1",
    "mobilenet_v2", "efficientnet", "timm_resnet18", "timm_resnet26", "timm_resnet50d",
    "timm_seresnet50", "timm_vgg11", "timm_vgg11_bn", "timm_densenet121", "timm_mobilenetv2",
    "timm_mobilenetv3_large", "timm_mobilenetv3_small", "timm_efficientnet_b0", "timm_convnext",
    "timm_convnext_conv", "timm_convnextv2", "segformer", "unet_bilinear", "tv_mobilenet_v3_small",
    "tv_efficientnet_v2_s",
)  # fmt: skip


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", EXACT)
def test_every_named_layer_agrees_with_hooks_and_autograd(name: str) -> None:
    needed(name)
    seen = live(EXAMPLES[name])
    assert seen.stopped == {}
    assert len(seen.forward) >= 3
    assert max(row.error for row in seen.forward) < STD
    assert max(row.error for row in seen.backward) < GRADIENT
