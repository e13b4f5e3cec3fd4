"""Examples that transformers builds from a configuration and saves itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.utils import logging

from tests.architectures.example import Example, Feed, tokens

# The examples are so small that more threads only wait for each other.
torch.set_num_threads(1)

SEED = 0
# Fused kernels take no float64 (experts) or give the modules within no call (attention).
_WRITTEN_OUT = {"attn_implementation": "eager", "experts_implementation": "eager"}


def example(
    name: str,
    model: str,
    settings: Mapping[str, Any],
    feed: Callable[[int], Feed] | None = None,
    *,
    ends: tuple[str, ...] = ("",),
    parity: bool = True,
    notes: str = "",
    attention: str = "eager",
) -> Example:
    """An example of a model class of transformers, with attention written out."""
    way = _WRITTEN_OUT | {"attn_implementation": attention}
    return Example(
        name=name,
        family="transformers",
        build=lambda: _built(model, settings, way),
        feed=feed or tokens(),
        save=save,
        load=lambda folder: _loaded(model, folder, way),
        ends=ends,
        parity=parity,
        notes=notes,
    )


def _built(model: str, settings: Mapping[str, Any], way: Mapping[str, str]) -> Any:
    kind = getattr(transformers, model)
    config = kind.config_class(**settings)
    torch.manual_seed(SEED)
    return ready(kind._from_config(config, **way))


def _loaded(model: str, folder: Path, way: Mapping[str, str]) -> Any:
    hush()
    kind = getattr(transformers, model)
    read, report = kind.from_pretrained(folder, output_loading_info=True, **way)
    lost = {key: report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")}
    assert not any(lost.values()), lost
    return ready(read)


def save(model: Any, folder: Path) -> None:
    """Save with ``save_pretrained``: ``config.json`` and ``model.safetensors``."""
    hush()
    model.save_pretrained(folder)


def hush() -> None:
    """Keep transformers from writing progress and advice to the terminal."""
    logging.disable_progress_bar()
    logging.set_verbosity_error()


def ready(model: Any) -> Any:
    """Set a model to no dropout, with the statistics of the batch in its batch norms."""
    model.eval()
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.train()
    return model
