"""Tensors while a source is followed: functions, methods, parts, and what fills a parameter."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from initaudit.catalogue import Initialiser, bind, scaled, shifted
from initaudit.catalogue import weights as weights_of
from initaudit.checkpoint.graphs.values import Known, Signal, UnsupportedError, Weight
from initaudit.network import Interval, Weights
from initaudit.reading import building, drawing, functions, python
from initaudit.reading.state import State
from initaudit.reading.tape import Tape, fixed
from initaudit.reading.values import (
    Draw,
    Drawn,
    Event,
    External,
    Namespace,
    Open,
    Parameter,
    StopError,
    Unknown,
    View,
)

HELD = (Parameter, View)
_EMPTY = Weights("unknown", Interval.unknown(), Interval(0.0, math.inf))
_FACTORIES = frozenset({"arange", "linspace", "tensor", "as_tensor", "from_numpy", "eye"})
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
        made = _of_drawn(name, drawn, args)
        if made is not None:
            return made
    if state.tape is None and any(isinstance(a, HELD) for a in args):
        return Unknown("a number computed from a parameter")
    if any(isinstance(a, Unknown) for a in args):
        return next(a for a in args if isinstance(a, Unknown))
    return aten(state, functions.TABLE[name][0], args, functions.TABLE[name][1])


def aten(state: State, name: str, args: Sequence[Any], names: Sequence[str]) -> Any:
    """Return what an operator of torch.export gives; known numbers need no forward pass."""
    tape = state.tape or Tape(_nothing_stored)
    try:
        made = tape.call(name, args, names[: len(args)], state.at)
    except StopError as stop:
        if state.tape is None:
            return Unknown(stop.reason)
        raise type(stop)(stop.reason, stop.site or state.at) from None
    return list(made) if isinstance(made, tuple) and name in {"split", "chunk", "unbind"} else made


def _nothing_stored(parameter: Parameter) -> Any:
    raise StopError("a number computed from a parameter")


def _of_drawn(name: str, drawn: Drawn, args: Sequence[Any]) -> Any:
    """Return a random tensor times, divided by, or plus a number; None for anything else."""
    if name == "neg":
        return _mapped(drawn, scaled(drawn.weights, Interval.point(-1.0)), lambda a: -a)
    if len(args) != 2:
        return None
    other = args[1] if args[0] is drawn else args[0]
    if isinstance(other, Known) and other.array.size == 1:
        other = float(other.array.item())
    if isinstance(other, Unknown) or python.tainted(other):
        return Drawn(drawn.shape, _EMPTY, None)
    if isinstance(other, bool) or not isinstance(other, int | float):
        return None
    number = float(other)
    first = args[0] is drawn
    match name:
        case "mul":
            weights = scaled(drawn.weights, Interval.point(number))
            return _mapped(drawn, weights, lambda a: a * number)
        case "div" if first and number:
            weights = scaled(drawn.weights, Interval.point(1.0 / number))
            return _mapped(drawn, weights, lambda a: a / number)
        case "add":
            weights = shifted(drawn.weights, Interval.point(number))
            return _mapped(drawn, weights, lambda a: a + number)
        case "sub" if first:
            weights = shifted(drawn.weights, Interval.point(-number))
            return _mapped(drawn, weights, lambda a: a - number)
        case "sub":
            negated = scaled(drawn.weights, Interval.point(-1.0))
            weights = shifted(negated, Interval.point(number))
            return _mapped(drawn, weights, lambda a: number - a)
        case _:
            return None


def _mapped(drawn: Drawn, weights: Weights, change: Any) -> Drawn:
    inner = drawn.draw
    if inner is None:
        return Drawn(drawn.shape, weights, None)
    return Drawn(drawn.shape, weights, lambda random, old: change(inner(random, old)))


def function(state: State, full: str, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
    """Return what a function outside of the project gives."""
    owner, _, last = full.rpartition(".")
    if not owner.startswith(("torch", "numpy", "jax", "flax", "keras", "tensorflow")):
        return Unknown(f"{full} is not known")
    if owner.startswith(("jax", "flax")) and last == "gelu":
        keywords = {"approximate": "tanh", **keywords}
    last = _OTHER.get(last, last)
    if last in {"max_pool", "avg_pool"} and args and isinstance(args[0], Signal):
        from initaudit.reading import lasting

        given = dict(zip(("x", "size", "strides"), args, strict=False)) | dict(keywords)
        size = given.get("window_shape", given.get("size"))
        return lasting.pooled(state, args[0], last, size, given.get("strides") or 1)
    if owner.startswith(("jax", "flax", "keras")) and last in {"softmax", "log_softmax"}:
        return method(state, args[0], last, (-1,), {})
    if owner == "torch" and last in _SHAPED:
        return _shaped(state, last, args, keywords)
    if last in {"arange", "linspace", "eye", "tensor", "as_tensor", "from_numpy", "array"}:
        return _numbers(last, args, keywords)
    if last == "get_default_dtype":
        return External("torch.float32")
    if last == "finfo":
        ends = np.finfo(np.float32)
        held = {"bits": 32, "min": float(ends.min), "max": float(ends.max), "eps": float(ends.eps)}
        return Namespace({**held, "tiny": float(ends.tiny)})
    if last in {"iinfo", "device", "dtype"} or "autocast" in last:
        return Unknown(f"{full} is not followed")
    if last == "interpolate":
        return _interpolate(state, args, keywords)
    return method(state, None, last.rstrip("_"), args, keywords, full)


def method(
    state: State,
    subject: Any,
    name: str,
    args: tuple[Any, ...],
    keywords: Mapping[str, Any],
    full: str = "",
) -> Any:
    """Return what a method of a tensor gives, or a function of torch by the same name."""
    if subject is not None:
        early = _early(state, subject, name, args, keywords)
        if early is not None:
            return early[0]
        args = (subject, *args)
        name = name if name in functions.TABLE else name.rstrip("_")
        name = _OTHER.get(name, name)
        if name in functions.VARIADIC and len(args) > 1 and not isinstance(args[1], tuple | list):
            args = (args[0], tuple(args[1:]))
    entry = functions.TABLE.get(name)
    if entry is None:
        return _unknown(state, full or f"the method {name} of a tensor", args)
    operator, names = entry
    given = _bound(names, args, keywords)
    for key, value in functions.DEFAULTS.get(name, {}).items():
        given.setdefault(key, value)
    unknown = next((v for v in given.values() if isinstance(v, Unknown)), None)
    if unknown is not None and operator != "dropout":
        return _unknown(state, name, args, unknown.reason)
    drawn = given.get(names[0])
    if isinstance(drawn, Drawn):
        return _shape_of_drawn(state, name, drawn, tuple(given.values())[1:])
    if operator == "dropout":
        return aten(state, "dropout", (given[names[0]],), names)
    if name in {"view_as", "reshape_as"}:
        return aten(state, "view", (given["input"], shape(given["other"])), ("input", "size"))
    if name == "outer":
        return _outer(given)
    if name in {"max", "min"}:
        return _unknown(state, name, args)
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


def _unknown(state: State, name: str, args: Sequence[Any], reason: str = "it is not known") -> Any:
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
        filled = _filled(state, subject, name, args, keywords)
        if filled is not None:
            return filled
    if isinstance(subject, Drawn) and name.endswith("_") and not name.endswith("__"):
        return (_drawn_anew(state, subject, name, args, keywords),)
    if name in functions.SAME:
        return (subject,)
    if name in {"item", "tolist"} and isinstance(subject, Known):
        return (subject.array.item() if name == "item" else subject.array.tolist(),)
    if name in {"max", "min"} and args and not isinstance(args[0], int):
        return (aten(state, f"{name}imum", (subject, args[0]), ("input", "other")),)
    if name in {"new_zeros", "new_ones", "new_empty"}:
        return (_shaped(state, name.removeprefix("new_"), args, {}),)
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


def items(state: State, value: Any) -> list[Any]:
    """Return a tensor along its first axis."""
    if isinstance(value, Known) and value.array.ndim:
        if value.array.ndim == 1:
            return [Known(x) for x in value.array]
        return [Known(x) for x in value.array]
    if isinstance(value, Signal) and state.tape is not None:
        made = aten(state, "unbind", (value, 0), ("input", "dim"))
        return list(made) if isinstance(made, list) else [made]
    raise StopError("a loop over a tensor", state.at)


def index(state: State, subject: Any, at: Any) -> Any:
    """Return a part of a tensor."""
    if isinstance(at, Unknown):
        return _unknown(state, "a part of a tensor", (subject,), at.reason)
    if isinstance(subject, HELD) and state.tape is None:
        try:
            whole = subject if isinstance(subject, Parameter) else None
            return View(whole, _plain_index(at)) if whole else Unknown("a part of a part")
        except StopError as stop:
            return Unknown(stop.reason)
    if isinstance(subject, Drawn):
        try:
            subject = fixed(subject)
        except StopError as stop:
            return Unknown(stop.reason)
    steps = at if isinstance(at, tuple) else (at,)
    if isinstance(subject, Known):
        try:
            return Known(np.asarray(subject.array[_plain_index(at)]))
        except (StopError, IndexError, TypeError):
            return Unknown("a part of an array is not known")
    return _parts(state, subject, steps)


def _plain_index(at: Any) -> Any:
    found: list[Any] = []
    for one in at if isinstance(at, tuple) else (at,):
        if isinstance(one, Known):
            found.append(one.array)
        elif isinstance(one, slice):
            if any(isinstance(e, Unknown) for e in (one.start, one.stop, one.step)):
                raise StopError("the ends of a slice are not known")
            found.append(one)
        elif one is None or one is Ellipsis or isinstance(one, int | list):
            found.append(one)
        else:
            raise StopError("an index is not known")
    return tuple(found) if isinstance(at, tuple) else found[0]


def _parts(state: State, subject: Any, steps: Sequence[Any]) -> Any:
    """Return a part of a signal: slices, positions and new axes, one after the other."""
    rank = len(shape(subject))
    taken = sum(1 for s in steps if s is not None and s is not Ellipsis)
    full: list[Any] = []
    for step in steps:
        full += [slice(None)] * (rank - taken) if step is Ellipsis else [step]
    axis, value = 0, subject
    for step in full:
        if step is None:
            value = aten(state, "unsqueeze", (value, axis), ("input", "dim"))
            axis += 1
        elif isinstance(step, slice):
            ends = (step.start, step.stop, step.step)
            ends = tuple(e.array.item() if isinstance(e, Known) else e for e in ends)
            if any(e is not None and not isinstance(e, int) for e in ends):
                return _unknown(state, "a slice", (value,), "its ends are not known")
            if ends != (None, None, None):
                value = aten(
                    state, "slice", (value, axis, *(e if e is not None else d for e, d in
                                                    zip(ends, (0, 1 << 62, 1), strict=True))),
                    ("input", "dim", "start", "end", "step"),
                )  # fmt: skip
            axis += 1
        elif isinstance(step, int) and not isinstance(step, bool):
            value = aten(state, "select", (value, axis, step), ("input", "dim", "index"))
        elif isinstance(step, Known | Signal):
            if isinstance(step, Known) and step.array.ndim == 0:
                value = aten(state, "select", (value, axis, int(step.array)), ())
                continue
            given = (*(None,) * axis, step)
            return aten(state, "index", (value, given), ("input", "indices"))
        else:
            return _unknown(state, "a part of a tensor", (value,), "its index is not followed")
    return value


def _shaped(state: State, name: str, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
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
            size: Any = shape(args[0])
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
        return _numbers("tensor", (size,), {})
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
        return Drawn(whole, _EMPTY, None)
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
        return Drawn(whole, _EMPTY, None)
    if (integer or math.isinf(number)) and not python.tainted(whole):
        fill = np.full(whole, number)
        return Known(fill.astype(np.int64) if integer and not math.isinf(number) else
                     fill.astype(np.float32))  # fmt: skip
    weights = Weights("constant" if number else "zeros", Interval.point(number),
                      Interval.point(0.0))  # fmt: skip
    return Drawn(whole, weights, drawing.draw(weights, whole, (1, 1)))


def _extent(state: State, value: Any) -> int:
    if isinstance(value, Unknown):
        return state.witness(value)
    if isinstance(value, Known) and value.array.size == 1:
        return int(value.array.item())
    if isinstance(value, float) and not float(value).is_integer():
        raise StopError("no whole number")
    return value if isinstance(value, int) else int(value)


def _numbers(name: str, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
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


def _interpolate(state: State, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
    names = ("input", "size", "scale_factor", "mode", "align_corners")
    given = dict(zip(names, args, strict=False)) | dict(keywords)
    x, factor, size = given.get("input"), given.get("scale_factor"), given.get("size")
    if not isinstance(x, Signal) or x.shape is None:
        return _unknown(state, "interpolate", (x,))
    dims = len(x.shape) - 2
    mode = {"nearest": "nearest", "bilinear": "bilinear", "linear": "linear"}.get(
        given.get("mode", "nearest")
    )
    if mode is None or isinstance(factor, Unknown) or isinstance(size, Unknown):
        return _unknown(state, "interpolate", (x,))
    name = f"upsample_{mode}{dims}d"
    factors = None
    if factor is not None:
        factors = tuple(factor) if isinstance(factor, tuple | list) else (factor,) * dims
    elif isinstance(size, int):
        size = (size,) * dims
    corners = bool(given.get("align_corners"))
    return aten(
        state, name, (x, size, corners, factors),
        ("input", "output_size", "align_corners", "scale_factors"),
    )  # fmt: skip


def _shape_of_drawn(state: State, name: str, drawn: Drawn, rest: tuple[Any, ...]) -> Any:
    """Return a tensor that is no parameter yet in another shape, or what is computed from it."""
    new = {"view", "reshape", "unsqueeze", "squeeze", "transpose", "permute", "repeat", "expand",
           "flatten", "t"}  # fmt: skip
    if name not in new or drawn.draw is None or python.tainted(drawn.shape):
        try:
            known = fixed(drawn)
        except StopError as stop:
            return Unknown(stop.reason)
        operator, names = functions.TABLE[name]
        return aten(state, operator, (known, *rest), names)
    operator, names = functions.TABLE[name]
    scratch = Tape(_nothing_stored)

    def change(array: NDArray[Any]) -> NDArray[Any]:
        made = scratch.call(operator, (Known(array), *rest), names[: len(rest) + 1], None)
        changed: NDArray[Any] = made.array
        return changed

    try:
        probe = change(np.zeros(drawn.shape, np.float32))
    except (StopError, AttributeError):
        return Unknown(f"{name} of a random tensor is not followed")
    return _mapped(Drawn(probe.shape, drawn.weights, drawn.draw), drawn.weights, change)


def parameter(state: State, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
    """Return what `torch.nn.Parameter` makes of a tensor."""
    data = args[0] if args else keywords.get("data")
    trained = args[1] if len(args) > 1 else keywords.get("requires_grad", True)
    if isinstance(data, Parameter):
        return data
    made = _made(state, data)
    if isinstance(made, Parameter):
        made.trained = trained is not False
    return made


def buffer(state: State, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
    """Return what `torch.nn.Buffer` makes of a tensor."""
    return args[0] if args else keywords.get("data")


def _made(state: State, data: Any) -> Any:
    site = state.at
    if isinstance(data, Unknown):
        raise StopError(f"a parameter of unknown shape: {data.reason}", site)
    text = state.text[-1] if state.text else "nn.Parameter"
    if isinstance(data, Drawn):
        made = Parameter(data.shape, [], site or _no_site())
        std = drawing.deviation(data.weights, (1, 1))
        made.chain.append(Event(data.weights, text, made.site, data.draw, std=std))
    elif isinstance(data, Known):
        array = np.array(data.array, np.float32)
        made = Parameter(array.shape, [], site or _no_site())
        weights = _weights_of(array)
        made.chain.append(Event(weights, text, made.site, lambda random, old: array))
    else:
        raise StopError("a parameter made of what is not followed", site)
    state.made.append(made)
    return made


def _no_site() -> Any:
    from initaudit.network import Site

    return Site("")


def _weights_of(array: NDArray[Any]) -> Weights:
    if array.size and (array == array.flat[0]).all():
        number = float(array.flat[0])
        law = "constant" if number else "zeros"
        return Weights(law, Interval.point(number), Interval.point(0.0))
    return Weights("empirical", Interval.unknown(), Interval(0.0, math.inf))


def initialise(
    state: State,
    initialiser: Initialiser,
    args: tuple[Any, ...],
    keywords: Mapping[str, Any],
) -> Any:
    """Follow a call of an initialiser: it fills its first argument."""
    if initialiser.form == "factory":
        last = initialiser.name.rpartition(".")[2]
        return function(state, f"torch.{last}", args, keywords)
    if initialiser.form != "inplace":
        return Unknown(f"{initialiser.name} is not followed")
    target = args[0] if args else keywords.get("tensor")
    rest = {k: v for k, v in keywords.items() if k not in {"tensor", "generator"}}
    bound = bind(
        initialiser.parameters,
        (building.folded(None), *(building.folded(_scalar(a)) for a in args[1:])),
        {k: building.folded(_scalar(v)) for k, v in rest.items()},
    )
    if target is None or bound is None:
        state.doubt(f"{initialiser.name} is called with arguments that do not fit")
        return target
    loose = python.tainted(*args[1:], *rest.values())
    weights = weights_of(initialiser, bound)
    if isinstance(target, Unknown):
        state.doubt(f"an initialiser fills what is not known: {target.reason}")
        return target
    if isinstance(target, Drawn):
        fans = drawing.fans_of(target.shape)
        return Drawn(target.shape, weights, drawing.draw(weights, target.shape, fans))
    if not isinstance(target, HELD):
        return target
    _event(state, target, _EMPTY if loose else weights)
    return target


def _scalar(value: Any) -> Any:
    return value.array.item() if isinstance(value, Known) and value.array.size == 1 else value


def _event(state: State, target: Parameter | View, weights: Weights) -> None:
    """Put an initialisation by a law into a parameter's chain."""
    whole = isinstance(target, Parameter)
    parameter = target if isinstance(target, Parameter) else target.parameter
    extents = tuple(target.shape)
    drawn = drawing.draw(weights, extents, drawing.fans_of(extents))
    if not whole and drawn is not None:
        drawn = _into(target.index, drawn)  # type: ignore[union-attr]
    text = state.text[-1] if state.text else "an initialisation"
    std = drawing.deviation(weights, drawing.fans_of(extents))
    event = Event(weights, text, state.at or parameter.site, drawn, whole, std)
    parameter.chain.append(event)


def _into(at: Any, drawn: Draw) -> Draw:
    def draw(random: np.random.Generator, old: NDArray[Any] | None) -> NDArray[Any]:
        array = np.array(old)
        array[at] = drawn(random, None)
        return array

    return draw


def _filled(
    state: State,
    subject: Parameter | View,
    name: str,
    args: tuple[Any, ...],
    keywords: Mapping[str, Any],
) -> tuple[Any] | None:
    """Follow a method that fills or changes a parameter; None where it does neither."""
    if not name.endswith("_") or name.endswith("__") or name == "requires_grad_":
        return None
    if name == "copy_":
        fill(state, subject, args[0] if args else Unknown("nothing is copied"))
        return (subject,)
    known = state.catalogue.method(name)
    if known is not None:
        bound = bind(
            known.parameters,
            [building.folded(_scalar(a)) for a in args],
            {k: building.folded(_scalar(v)) for k, v in keywords.items() if k != "generator"},
        )
        loose = bound is None or python.tainted(*args, *keywords.values())
        _event(state, subject, _EMPTY if loose or bound is None else weights_of(known, bound))
        return (subject,)
    operators = {"mul_": "Mult", "div_": "Div", "add_": "Add", "sub_": "Sub"}
    if name in operators and args:
        changed(state, subject, operators[name], args[0])
        return (subject,)
    _event(state, subject, _EMPTY)
    return (subject,)


def changed(state: State, target: Parameter | View, operator: str, other: Any) -> None:
    """Put a change of a parameter by a number into its chain."""
    other = _scalar(other)
    parameter = target if isinstance(target, Parameter) else target.parameter
    before = parameter.chain[-1].weights if parameter.chain else _EMPTY
    text = state.text[-1] if state.text and state.text[-1] else f"{operator} {other!r}"
    site = state.at or parameter.site
    fits = isinstance(other, int | float) and not isinstance(other, bool)
    if not fits or python.tainted(other) or operator not in {"Mult", "Div", "Add", "Sub"}:
        parameter.chain.append(Event(_EMPTY, text, site, None, whole=False))
        return
    number = float(other)
    at = ... if isinstance(target, Parameter) else target.index

    def draw(random: np.random.Generator, old: NDArray[Any] | None) -> NDArray[Any]:
        array = np.array(old, np.float32)
        array[at] = python.BINARY[operator](array[at], np.float32(number))
        return array

    weights = _EMPTY
    if isinstance(target, Parameter) and number:
        factor = Interval.point(number if operator == "Mult" else 1.0 / number)
        shift = Interval.point(number if operator == "Add" else -number)
        turned = operator in {"Mult", "Div"}
        weights = scaled(before, factor) if turned else shifted(before, shift)
    parameter.chain.append(Event(weights, text, site, draw, whole=False))


def fill(state: State, target: Any, value: Any) -> None:
    """Put an assignment of numbers, or of a random tensor, into a parameter's chain."""
    if not isinstance(target, HELD):
        state.doubt("a tensor that is not followed is filled")
        return
    parameter = target if isinstance(target, Parameter) else target.parameter
    if value is target or (isinstance(value, Parameter) and value is parameter):
        return
    whole = isinstance(target, Parameter)
    text = (state.text[-1] if state.text else "") or "an assignment"
    site = state.at or parameter.site
    drawn: Draw | None = None
    weights = _EMPTY
    if isinstance(value, bool | int | float) and not python.tainted(value):
        weights = Weights("constant" if value else "zeros", Interval.point(float(value)),
                          Interval.point(0.0))  # fmt: skip
        drawn = drawing.draw(weights, tuple(target.shape), (1, 1))
    elif isinstance(value, Drawn):
        weights, drawn = value.weights, value.draw
    elif isinstance(value, Known):
        array = np.asarray(value.array, np.float32)
        weights = _weights_of(array)
        drawn = lambda random, old: np.broadcast_to(array, target.shape)  # noqa: E731
    elif isinstance(value, Parameter):
        event = value.chain[-1] if value.chain else None
        weights = _EMPTY if event is None else event.weights
    if drawn is not None and not whole:
        drawn = _into(target.index, drawn)  # type: ignore[union-attr]
    parameter.chain.append(Event(weights, text, site, drawn, whole))


def _drawn_anew(
    state: State, subject: Drawn, name: str, args: tuple[Any, ...], keywords: Mapping[str, Any]
) -> Any:
    """Return a tensor that is no parameter yet after a method that fills or changes it."""
    known = state.catalogue.method(name)
    if known is not None and name != "copy_":
        bound = bind(
            known.parameters,
            [building.folded(_scalar(a)) for a in args],
            {k: building.folded(_scalar(v)) for k, v in keywords.items() if k != "generator"},
        )
        weights = _EMPTY if bound is None else weights_of(known, bound)
        fans = drawing.fans_of(subject.shape)
        return Drawn(subject.shape, weights, drawing.draw(weights, subject.shape, fans))
    operators = {"mul_": "mul", "div_": "div", "add_": "add", "sub_": "sub"}
    if name in operators and args:
        return operation(state, operators[name], (subject, args[0]))
    return Drawn(subject.shape, _EMPTY, None)


def gain(state: State, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
    """Return torch.nn.init.calculate_gain of what is known."""
    kind = args[0] if args else keywords.get("nonlinearity")
    param = args[1] if len(args) > 1 else keywords.get("param")
    known = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5.0 / 3.0, "relu": math.sqrt(2.0),
             "selu": 0.75, "conv1d": 1.0, "conv2d": 1.0, "conv3d": 1.0}  # fmt: skip
    if isinstance(kind, str) and kind in known:
        return known[kind]
    if kind == "leaky_relu" and (param is None or isinstance(param, int | float)):
        return math.sqrt(2.0 / (1.0 + (0.01 if param is None else param) ** 2))
    return Unknown("a gain is not known")


__all__ = ["HELD", "Open", "aten", "method"]
