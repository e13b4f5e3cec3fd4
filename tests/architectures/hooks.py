"""What PyTorch's hooks and autograd see in an example, in float64."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tests.architectures import renaming
from tests.architectures.draws import normal
from tests.architectures.example import Example

Array = NDArray[Any]


@dataclass(frozen=True)
class Output:
    """The population standard deviation of a module's output, its size and the module's class."""

    std: float
    size: int
    kind: str


@dataclass(frozen=True)
class Seen:
    """What was seen, under the names of the saved file.

    ``modules`` are in the order in which they returned; ``repeated`` were called several times
    and ``unnamed`` have no name in the file. ``gradients`` are mean squares, by stored tensor.
    ``ends`` are the outputs that the cotangents were put on, as shape and standard deviation.
    """

    modules: Mapping[str, Output]
    repeated: tuple[str, ...]
    unnamed: tuple[str, ...]
    gradients: Mapping[str, float]
    ends: Mapping[str, tuple[tuple[int, ...], float]]


def cotangent(name: str, shape: tuple[int, ...]) -> Array:
    """The gradient that enters at the output of a module ("" for the model)."""
    return normal(f"cotangent {name}", shape)


def observe(example: Example, folder: Path | None = None, *, seed: int = 0) -> Seen:
    """Return what is seen in the model as it is built, or as loaded from a folder."""
    model = example.build() if folder is None else example.load(folder)
    # Weights drawn in float32 and widened are those that a float32 file holds.
    model = model.double()
    record = _Record()
    handles = [
        module.register_forward_hook(record.hook(name)) for name, module in model.named_modules()
    ]
    model(**{name: torch.tensor(array) for name, array in example.feed(seed).items()})
    for handle in handles:
        handle.remove()
    ends = {name: record.last[name] for name in example.ends}
    torch.autograd.backward(
        list(ends.values()),
        [torch.tensor(cotangent(name, tuple(y.shape))).to(y.dtype) for name, y in ends.items()],
    )
    gradients = {
        key: float(np.square(array).mean())
        for key, array in renaming.gradients(example, model).items()
        if array.ndim >= 2
    }
    names = renaming.modules(example, model)
    once = {name: seen[0] for name, seen in record.outputs.items() if len(seen) == 1 and name}
    return Seen(
        modules={names[name]: output for name, output in once.items() if name in names},
        repeated=tuple(names.get(name, name) for name, seen in record.outputs.items() if seen[1:]),
        unnamed=tuple(name for name in once if name not in names),
        gradients=gradients,
        ends={
            names.get(name, name): (tuple(y.shape), float(y.detach().std(unbiased=False)))
            for name, y in ends.items()
        },
    )


class _Record:
    """Outputs by module, in the order in which they came."""

    def __init__(self) -> None:
        self.outputs: dict[str, list[Output]] = {}
        self.last: dict[str, Any] = {}

    def hook(self, name: str) -> Callable[..., None]:
        def see(module: Any, inputs: Any, output: Any) -> None:
            first = _first(output)
            if first is None or _acts_itself(module):
                return
            self.last[name] = first
            # At once: what follows may overwrite the output in place.
            std = float(first.detach().double().std(unbiased=False))
            seen = Output(std, first.numel(), type(module).__name__)
            self.outputs.setdefault(name, []).append(seen)

        return see


def _acts_itself(module: Any) -> bool:
    """Whether a norm calls its activation (timm's): what the norm gives has no hook of its own.

    A container that ends in one gives what it gives.
    """
    if isinstance(module, torch.nn.Sequential) and len(module):
        return _acts_itself(module[-1])
    held = any(True for _ in module.parameters(recurse=False))
    return held and isinstance(getattr(module, "act", None), torch.nn.Module)


def _first(output: Any) -> Any:
    """The tensor that a module returned, or the first of several."""
    if isinstance(output, Mapping):
        output = tuple(output.values())
    if isinstance(output, tuple | list) and output:
        output = output[0]
    kept = isinstance(output, torch.Tensor) and output.is_floating_point()
    return output if kept else None
