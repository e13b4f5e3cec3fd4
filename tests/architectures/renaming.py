"""How the names in a saved file differ from the names in memory.

transformers 5 keeps some models under other names than it saves them with (attention of ViT,
experts of Mixtral), so that files stay as they were. The names are found by saving marked weights.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file

from tests.architectures.example import Example

Stored = dict[str, NDArray[Any]]


def stored(example: Example, model: Any) -> Stored:
    """What the model's own ``save`` writes, by the names in the file."""
    with tempfile.TemporaryDirectory() as folder:
        example.save(model, Path(folder))
        return {
            k: v for file in Path(folder).glob("*.safetensors") for k, v in load_file(file).items()
        }


def gradients(example: Example, model: Any) -> Stored:
    """The gradients of a model, by the names in the file; it loses its weights.

    Saving only moves numbers (splits, joins, transposes), so that a saved gradient is that of
    the saved weight. Weights that no gradient reached are left out.
    """
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.nan if parameter.grad is None else parameter.grad)
        for buffer in model.buffers():
            if buffer.is_floating_point():
                buffer.fill_(torch.nan)
    return {k: v for k, v in stored(example, model).items() if not np.isnan(v).any()}


def modules(example: Example, model: Any) -> dict[str, str]:
    """The name in the file for each module's name in memory; the model loses its weights.

    A module without weights has no name in the file; it is named after the module it is part of.
    Where several modules in memory share a name in the file, the outer one has it.
    """
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for number, parameter in enumerate(parameters.values()):
            parameter.fill_(number)
    names = list(parameters)
    known, written = model.state_dict(), dict[str, list[str]]()
    for key, array in stored(example, model).items():
        weights = array.dtype.kind == "f" and array.size and np.isfinite(array.flat[0])
        if weights and key not in known:
            memory = names[int(array.flat[0])].rpartition(".")[0]
            written.setdefault(memory, []).append(key.rpartition(".")[0])
    direct = {memory: _common(found) for memory, found in written.items()}
    every = [name for name, _ in model.named_modules() if name]
    if not direct:
        return {name: name for name in every}
    return _extended(direct, every, [name.rpartition(".")[0] for name in names])


def _extended(direct: Mapping[str, str], every: list[str], holding: list[str]) -> dict[str, str]:
    """Name the modules around and beside those that hold weights."""
    found: dict[str, str] = {}
    for name in every:
        inside = [h for h in holding if h == name or h.startswith(f"{name}.")]
        if name in holding:
            found[name] = direct.get(name, name)
        elif all(h not in direct for h in inside) and inside:
            found[name] = name
        elif inside:
            common = _common([direct.get(h, h) for h in inside])
            if common in direct.values():
                common = common.rpartition(".")[0]
            if common and common not in found.values():
                found[name] = common
        else:
            around, _, own = name.rpartition(".")
            if not around or around in found:
                found[name] = f"{found[around]}.{own}" if around else own
    return found


def _common(names: list[str]) -> str:
    split = [name.split(".") for name in names]
    shared = []
    for parts in zip(*split, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return ".".join(shared)
