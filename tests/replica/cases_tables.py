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


SIDES = {"size": 2, "height": 4, "width": 6}

TABLES = [
    Case("windows", ((2, 24, 3),), {}, SIDES,
         torch=lambda x, p: _windows(x, 2, 0, 4, 6)),
    Case("windows", ((2, 24, 3),), {}, {**SIDES, "shift": 1}, id="shifted windows",
         torch=lambda x, p: _windows(x, 2, 1, 4, 6)),
    Case("unwindows", ((2, 6, 4, 3),), {}, {**SIDES, "shift": 1},
         torch=lambda x, p: _unwindows(x, 2, 1, 4, 6)),
    Case("merge_patches", ((2, 24, 3),), {}, {"height": 4, "width": 6},
         torch=lambda x, p: _merged(x, 4, 6)),
    Case("attention", ((2, 4, 4, 2),) * 3, {},
         {"heads": 1, "shift": 1, "size": 2, "height": 4, "width": 4},
         id="attention inside shifted windows", torch=lambda q, k, v, p: _shifted(q, k, v)),
]  # fmt: skip
