"""A small architecture of its own, and checkpoints that have its names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from initaudit.auditing import _measured, rebuilt
from initaudit.checkpoint.reading import from_mapping
from initaudit.checkpoint.settings import understood
from initaudit.network import Network
from initaudit.options import Options, quiet
from tests.nets import Arrays

WIDTH, VOCABULARY = 8, 11

TOY = """
name = "toy"
model_types = ["toy"]
prefixes = ["toy.", ""]
marks = ["words.weight", "h.0.up.weight"]
inputs = [{ name = "input", shape = ["$length"], tokens = "$vocabulary" }]
steps = [
  { name = "words", op = "embedding" },
  { repeat = "h.{i}", block = ["gated", "block"] },
  { name = "/head", op = "linear", tied = "words", role = "head", when = { prefixed = true } },
]
agree = [{ config = "width", extent = ["words.weight", 1] }]

[settings]
vocabulary = { extent = ["words.weight", 0] }
width = { extent = ["words.weight", 1] }
length = 5
heads = { config = ["heads"], divides = "width", quotient = ["width", 4], tell = "{value} heads" }
act = { config = ["act"], activation = true, default = "relu" }

[blocks.block]
steps = [
  { name = "up", op = "linear" },
  { as = "split", op = "attention", from = ["up", "up", "up"], heads = "$heads" },
  { name = "act", op = "activation", function = "$act" },
  { as = "added", op = "add", from = ["x", "<"] },
]

[blocks.gated]
needs = ["gate"]
steps = [
  { name = "gate", op = "linear" },
  { as = "gated", op = "multiply", from = ["x", "gate"] },
]
"""


def written(folder: Path, text: str = TOY, name: str = "toy.toml") -> Path:
    """Write an architecture's file into a folder of rules, and return that folder."""
    below = folder / "architectures"
    below.mkdir(parents=True, exist_ok=True)
    (below / name).write_text(text, "utf-8")
    return folder


def arrays(blocks: int = 3, prefix: str = "") -> Arrays:
    """The arrays of a toy of some blocks."""
    random = np.random.default_rng(0)
    names = {f"{prefix}words.weight": (VOCABULARY, WIDTH)}
    names |= {f"{prefix}h.{i}.up.weight": (WIDTH, WIDTH) for i in range(blocks)}
    return {
        name: (random.standard_normal(shape) / np.sqrt(WIDTH)).astype(np.float32)
        for name, shape in names.items()
    }


def llama() -> Arrays:
    """The arrays of a Llama of two blocks: 4 heads of 8 features, 40 tokens."""
    random = np.random.default_rng(0)
    shapes = {f"self_attn.{x}_proj.weight": (32, 32) for x in "qkvo"}
    shapes |= {"mlp.gate_proj.weight": (48, 32), "mlp.up_proj.weight": (48, 32),
               "mlp.down_proj.weight": (32, 48)}  # fmt: skip
    held: Arrays = {"model.embed_tokens.weight": random.normal(0, 0.02, (40, 32))}
    for i in range(2):
        for name, shape in shapes.items():
            held[f"model.layers.{i}.{name}"] = random.normal(0, 0.02, shape)
        for norm in ("input_layernorm", "post_attention_layernorm"):
            held[f"model.layers.{i}.{norm}.weight"] = np.ones(32)
    held |= {"model.norm.weight": np.ones(32), "lm_head.weight": random.normal(0, 0.02, (40, 32))}
    return {name: array.astype(np.float32) for name, array in held.items()}


def network(held: Arrays, *folders: Path, config: dict[str, Any] | None = None) -> Network:
    """The network of arrays in memory, with what stands in a ``config.json`` beside them."""
    options = Options(rules=folders)
    checkpoint = from_mapping(held, "memory")
    if config is not None:
        checkpoint = replace(checkpoint, config=understood(config, "config.json"))
    tensors, _ = _measured(checkpoint, None, options, quiet)
    return rebuilt(checkpoint, tensors, options)


def assumed(made: Network) -> str:
    """All assumptions of a network, one a line."""
    return "\n".join(one.text for one in made.assumptions)
