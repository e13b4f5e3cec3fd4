"""The operations that the replica knows, by the name of a layer's op."""

from __future__ import annotations

from collections.abc import Mapping

from initaudit.replica.ops.activations import activation, softmax
from initaudit.replica.ops.convolution import conv, conv_transpose
from initaudit.replica.ops.linear import embedding, linear
from initaudit.replica.ops.norms import batch_norm, group_norm, layer_norm, rms_norm
from initaudit.replica.ops.op import Op
from initaudit.replica.ops.pooling import avg_pool, global_avg_pool, max_pool
from initaudit.replica.ops.recurrent import gru, lstm, rnn
from initaudit.replica.ops.shaping import add, concat, flatten, identity, multiply

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
}
"""The input of a network is no operation: its output is given."""
