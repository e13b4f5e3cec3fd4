"""What the operators of ONNX are made of: one function each; adding one is adding a function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from initaudit.checkpoint.graphs import arithmetic as math
from initaudit.checkpoint.graphs import modules, moving
from initaudit.checkpoint.graphs.build import Call, Operator
from initaudit.checkpoint.graphs.onnx_constants import CONSTANTS
from initaudit.checkpoint.graphs.steps import Builder
from initaudit.checkpoint.graphs.values import (
    Known,
    Signal,
    UnsupportedError,
    Value,
    Weight,
    integer,
    ints,
    known,
)

TABLE: dict[str, Operator] = dict(CONSTANTS)
"""By operator; those of com.microsoft have the domain before their name."""

Function = Callable[[Builder, Call], Any]


def operator(*names: str, rows: bool = False) -> Callable[[Function], Function]:
    """Put a function into the table under these names."""

    def put(function: Function) -> Function:
        TABLE.update(dict.fromkeys(names, Operator(function, rows)))
        return function

    return put


def signal(value: object) -> Signal:
    """Return a value that depends on the input; UnsupportedError where it does not."""
    if not isinstance(value, Signal):
        raise UnsupportedError("it does not read the input")
    return value


def _scalar(value: Any, default: float | None = None) -> float | None:
    return default if value is None else float(known(value).reshape(-1)[0])


# Functions of one value


def _activations() -> None:
    plain = {
        "Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh", "Softplus": "softplus",
        "Softsign": "softsign", "HardSwish": "hardswish", "Mish": "mish", "Sin": "sin",
        f"{_MS}FastGelu": "gelu_tanh", f"{_MS}QuickGelu": "quick_gelu",
    }  # fmt: skip
    for name, function in plain.items():
        TABLE[name] = Operator(
            lambda b, c, function=function: math.activation(b, function, c.get(0)), rows=True
        )
    unary = {
        "Sqrt": "sqrt", "Exp": "exp", "Log": "log", "Neg": "negative",
        "Reciprocal": "reciprocal", "Erf": "erf",
    }  # fmt: skip
    for name, op in unary.items():
        TABLE[name] = Operator(lambda b, c, op=op: math.unary(b, op, c.get(0)), rows=True)
    binary = {
        "Add": "add", "Sub": "subtract", "Mul": "multiply", "Div": "divide", "Pow": "power",
    }  # fmt: skip
    for name, op in binary.items():
        TABLE[name] = Operator(
            lambda b, c, op=op: math.binary(b, op, c.get(0), c.get(1)), rows=True
        )
    compare = {
        "Greater": "greater", "GreaterOrEqual": "greater_equal", "Less": "less",
        "LessOrEqual": "less_equal", "Equal": "equal",
    }  # fmt: skip
    for name, op in compare.items():
        TABLE[name] = Operator(lambda b, c, op=op: math.compare(b, op, c.get(0), c.get(1)))


_MS = "com.microsoft."
_activations()


@operator("Gelu", f"{_MS}Gelu", rows=True)
def _gelu(b: Builder, c: Call) -> Value:
    tanh = c.attribute("approximate", "none") == "tanh"
    return math.activation(b, "gelu_tanh" if tanh else "gelu", c.get(0))


@operator("Swish", rows=True)
def _swish(b: Builder, c: Call) -> Value:
    if c.attribute("alpha", 1.0) != 1.0:
        raise UnsupportedError("its alpha is not 1")
    return math.activation(b, "silu", c.get(0))


@operator("LeakyRelu", rows=True)
def _leaky(b: Builder, c: Call) -> Value:
    return math.activation(b, "leaky_relu", c.get(0), c.attribute("alpha", 0.01))


@operator("PRelu")
def _prelu(b: Builder, c: Call) -> Value:
    slope = known(c.get(1))
    if slope.size > 1 and not (slope == slope.flat[0]).all():
        raise UnsupportedError("its slopes differ between channels")
    return math.activation(b, "prelu", c.get(0), float(slope.flat[0]))


@operator("Elu", "Celu", rows=True)
def _elu(b: Builder, c: Call) -> Value:
    if c.attribute("alpha", 1.0) != 1.0:
        raise UnsupportedError("its alpha is not 1")
    return math.activation(b, c.node.operator.lower(), c.get(0))


@operator("Selu", rows=True)
def _selu(b: Builder, c: Call) -> Value:
    return math.activation(b, "selu", c.get(0))


@operator("HardSigmoid", rows=True)
def _hardsigmoid(b: Builder, c: Call) -> Value:
    alpha, beta = c.attribute("alpha", 0.2), c.attribute("beta", 0.5)
    if abs(alpha - 1 / 6) < 1e-4 and beta == 0.5:
        return math.activation(b, "hardsigmoid", c.get(0))
    shifted = math.binary(
        b, "add", math.binary(b, "multiply", c.get(0), Known(np.float32(alpha).reshape(()))),
        Known(np.float32(beta).reshape(())),
    )  # fmt: skip
    return math.clip(b, shifted, 0.0, 1.0)


@operator("Clip", rows=True)
def _clip(b: Builder, c: Call) -> Value:
    low = _scalar(c.get(1), c.attribute("min"))
    high = _scalar(c.get(2), c.attribute("max"))
    return math.clip(b, c.get(0), low, high)


@operator("Identity", "Dropout", "Cast", "CastLike", rows=True)
def _identity(b: Builder, c: Call) -> Any:
    value = c.get(0)
    if isinstance(value, Known) and c.node.operator == "Cast":
        kind = _KINDS.get(c.attribute("to", 1))
        if kind is None:
            raise UnsupportedError("it casts to a type that is not known")
        return Known(value.array.astype(kind))
    if isinstance(value, Known) and c.node.operator == "CastLike":
        like = c.get(1)
        return Known(value.array.astype(like.array.dtype)) if isinstance(like, Known) else value
    if isinstance(value, Weight) and c.node.operator == "Identity" and c.node.outputs:
        return replace(value, alias=c.node.outputs[0])
    return (value, value)


_KINDS: dict[int, type[Any]] = {
    1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float32, 11: np.float64,
    16: np.float32, 2: np.uint8, 3: np.int8, 5: np.int16, 12: np.uint32, 13: np.uint64,
}  # fmt: skip


@operator("Sum", "Min", "Max", "Mean")
def _variadic(b: Builder, c: Call) -> Value:
    name = {"Sum": "add", "Min": "minimum", "Max": "maximum", "Mean": "add"}[c.node.operator]
    total: Value = c.inputs[0]
    for value in c.inputs[1:]:
        total = math.binary(b, name, total, value)
    if c.node.operator == "Mean":
        total = math.binary(b, "divide", total, Known(np.float32(len(c.inputs)).reshape(())))
    return total


@operator("Where")
def _where(b: Builder, c: Call) -> Value:
    return math.where(b, c.get(0), c.get(1), c.get(2))


@operator("IsNaN", "IsInf")
def _never(b: Builder, c: Call) -> Value:
    # A signal that is not finite ends where it arises.
    return Known(np.zeros((), bool)) if isinstance(c.get(0), Signal) else math.computed(
        np.isnan if c.node.operator == "IsNaN" else np.isinf, c.get(0)
    )  # fmt: skip


# Matrix products and convolutions


def _matrix(value: object) -> bool:
    return isinstance(value, Known | Weight) and len(value.shape) == 2


@operator("MatMul", rows=True)
def _matmul(b: Builder, c: Call) -> Value:
    x, y = c.get(0), c.get(1)
    if isinstance(x, Signal) and _matrix(y):
        return modules.linear(b, x, y, None, "io")
    return math.matmul(b, x, y)


@operator("Gemm", rows=True)
def _gemm(b: Builder, c: Call) -> Value:
    x, y, bias = c.get(0), c.get(1), c.get(2)
    if c.attribute("transA", 0):
        x = moving.transpose(b, moving.settle(b, x), (1, 0))
    turned = bool(c.attribute("transB", 0))
    alpha, beta = c.attribute("alpha", 1.0), c.attribute("beta", 1.0)
    if not isinstance(x, Signal) or not _matrix(y):
        right = moving.transpose(b, y, (1, 0)) if turned else y
        return _plus(b, math.matmul(b, x, right), bias, alpha, beta)
    layout = "oi" if turned else "io"
    plain = isinstance(bias, Weight) and len(bias.shape) == 1 and alpha == beta == 1.0
    made = modules.linear(b, x, y, bias if plain else None, layout)
    return made if plain else _plus(b, made, bias, alpha, beta)


def _plus(b: Builder, made: Value, bias: Value | None, alpha: float, beta: float) -> Value:
    made = math.binary(b, "multiply", made, Known(np.asarray(alpha, np.float32)))
    if bias is None or beta == 0.0:
        return made
    if beta != 1.0:
        bias = math.binary(b, "multiply", bias, Known(np.asarray(beta, np.float32)))
    return math.binary(b, "add", made, bias)


def _window(c: Call, x: Signal, kernel: Sequence[int], b: Builder) -> tuple[Signal, dict[str, Any]]:
    """Return stride, padding and dilation, the input padded first where its sides differ."""
    dims = len(kernel)
    stride = tuple(c.attribute("strides", (1,) * dims))
    dilation = tuple(c.attribute("dilations", (1,) * dims))
    pads = tuple(c.attribute("pads", (0,) * 2 * dims))
    auto = c.attribute("auto_pad", "NOTSET")
    if auto in {"SAME_UPPER", "SAME_LOWER"}:
        pads = _same(x, kernel, stride, dilation, upper=auto == "SAME_UPPER")
    before, after = pads[:dims], pads[dims:]
    if before != after:
        if c.node.operator not in {"Conv", "AveragePool"}:
            raise UnsupportedError("its padding differs between the sides")
        x = signal(moving.pad(b, x, (0, 0, *before), (0, 0, *after), 0.0))
        before = (0,) * dims
    extra = tuple(c.attribute("output_padding", (0,) * dims))
    return x, {"stride": stride, "padding": before, "dilation": dilation, "output_padding": extra}


def _same(
    x: Signal, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int], *, upper: bool
) -> tuple[int, ...]:
    total = [
        max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
        for n, k, s, d in zip(x.known[2:], kernel, stride, dilation, strict=True)
    ]
    small = tuple(t // 2 for t in total)
    large = tuple(t - s for t, s in zip(total, small, strict=True))
    return (*small, *large) if upper else (*large, *small)


@operator("Conv", "ConvTranspose")
def _conv(b: Builder, c: Call) -> Value:
    weight = c.get(1)
    if isinstance(weight, Signal) or len(weight.shape) < 3:
        raise UnsupportedError("its kernel is computed from the input")
    x, settings = _window(c, signal(c.get(0)), weight.shape[2:], b)
    if c.attribute("output_shape"):
        raise UnsupportedError("it states its output's shape instead of its padding")
    transposed = c.node.operator == "ConvTranspose"
    groups = c.attribute("group", 1)
    return modules.conv(b, x, weight, c.get(2), settings, groups, transposed=transposed)


@operator("MaxPool", "AveragePool")
def _pool(b: Builder, c: Call) -> Value:
    kernel = tuple(c.attribute("kernel_shape", ()))
    given = signal(c.get(0))
    x, settings = _window(c, given, kernel, b)
    if c.attribute("ceil_mode", 0):
        settings = dict(settings)
        _whole(x, kernel, settings)
    if c.node.operator == "MaxPool":
        return modules.pool(b, "max_pool", x, kernel, settings)
    counted = bool(c.attribute("count_include_pad", 0))
    if x is not given and not counted:
        raise UnsupportedError("its padding differs between the sides")
    more = {} if counted or not any(settings["padding"]) else {"count_include_pad": False}
    return modules.pool(b, "avg_pool", x, kernel, settings, **more)


def _whole(x: Signal, kernel: Sequence[int], settings: dict[str, Any]) -> None:
    """Refuse rounding up where it makes a difference."""
    for i, side in enumerate(x.known[2:]):
        reach = settings["dilation"][i] * (kernel[i] - 1) + 1
        if (side + 2 * settings["padding"][i] - reach) % settings["stride"][i]:
            raise UnsupportedError("it rounds its output's sides up")


@operator("GlobalAveragePool")
def _global_average(b: Builder, c: Call) -> Value:
    return modules.global_pool(b, signal(c.get(0)))


@operator("GlobalMaxPool")
def _global_max(b: Builder, c: Call) -> Value:
    x = signal(c.get(0))
    return math.reduce(b, "max", x, range(2, len(x.known)), keepdims=True)


# Norms


@operator("BatchNormalization")
def _batch_norm(b: Builder, c: Call) -> Value:
    roles = ("weight", "bias", "running_mean", "running_var")
    given = dict(zip(roles, c.inputs[1:5], strict=True))
    made = modules.norm(b, "batch_norm", signal(c.get(0)), given, c.attribute("epsilon", 1e-5),
                        axis=1)  # fmt: skip
    return made


@operator("LayerNormalization", "RMSNormalization", f"{_MS}SimplifiedLayerNormalization",
          "SimplifiedLayerNormalization", rows=True)  # fmt: skip
def _layer_norm(b: Builder, c: Call) -> Value:
    x, weight, bias = signal(c.get(0)), c.get(1), c.get(2)
    plain = c.node.operator == "LayerNormalization"
    axis = c.attribute("axis", -1)
    count = -axis if axis < 0 else len(x.seen) - axis
    given = {"weight": weight, "bias": bias if plain else None}
    op = "layer_norm" if plain else "rms_norm"
    if count > 1:
        x = signal(moving.settle(b, x))
    return modules.last_axes(b, op, x, count, given, c.attribute("epsilon", 1e-5))


@operator(f"{_MS}SkipLayerNormalization", f"{_MS}SkipSimplifiedLayerNormalization")
def _skip_norm(b: Builder, c: Call) -> Value:
    plain = "Simplified" not in c.node.operator
    total = math.binary(b, "add", c.get(0), c.get(1))
    extra = c.get(4 if plain else 3)
    if extra is not None:
        total = math.binary(b, "add", total, extra)
    given = {"weight": c.get(2), "bias": c.get(3) if plain else None}
    op = "layer_norm" if plain else "rms_norm"
    made = modules.norm(b, op, signal(total), given, c.attribute("epsilon", 1e-5))
    none = Known(np.zeros(0))
    return (made, none, none, total)


@operator("InstanceNormalization")
def _instance_norm(b: Builder, c: Call) -> Value:
    x = signal(c.get(0))
    given = {"weight": c.get(1), "bias": c.get(2)}
    eps = c.attribute("epsilon", 1e-5)
    return modules.norm(b, "group_norm", x, given, eps, groups=x.known[1])


@operator("GroupNormalization")
def _group_norm(b: Builder, c: Call) -> Value:
    given = {"weight": c.get(1), "bias": c.get(2)}
    groups = c.attribute("num_groups", 1)
    eps = c.attribute("epsilon", 1e-5)
    return modules.norm(b, "group_norm", signal(c.get(0)), given, eps, groups=groups)


@operator("Softmax", "LogSoftmax")
def _softmax(b: Builder, c: Call) -> Value:
    x = c.get(0)
    axis = c.attribute("axis", -1 if c.opset >= 13 else 1)
    if not isinstance(x, Signal):
        return math.computed(lambda a: _exact_softmax(a, axis), x)
    if c.opset < 13 and len(x.known) != 2 and axis % len(x.known) != len(x.known) - 1:
        raise UnsupportedError("it normalises over several axes")
    made = modules.softmax(b, x, axis)
    return math.unary(b, "log", made) if c.node.operator == "LogSoftmax" else made


def _exact_softmax(a: Any, axis: int) -> Any:
    y = np.exp(a - a.max(axis, keepdims=True))
    return y / y.sum(axis, keepdims=True)


# Shapes


@operator("Shape", rows=True)
def _shape(b: Builder, c: Call) -> Value:
    x = c.get(0)
    shape = x.seen if isinstance(x, Signal) else x.shape
    start, end = c.attribute("start", 0), c.attribute("end", len(shape))
    return Known(np.asarray(shape[start:end], np.int64))


@operator("Reshape", rows=True)
def _reshape(b: Builder, c: Call) -> Value:
    x, shape = c.get(0), ints(c.get(1))
    seen = x.seen if isinstance(x, Signal) else x.shape
    if not c.attribute("allowzero", 0):
        shape = tuple(seen[i] if n == 0 else n for i, n in enumerate(shape))
    return moving.reshape(b, x, shape)


@operator("Flatten")
def _flatten(b: Builder, c: Call) -> Value:
    x, axis = c.get(0), c.attribute("axis", 1)
    shape = x.known if isinstance(x, Signal) else x.shape
    if isinstance(x, Signal) and axis == 1 and x.batch == 0:
        size = int(np.prod(shape[1:]))
        return b.emit("flatten", [x], (shape[0], size))
    axis = axis % len(shape) if axis < 0 else axis
    return moving.reshape(b, x, (int(np.prod(shape[:axis])), -1))


@operator("Transpose")
def _transpose(b: Builder, c: Call) -> Value:
    x = c.get(0)
    rank = len(x.known if isinstance(x, Signal) else x.shape)
    return moving.transpose(b, x, c.attribute("perm", tuple(reversed(range(rank)))))


def _axes(c: Call, place: int = 1) -> tuple[int, ...] | None:
    given = c.get(place)
    if given is not None:
        found = ints(given)
        return found or (None if not c.attribute("noop_with_empty_axes", 0) else ())
    stated = c.attribute("axes")
    return None if stated is None else tuple(stated)


@operator("Unsqueeze")
def _unsqueeze(b: Builder, c: Call) -> Value:
    return moving.unsqueeze(b, c.get(0), _axes(c) or ())


@operator("Squeeze")
def _squeeze(b: Builder, c: Call) -> Value:
    return moving.squeeze(b, c.get(0), _axes(c))


@operator("Expand")
def _expand(b: Builder, c: Call) -> Value:
    return moving.expand(b, c.get(0), ints(c.get(1)))


@operator("Concat")
def _concat(b: Builder, c: Call) -> Value:
    return moving.concat(b, c.inputs, c.attribute("axis", 0))


@operator("Split")
def _split(b: Builder, c: Call) -> Any:
    x, axis = c.get(0), c.attribute("axis", 0)
    extent = (x.known if isinstance(x, Signal) else x.shape)[axis]
    sizes = ints(c.get(1)) if c.get(1) is not None else tuple(c.attribute("split", ()))
    if not sizes:
        parts = c.attribute("num_outputs", len(c.node.outputs))
        each = -(-extent // parts)
        sizes = tuple(min(each, extent - i * each) for i in range(parts))
    return moving.split(b, x, axis, sizes)


@operator("SplitToSequence")
def _split_to_sequence(b: Builder, c: Call) -> Any:
    x, axis = c.get(0), c.attribute("axis", 0)
    extent = (x.known if isinstance(x, Signal) else x.shape)[axis]
    if c.get(1) is None or not c.attribute("keepdims", 1):
        raise UnsupportedError("it splits into single positions")
    sizes = ints(c.get(1))
    if not known(c.get(1)).shape:
        sizes = tuple(min(sizes[0], extent - i) for i in range(0, extent, sizes[0]))
    return (moving.split(b, x, axis, sizes),)


@operator("SequenceConstruct")
def _sequence(b: Builder, c: Call) -> Any:
    return (tuple(c.inputs),)


@operator("SequenceAt")
def _sequence_at(b: Builder, c: Call) -> Any:
    if not isinstance(c.get(0), tuple):
        raise UnsupportedError("its sequence is not known")
    return (c.get(0)[integer(c.get(1))],)


@operator("ConcatFromSequence")
def _concat_sequence(b: Builder, c: Call) -> Value:
    if not isinstance(c.get(0), tuple):
        raise UnsupportedError("its sequence is not known")
    axis, values = c.attribute("axis", 0), c.get(0)
    if c.attribute("new_axis", 0):
        values = [moving.unsqueeze(b, v, (axis,)) for v in values]
    return moving.concat(b, values, axis)


@operator("Slice")
def _slice(b: Builder, c: Call) -> Value:
    x = c.get(0)
    if c.get(1) is None:
        starts, stops = c.attribute("starts"), c.attribute("ends")
        axes, steps = c.attribute("axes"), None
    else:
        starts, stops = ints(c.get(1)), ints(c.get(2))
        axes = None if c.get(3) is None else ints(c.get(3))
        steps = None if c.get(4) is None else ints(c.get(4))
    axes = axes or tuple(range(len(starts)))
    for axis, start, stop, step in zip(axes, starts, stops, steps or (1,) * len(axes), strict=True):
        x = moving.cut(b, x, axis, start, stop, step)
    return x


@operator("Gather", rows=True)
def _gather(b: Builder, c: Call) -> Value:
    x, index, axis = c.get(0), c.get(1), c.attribute("axis", 0)
    table = isinstance(x, Weight) and len(x.shape) == 2 and axis == 0
    if table and (isinstance(index, Signal) or index.shape):
        return modules.embedding(b, x, index)
    return moving.gather(b, moving.settle(b, x), moving.settle(b, index), axis)


@operator("Pad")
def _pad(b: Builder, c: Call) -> Value:
    x = c.get(0)
    pads = ints(c.get(1)) if c.get(1) is not None else tuple(c.attribute("pads", ()))
    rank = len(x.known if isinstance(x, Signal) else x.shape)
    if c.attribute("mode", "constant") != "constant":
        raise UnsupportedError(f"it pads by {c.attribute('mode')}")
    before, after = pads[: len(pads) // 2], pads[len(pads) // 2 :]
    if c.get(3) is not None:
        axes = [a % rank for a in ints(c.get(3))]
        full = [[0] * rank, [0] * rank]
        for axis, p, q in zip(axes, before, after, strict=True):
            full[0][axis], full[1][axis] = p, q
        before, after = tuple(full[0]), tuple(full[1])
    fill = _scalar(c.get(2), c.attribute("value", 0.0)) or 0.0
    return moving.pad(b, x, before, after, fill)


@operator("Resize", "Upsample")
def _resize(b: Builder, c: Call) -> Value:
    x = signal(c.get(0))
    sides = x.known[2:]
    given = c.inputs[1:] if c.node.operator == "Upsample" else c.inputs[2:]
    scales = () if not given or given[0] is None else tuple(known(given[0]).astype(float).ravel())
    if scales:
        factor = scales[2:] if len(scales) == len(x.known) else scales
    else:
        size = ints(given[1])
        factor = tuple(m / n for n, m in zip(sides, size[-len(sides) :], strict=True))
    mode = {"linear": "bilinear"}.get(c.attribute("mode", "nearest"), c.attribute("mode", "nearest"))
    form = c.attribute("coordinate_transformation_mode", "half_pixel")
    allowed = {"half_pixel", "pytorch_half_pixel"} | ({"asymmetric"} if mode == "nearest" else set())
    if mode not in {"nearest", "bilinear"} or form not in allowed:
        raise UnsupportedError(f"it resizes by {mode} with {form} coordinates")
    size = tuple(int(n * f) for n, f in zip(sides, factor, strict=True))
    return modules.resize(b, x, factor, mode, size)


def _reduction(name: str) -> Function:
    def run(b: Builder, c: Call) -> Value:
        keep = bool(c.attribute("keepdims", 1))
        return math.reduce(b, name, c.get(0), _axes(c), keepdims=keep)

    return run


for _name in ("Mean", "Sum", "Max"):
    TABLE[f"Reduce{_name}"] = Operator(_reduction(_name.lower()))


@operator("ReduceL2")
def _length(b: Builder, c: Call) -> Value:
    x = c.get(0)
    square = math.binary(b, "power", x, Known(np.float32(2.0).reshape(())))
    keep = bool(c.attribute("keepdims", 1))
    return math.unary(b, "sqrt", math.reduce(b, "sum", square, _axes(c), keepdims=keep))


# Sequences


_ORDER = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
"""Where ONNX keeps the gates that PyTorch has in the order i, f, g, o and r, z, n."""


@operator("LSTM", "GRU", "RNN")
def _recurrent(b: Builder, c: Call) -> Any:
    x = signal(c.get(0))
    kind, layout = c.node.operator, c.attribute("layout", 0)
    _plain(c, kind)
    weights, around = known(c.get(1)), known(c.get(2))
    b.reordered.update(v.stored.name for v in c.inputs[1:4] if isinstance(v, Weight))
    biases = None if c.get(3) is None else known(c.get(3))
    hidden = around.shape[-1]
    order = _ORDER[kind]
    given: list[dict[str, Value | None]] = []
    for d in range(len(weights)):
        one: dict[str, Value | None] = {
            "weight_ih": _gates(weights[d], order, hidden),
            "weight_hh": _gates(around[d], order, hidden),
        }
        if biases is not None:
            half = biases.shape[1] // 2
            one["bias_ih"] = _gates(biases[d, :half], order, hidden)
            one["bias_hh"] = _gates(biases[d, half:], order, hidden)
        given.append(one)
    backwards = c.attribute("direction", "forward") == "reverse"
    y = modules.recurrent(b, kind.lower(), x, given, reverse=backwards)
    # Y is (T, directions, N, hidden), or (N, T, directions, hidden).
    time = 1 if layout else 0
    last = moving.take(b, y, time, 0 if backwards else -1) if len(given) == 1 else y
    shape = y.known
    whole = (*shape[:2], len(given), hidden)
    apart = moving.reshape(b, y, whole)
    if not layout:
        apart = moving.transpose(b, apart, (0, 2, 1, 3))
    final = last if len(given) > 1 else moving.unsqueeze(b, last, (1 if layout else 0,))
    return (apart, final, final)


def _plain(c: Call, kind: str) -> None:
    """Refuse what the replica's recurrent layers do not do."""
    state = [c.get(5), c.get(6)]
    zero = all(v is None or (not isinstance(v, Signal) and not known(v).any()) for v in state)
    if not zero or c.get(4) is not None and isinstance(c.get(4), Signal):
        raise UnsupportedError("its first state or its lengths depend on the input")
    if c.get(7) is not None or c.attribute("clip"):
        raise UnsupportedError("it has peepholes or clips its cells")
    usual = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
    if kind == "GRU" and not c.attribute("linear_before_reset", 0):
        raise UnsupportedError("its reset gate acts before the product")
    functions = c.node.attributes.get("activations")
    if functions and tuple(functions)[: len(usual[kind])] != usual[kind]:
        raise UnsupportedError(f"its gates are {functions}")


def _gates(array: Any, order: Sequence[int], hidden: int) -> Known:
    parts = [array[i * hidden : (i + 1) * hidden] for i in order]
    return Known(np.concatenate(parts))


@operator("Attention")
def _attention(b: Builder, c: Call) -> Any:
    q, k, v = (signal(c.get(i)) for i in range(3))
    flat = len(q.known) == 3
    if c.get(4) is not None or c.get(5) is not None:
        raise UnsupportedError("it has past keys and values")
    if flat:
        heads, groups = c.attribute("q_num_heads"), c.attribute("kv_num_heads")
        q, k, v = (_apart(b, x, n) for x, n in ((q, heads), (k, groups), (v, groups)))
    made = modules.attention(
        b, q, k, v, c.get(3), causal=bool(c.attribute("is_causal", 0)),
        scale=c.attribute("scale"), softcap=c.attribute("softcap", 0.0),
    )  # fmt: skip
    if not flat:
        return (made,)
    n, heads, length, width = signal(made).known
    turned = moving.transpose(b, made, (0, 2, 1, 3))
    return (moving.reshape(b, turned, (n, length, heads * width)),)


def _apart(b: Builder, x: Signal, heads: int) -> Signal:
    n, length, width = x.known
    parted = moving.reshape(b, x, (n, length, heads, width // heads))
    return signal(moving.transpose(b, parted, (0, 2, 1, 3)))


@operator("DepthToSpace", "SpaceToDepth")
def _blocks(b: Builder, c: Call) -> Value:
    x, size = signal(c.get(0)), c.attribute("blocksize", 1)
    n, channels, height, width = x.known
    if c.node.operator == "DepthToSpace":
        crd = c.attribute("mode", "DCR") == "CRD"
        few = channels // size**2
        first = (n, few, size, size, height, width) if crd else (n, size, size, few, height, width)
        order = (0, 1, 4, 2, 5, 3) if crd else (0, 3, 4, 1, 5, 2)
        last = (n, few, height * size, width * size)
    else:
        first = (n, channels, height // size, size, width // size, size)
        order = (0, 3, 5, 1, 2, 4)
        last = (n, channels * size**2, height // size, width // size)
    parted = moving.reshape(b, x, first)
    return moving.reshape(b, moving.transpose(b, parted, order), last)


