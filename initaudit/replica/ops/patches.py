"""Between images (N, C, H, W) and sequences of tokens (N, T, C)."""

from __future__ import annotations

import numpy as np

from initaudit.replica.ops.op import Attributes, Cache, Inputs, Op, OpError, Params, number
from initaudit.special import Array


def _tokens(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    if x.ndim < 3:
        raise OpError(f"its input has shape {x.shape[1:]}, no channels and places")
    flat = x.reshape(*x.shape[:2], -1)
    return np.ascontiguousarray(np.swapaxes(flat, 1, 2)), x.shape


def _d_tokens(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    return (np.ascontiguousarray(np.swapaxes(d_output, 1, 2)).reshape(cache),), {}


def _image(attributes: Attributes, inputs: Inputs, params: Params) -> tuple[Array, Cache]:
    (x,) = inputs
    height, width = number(attributes, "height", 1), number(attributes, "width", 1)
    if x.ndim != 3 or x.shape[1] != height * width:
        raise OpError(f"its input has shape {x.shape[1:]}, not {height} by {width} tokens")
    turned = np.ascontiguousarray(np.swapaxes(x, 1, 2))
    return turned.reshape(len(x), -1, height, width), None


def _d_image(cache: Cache, params: Params, d_output: Array) -> tuple[Inputs, dict[str, Array]]:
    flat = d_output.reshape(*d_output.shape[:2], -1)
    return (np.ascontiguousarray(np.swapaxes(flat, 1, 2)),), {}


tokens = Op(_tokens, _d_tokens, "last")
image = Op(_image, _d_image, "first")
