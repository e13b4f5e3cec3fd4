"""Tensors while a source is followed: functions, methods, parts, and what fills a parameter."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from initaudit.checkpoint.graphs import arithmetic
from initaudit.checkpoint.graphs.values import Known, Signal, UnsupportedError, Weight
from initaudit.reading import (
    factories,
    filling,
    functions,
    normalising,
    python,
    resizing,
    unborn,
    windows,
)
from initaudit.reading.state import State
from initaudit.reading.tape import Tape
from initaudit.reading.values import (
    HELD,
    Drawn,
    External,
    Namespace,
    Parameter,
    StopError,
    Unknown,
)

_OTHER = {"dot": "matmul", "concatenate": "cat", "square": "square", "swish": "silu",
          "hard_sigmoid": "hardsigmoid", "hard_swish": "hardswish", "ravel": "flatten",
          "power": "pow", "subtract": "sub", "divide": "div"}  # fmt: skip
_SHAPED = frozenset({"zeros", "ones", "full", "empty", "rand", "randn", "normal"})
_SHAPED |= {f"{n}_like" for n in ("zeros", "ones", "full", "empty", "rand", "randn")}
_SHAPED |= {"Tensor", "FloatTensor"}


def operation(state: State, name: str, args: Sequence[Any]) -> Any:
    """Return what an operator of Python makes of tensors."""
    drawn = next((a for a in args if isinstance(a, Drawn)), None)
    if drawn is not None and not any(isinstance(a, Signal | Weight | Parameter) for a in args):
        made = unborn.combined(name, drawn, args)
        if made is not None:
            return made
    if state.tape is None and any(isinstance(a, HELD) for a in args):
        return Unknown("a number computed from a parameter")
    if any(isinstance(a, Unknown) for a in args):
        return next(a for a in args if isinstance(a, Unknown))
    return aten(state, functions.TABLE[name][0], args, functions.TABLE[name][1])


def aten(state: State, name: str, args: Sequence[Any], names: Sequence[str]) -> Any:
    """Return what an operator of torch.export gives; known numbers need no forward pass."""
    tape = state.tape or Tape(nothing_stored)
    try:
        made = tape.call(name, args, names[: len(args)], state.at)
    except StopError as stop:
        if state.tape is None:
            return Unknown(stop.reason)
        raise type(stop)(stop.reason, stop.site or state.at) from None
    return list(made) if isinstance(made, tuple) and name in {"split", "chunk", "unbind"} else made


def numbers_of(state: State, parameter: Parameter | None) -> Any:
    """Return the array of a parameter in a forward pass.

    Raises:
        StopError: there is no forward pass, or no such parameter.
    """
    if state.tape is None or parameter is None:
        raise StopError("a number computed from a parameter", state.at)
    weight = state.tape.weight(parameter)
    try:
        return (weight if isinstance(weight, Known) else weight.known()).array
    except UnsupportedError as error:
        raise StopError(str(error), state.at) from None


def nothing_stored(parameter: Parameter) -> Any:
    """Refuse to give a parameter's array while the model is built."""
    raise StopError("a number computed from a parameter")


def function(state: State, full: str, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
    """Return what a function outside of the project gives."""
    owner, _, last = full.rpartition(".")
    if not owner.startswith(("torch", "numpy", "jax", "flax", "keras", "tensorflow")):
        return Unknown(f"{full} is not known")
    if owner.startswith(("jax", "flax")) and last == "gelu":
        keywords = {"approximate": "tanh", **keywords}
    if state.tape is None:
        windows.written(state, last, args, keywords)
    last = _OTHER.get(last, last)
    if last in {"max_pool", "avg_pool"} and args and isinstance(args[0], Signal):
        from initaudit.reading import lasting

        given = dict(zip(("x", "size", "strides"), args, strict=False)) | dict(keywords)
        size = given.get("window_shape", given.get("size"))
        return lasting.pooled(state, args[0], last, size, given.get("strides") or 1)
    if owner.startswith(("jax", "flax", "keras")) and last in {"softmax", "log_softmax"}:
        return method(state, args[0], last, (-1,), {})
    if owner == "torch" and last in _SHAPED:
        return factories.shaped(state, last, args, keywords)
    if last in {"arange", "linspace", "eye", "tensor", "as_tensor", "from_numpy", "array"}:
        return factories.numbers(last, args, keywords)
    if last == "get_default_dtype":
        return External("torch.float32")
    if last == "finfo":
        ends = np.finfo(np.float32)
        held = {"bits": 32, "min": float(ends.min), "max": float(ends.max), "eps": float(ends.eps)}
        return Namespace({**held, "tiny": float(ends.tiny)})
    if last in {"iinfo", "device", "dtype"} or "autocast" in last:
        return Unknown(f"{full} is not followed")
    if last == "interpolate":
        return resizing.interpolate(state, args, keywords)
    if full == "torch.nn.functional.normalize" and state.tape is not None:
        made = normalising.normalised(state, args, keywords)
        if made is not None:
            return made
    return method(state, None, last, args, keywords, full)


def method(
    state: State,
    subject: Any,
    name: str,
    args: tuple[Any, ...],
    keywords: Mapping[str, Any],
    full: str = "",
) -> Any:
    """Return what a method of a tensor gives, or a function of torch by the same name."""
    first = subject if subject is not None else next(iter(args), None)
    if state.tape is None and isinstance(first, Parameter) and name == "clone":
        return windows.copied(state, first)
    if state.tape is None and windows.shares(first, name) and name not in functions.SAME:
        return windows.of(first)
    made = _method(state, subject, name, args, keywords, full)
    in_place = name.endswith("_") and not name.endswith("__")
    if state.tape is not None and (in_place or keywords.get("inplace") is True):
        state.tape.change(subject if subject is not None else next(iter(args), None), made)
    return made


def _method(
    state: State,
    subject: Any,
    name: str,
    args: tuple[Any, ...],
    keywords: Mapping[str, Any],
    full: str,
) -> Any:
    if subject is not None:
        early = _early(state, subject, name, args, keywords)
        if early is not None:
            return early[0]
        args = (subject, *args)
        name = name if name in functions.TABLE else name.rstrip("_")
        name = _OTHER.get(name, name)
        if name in functions.VARIADIC and len(args) > 1 and not isinstance(args[1], tuple | list):
            args = (args[0], tuple(args[1:]))
    if name in {"var", "std"} and state.tape is not None:
        made = normalising.spread(state, name, args, keywords, full)
        if made is not None:
            return made
    entry = functions.TABLE.get(name) or functions.TABLE.get(name.rstrip("_"))
    if entry is None:
        return ended(state, full or f"the method {name} of a tensor", args)
    operator, names = entry
    given = _bound(names, args, keywords)
    for key, value in functions.DEFAULTS.get(name, {}).items():
        given.setdefault(key, value)
    unknown = next((v for v in given.values() if isinstance(v, Unknown)), None)
    if unknown is not None and operator != "dropout":
        return ended(state, name, args, unknown.reason)
    drawn = given.get(names[0])
    if isinstance(drawn, Drawn):
        return unborn.moved(state, name, drawn, tuple(given.values())[1:])
    if operator == "dropout":
        return aten(state, "dropout", (given[names[0]],), names)
    if name in {"view_as", "reshape_as"}:
        return aten(state, "view", (given["input"], shape(given["other"])), ("input", "size"))
    if name == "outer":
        return _outer(given)
    if name in {"max", "min"}:
        return ended(state, name, args)
    return aten(state, operator, _in_order(names, given), _kept(names, given))


def _bound(
    names: Sequence[str], args: Sequence[Any], keywords: Mapping[str, Any]
) -> dict[str, Any]:
    given = dict(zip(names, args, strict=False))
    same = {"self": "input", "x": "input", "axis": "dim", "keepdims": "keepdim", "size": "shape",
            "split_size_or_sections": "split_size", "dim1": "dim1", "dim0": "dim0",
            "mat2": "other", "min": "min", "max": "max", "p": "p"}  # fmt: skip
    for key, value in keywords.items():
        at = key if key in names else same.get(key, key)
        if at in names:
            given[at] = value
    return {name: given[name] for name in names if name in given}


def _in_order(names: Sequence[str], given: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(given[name] for name in names if name in given)


def _kept(names: Sequence[str], given: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name for name in names if name in given)


def ended(state: State, name: str, args: Sequence[Any], reason: str = "it is not known") -> Any:
    """Return what an operation that is not followed gives: the signal ends there."""
    flat = [v for a in args for v in (a if isinstance(a, tuple | list) else (a,))]
    signals = [v for v in flat if isinstance(v, Signal)]
    if state.tape is None or not signals:
        return Unknown(f"{name} is not followed" if reason == "it is not known" else reason)
    return state.tape.broken_at(name, reason, signals, state.at)


def _outer(given: Mapping[str, Any]) -> Any:
    values = list(given.values())
    if all(isinstance(v, Known) for v in values) and len(values) == 2:
        return Known(np.outer(values[0].array, values[1].array))
    return Unknown("an outer product of what is not known")


def _early(
    state: State, subject: Any, name: str, args: tuple[Any, ...], keywords: Mapping[str, Any]
) -> tuple[Any] | None:
    """Return what the methods give that are no operators."""
    if name in {"size", "numel", "dim", "ndimension", "nelement"}:
        held = shape(subject)
        if name == "size":
            at = args[0] if args else keywords.get("dim")
            return (held[at],) if isinstance(at, int) else (tuple(held),)
        count = math.prod(held) if name in {"numel", "nelement"} else len(held)
        return (python.taint(count) if python.tainted(held) and name != "dim" else count,)
    if isinstance(subject, HELD):
        filled = filling.filled(state, subject, name, args, keywords)
        if filled is not None:
            return filled
    if isinstance(subject, Drawn) and name.endswith("_") and not name.endswith("__"):
        return (filling.drawn_anew(state, subject, name, args, keywords),)
    if name == "clone" and isinstance(subject, Signal) and state.tape is not None:
        return (arithmetic.same(state.tape.builder, "identity", state.tape.now(subject), {}),)
    if isinstance(subject, Known | Drawn) and factories.boolean(name, args, keywords):
        return (factories.truths(subject),)
    if name in functions.SAME:
        return (subject,)
    if name in {"item", "tolist"} and isinstance(subject, Known):
        return (subject.array.item() if name == "item" else subject.array.tolist(),)
    if name in {"max", "min"} and args and not isinstance(args[0], int):
        return (aten(state, f"{name}imum", (subject, args[0]), ("input", "other")),)
    if name in {"new_zeros", "new_ones", "new_empty"}:
        return (factories.shaped(state, name.removeprefix("new_"), args, {}),)
    if name in {"numpy", "is_floating_point"}:
        return (subject if name == "numpy" else True,)
    return None


def shape(value: Any) -> tuple[int, ...]:
    """Return the shape of a tensor; StopError where it is not known."""
    if isinstance(value, Signal):
        try:
            return value.seen
        except UnsupportedError as error:
            raise StopError(str(error)) from None
    found: tuple[int, ...] = value.shape
    return found


def attribute(state: State, subject: Any, wanted: str) -> Any:
    """Return an attribute of a tensor."""
    match wanted:
        case "shape":
            return tuple(shape(subject))
        case "ndim":
            return len(shape(subject))
        case "data":
            return subject
        case "T" | "mT" | "H":
            return method(state, subject, "transpose", (-1, -2), {})
        case "dtype":
            return _dtype(subject)
        case "device":
            return Namespace({"type": "cpu", "index": None})
        case "is_cuda":
            return False
        case "layout" | "grad" | "names":
            return Unknown(f"the {wanted} of a tensor is not followed")
        case "requires_grad":
            return getattr(subject, "trained", False)
        case "is_sparse" | "is_quantized" | "is_nested" | "is_meta":
            return False
        case _:
            from initaudit.reading.values import Method

            return Method(subject, wanted)


def _dtype(subject: Any) -> External:
    kind = subject.array.dtype.kind if isinstance(subject, Known) else "f"
    return External({"i": "torch.int64", "b": "torch.bool"}.get(kind, "torch.float32"))
