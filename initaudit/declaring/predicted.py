"""What arithmetic tells of a declared network, beside what its realised weights measure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

from initaudit import fans
from initaudit.finding import Arithmetic, LayerReport, NetworkReport
from initaudit.graph import WEIGHTED
from initaudit.network import Interval, Network
from initaudit.reading import passing, powers, predicting
from initaudit.reading.model import Model

_SAMPLED = 2.0 * math.log(1.25)
"""How far a power may lie off for the samples alone: a fifth of the standard deviation."""

_MOST = 700.0


def beside(
    report: NetworkReport, network: Network, made: Model, reading: passing.Reading
) -> NetworkReport:
    """Return the report of a realised network with what arithmetic tells of each layer.

    Where both are further apart than finite widths explain, an assumption says so: the realised
    network is what was judged, so that no cause is found twice.
    """
    shapes = passing.shapes(reading)
    told = powers.powers(network, made.parameters, shapes)
    layers = tuple(replace(x, predicted=bounded(told.get(x.name))) for x in report.layers)
    apart = [x for x, width in _widths(layers, network) if not _near(x, width)]
    stack = predicting.predict(network, made.parameters, shapes)
    return replace(
        report, layers=layers, arithmetic=None if stack is None else summary(stack),
        assumptions=(*report.assumptions, *_said(apart)),
    )  # fmt: skip


def summary(stack: predicting.Prediction) -> Arithmetic:
    """Return what the report shows of a plain stack's prediction."""
    return Arithmetic(stack.forward, stack.backward, stack.chi, stack.depth, len(stack.hidden))


def bounded(power: powers.Power | None) -> Interval | None:
    """Return a second moment that is bounded at least at one end."""
    if power is None or (power.q.lo == 0.0 and math.isinf(power.q.hi)):
        return None
    return power.q


def _widths(
    layers: tuple[LayerReport, ...], network: Network
) -> Iterator[tuple[LayerReport, float]]:
    """Yield measured layers with weights, and the sum of 1 / width up to each."""
    by_name: Mapping[str, LayerReport] = {x.name: x for x in layers}
    beta = 0.0
    for layer in network.layers:
        if layer.op in WEIGHTED:
            beta += 1.0 / max(fans.units(layer) or 1, 1)
            if layer.name in by_name:
                yield by_name[layer.name], beta


def _near(layer: LayerReport, beta: float) -> bool:
    """Return whether what was measured lies where arithmetic and finite widths put it.

    With beta = sum 1 / width the log of the power is N(-5/2 beta, 5 beta) in a ReLU network (Hanin
    and Rolnick 2018), and less spread under a smooth activation; three deviations are let pass.
    """
    told, measured = layer.predicted, layer.forward
    if told is None or measured is None or measured.second_moment is None:
        return True
    power = measured.second_moment
    if not math.isfinite(power):
        return True
    spread = math.exp(min(_SAMPLED + 2.5 * beta + 3.0 * math.sqrt(5.0 * beta), _MOST))
    return told.lo / spread <= power <= told.hi * spread


def _said(apart: list[LayerReport]) -> Iterator[str]:
    if not apart:
        return
    first = apart[0]
    assert first.predicted is not None  # noqa: S101
    assert first.forward is not None  # noqa: S101
    low, high = math.sqrt(first.predicted.lo), math.sqrt(first.predicted.hi)
    bounds = f"{low:.3g}" if high <= low * 1.01 else f"{low:.3g} to {high:.3g}"
    more = f", and {len(apart) - 1} further layers differ" if len(apart) > 1 else ""
    realised = math.sqrt(first.forward.second_moment or 0.0)
    yield (
        f"arithmetic puts the RMS of {first.name} at {bounds}, the realised network has "
        f"{realised:.3g}{more}: the realised network is what was judged"
    )
