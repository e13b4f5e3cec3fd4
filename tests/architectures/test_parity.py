"""Architectures rebuilt from their names, next to PyTorch's own models, layer by layer."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")

from tests.architectures.__main__ import live
from tests.architectures.compare import GRADIENT, STD
from tests.architectures.zoo import EXAMPLES

EXACT = (
    "gpt2", "gpt_neox", "llama", "llama_scaled", "llama_tied", "mistral", "qwen2", "qwen3", "gemma",
    "gemma2", "falcon_alibi",
    "phi", "phi3", "mixtral", "opt", "bloom", "gptj", "falcon", "bert", "bert_classifier",
    "roberta", "distilbert", "electra", "t5", "t5_encoder", "t5_gated", "bart", "whisper", "clip",
    "vit", "deit", "swin", "dinov2", "lstm", "gru", "tv_resnet18", "tv_resnet18_zero",
    "tv_resnet50", "tv_resnet50_zero", "tv_resnext50", "tv_wide_resnet50", "timm_resnet50",
    "nanogpt", "nanogpt_biasless", "mingpt", "mingpt_old", "timm_vit", "torch_pre_norm",
    "torch_post_norm",
)  # fmt: skip


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", EXACT)
def test_every_named_layer_agrees_with_hooks_and_autograd(name: str) -> None:
    seen = live(EXAMPLES[name])
    assert seen.stopped == {}
    assert len(seen.forward) >= 3
    assert max(row.error for row in seen.forward) < STD
    assert max(row.error for row in seen.backward) < GRADIENT
