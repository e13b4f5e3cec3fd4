"""PyTorch's functions by name: the operator of torch.export that each is, with its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Entry = tuple[str, tuple[str, ...]]

_UNARY = (
    "relu", "sigmoid", "tanh", "silu", "mish", "hardswish", "hardsigmoid", "selu", "relu6",
    "softsign", "sin", "cos", "sqrt", "rsqrt", "exp", "log", "neg", "erf", "reciprocal", "abs",
    "floor", "ceil", "square", "sign", "logical_not",
)  # fmt: skip
_X = ("input",)

TABLE: Mapping[str, Entry] = {
    **{name: (name, _X) for name in _UNARY},
    "swish": ("silu", _X), "negative": ("neg", _X),
    "gelu": ("gelu", ("input", "approximate")),
    "leaky_relu": ("leaky_relu", ("input", "negative_slope")),
    "elu": ("elu", ("input", "alpha")), "celu": ("celu", ("input", "alpha")),
    "softplus": ("softplus", ("input", "beta", "threshold")),
    "hardtanh": ("hardtanh", ("input", "min_val", "max_val")),
    "prelu": ("prelu", ("input", "weight")),
    "clamp": ("clamp", ("input", "min", "max")), "clip": ("clamp", ("input", "min", "max")),
    "softmax": ("softmax", ("input", "dim")), "log_softmax": ("log_softmax", ("input", "dim")),
    "dropout": ("dropout", _X), "dropout1d": ("dropout", _X), "dropout2d": ("dropout", _X),
    "dropout3d": ("dropout", _X), "alpha_dropout": ("dropout", _X),
    "feature_alpha_dropout": ("dropout", _X),
    "linear": ("linear", ("input", "weight", "bias")),
    "conv1d": ("conv1d", ("input", "weight", "bias", "stride", "padding", "dilation", "groups")),
    "conv2d": ("conv2d", ("input", "weight", "bias", "stride", "padding", "dilation", "groups")),
    "conv3d": ("conv3d", ("input", "weight", "bias", "stride", "padding", "dilation", "groups")),
    "max_pool1d": ("max_pool1d", ("input", "kernel_size", "stride", "padding", "dilation",
                                  "ceil_mode")),
    "max_pool2d": ("max_pool2d", ("input", "kernel_size", "stride", "padding", "dilation",
                                  "ceil_mode")),
    "avg_pool1d": ("avg_pool1d", ("input", "kernel_size", "stride", "padding", "ceil_mode",
                                  "count_include_pad")),
    "avg_pool2d": ("avg_pool2d", ("input", "kernel_size", "stride", "padding", "ceil_mode",
                                  "count_include_pad", "divisor_override")),
    "adaptive_avg_pool1d": ("adaptive_avg_pool1d", ("input", "output_size")),
    "adaptive_avg_pool2d": ("adaptive_avg_pool2d", ("input", "output_size")),
    "batch_norm": ("batch_norm", ("input", "running_mean", "running_var", "weight", "bias",
                                  "training", "momentum", "eps")),
    "layer_norm": ("layer_norm", ("input", "normalized_shape", "weight", "bias", "eps")),
    "rms_norm": ("rms_norm", ("input", "normalized_shape", "weight", "eps")),
    "group_norm": ("group_norm", ("input", "num_groups", "weight", "bias", "eps")),
    "embedding": ("embedding", ("weight", "input")),
    "scaled_dot_product_attention": ("scaled_dot_product_attention", (
        "query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale")),
    "pad": ("pad", ("input", "pad", "mode", "value")),
    "matmul": ("matmul", ("input", "other")), "bmm": ("bmm", ("input", "other")),
    "mm": ("mm", ("input", "other")),
    "add": ("add", ("input", "other", "alpha")), "sub": ("sub", ("input", "other", "alpha")),
    "mul": ("mul", ("input", "other")), "multiply": ("mul", ("input", "other")),
    "div": ("div", ("input", "other", "rounding_mode")), "pow": ("pow", ("input", "exponent")),
    "remainder": ("remainder", ("input", "other")),
    "floor_divide": ("floor_divide", ("input", "other")),
    "__and__": ("bitwise_and", ("input", "other")), "__or__": ("bitwise_or", ("input", "other")),
    "bitwise_not": ("bitwise_not", _X),
    "addmm": ("addmm", ("input", "mat1", "mat2")),
    "baddbmm": ("baddbmm", ("input", "batch1", "batch2", "beta", "alpha")),
    "eq": ("eq", ("input", "other")), "ne": ("ne", ("input", "other")),
    "lt": ("lt", ("input", "other")), "le": ("le", ("input", "other")),
    "gt": ("gt", ("input", "other")), "ge": ("ge", ("input", "other")),
    "minimum": ("minimum", ("input", "other")), "maximum": ("maximum", ("input", "other")),
    "where": ("where", ("condition", "input", "other")),
    "masked_fill": ("masked_fill", ("input", "mask", "value")),
    "cat": ("cat", ("tensors", "dim")), "concat": ("cat", ("tensors", "dim")),
    "concatenate": ("cat", ("tensors", "dim")), "stack": ("stack", ("tensors", "dim")),
    "flatten": ("flatten", ("input", "start_dim", "end_dim")),
    "unflatten": ("unflatten", ("input", "dim", "sizes")),
    "transpose": ("transpose", ("input", "dim0", "dim1")),
    "swapaxes": ("transpose", ("input", "dim0", "dim1")),
    "t": ("t", _X), "unsqueeze": ("unsqueeze", ("input", "dim")),
    "squeeze": ("squeeze", ("input", "dim")),
    "split": ("split", ("input", "split_size", "dim")),
    "chunk": ("chunk", ("input", "chunks", "dim")), "unbind": ("unbind", ("input", "dim")),
    "narrow": ("narrow", ("input", "dim", "start", "length")),
    "select": ("select", ("input", "dim", "index")),
    "index_select": ("index_select", ("input", "dim", "index")),
    "mean": ("mean", ("input", "dim", "keepdim")), "sum": ("sum", ("input", "dim", "keepdim")),
    "amax": ("amax", ("input", "dim", "keepdim")),
    "cumsum": ("cumsum", ("input", "dim")), "tril": ("tril", ("input", "diagonal")),
    "triu": ("triu", ("input", "diagonal")), "roll": ("roll", ("input", "shifts", "dims")),
    "outer": ("outer", ("input", "vec2")), "permute": ("permute", ("input", "dims")),
    "reshape": ("reshape", ("input", "shape")), "view": ("view", ("input", "shape")),
    "expand": ("expand", ("input", "size")), "expand_as": ("expand_as", ("input", "other")),
    "repeat": ("repeat", ("input", "repeats")), "tile": ("tile", ("input", "dims")),
    "broadcast_to": ("broadcast_to", ("input", "size")),
    "view_as": ("view_as", ("input", "other")), "reshape_as": ("view_as", ("input", "other")),
    "clamp_min": ("clamp", ("input", "min")), "clamp_max": ("clamp", ("input", "max")),
    "zeros_like": ("zeros_like", _X), "ones_like": ("ones_like", _X),
    "full_like": ("full_like", ("input", "fill_value")),
}  # fmt: skip
"""By the name of the function or of the tensor's method; the input comes first."""

DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "unbind": {"dim": 0}, "split": {"dim": 0}, "chunk": {"dim": 0},
    "batch_norm": {"eps": 1e-5},
}  # fmt: skip

VARIADIC = frozenset({"permute", "view", "reshape", "expand", "repeat", "tile"})
"""Those whose shape a method takes as separate arguments."""

SAME = frozenset(
    {"contiguous", "clone", "detach", "to", "float", "half", "bfloat16", "type_as", "cuda", "cpu",
     "double", "requires_grad_", "type", "data", "dequantize", "long", "int", "bool", "retain_grad"}
)  # fmt: skip
"""Methods that give the same numbers."""
