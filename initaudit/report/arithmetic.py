"""What arithmetic tells of a declared network, in words for a person."""

from __future__ import annotations

import math

from initaudit.finding import LayerReport, NetworkReport
from initaudit.graph import NORMS, WEIGHTED
from initaudit.network import Interval
from initaudit.report.wording import count, number

_POINT = 1.01
_SHARE = 0.5
_UNBOUNDED = "not bounded"


def bounds(value: Interval, digits: int = 3) -> str:
    """Return an interval as one number where it is narrow, as its two ends, or the end it has."""
    if value.lo == value.hi or (value.lo > 0.0 and value.hi <= value.lo * _POINT):
        return "no end" if math.isinf(value.lo) else number(value.hi, digits)
    if math.isinf(value.hi):
        return f"over {number(value.lo, digits)}" if value.lo else _UNBOUNDED
    low, high = number(value.lo, digits), number(value.hi, digits)
    return f"under {high}" if value.lo == 0.0 else f"{low} to {high}"


def predicted_std(layer: LayerReport, digits: int = 3) -> str:
    """Return the predicted standard deviation of a layer's output; empty where none is told.

    That of layers whose outputs have no mean to speak of: products with weights, and norms.
    """
    told = layer.predicted
    if told is None or layer.op not in WEIGHTED | NORMS or _has_mean(layer):
        return ""
    return bounds(Interval(math.sqrt(told.lo), math.sqrt(told.hi)), digits)


def _has_mean(layer: LayerReport) -> bool:
    forward = layer.forward
    if forward is None or forward.mean is None or forward.second_moment is None:
        return False
    return forward.mean * forward.mean > _SHARE * forward.second_moment


def sentence(network: NetworkReport) -> str:
    """Return what arithmetic tells from end to end; empty where it is no plain stack."""
    told = network.arithmetic
    if told is None:
        return ""
    parts = (
        ("signal power", "x", told.forward, ""), ("gradient power", "x", told.backward, ""),
        ("chi", "", told.chi, ""), ("depth scale", "", told.depth, " layers"),
    )  # fmt: skip
    known = [
        f"{what} {times if text[0].isdecimal() else ''}{text}{unit}"
        for what, times, value, unit in parts
        if (text := bounds(value)) != _UNBOUNDED
    ]
    over = f" over {count(told.layers, 'hidden layer')}"
    return ", ".join(known) + over if known else ""
