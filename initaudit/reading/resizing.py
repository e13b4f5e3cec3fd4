"""Images resized: the modes that the replica knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from initaudit.checkpoint.graphs.values import Signal
from initaudit.reading import tensors
from initaudit.reading.state import State
from initaudit.reading.values import Unknown

_MODES = frozenset({"nearest", "linear", "bilinear", "bicubic"})


def interpolate(state: State, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
    """Return what torch.nn.functional.interpolate gives; the signal ends there for other modes."""
    names = ("input", "size", "scale_factor", "mode", "align_corners", "recompute", "antialias")
    given = dict(zip(names, args, strict=False)) | dict(keywords)
    x, factor, size = given.get("input"), given.get("scale_factor"), given.get("size")
    if not isinstance(x, Signal) or x.shape is None:
        return tensors.ended(state, "interpolate", (x,))
    dims = len(x.shape) - 2
    mode = given.get("mode", "nearest")
    known = isinstance(mode, str) and mode in _MODES and not given.get("antialias")
    if not known or isinstance(factor, Unknown) or isinstance(size, Unknown):
        return tensors.ended(state, "interpolate", (x,))
    name = f"upsample_{mode}{dims}d"
    factors = None
    if factor is not None:
        factors = tuple(factor) if isinstance(factor, tuple | list) else (factor,) * dims
    elif isinstance(size, int):
        size = (size,) * dims
    corners = bool(given.get("align_corners"))
    return tensors.aten(
        state, name, (x, size, corners, factors),
        ("input", "output_size", "align_corners", "scale_factors"),
    )  # fmt: skip
