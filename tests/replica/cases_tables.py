"""Cases of windows and biases of attention, held to what transformers computes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.replica.case import Case


def _swin() -> Any:
    return pytest.importorskip("transformers.models.swin.modeling_swin")


def _windows(x: Any, size: int, shift: int, height: int, width: int) -> Any:
    import torch

    grid = x.unflatten(1, (height, width))
    if shift:
        grid = torch.roll(grid, (-shift, -shift), (1, 2))
    parts = _swin().window_partition(grid, size)
    return parts.view(len(x), -1, size * size, x.shape[-1])


def _unwindows(x: Any, size: int, shift: int, height: int, width: int) -> Any:
    import torch

    grid = _swin().window_reverse(x.reshape(-1, size, size, x.shape[-1]), size, height, width)
    if shift:
        grid = torch.roll(grid, (shift, shift), (1, 2))
    return grid.flatten(1, 2)


def _alibi(x: Any, p: Any) -> Any:
    import torch

    bloom = pytest.importorskip("transformers.models.bloom.modeling_bloom")
    bias = bloom.build_alibi_tensor(torch.ones(1, x.shape[1]), 6, x.dtype)
    return bias.view(1, 6, 1, -1) + 0.0 * x.sum()


def _merged(x: Any, height: int, width: int) -> Any:
    import torch

    layer = _swin().SwinPatchMerging(x.shape[-1])
    layer.norm, layer.reduction = torch.nn.Identity(), torch.nn.Identity()
    return layer(x, (height, width))


def _shifted(q: Any, k: Any, v: Any) -> Any:
    import torch

    swin = _swin()
    layer = swin.SwinLayer(swin.SwinConfig(window_size=2), 4, (4, 4), 1, shift_size=1)
    mask = layer.get_attn_mask(4, 4, torch.float64, "cpu")
    attend = torch.nn.functional.scaled_dot_product_attention
    return attend(q, k, v, attn_mask=mask)


def _t5(rows: int, columns: int, count: int, reach: int, *, both: bool) -> Any:
    import torch

    t5 = pytest.importorskip("transformers.models.t5.modeling_t5")
    ahead = torch.arange(columns)[None, :] - torch.arange(rows)[:, None]
    return t5.T5Attention._relative_position_bucket(ahead, both, count, reach)


def _relative(weight: Any, *shape: int, both: bool) -> Any:
    return weight[_t5(*shape, both=both)].permute(2, 0, 1)[None]


def _window_bias(weight: Any, size: int) -> Any:
    import torch

    layer = _swin().SwinRelativePositionBias(weight.shape[1], (size, size))
    named = {"relative_position_bias_table": weight}
    return torch.func.functional_call(layer, named, ())


def _gates(x: Any, k: int, *, normalise: bool) -> Any:
    import torch

    every = x.softmax(-1)
    top, index = every.topk(k, -1)
    top = top / top.sum(-1, keepdim=True) if normalise else top
    return torch.zeros_like(every).scatter(-1, index, top)


SIDES = {"size": 2, "height": 4, "width": 6}

TABLES = [
    Case("alibi_bias", ((2, 5, 4),), {}, {"heads": 6}, torch=_alibi),
    Case("windows", ((2, 24, 3),), {}, SIDES,
         torch=lambda x, p: _windows(x, 2, 0, 4, 6)),
    Case("windows", ((2, 24, 3),), {}, {**SIDES, "shift": 1}, id="shifted windows",
         torch=lambda x, p: _windows(x, 2, 1, 4, 6)),
    Case("unwindows", ((2, 6, 4, 3),), {}, {**SIDES, "shift": 1},
         torch=lambda x, p: _unwindows(x, 2, 1, 4, 6)),
    Case("merge_patches", ((2, 24, 3),), {}, {"height": 4, "width": 6},
         torch=lambda x, p: _merged(x, 4, 6)),
    Case("relative_bias", ((2, 9),), {"weight": (8, 2)}, {"heads": 2, "max_distance": 6},
         torch=lambda x, p: _relative(p["weight"], 9, 9, 8, 6, both=True) + 0.0 * x.sum()),
    Case("relative_bias", ((2, 9, 4), (2, 7, 4)), {"weight": (6, 3)},
         {"heads": 3, "buckets": 6, "max_distance": 7, "bidirectional": False},
         id="relative_bias of one direction",
         torch=lambda x, y, p: _relative(p["weight"], 9, 7, 6, 7, both=False) + 0.0 * (
             x.sum() + y.sum())),
    Case("window_bias", ((2, 9),), {"weight": (25, 2)}, {"size": 3},
         torch=lambda x, p: _window_bias(p["weight"], 3) + 0.0 * x.sum()),
    Case("top_k_gates", ((2, 3, 5),), {}, {"k": 2, "normalise": True},
         torch=lambda x, p: _gates(x, 2, normalise=True)),
    Case("top_k_gates", ((2, 3, 5),), {}, {"k": 3}, id="top_k_gates as they are",
         torch=lambda x, p: _gates(x, 3, normalise=False)),
    Case("attention", ((2, 4, 4, 2),) * 3, {},
         {"heads": 1, "shift": 1, "size": 2, "height": 4, "width": 4},
         id="attention inside shifted windows", torch=lambda q, k, v, p: _shifted(q, k, v)),
]  # fmt: skip
