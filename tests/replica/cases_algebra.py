"""Cases of generic arithmetic, as graphs of operations hold it."""

from __future__ import annotations

from typing import Any

from tests.replica.case import Case


def _t() -> Any:
    import torch

    return torch


TWO = ((2, 3, 4), (1, 3, 1))

ALGEBRA = [
    Case("subtract", TWO, torch=lambda x, y, p: x - y),
    Case("divide", TWO, low=0.5, torch=lambda x, y, p: x / y),
    Case("minimum", TWO, torch=lambda x, y, p: _t().minimum(x, y)),
    Case("maximum", TWO, torch=lambda x, y, p: _t().maximum(x, y)),
    Case("where", ((1, 3, 4), (2, 3, 4), (2, 1, 4)), whole={0: 2},
         torch=lambda c, x, y, p: _t().where(c != 0, x, y)),
    Case("power", ((2, 3),), {}, {"exponent": 2.5}, low=0.1, torch=lambda x, p: x**2.5),
    Case("power", ((2, 3),), {}, {"exponent": 3.0}, id="power of any number",
         torch=lambda x, p: x**3),
    Case("power", ((2, 3),), id="power of two", torch=lambda x, p: x**2),
    Case("power", ((2, 3),), {}, {"exponent": 0.0}, id="power of zero", torch=lambda x, p: x**0),
    Case("clip", ((2, 3, 4),), {}, {"low": -0.5, "high": 0.7},
         torch=lambda x, p: x.clamp(-0.5, 0.7)),
    Case("clip", ((2, 3, 4),), {}, {"low": 0}, id="clip from below",
         torch=lambda x, p: x.clamp(0)),
    Case("sqrt", ((2, 3),), low=0.1, torch=lambda x, p: x.sqrt()),
    Case("exp", ((2, 3),), torch=lambda x, p: x.exp()),
    Case("log", ((2, 3),), low=0.1, torch=lambda x, p: x.log()),
    Case("negative", ((2, 3),), torch=lambda x, p: -x),
    Case("reciprocal", ((2, 3),), low=0.1, torch=lambda x, p: 1.0 / x),
    Case("erf", ((2, 3),), torch=lambda x, p: x.erf()),
    Case("matmul", ((2, 3, 4), (2, 4, 5)), torch=lambda x, y, p: x @ y),
    Case("matmul", ((2, 2, 4, 3), (2, 1, 5, 4)), {}, {"transpose_a": True, "transpose_b": True},
         id="matmul of transposes", torch=lambda x, y, p: x.mT @ y.mT),
    Case("matmul", ((2, 3, 4), (1, 4, 5)), id="matmul with one matrix for all samples",
         torch=lambda x, y, p: x @ y),
    Case("matmul", ((2, 4), (1, 5, 4)), {}, {"transpose_b": True},
         id="matmul of rows with one matrix", torch=lambda x, y, p: x @ y[0].T),
    Case("matmul", ((1, 3, 4), (2, 4, 5)), id="matmul of one matrix with each sample",
         torch=lambda x, y, p: x @ y),
    Case("reduce_sum", ((2, 3, 4),), {}, {"axes": (-1,)}, torch=lambda x, p: x.sum(-1)),
    Case("reduce_mean", ((2, 3, 4, 2),), {}, {"axes": (1, 3)}, torch=lambda x, p: x.mean((1, 3))),
    Case("reduce_mean", ((2, 3, 4),), {}, {"axes": (2,), "keepdims": True}, id="reduce_mean kept",
         torch=lambda x, p: x.mean(2, keepdim=True)),
    Case("reduce_max", ((2, 3, 4),), {}, {"axes": (1,)}, torch=lambda x, p: x.amax(1)),
    Case("transpose", ((2, 3, 4, 2),), {}, {"perm": (0, 2, 3, 1)},
         torch=lambda x, p: x.permute(0, 2, 3, 1)),
    Case("reshape", ((2, 3, 4),), {}, {"shape": (0, 0, 2, -1)},
         torch=lambda x, p: x.reshape(2, 3, 2, 2)),
    Case("reshape", ((2, 3, 4),), {}, {"shape": (-1, 2, -1)}, id="reshape with two open extents",
         torch=lambda x, p: x.reshape(2, 2, 6)),
    Case("expand", ((2, 3, 1),), {}, {"shape": (0, -1, 4)}, torch=lambda x, p: x.expand(2, 3, 4)),
    Case("expand", ((1, 1, 4),), {}, {"shape": (2, 3, 4)}, id="expand to samples",
         torch=lambda x, p: x.expand(2, 3, 4)),
    Case("squeeze", ((2, 1, 3, 1),), {}, {"axes": (1, -1)}, torch=lambda x, p: x[:, 0, :, 0]),
    Case("unsqueeze", ((2, 3),), {}, {"axes": (1, -1)}, torch=lambda x, p: x[:, None, :, None]),
    Case("gather", ((2, 5, 3), (1, 2, 2)), {}, {"axis": 1}, whole={1: 5},
         torch=lambda x, i, p: x[:, i[0]]),
    Case("gather", ((2, 5, 3), (1,)), {}, {"axis": 2}, whole={1: 3}, id="gather one feature",
         torch=lambda x, i, p: x[:, :, i[0]]),
    Case("gather", ((1, 5, 3), (2, 4)), {}, {"axis": 1}, whole={1: 5}, id="gather rows of a table",
         torch=lambda x, i, p: x[0][i]),
    Case("gather", ((1, 5, 3), (2, 4)), {}, {"axis": 2}, whole={1: 3},
         id="gather columns of a table", torch=lambda x, i, p: x[0].T[i].permute(0, 2, 1)),
    Case("gather", ((2, 5, 3), (2, 4)), {}, {"axis": 1}, whole={1: 5}, id="gather for each sample",
         torch=lambda x, i, p: x[_t().arange(2)[:, None], i]),
    Case("softmax", ((2, 3, 2, 4),), {}, {"axis": -1}, id="softmax over the last axis",
         torch=lambda x, p: x.softmax(-1)),
    Case("softmax", ((2, 3, 2, 4),), {}, {"axis": 2}, id="softmax over an inner axis",
         torch=lambda x, p: x.softmax(2)),
]  # fmt: skip
