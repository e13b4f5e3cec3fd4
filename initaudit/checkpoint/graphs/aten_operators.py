"""What the operators of torch.export are made of: one function each; adding one adds a function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from initaudit.checkpoint.graphs import arithmetic as math
from initaudit.checkpoint.graphs import modules, moving
from initaudit.checkpoint.graphs.build import Call, Operator
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

TABLE: dict[str, Operator] = {}
"""By operator without its overload, ``aten.add``; what works in place has a ``_`` behind it."""

Function = Callable[[Builder, Call], Any]


def operator(*names: str, rows: bool = False) -> Callable[[Function], Function]:
    """Put a function into the table under these names and those of their in-place forms."""

    def put(function: Function) -> Function:
        for name in names:
            for full in (f"aten.{name}", f"aten.{name}_"):
                TABLE[full] = Operator(function, rows)
        return function

    return put


def signal(value: object) -> Signal:
    """Return a value that depends on the input; UnsupportedError where it does not."""
    if not isinstance(value, Signal):
        raise UnsupportedError("it does not read the input")
    return value


def value(given: Any) -> Value:
    """Return an operand as a value; Python numbers become known ones."""
    if isinstance(given, bool):
        return Known(np.asarray(given))
    if isinstance(given, int):
        return Known(np.asarray(given, np.int64))
    if isinstance(given, float):
        return Known(np.asarray(given, np.float32))
    if isinstance(given, Known | Weight | Signal):
        return given
    raise UnsupportedError("it has an operand that is no number")


def shape_of(x: Value) -> tuple[int, ...]:
    """Return the shape that the graph sees."""
    return x.seen if isinstance(x, Signal) else x.shape


def _dims(given: Any) -> tuple[int, ...]:
    return ints(given if isinstance(given, tuple) else (given,))


def _table() -> None:
    activations = {
        "relu": "relu", "sigmoid": "sigmoid", "tanh": "tanh", "silu": "silu", "mish": "mish",
        "hardswish": "hardswish", "hardsigmoid": "hardsigmoid", "selu": "selu", "relu6": "relu6",
        "softsign": "softsign", "sin": "sin",
    }  # fmt: skip
    for name, function in activations.items():
        run = lambda b, c, f=function: math.activation(b, f, value(c.get(0)))  # noqa: E731
        operator(name, rows=True)(run)
    for name, op in {
        "sqrt": "sqrt", "exp": "exp", "log": "log", "neg": "negative", "erf": "erf",
        "reciprocal": "reciprocal",
    }.items():  # fmt: skip
        operator(name, rows=True)(lambda b, c, op=op: math.unary(b, op, value(c.get(0))))
    for name, op in {"minimum": "minimum", "maximum": "maximum"}.items():
        operator(name, rows=True)(
            lambda b, c, op=op: math.binary(b, op, value(c.get(0)), value(c.get(1)))
        )
    for name, op in {
        "gt": "greater", "ge": "greater_equal", "lt": "less", "le": "less_equal", "eq": "equal",
        "ne": "not_equal",
    }.items():  # fmt: skip
        operator(name)(
            lambda b, c, op=op: math.compare(b, op, value(c.get(0)), value(c.get(1)))
        )
    for name, function_ in {
        "cos": np.cos, "abs": np.abs, "floor": np.floor, "ceil": np.ceil, "sign": np.sign,
        "logical_not": np.logical_not, "bitwise_not": np.invert, "isnan": np.isnan,
        "logical_and": np.logical_and, "bitwise_and": np.bitwise_and, "__and__": np.bitwise_and,
        "logical_or": np.logical_or, "bitwise_or": np.bitwise_or, "__or__": np.bitwise_or,
        "remainder": np.mod, "floor_divide": np.floor_divide,
    }.items():  # fmt: skip
        operator(name)(
            lambda b, c, f=function_: math.computed(f, *(value(i) for i in c.inputs))
        )
    for name in ("add", "sub", "mul", "floordiv", "mod", "neg", "truediv", "ge", "le", "eq"):
        TABLE[f"_operator.{name}"] = Operator(
            lambda b, c, name=name: math.computed(_PYTHON[name], *(value(i) for i in c.inputs))
        )


_PYTHON: dict[str, Callable[..., Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "floordiv": np.floor_divide,
    "mod": np.mod, "neg": np.negative, "truediv": np.divide, "ge": np.greater_equal,
    "le": np.less_equal, "eq": np.equal,
}  # fmt: skip
_table()


@operator("add", "sub", "rsub", rows=True)
def _sum(b: Builder, c: Call) -> Value:
    x, y = value(c.get(0)), value(c.get(1))
    alpha = c.named("alpha", 1)
    if alpha != 1:
        y = math.binary(b, "multiply", y, value(alpha))
    if "rsub" in c.node.operator:
        return math.binary(b, "subtract", y, x)
    return math.binary(b, "add" if "add" in c.node.operator else "subtract", x, y)


@operator("mul", "multiply", "div", "true_divide", "pow", rows=True)
def _product(b: Builder, c: Call) -> Value:
    name = c.node.operator.removeprefix("aten.").rstrip("_")
    x, y = value(c.get(0)), value(c.get(1))
    if name in {"div", "true_divide"}:
        mode = c.named("rounding_mode")
        if mode is not None:
            function = np.floor_divide if mode == "floor" else lambda p, q: np.trunc(p / q)
            return math.computed(function, x, y)
        if not isinstance(x, Signal) and not isinstance(y, Signal):
            return math.computed(np.true_divide, x, y)
        return math.binary(b, "divide", x, y)
    return math.binary(b, {"pow": "power"}.get(name, "multiply"), x, y)


@operator("rsqrt", rows=True)
def _rsqrt(b: Builder, c: Call) -> Value:
    return math.binary(b, "power", value(c.get(0)), Known(np.asarray(-0.5, np.float32)))


@operator("square", rows=True)
def _square(b: Builder, c: Call) -> Value:
    return math.binary(b, "power", value(c.get(0)), Known(np.asarray(2.0, np.float32)))


@operator("gelu", rows=True)
def _gelu(b: Builder, c: Call) -> Value:
    tanh = c.named("approximate", "none") == "tanh"
    return math.activation(b, "gelu_tanh" if tanh else "gelu", value(c.get(0)))


@operator("leaky_relu", rows=True)
def _leaky(b: Builder, c: Call) -> Value:
    return math.activation(b, "leaky_relu", value(c.get(0)), c.named("negative_slope", 0.01))


@operator("prelu", "_prelu_kernel")
def _prelu(b: Builder, c: Call) -> Value:
    slope = known(c.get(1))
    if not (slope == slope.flat[0]).all():
        raise UnsupportedError("its slopes differ between channels")
    return math.activation(b, "prelu", value(c.get(0)), float(slope.flat[0]))


@operator("elu", "celu", rows=True)
def _elu(b: Builder, c: Call) -> Value:
    if any(c.named(name, 1.0) != 1.0 for name in ("alpha", "scale", "input_scale")):
        raise UnsupportedError("its alpha is not 1")
    return math.activation(b, c.node.operator.removeprefix("aten.").rstrip("_"), value(c.get(0)))


@operator("softplus", rows=True)
def _softplus(b: Builder, c: Call) -> Value:
    if c.named("beta", 1.0) != 1.0:
        raise UnsupportedError("its beta is not 1")
    return math.activation(b, "softplus", value(c.get(0)))


@operator("hardtanh", "clamp", "clamp_min", "clamp_max", rows=True)
def _clamp(b: Builder, c: Call) -> Value:
    name = c.node.operator.rstrip("_")
    if name.endswith("hardtanh"):
        low, high = c.named("min_val", -1.0), c.named("max_val", 1.0)
    else:
        low, high = c.named("min"), c.named("max")
    bounds = [None if n is None else float(known(n)) for n in (low, high)]
    return math.clip(b, value(c.get(0)), *bounds)


@operator("dropout", "contiguous", "clone", "alias", "detach", "lift_fresh_copy", "detach_",
          "feature_dropout", "alpha_dropout", rows=True)  # fmt: skip
def _identity(b: Builder, c: Call) -> Any:
    return c.get(0)


_KINDS: dict[int, type[Any]] = {
    1: np.uint8, 2: np.int8, 3: np.int16, 4: np.int32, 5: np.int64, 6: np.float32, 7: np.float32,
    8: np.float64, 12: np.bool_, 13: np.float32,
}  # fmt: skip


@operator("to", "_to_copy", "type_as", "float", rows=True)
def _cast(b: Builder, c: Call) -> Any:
    x, kind = c.get(0), _KINDS.get(c.named("dtype", 0))
    if isinstance(x, Known) and kind is not None:
        return Known(x.array.astype(kind))
    return x


@operator("where")
def _where(b: Builder, c: Call) -> Value:
    return math.where(b, *(value(i) for i in c.inputs[:3]))


@operator("masked_fill")
def _masked_fill(b: Builder, c: Call) -> Value:
    return math.where(b, value(c.get(1)), value(c.get(2)), value(c.get(0)))


# Matrix products, convolutions, norms


@operator("linear", rows=True)
def _linear(b: Builder, c: Call) -> Value:
    x, weight, bias = c.get(0), c.get(1), c.named("bias")
    if isinstance(x, Signal) and not isinstance(weight, Signal):
        return modules.linear(b, x, value(weight), bias, "oi")
    made = math.matmul(b, value(x), moving.transpose(b, value(weight), (1, 0)))
    return made if bias is None else math.binary(b, "add", made, bias)


@operator("addmm", rows=True)
def _addmm(b: Builder, c: Call) -> Value:
    bias, x, weight = (value(c.get(i)) for i in range(3))
    if c.named("beta", 1) != 1 or c.named("alpha", 1) != 1:
        raise UnsupportedError("its factors are not 1")
    if isinstance(x, Signal) and not isinstance(weight, Signal):
        if isinstance(bias, Weight) and len(bias.shape) == 1:
            return modules.linear(b, x, weight, bias, "io")
        return math.binary(b, "add", modules.linear(b, x, weight, None, "io"), bias)
    return math.binary(b, "add", math.matmul(b, x, weight), bias)


@operator("matmul", "mm", "bmm", rows=True)
def _matmul(b: Builder, c: Call) -> Value:
    x, y = value(c.get(0)), value(c.get(1))
    if isinstance(x, Signal) and not isinstance(y, Signal) and len(y.shape) == 2:
        return modules.linear(b, x, y, None, "io")
    return math.matmul(b, x, y)


def _each(given: Any, dims: int) -> tuple[int, ...]:
    found = _dims(given)
    return found * dims if len(found) == 1 else found


@operator("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
          "conv_transpose3d")  # fmt: skip
def _conv(b: Builder, c: Call) -> Value:
    weight = value(c.get(1))
    dims = len(weight.shape) - 2 if not isinstance(weight, Signal) else 0
    padding = c.named("padding", 0)
    stride, dilation = (_each(c.named(name, 1), dims) for name in ("stride", "dilation"))
    x = signal(c.get(0))
    if padding == "same":
        total = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]  # type: ignore[union-attr]
        before = tuple(t // 2 for t in total)
        after = tuple(t - p for t, p in zip(total, before, strict=True))
        if before != after:
            x = signal(moving.pad(b, x, (0, 0, *before), (0, 0, *after), 0.0))
            before = (0,) * dims
        padding = before
    settings = {
        "stride": stride, "dilation": dilation,
        "padding": (0,) * dims if padding == "valid" else _each(padding, dims),
        "output_padding": _each(c.named("output_padding", 0), dims),
    }  # fmt: skip
    transposed = "transpose" in c.node.operator
    groups = c.named("groups", 1)
    return modules.conv(b, x, weight, c.named("bias"), settings, groups, transposed=transposed)


@operator("max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d")
def _pool(b: Builder, c: Call) -> Value:
    x = signal(c.get(0))
    dims = len(x.known) - 2
    kernel = _each(c.get(1), dims)
    stride = c.named("stride") or kernel
    settings = {
        "stride": _each(stride, dims), "padding": _each(c.named("padding", 0), dims),
        "dilation": _each(c.named("dilation", 1), dims),
    }  # fmt: skip
    if c.named("ceil_mode", False):
        _whole(x, kernel, settings)
    if "max_pool" in c.node.operator:
        return modules.pool(b, "max_pool", x, kernel, settings)
    if c.named("divisor_override") is not None:
        raise UnsupportedError("it divides by another number than its window has")
    counted = c.named("count_include_pad", True)
    more = {} if counted or not any(settings["padding"]) else {"count_include_pad": False}
    return modules.pool(b, "avg_pool", x, kernel, settings, **more)


def _whole(x: Signal, kernel: Sequence[int], settings: dict[str, tuple[int, ...]]) -> None:
    for i, side in enumerate(x.known[2:]):
        reach = settings["dilation"][i] * (kernel[i] - 1) + 1
        if (side + 2 * settings["padding"][i] - reach) % settings["stride"][i]:
            raise UnsupportedError("it rounds its output's sides up")


@operator("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d")
def _adaptive(b: Builder, c: Call) -> Value:
    x = signal(c.get(0))
    return modules.adaptive_pool(b, x, _each(c.get(1), len(x.known) - 2))


@operator("batch_norm")
def _batch_norm(b: Builder, c: Call) -> Value:
    given = {name: c.named(name) for name in ("weight", "bias", "running_mean", "running_var")}
    return modules.norm(b, "batch_norm", signal(c.get(0)), given, c.named("eps", 1e-5), axis=1)


@operator("layer_norm", "rms_norm", rows=True)
def _layer_norm(b: Builder, c: Call) -> Value:
    x, count = signal(c.get(0)), len(_dims(c.get(1)))
    plain = "layer_norm" in c.node.operator
    eps = c.named("eps")
    if eps is None:
        eps = 1e-5 if plain else float(np.finfo(np.float32).eps)
    given = {"weight": c.named("weight"), "bias": c.named("bias")}
    if count > 1:
        x = signal(moving.settle(b, x))
    op = "layer_norm" if plain else "rms_norm"
    return modules.last_axes(b, op, x, count, given, eps)


@operator("group_norm", "instance_norm")
def _group_norm(b: Builder, c: Call) -> Value:
    x = signal(c.get(0))
    groups = c.named("num_groups", x.known[1])
    given = {"weight": c.named("weight"), "bias": c.named("bias")}
    return modules.norm(b, "group_norm", x, given, c.named("eps", 1e-5), groups=groups)


@operator("softmax", "_softmax", "log_softmax", "_log_softmax")
def _softmax(b: Builder, c: Call) -> Value:
    made = modules.softmax(b, signal(c.get(0)), integer(c.get(1)))
    return math.unary(b, "log", made) if "log" in c.node.operator else made


@operator("embedding", rows=True)
def _embedding(b: Builder, c: Call) -> Value:
    table, index = value(c.get(0)), value(c.get(1))
    if isinstance(table, Weight) and (isinstance(index, Signal) or index.shape):
        return modules.embedding(b, table, index)
    return moving.gather(b, table, index, 0)


@operator("scaled_dot_product_attention")
def _attention(b: Builder, c: Call) -> Value:
    q, k, v = (signal(c.get(i)) for i in range(3))
    mask = c.named("attn_mask")
    return modules.attention(
        b, q, k, v, None if mask is None else value(mask),
        causal=bool(c.named("is_causal", False)), scale=c.named("scale"),
    )  # fmt: skip


@operator("lstm", "gru", "rnn_tanh")
def _recurrent(b: Builder, c: Call) -> Any:
    kind = {"rnn_tanh": "rnn"}.get(c.node.operator.removeprefix("aten."), "")
    kind = kind or c.node.operator.removeprefix("aten.")
    y = signal(c.get(0))
    state = c.get(1) if isinstance(c.get(1), tuple) else (c.get(1),)
    if any(isinstance(s, Signal) or known(s).any() for s in state):
        raise UnsupportedError("its first state depends on the input")
    if not c.named("batch_first", False):
        y = signal(moving.transpose(b, y, (1, 0, 2)))
    weights = c.named("params")
    biased, layers = c.named("has_biases", True), c.named("num_layers", 1)
    directions = 2 if c.named("bidirectional", False) else 1
    each = 4 if biased else 2
    roles = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")[:each]
    if len(weights) != each * layers * directions:
        raise UnsupportedError("its weights are not those of its layers")
    scope = b.scope
    for layer in range(layers):
        given = [
            dict(zip(roles, weights[(layer * directions + d) * each :], strict=False))
            for d in range(directions)
        ]
        b.scope = f"{scope}.layer_{layer}" if layers > 1 and scope else scope
        y = modules.recurrent(b, kind, y, given)
    b.scope = scope
    final = moving.take(b, y, 1, -1) if directions == 1 else y
    if not c.named("batch_first", False):
        y = signal(moving.transpose(b, y, (1, 0, 2)))
    return (y, final, final)


@operator("upsample_nearest2d", "upsample_bilinear2d", "upsample_nearest1d", "upsample_linear1d",
          "upsample_nearest3d", "upsample_trilinear3d")  # fmt: skip
def _upsample(b: Builder, c: Call) -> Value:
    x = signal(c.get(0))
    sides = x.known[2:]
    if c.named("align_corners", False):
        raise UnsupportedError("it aligns the corners")
    factors = c.named("scale_factors")
    if factors is None:
        size = _dims(c.named("output_size"))
        factors = tuple(m / n for n, m in zip(sides, size, strict=True))
    mode = "nearest" if "nearest" in c.node.operator else "bilinear"
    size = tuple(int(n * f) for n, f in zip(sides, factors, strict=True))
    return modules.resize(b, x, factors, mode, size)


# Shapes


@operator("view", "reshape", "_unsafe_view", rows=True)
def _reshape(b: Builder, c: Call) -> Value:
    return moving.reshape(b, value(c.get(0)), _dims(c.get(1)))


@operator("flatten")
def _flatten(b: Builder, c: Call) -> Value:
    x = value(c.get(0))
    shape = shape_of(x)
    start, end = (n % len(shape) for n in (c.named("start_dim", 0), c.named("end_dim", -1)))
    if isinstance(x, Signal) and x.batch == 0 and start == 1 and end == len(shape) - 1:
        return b.emit("flatten", [x], (shape[0], prod(shape[1:])))
    return moving.reshape(b, x, (*shape[:start], prod(shape[start : end + 1]), *shape[end + 1 :]))


@operator("unflatten")
def _unflatten(b: Builder, c: Call) -> Value:
    x = value(c.get(0))
    shape, axis = shape_of(x), integer(c.get(1)) % len(shape_of(x))
    sizes = list(_dims(c.get(2)))
    if -1 in sizes:
        sizes[sizes.index(-1)] = shape[axis] // -prod(sizes)
    return moving.reshape(b, x, (*shape[:axis], *sizes, *shape[axis + 1 :]))


@operator("permute")
def _permute(b: Builder, c: Call) -> Value:
    return moving.transpose(b, value(c.get(0)), _dims(c.get(1)))


@operator("transpose", "t", "mT", "numpy_T")
def _transpose(b: Builder, c: Call) -> Value:
    x = value(c.get(0))
    rank = len(shape_of(x))
    first, second = (0, 1) if len(c.inputs) == 1 else (integer(c.get(1)), integer(c.get(2)))
    order = list(range(rank))
    order[first % rank], order[second % rank] = order[second % rank], order[first % rank]
    return moving.transpose(b, x, order)


@operator("unsqueeze")
def _unsqueeze(b: Builder, c: Call) -> Value:
    return moving.unsqueeze(b, value(c.get(0)), _dims(c.get(1)))


@operator("squeeze")
def _squeeze(b: Builder, c: Call) -> Value:
    return moving.squeeze(b, value(c.get(0)), None if c.get(1) is None else _dims(c.get(1)))


@operator("expand", "broadcast_to", "expand_as")
def _expand(b: Builder, c: Call) -> Value:
    x, size = value(c.get(0)), c.get(1)
    if "expand_as" in c.node.operator:
        size = shape_of(value(size))
    return moving.expand(b, x, _dims(size))


@operator("cat", "concat")
def _cat(b: Builder, c: Call) -> Value:
    return moving.concat(b, c.get(0), integer(c.named("dim", 0)))


@operator("stack")
def _stack(b: Builder, c: Call) -> Value:
    axis = integer(c.named("dim", 0))
    return moving.concat(b, [moving.unsqueeze(b, v, (axis,)) for v in c.get(0)], axis)


@operator("slice")
def _slice(b: Builder, c: Call) -> Value:
    start, end = c.named("start"), c.named("end")
    begin = 0 if start is None else integer(start)
    stop = np.iinfo(np.int64).max if end is None else integer(end)
    axis, step = integer(c.named("dim", 0)), integer(c.named("step", 1))
    return moving.cut(b, value(c.get(0)), axis, begin, int(stop), step)


@operator("narrow")
def _narrow(b: Builder, c: Call) -> Value:
    axis, start, length = (integer(c.get(i)) for i in (1, 2, 3))
    return moving.cut(b, value(c.get(0)), axis, start, start + length)


@operator("select")
def _select(b: Builder, c: Call) -> Value:
    return moving.take(b, value(c.get(0)), integer(c.get(1)), integer(c.get(2)))


@operator("split", "split_with_sizes", "chunk", "unsafe_split", "unsafe_chunk")
def _split(b: Builder, c: Call) -> Any:
    x, axis = value(c.get(0)), integer(c.named("dim", 0))
    extent, given = shape_of(x)[axis], _dims(c.get(1))
    if len(given) > 1 or "with_sizes" in c.node.operator:
        return moving.split(b, x, axis, given)
    size = -(-extent // given[0]) if "chunk" in c.node.operator else given[0]
    sizes = [min(size, extent - start) for start in range(0, extent, size)]
    return moving.split(b, x, axis, sizes)


@operator("unbind")
def _unbind(b: Builder, c: Call) -> Any:
    x, axis = value(c.get(0)), integer(c.named("dim", 0))
    return tuple(moving.take(b, x, axis, i) for i in range(shape_of(x)[axis]))


@operator("repeat", "tile")
def _repeat(b: Builder, c: Call) -> Value:
    x, times = value(c.get(0)), _dims(c.get(1))
    shape = (1,) * (len(times) - len(shape_of(x))) + shape_of(x)
    if all(n == 1 or t == 1 for n, t in zip(shape, times, strict=True)):
        return moving.expand(b, x, tuple(n * t for n, t in zip(shape, times, strict=True)))
    return math.computed(lambda a: np.tile(a, times), x)


@operator("index_select")
def _index_select(b: Builder, c: Call) -> Value:
    return moving.gather(b, value(c.get(0)), value(c.get(2)), integer(c.get(1)))


@operator("index")
def _index(b: Builder, c: Call) -> Value:
    x, index = value(c.get(0)), c.get(1)
    places = [i for i, v in enumerate(index) if v is not None]
    if len(places) == 1 and isinstance(x, Weight) and places == [0]:
        if len(x.shape) == 2:
            return modules.embedding(b, x, value(index[0]))
    if len(places) == 1 and isinstance(x, Signal):
        return moving.gather(b, x, value(index[places[0]]), places[0])
    full = tuple(slice(None) if v is None else known(v) for v in index)
    return math.computed(lambda a: a[full], x)


@operator("roll")
def _roll(b: Builder, c: Call) -> Value:
    x = value(c.get(0))
    for shift, axis in zip(_dims(c.get(1)), _dims(c.named("dims", ())), strict=True):
        extent = shape_of(x)[axis]
        cut = -shift % extent
        if cut:
            head = moving.cut(b, x, axis, 0, cut)
            x = moving.concat(b, [moving.cut(b, x, axis, cut, extent), head], axis)
    return x


@operator("pad", "constant_pad_nd")
def _pad(b: Builder, c: Call) -> Value:
    x, pads = value(c.get(0)), _dims(c.get(1))
    if c.named("mode", "constant") != "constant":
        raise UnsupportedError(f"it pads by {c.named('mode')}")
    rank = len(shape_of(x))
    before, after = [0] * rank, [0] * rank
    for i in range(len(pads) // 2):
        before[rank - 1 - i], after[rank - 1 - i] = pads[2 * i], pads[2 * i + 1]
    return moving.pad(b, x, before, after, float(c.named("value", 0.0) or 0.0))


@operator("mean", "sum", "amax")
def _reduce(b: Builder, c: Call) -> Value:
    name = {"aten.mean": "mean", "aten.sum": "sum", "aten.amax": "max"}[c.node.operator]
    dims = c.named("dim")
    axes = None if dims is None or dims == () else _dims(dims)
    keep = bool(c.named("keepdim", False))
    return math.reduce(b, name, value(c.get(0)), axes, keepdims=keep)


@operator("min", "max")
def _extreme(b: Builder, c: Call) -> Value:
    low = "min" in c.node.operator
    if len(c.inputs) == 2 and not isinstance(c.get(1), int):
        name = "minimum" if low else "maximum"
        return math.binary(b, name, value(c.get(0)), value(c.get(1)))
    return math.computed(np.min if low else np.max, value(c.get(0)))


# What only depends on shapes


@operator("sym_size")
def _size(b: Builder, c: Call) -> Value:
    return Known(np.asarray(shape_of(value(c.get(0)))[integer(c.get(1))], np.int64))


@operator("_assert_tensor_metadata", "_assert_scalar", "sym_constrain_range_for_size",
          "_assert_async")  # fmt: skip
def _nothing(b: Builder, c: Call) -> Any:
    return ()


@operator("arange")
def _arange(b: Builder, c: Call) -> Value:
    start, end, step = (c.named(name) for name in ("start", "end", "step"))
    numbers = [n if n is None else known(n).item() for n in (start, end, step)]
    made = np.arange(numbers[0] or 0, numbers[1], numbers[2] or 1)
    kind = _KINDS.get(c.named("dtype", 0))
    return Known(made if kind is None else made.astype(kind))


_FILLS = {"zeros": 0, "ones": 1, "new_zeros": 0, "new_ones": 1, "zeros_like": 0, "ones_like": 1}


@operator(*_FILLS, "full", "full_like", "new_full", "scalar_tensor", "empty", "new_empty")
def _full(b: Builder, c: Call) -> Value:
    name = c.node.operator.removeprefix("aten.")
    if name == "scalar_tensor":
        return value(c.get(0))
    if name.endswith("_like"):
        size = shape_of(value(c.get(0)))
    else:
        given = c.named("size")
        size = _dims(given) if given else ()
    fill = c.named("fill_value", _FILLS.get(name, 0))
    number = known(fill).item() if not isinstance(fill, int | float) else fill
    if prod(size) > 1 << 24:
        raise UnsupportedError("it makes an array that is too large")
    kind = _KINDS.get(c.named("dtype", 0))
    if kind is None:
        source = c.get(0)
        like = isinstance(source, Known) and name.startswith("new_") or name.endswith("_like")
        kind = source.array.dtype.type if like and isinstance(source, Known) else None
    made = np.full(size, number)
    return Known(made.astype(np.float32 if kind is None and made.dtype == float else kind or made.dtype))


@operator("tril", "triu")
def _triangle(b: Builder, c: Call) -> Value:
    function = np.tril if "tril" in c.node.operator else np.triu
    k = integer(c.named("diagonal", 0))
    return math.computed(lambda a: function(a, k), value(c.get(0)))


@operator("cumsum")
def _cumsum(b: Builder, c: Call) -> Value:
    axis = integer(c.get(1))
    return math.computed(lambda a: np.cumsum(a, axis), value(c.get(0)))


@operator("diff")
def _diff(b: Builder, c: Call) -> Value:
    axis, front = integer(c.named("dim", -1)), c.named("prepend")
    joined = value(c.get(0))
    if front is not None:
        joined = moving.concat(b, [value(front), joined], axis)
    return math.computed(lambda a: np.diff(a, integer(c.named("n", 1)), axis), joined)


@operator("gather")
def _gather(b: Builder, c: Call) -> Value:
    axis = integer(c.get(1))
    return math.computed(
        lambda a, i: np.take_along_axis(a, i, axis), value(c.get(0)), value(c.get(2))
    )
