"""Tensors from a line of text: names, shapes and nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from initaudit.checkpoint.topology import build
from initaudit.network import Network, Tensor


def tensor(name: str, shape: tuple[int, ...], dtype: str = "F32") -> Tensor:
    return Tensor(name, dtype, shape, math.prod(shape), 0.0, 1.0, -1.0, 1.0, 0, 0, 0, 0)


def tensors(spec: str) -> list[Tensor]:
    """Read ``fc1.weight 64 32; mask 3 4 BOOL``."""
    found = []
    for item in spec.replace("\n", ";").split(";"):
        name, *rest = item.split() or [""]
        if not name:
            continue
        dtype = "F32" if not rest or rest[-1].isdecimal() else rest.pop()
        found.append(tensor(name, tuple(map(int, rest)), dtype))
    return found


def linear(name: str, out: int, fan: int) -> str:
    return f"{name}.weight {out} {fan}; {name}.bias {out};"


def norm(name: str, width: int) -> str:
    return f"{name}.weight {width}; {name}.bias {width};"


def batch_norm(name: str, width: int) -> str:
    return (
        norm(name, width) + f"{name}.running_mean {width}; {name}.running_var {width};"
        f"{name}.num_batches_tracked I64;"
    )


def network(spec: str | Iterable[Tensor], **given: Any) -> Network:
    read = tensors(spec) if isinstance(spec, str) else list(spec)
    return build(read, name="model", path="model.safetensors", **given)


def chain(found: Network) -> str:
    """The connected layers in order, an activation as an arrow."""
    aside = dict(found.apart)
    shown = ""
    for layer in found.layers:
        if layer.name in aside or layer.op == "input":
            continue
        if layer.op == "activation":
            shown += " >"
        elif layer.params:
            shown += f" {layer.name}"
        else:
            shown += f" ({layer.op})"
    return shown.strip()


def reasons(found: Network) -> Mapping[str, str]:
    return dict(found.apart)


def assumptions(found: Network) -> str:
    return "\n".join(assumption.text for assumption in found.assumptions)
