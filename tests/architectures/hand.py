"""Examples that are modules written out by hand, saved as safetensors without a configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_model, save_model

from tests.architectures.example import Example, Feed
from tests.architectures.library import SEED, ready

FILE = "model.safetensors"


def example(
    name: str,
    family: str,
    make: Callable[[], Any],
    feed: Callable[[int], Feed],
    *,
    parity: bool = True,
    notes: str = "",
) -> Example:
    """An example whose weights are named as a library or a well-known repository names them."""

    def build() -> Any:
        torch.manual_seed(SEED)
        return ready(make())

    def load(folder: Path) -> Any:
        model = build()
        load_model(model, folder / FILE)
        return model

    return Example(
        name=name, family=family, build=build, feed=feed, save=save, load=load,
        parity=parity, notes=notes,
    )  # fmt: skip


def save(model: Any, folder: Path) -> None:
    """Save as safetensors; of tied weights one is kept and the metadata tell of the other."""
    save_model(model, str(folder / FILE))
