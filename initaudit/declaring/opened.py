"""The report of a model whose sizes are left open: its layers, laws and bounds, no measurement."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from initaudit.declaring import predicted
from initaudit.finding import Finding, LayerReport, NetworkReport
from initaudit.network import Law, Network
from initaudit.reading import explaining, powers, predicting
from initaudit.reading.model import Model
from initaudit.reading.realising import live
from initaudit.reading.values import Open, Parameter


def shown(
    report: NetworkReport,
    network: Network,
    made: Model,
    told: predicting.Prediction | None,
    findings: Sequence[Finding],
    sound: bool,  # noqa: FBT001
) -> NetworkReport:
    """Return the report of weights drawn for stand-in sizes, without what those sizes decide."""
    bounds = powers.powers(network, made.parameters, sized=False)
    worst = max((f.severity for f in findings), default=None)
    return replace(
        report,
        assumptions=(
            *made.assumed,
            f"{made.left_open} left open: what is told holds for any number",
        ),
        evidence=(),
        verdict=worst.name.lower() if worst is not None else "clean" if sound else "unjudged",
        measured_under=None,
        input_rank=None,
        forward_ratio=None,
        backward_ratio=None,
        effective_rank_min=None,
        effective_rank_min_after_probe=None,
        sensitivity=None,
        coverage=math.nan,
        parameters=None,
        layers=tuple(_layer(x, made, bounds.get(x.name)) for x in report.layers),
        suggested={},
        arithmetic=None if told is None else predicted.summary(told),
    )


def _layer(layer: LayerReport, made: Model, bound: powers.Power | None) -> LayerReport:
    held = None if layer.tensor is None else made.parameters.get(layer.tensor.name)
    return replace(
        layer,
        shape=() if held is None else tuple(None if isinstance(n, Open) else n for n in held.shape),
        tensor=None,
        gain=None,
        law=None if held is None else _law(held),
        forward=None,
        backward=None,
        predicted=predicted.bounded(bound),
    )


def _law(parameter: Parameter) -> Law | None:
    """Return the law that a parameter is declared to start from, where one event decides it."""
    alive = live(parameter.chain)
    if len(alive) != 1 or not alive[0].whole:
        return None
    return Law(alive[0].weights.law, explaining.law(replace(alive[0], std=None)))
