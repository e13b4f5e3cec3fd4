"""The operations that the replica knows, by the name of a layer's op."""

from __future__ import annotations

from collections.abc import Mapping

from initaudit.replica.ops.activations import activation, softmax
from initaudit.replica.ops.affine import bias, scale
from initaudit.replica.ops.algebra import matmul, reduce_max, reduce_mean, reduce_sum
from initaudit.replica.ops.alibi import alibi_bias
from initaudit.replica.ops.arranging import expand, reshape, squeeze, transpose, unsqueeze
from initaudit.replica.ops.attention import attention
from initaudit.replica.ops.biases import relative_bias, window_bias
from initaudit.replica.ops.convolution import conv, conv_transpose
from initaudit.replica.ops.elementwise import (
    clip,
    divide,
    erf_,
    exp,
    log,
    maximum,
    minimum,
    negative,
    power,
    reciprocal,
    sqrt,
    subtract,
    where,
)
from initaudit.replica.ops.gathering import gather
from initaudit.replica.ops.gating import top_k_gates
from initaudit.replica.ops.linear import embedding, linear
from initaudit.replica.ops.norms import batch_norm, group_norm, layer_norm, rms_norm
from initaudit.replica.ops.op import Op
from initaudit.replica.ops.patches import image, tokens
from initaudit.replica.ops.pooling import avg_pool, global_avg_pool, max_pool
from initaudit.replica.ops.recurrent import gru, lstm, rnn
from initaudit.replica.ops.resizing import adaptive_avg_pool, pad, upsample
from initaudit.replica.ops.response import response_norm
from initaudit.replica.ops.rotary import rotary
from initaudit.replica.ops.selection import slice_, take
from initaudit.replica.ops.shaping import (
    add,
    channel_shuffle,
    concat,
    flatten,
    identity,
    multiply,
)
from initaudit.replica.ops.shifted_windows import merge_patches, unwindows, windows
from initaudit.replica.ops.tables import constant, table

OPS: Mapping[str, Op] = {
    "linear": linear,
    "conv": conv,
    "conv_transpose": conv_transpose,
    "embedding": embedding,
    "lstm": lstm,
    "gru": gru,
    "rnn": rnn,
    "batch_norm": batch_norm,
    "layer_norm": layer_norm,
    "group_norm": group_norm,
    "rms_norm": rms_norm,
    "response_norm": response_norm,
    "activation": activation,
    "softmax": softmax,
    "max_pool": max_pool,
    "avg_pool": avg_pool,
    "global_avg_pool": global_avg_pool,
    "add": add,
    "multiply": multiply,
    "concat": concat,
    "flatten": flatten,
    "identity": identity,
    "dropout": identity,
    "attention": attention,
    "alibi_bias": alibi_bias,
    "rotary": rotary,
    "scale": scale,
    "bias": bias,
    "slice": slice_,
    "take": take,
    "table": table,
    "constant": constant,
    "tokens": tokens,
    "image": image,
    "windows": windows,
    "unwindows": unwindows,
    "merge_patches": merge_patches,
    "relative_bias": relative_bias,
    "window_bias": window_bias,
    "top_k_gates": top_k_gates,
    "adaptive_avg_pool": adaptive_avg_pool,
    "upsample": upsample,
    "pad": pad,
    "channel_shuffle": channel_shuffle,
    "clip": clip,
    "divide": divide,
    "erf": erf_,
    "exp": exp,
    "log": log,
    "maximum": maximum,
    "minimum": minimum,
    "negative": negative,
    "power": power,
    "reciprocal": reciprocal,
    "sqrt": sqrt,
    "subtract": subtract,
    "where": where,
    "matmul": matmul,
    "reduce_max": reduce_max,
    "reduce_mean": reduce_mean,
    "reduce_sum": reduce_sum,
    "expand": expand,
    "reshape": reshape,
    "squeeze": squeeze,
    "transpose": transpose,
    "unsqueeze": unsqueeze,
    "gather": gather,
}
"""The input of a network is no operation: its output is given."""
