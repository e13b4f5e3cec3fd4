"""LoRA adapters of a Llama in peft's names, with peft's initialisation."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from tests.architectures.example import Example, tokens
from tests.architectures.library import SEED

WIDTH, GROUPED, RANK, DEPTH, ALPHA = 64, 32, 4, 8, 8
TARGETS = {"q_proj": WIDTH, "v_proj": GROUPED}
FILE = "adapter_model.safetensors"


class Adapters(nn.Module):  # type: ignore[misc]
    """The matrices A (He uniform, a = sqrt 5) and B (zeros) of each target."""

    def __init__(self) -> None:
        super().__init__()
        self.held = nn.ParameterDict()
        for layer in range(DEPTH):
            for target, width in TARGETS.items():
                down, up = torch.empty(RANK, WIDTH), torch.zeros(width, RANK)
                nn.init.kaiming_uniform_(down, a=math.sqrt(5))
                self.held[f"{layer}:{target}:A"] = nn.Parameter(down)
                self.held[f"{layer}:{target}:B"] = nn.Parameter(up)


def _stored(model: Any) -> dict[str, Any]:
    found = {}
    for key, parameter in model.held.items():
        layer, target, half = key.split(":")
        place = f"base_model.model.model.layers.{layer}.self_attn.{target}"
        found[f"{place}.lora_{half}.weight"] = parameter.detach()
    return found


def save(model: Any, folder: Path) -> None:
    """Save as peft does: the adapters alone and their ``adapter_config.json``."""
    save_file(_stored(model), folder / FILE, metadata={"format": "pt"})
    settings = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "llama",
        "r": RANK,
        "lora_alpha": ALPHA,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "inference_mode": True,
        "use_rslora": False,
        "modules_to_save": None,
        "target_modules": sorted(TARGETS),
    }
    text = json.dumps(settings, indent=2, sort_keys=True)
    (folder / "adapter_config.json").write_text(text + "\n")


def _build() -> Any:
    torch.manual_seed(SEED)
    return Adapters()


def _load(folder: Path) -> Any:
    model, arrays = Adapters(), load_file(folder / FILE)
    with torch.no_grad():
        for name, parameter in zip(_stored(model), model.held.values(), strict=True):
            parameter.copy_(arrays[name])
    return model


EXAMPLES = (
    Example(
        name="lora",
        family="peft",
        build=_build,
        feed=tokens(),
        save=save,
        load=_load,
        parity=False,
        notes="the weights that the adapters are added to are not stored",
    ),
)
