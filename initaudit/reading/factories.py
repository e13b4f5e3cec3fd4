"""Tensors that functions make of a shape or of numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from initaudit.checkpoint.graphs.values import Known
from initaudit.network import Interval, Weights
from initaudit.reading import (
    drawing,
    python,
    tensors,
)
from initaudit.reading.state import State
from initaudit.reading.tape import fixed
from initaudit.reading.values import (
    EMPTY,
    Drawn,
    External,
    StopError,
    Unknown,
)


def shaped(state: State, name: str, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
    """Return what a factory of a given shape makes."""
    plain = {
        k: v
        for k, v in keywords.items()
        if k not in {"dtype", "device", "requires_grad", "layout", "generator", "out"}
    }
    integer = isinstance(kind := keywords.get("dtype"), External) and kind.name in {
        "torch.int64",
        "torch.long",
        "torch.int",
        "torch.int32",
        "torch.bool",
    }
    if name.endswith("_like"):
        try:
            size: Any = tensors.shape(args[0])
        except (StopError, IndexError, AttributeError) as error:
            return Unknown(str(error))
        rest = args[1:]
    elif name == "full":
        size, rest = (plain.get("size", args[0] if args else ())), args[1:]
    elif name == "normal":
        return Unknown("torch.normal is not followed")
    else:
        size = plain.get("size", args[0] if len(args) == 1 else args)
        rest = ()
    if name in {"Tensor", "FloatTensor"} and isinstance(size, list):
        return numbers("tensor", (size,), {})
    if isinstance(size, int):
        size = (size,)
    if isinstance(size, Unknown):
        if not size.key:
            return size
        size = (state.witness(size),)
    try:
        whole = tuple(_extent(state, n) for n in size)
    except (TypeError, StopError):
        return Unknown("the shape of a tensor is not known")
    base = name.removesuffix("_like")
    if base in {"empty", "Tensor", "FloatTensor"}:
        return Drawn(whole, EMPTY, None)
    if base in {"rand", "randn"}:
        law = "uniform" if base == "rand" else "normal"
        mean, scale = (0.5, 1.0 / 12.0) if base == "rand" else (0.0, 1.0)
        weights = Weights(law, Interval.point(mean), Interval.point(scale))
        return Drawn(whole, weights, drawing.draw(weights, whole, (1, 1)))
    number = {"zeros": 0.0, "ones": 1.0}.get(base)
    if number is None:
        held = plain.get("fill_value", rest[0] if rest else None)
        held = held.array.item() if isinstance(held, Known) and held.array.size == 1 else held
        if isinstance(held, bool | int) and not python.tainted(held):
            integer = integer or isinstance(held, bool)
        number = float(held) if isinstance(held, int | float) else None
    if number is None:
        return Drawn(whole, EMPTY, None)
    if (integer or math.isinf(number)) and not python.tainted(whole):
        fill = np.full(whole, number)
        if isinstance(kind, External) and kind.name == "torch.bool":
            return Known(fill.astype(np.bool_))
        return Known(fill.astype(np.int64) if integer and not math.isinf(number) else
                     fill.astype(np.float32))  # fmt: skip
    weights = Weights("constant" if number else "zeros", Interval.point(number),
                      Interval.point(0.0))  # fmt: skip
    return Drawn(whole, weights, drawing.draw(weights, whole, (1, 1)))


def boolean(name: str, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> bool:
    """Return whether a method makes booleans of numbers."""
    told = next(iter(args), keywords.get("dtype"))
    kind = told.name if isinstance(told, External) else ""
    return name == "bool" or (name in {"to", "type"} and kind == "torch.bool")


def truths(value: Known | Drawn) -> Any:
    """Return numbers that are known as booleans."""
    try:
        known = fixed(value) if isinstance(value, Drawn) else value
    except StopError as stop:
        return Unknown(stop.reason)
    return Known(known.array.astype(np.bool_))


def _extent(state: State, value: Any) -> int:
    if isinstance(value, Unknown):
        return state.witness(value)
    if isinstance(value, Known) and value.array.size == 1:
        return int(value.array.item())
    if isinstance(value, float) and not float(value).is_integer():
        raise StopError("no whole number")
    return value if isinstance(value, int) else int(value)


def numbers(name: str, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
    """Return what a function makes of numbers: a range, an identity, an array of them."""
    flat = [v.array.item() if isinstance(v, Known) and v.array.size == 1 else v for v in args]
    if any(isinstance(v, Unknown) for v in flat) or python.tainted(*flat):
        return Unknown("numbers that are not known")
    if flat and isinstance(flat[0], Known | Drawn):
        return flat[0]
    try:
        match name:
            case "arange":
                ends = [keywords[k] for k in ("start", "end", "step") if k in keywords]
                made = np.arange(*(flat or ends))
            case "linspace":
                count = flat[2] if len(flat) > 2 else keywords.get("steps", 50)
                made = np.linspace(flat[0], flat[1], int(count)).astype(np.float32)
            case "eye":
                made = np.eye(*(int(n) for n in flat), dtype=np.float32)
            case _:
                held = flat[0] if flat else []
                made = np.asarray(_unwrapped(held))
    except (TypeError, ValueError, IndexError, KeyError, MemoryError):
        return Unknown(f"{name} is given what is not known")
    if made.dtype == object or made.size > 1 << 22:
        return Unknown(f"{name} is given what is not known")
    if made.dtype == np.float64:
        made = made.astype(np.float32)
    kind = keywords.get("dtype")
    if isinstance(kind, External) and kind.name.rpartition(".")[2].startswith("float"):
        made = made.astype(np.float32)
    return Known(made)


def _unwrapped(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_unwrapped(v) for v in value]
    return value.array if isinstance(value, Known) else value
