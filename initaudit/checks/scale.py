"""Standard deviations that do not fit the width, the depth and the activation."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from initaudit import fans, graph, remedy
from initaudit.claims import Hit, Limits, check
from initaudit.judge import Built
from initaudit.network import UNKNOWN_ACTIVATION, Layer, Network, Tensor
from initaudit.places import site_of, sites
from initaudit.rulebook import Confidence, Severity


@dataclass(frozen=True, slots=True)
class Scale:
    """A layer's fan_in * E[W^2] over the power gain that would keep the signal.

    ``low`` and ``high`` bound the ratio over the activations that are possible.
    """

    layer: Layer
    tensor: Tensor
    low: float
    high: float


def scale_of(network: Network, layer: Layer) -> Scale | None:
    """Return the scale of a layer; None without a fan, or where the weight is all one value."""
    power, tensor = fans.power_gain(layer), fans.weight_of(layer)
    if power is None or tensor is None or tensor.constant or tensor.nonfinite:
        return None
    wanted = fans.wanted_power(network, layer)
    return Scale(layer, tensor, power / wanted.hi, power / wanted.lo)


@check("IA103", "network")
def too_small(subject: Built, limits: Limits) -> Iterator[Hit]:
    """Weights so small for their fan_in that the signal shrinks by decades over the depth."""
    network = subject.network
    scales = _free(network)
    small = [s for s in scales if s.high < limits["layer"]]
    run, decades = _longest(network, small, lambda s: -_log(s.high))
    worst = min((s.high for s in small), default=1.0)
    if worst < limits["single"] and decades < limits["decades"]:
        run, decades = [s for s in small if s.high == worst], -_log(worst)
    if decades >= limits["decades"] or worst < limits["single"]:
        yield _hit(network, run, decades, 1)
        return
    apart = [s for s in _unplaced(network) if s.high < limits["apart"]]
    if apart:
        yield _hit(network, apart, -_log(apart[0].high), 1, Severity.NOTE)


@check("IA104", "network")
def too_large(subject: Built, limits: Limits) -> Iterator[Hit]:
    """Weights so large for their fan_in that the signal grows by decades over the depth."""
    network = subject.network
    large = [s for s in _free(network) if s.low > limits["layer"]]
    run, decades = _longest(network, large, lambda s: _log(s.low))
    worst = max((s.low for s in large), default=1.0)
    if worst > limits["single"] and decades < limits["decades"]:
        run, decades = [s for s in large if s.low == worst], _log(worst)
    if decades >= limits["decades"] or worst > limits["single"]:
        yield _hit(network, run, decades, -1)
        return
    apart = [s for s in _unplaced(network) if s.low > limits["apart"]]
    if apart:
        yield _hit(network, apart, _log(apart[0].low), -1)


@check("IA105", "network")
def one_sided(subject: Built, limits: Limits) -> Iterator[Hit]:
    """A mean so far from zero that one direction of the input drowns all others.

    The mean m adds a rank-one part of singular value m sqrt(in out); the rest has a largest
    singular value of about std (sqrt(in) + sqrt(out)) (Bai and Yin 1993).
    """
    network = subject.network
    placed, apart = [], []
    for layer in network.layers:
        found = _spike(layer)
        if found is None or found[0] < limits["spike"] or layer.attributes.get("role") is not None:
            continue
        if layer.name not in graph.placed(network):
            apart.append((layer, *found))
        elif layer is not graph.head(network) and not _centred_after(network, layer):
            placed.append((layer, *found))
    for group, severity in ((placed, None), ([] if placed else apart, Severity.NOTE)):
        if group:
            layer, spike, tensor = group[0]
            yield Hit(
                site_of(network, layer),
                {
                    "mean": _or_zero(tensor.mean),
                    "std": _or_zero(tensor.std),
                    "spike": spike,
                    "layers": len(group),
                },
                layer,
                severity=severity,
                margin=2 * math.log10(spike / limits["spike"]),
                related=sites(network, [x for x, *_ in group[1:]]),
            )


@check("IA106", "network")
def gain_mismatch(subject: Built, limits: Limits) -> Iterator[Hit]:
    """A gain that is not the activation's nor the cure's, within what the depth still bears."""
    network = subject.network
    found = [s for s in _outside(_free(network), limits) if not _as_cured(network, s, limits)]
    if found:
        yield _hit(network, found, _decades(found[0]), 1)


@check("IA107", "network")
def scale_before_norm(subject: Built, limits: Limits) -> Iterator[Hit]:
    """A scale that a norm undoes in the forward pass; only the step size changes with it."""
    network = subject.network
    normed = [x for x in graph.hidden(network) if graph.normed(network, x.name)]
    scales = [s for x in normed if (s := scale_of(network, x)) is not None]
    found = _outside(scales, limits)
    if found:
        yield _hit(network, found, _decades(found[0]), 1)


@check("IA211", "network")
def narrow_for_depth(subject: Built, limits: Limits) -> Iterator[Hit]:
    """Hidden layers so many and so narrow that the signal's power is a lottery.

    Over random draws ln q has variance 5 beta with beta = sum 1 / width (Hanin and Rolnick 2018).
    """
    network = subject.network
    free = [x for x in graph.trunk(network) if not graph.normed(network, x.name)]
    widths = [w for x in free if (w := fans.units(x)) is not None and x.op == "linear"]
    beta = sum(1 / w for w in widths if w)
    if len(free) > 1 and beta > limits["beta"]:
        yield Hit(
            site_of(network, free[0]),
            {"beta": beta, "layers": len(widths), "factor": math.exp(-2.5 * beta)},
            related=sites(network, free[1:]),
        )


def _free(network: Network) -> list[Scale]:
    """Return the scales of hidden layers on every path that no norm follows."""
    return [
        s
        for layer in graph.trunk(network)
        if not graph.normed(network, layer.name) and (s := scale_of(network, layer)) is not None
    ]


def _longest(
    network: Network, scales: Sequence[Scale], decades: Callable[[Scale], float]
) -> tuple[list[Scale], float]:
    """Return the scales between two norms that take off or add most decades, and how many.

    A norm that every path crosses starts the power of the signal afresh.
    """
    crossed, wanted = graph.bottlenecks(network), {s.layer.name: s for s in scales}
    runs: list[list[Scale]] = [[]]
    for layer in network.layers:
        if layer.op in graph.NORMS and layer.name in crossed:
            runs.append([])
        elif layer.name in wanted:
            runs[-1].append(wanted[layer.name])
    sums = [sum(map(decades, run)) for run in runs]
    most = max(sums)
    return runs[sums.index(most)], most


def _unplaced(network: Network) -> list[Scale]:
    """Return the scales of matrices without a known place and without a role that excuses them."""
    inside = graph.placed(network)
    return [
        s
        for layer in network.layers
        if layer.name not in inside
        and layer.attributes.get("role") is None
        and (s := scale_of(network, layer)) is not None
    ]


def _outside(scales: Sequence[Scale], limits: Limits) -> list[Scale]:
    return [s for s in scales if s.high < limits["low"] or s.low > limits["high"]]


def _as_cured(network: Network, scale: Scale, limits: Limits) -> bool:
    """Return whether a layer has the scale that the cure would give it.

    Under a sigmoid that is Xavier's or 4x Xavier's, neither of which keeps the second moment.
    """
    wanted, std = remedy.wanted_std(network, scale.layer), scale.tensor.std
    if not wanted or not std:
        return False
    return limits["low"] <= (std / wanted) ** 2 <= limits["high"]


def _decades(scale: Scale) -> float:
    return _log(scale.low) if scale.low > 1 else -_log(scale.high)


def _log(ratio: float) -> float:
    """Return the decimal logarithm, of what under- or overflowed at the end of the range."""
    return math.log10(min(max(ratio, sys.float_info.min), sys.float_info.max))


def _hit(
    network: Network,
    scales: Sequence[Scale],
    decades: float,
    sign: int,
    severity: Severity | None = None,
) -> Hit:
    worst = min(scales, key=lambda s: s.high) if sign > 0 else max(scales, key=lambda s: s.low)
    first = scales[0].layer
    before = fans.activation_before(network, first)
    open_ = any(fans.activation_before(network, s.layer) == UNKNOWN_ACTIVATION for s in scales)
    fan_in = (fans.fans(worst.layer) or (0, 0))[0]
    wanted = fans.wanted_power(network, worst.layer)
    bound = wanted.lo if sign > 0 else wanted.hi
    return Hit(
        site_of(network, first),
        {
            "layers": len(scales),
            "std": worst.tensor.std or 0.0,
            "fan_in": fan_in,
            "gain": fans.gain(worst.layer) or 0.0,
            "wanted_std": math.sqrt(bound / fan_in) if fan_in else 0.0,
            "ratio": worst.high if sign > 0 else worst.low,
            "decades": decades,
        },
        first,
        severity=severity,
        confidence=Confidence.MEDIUM if open_ or (before is None and len(scales) == 1) else None,
        related=sites(network, [s.layer for s in scales[1:]]),
    )


def _spike(layer: Layer) -> tuple[float, Tensor] | None:
    """Return the share of the mean's direction, and the weight that has it; the larger of two."""
    if layer.op in graph.RECURRENT:
        matrices = [p.tensor for p in layer.params if p.name in {"weight_ih", "weight_hh"}]
        sides = [(t, t.shape) for t in matrices if t is not None and len(t.shape) == 2]
        found = [(s, t) for t, (rows, across) in sides if (s := _share(t, rows, across))]
        return max(found, key=lambda one: one[0], default=None)
    both, tensor = fans.fans(layer), fans.weight_of(layer)
    if both is None or tensor is None or _depthwise(layer):
        return None
    share = _share(tensor, both[0], fans.units(layer) or 1)
    return None if share is None or both[1] == 1 else (share, tensor)


def _share(tensor: Tensor, into: int, out: int) -> float | None:
    if tensor.constant or tensor.nonfinite or into == 1:
        return None
    if tensor.mean is None or not tensor.std:
        return None
    noise = tensor.std * (math.sqrt(into) + math.sqrt(out))
    return abs(tensor.mean) * math.sqrt(into * out) / noise


def _depthwise(layer: Layer) -> bool:
    groups = layer.attributes.get("groups", 1)
    return layer.op != "linear" and isinstance(groups, int) and groups > 1


def _centred_after(network: Network, layer: Layer) -> bool:
    """Return whether a norm over the features takes the common direction out again."""
    norm = graph.norm_after(network, layer.name)
    return norm is not None and norm.op == "layer_norm"


def _or_zero(value: float | None) -> float:
    return 0.0 if value is None else value
