"""What two modules tell of their order: the ranks and numbers of their names, their widths."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from initaudit import graph
from initaudit.checkpoint.positional import number
from initaudit.checkpoint.units import Unit, words

_FIRST = frozenset({"input", "inputs", "in", "inp", "first", "stem", "embed", "embedding",
                    "embeddings", "emb", "tok", "wte"})  # fmt: skip
_EARLY = frozenset({"encoder", "enc", "encode", "backbone", "feature", "features", "conv", "convs",
                    "conv1d", "conv2d", "conv3d", "cnn", "lstm", "gru", "rnn"})  # fmt: skip
_LATE = frozenset({"decoder", "dec", "decode"})
_LAST = frozenset({"output", "outputs", "out", "head", "heads", "classifier", "logits", "logit",
                   "readout", "last", "final", "predictions", "prediction"})  # fmt: skip

_DEPTHWISE = frozenset({"depthwise", "dw", "dwconv"})

Key = tuple[tuple[int, tuple[tuple[int, int, str], ...]], ...]


def natural(path: Sequence[str]) -> Key:
    """Return a sort key: digits are numbers, ``input`` and ``stem`` lead, ``head`` is last."""
    return tuple((rank(part), _pieces(part)) for part in path)


@lru_cache(maxsize=4096)
def rank(component: str) -> int:
    """Return the place that a name tells: 0 for ``input`` and ``stem`` to 4 for ``head``."""
    said = {*words(component), component.lower()}
    if said & _LAST:
        return 4
    for place, group in ((0, _FIRST), (1, _EARLY), (3, _LATE)):
        if said & group or re.sub(r"[\d_]+$", "", component.lower()) in group:
            return place
    return 2


def stem(component: str) -> str:
    """Return a name without its numbers: ``fc1`` and ``fc2`` share one."""
    return re.sub(r"[\d_]+", "", component)


@lru_cache(maxsize=1 << 16)
def _pieces(component: str) -> tuple[tuple[int, int, str], ...]:
    return tuple(
        (1, 0, piece) if (place := number(piece)) is None else (0, place, "")
        for piece in re.split(r"(\d+)", component)
        if piece
    )


def fits(before: Unit, after: Unit) -> bool:
    """Return whether the second module can read what the first one gives.

    A linear layer reads a convolution's channels times any number of places. A convolution of
    fewer channels reads in groups, where the names are numbered alike.
    """
    if after.op == "embedding":
        return False
    if after.op in {"conv", "conv_transpose"}:
        if before.op not in {"conv", "conv_transpose"} or before.dims != after.dims:
            return False
        return after.fan == before.width or _grouped(before, after)
    if after.op == "linear" and (before.dims or before.op == "embedding"):
        return after.fan % before.width == 0
    if after.op in graph.RECURRENT:
        return before.dims == 0 and after.fan == before.width
    return after.fan == before.width


def _grouped(before: Unit, after: Unit) -> bool:
    """Return whether a convolution reads the channels of the one before it in groups.

    Two kernels of as many input channels may as well be siblings that read the same signal.
    """
    if after.op != "conv" or before.width % after.fan:
        return False
    groups = before.width // after.fan
    if after.width % groups or (after.fan > 1 and groups > after.fan):
        return False
    if after.fan == 1 and _DEPTHWISE & set(words(after.path[-1])):
        return after.width % before.width == 0
    numbered = len(before.path) == len(after.path) and all(
        stem(a) == stem(b) for a, b in zip(before.path, after.path, strict=True)
    )
    return numbered and before.fan != after.fan and natural(before.path) < natural(after.path)
