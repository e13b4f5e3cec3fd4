"""What may enter a model: shapes that its first layers could take."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from initaudit.checkpoint.spatial import STEPS
from initaudit.reading.values import Module

_SIDES = (32, 224, 28, 64, 96, 128, 256, 84, 48, 299, 384, 16)
_LENGTHS = (16, 64, 128, 8, 4)
_RECURRENT = frozenset({"lstm", "gru", "rnn_tanh"})


@dataclass(frozen=True, slots=True)
class Entry:
    """The shape of one sample; ``tokens`` says that it holds whole numbers.

    ``batch`` is the axis of the samples as the model sees it.
    """

    shape: tuple[int, ...]
    tokens: bool = False
    batch: int = 0


def candidates(first: tuple[str, tuple[int, ...]] | None, module: Module) -> list[Entry]:
    """Return shapes to try, likeliest first.

    ``first`` is the operator that reads the input first, with the shape of its weight.
    """
    found: list[Entry] = []
    if first is not None:
        found += _of_operator(*first)
    kind, shape = next(_weighted(module), ("", ()))
    if first is not None and first[0] == "embedding" and _recurs(module):
        found.insert(0, Entry((STEPS,), tokens=True))
    if not found:
        found += _of_operator(kind, shape, flat=True)
    width = 64
    if "linear" in kind or "norm" in kind:
        width = int(shape[-1])
    elif "conv" in kind and len(shape) > 1:
        width = int(shape[0] if shape[1] == 1 else shape[1])
    if kind != "embedding" and (first is None or first[0] != "embedding"):
        found += [Entry((16, width)), Entry((width, 32, 32)), Entry((8, 8, width)), Entry((width,))]
    elif not found:
        found += [Entry((16,), tokens=True)]
    return list(dict.fromkeys(found))


def _of_operator(name: str, shape: Sequence[int], *, flat: bool = False) -> list[Entry]:
    numbers = [int(n) for n in shape]
    match name:
        case "linear" if len(numbers) == 2:
            width = numbers[1]
            made = [Entry((width,)), Entry((16, width))]
            squares = [
                Entry((c, side, side))
                for c in (1, 3)
                if width % c == 0 and (side := math.isqrt(width // c)) ** 2 * c == width
            ]
            return [*squares, *made] if flat else [*made, *squares]
        case "matmul" | "mm" | "addmm" if len(numbers) == 2:
            return [Entry((numbers[0],)), Entry((16, numbers[0]))]
        case "conv2d" | "conv_transpose2d" if len(numbers) == 4:
            return [Entry((_inputs(name, numbers), side, side)) for side in _SIDES]
        case "conv1d" | "conv_transpose1d" if len(numbers) == 3:
            return [Entry((_inputs(name, numbers), n)) for n in (64, 128, 256, 1024, 16)]
        case "conv3d" if len(numbers) == 5:
            return [Entry((numbers[1], 16, side, side)) for side in (32, 112)]
        case "embedding":
            return [Entry((n,), tokens=True) for n in _LENGTHS]
        case "batch_norm" if numbers:
            return [Entry((numbers[0],)), Entry((numbers[0], 32, 32)), Entry((numbers[0], 16))]
        case "layer_norm" | "rms_norm" if numbers:
            return [Entry((numbers[-1],)), Entry((16, numbers[-1]))]
        case _ if name in _RECURRENT and len(numbers) == 2:
            return [Entry((STEPS, numbers[1])), Entry((STEPS, numbers[1]), batch=1)]
        case _:
            return []


def _recurs(module: Module) -> bool:
    return any(kind in _RECURRENT for kind, _ in _weighted(module))


def _inputs(name: str, shape: Sequence[int]) -> int:
    return shape[0] if "transpose" in name else shape[1]


def _weighted(module: Module) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield (operator, shape of the weight) of the layers in the order they were made."""
    names = {"linear": "linear", "embedding": "embedding", "layer_norm": "layer_norm",
             "lstm": "lstm", "gru": "gru", "rnn": "rnn_tanh"}  # fmt: skip
    for one in module.modules():
        kernel = one.params.get("kernel")
        if kernel is not None and len(kernel.shape) == 2:
            yield "linear", kernel.shape[::-1]
        weight = one.params.get("weight") or one.params.get("weight_ih_l0")
        if one.spec is None or weight is None:
            continue
        if one.spec.op in {"conv", "conv_transpose"}:
            yield f"{one.spec.op}{len(weight.shape) - 2}d", weight.shape
        elif one.spec.op in names:
            yield names[one.spec.op], weight.shape
