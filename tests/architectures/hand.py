"""Examples that are modules written out by hand, saved as safetensors.

Beside it stands a ``config.json`` of what no weight tells, where the architecture needs such.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
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
    config: Mapping[str, Any] | None = None,
    parity: bool = True,
    notes: str = "",
) -> Example:
    """An example whose weights are named as a library or a well-known repository names them."""

    def build() -> Any:
        torch.manual_seed(SEED)
        return ready(make())

    return of_builder(name, family, build, feed, config=config, parity=parity, notes=notes)


def of_builder(
    name: str,
    family: str,
    build: Callable[[], Any],
    feed: Callable[[int], Feed],
    *,
    config: Mapping[str, Any] | None = None,
    parity: bool = True,
    notes: str = "",
) -> Example:
    """An example that is built as a function does it, saved as safetensors."""

    def load(folder: Path) -> Any:
        model = build()
        load_model(model, folder / FILE)
        return model

    return Example(
        name=name, family=family, build=build, feed=feed, load=load,
        save=partial(save, config=config), parity=parity, notes=notes,
    )  # fmt: skip


def save(model: Any, folder: Path, config: Mapping[str, Any] | None = None) -> None:
    """Save as safetensors; of tied weights one is kept and the metadata tell of the other."""
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config), "utf-8")
    save_model(model, str(folder / FILE))
