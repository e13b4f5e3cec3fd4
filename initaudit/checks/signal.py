"""What random inputs and gradients measured on the way through a network."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from initaudit import fans, graph
from initaudit.claims import Hit, Limits, check
from initaudit.judge import Sent
from initaudit.network import Layer, Network, Origin
from initaudit.places import site_of, sites
from initaudit.rulebook import Severity


@check("IA202", "signal")
def collapsed_features(subject: Sent, limits: Limits) -> Iterator[Hit]:
    """Hidden features of effective rank 1, at init and after a few steps."""
    start = subject.trace.effective_rank_min
    probed = subject.probed.effective_rank_min if subject.probed is not None else None
    if start is None:
        return
    trained = subject.network.origin is Origin.TRAINED
    low_now = start <= limits["rank"]
    low_later = probed is not None and probed <= limits["rank_probe"]
    severity = None
    if trained or (low_now and subject.probed is None):
        severity = Severity.NOTE if trained else Severity.WARNING
    elif not (low_now and probed is not None and probed <= limits["rank"]):
        severity = Severity.WARNING if low_now or not _of_two(subject.network) else Severity.NOTE
    if subject.probed is None or trained:
        fires, value, limit = low_now, start, limits["rank"]
    else:
        later = math.inf if probed is None else probed
        firm = low_now and later <= limits["rank"]
        limit = limits["rank"] if firm else limits["rank_probe"]
        fires, value = firm or low_later, max(start, later) if firm else later
    if not fires:
        return
    where = _layer(subject.network, subject.trace.effective_rank_layer)
    after = "" if probed is None else f" ({probed:.3g} after {_STEPS} training steps)"
    yield Hit(
        site_of(subject.network, where),
        {
            "rank": start,
            "rank_after_probe": "not probed" if probed is None else f"{probed:.3g}",
            "after": after,
            "input_rank": subject.trace.input_rank or 0.0,
            **_depth(subject.network),
        },
        where,
        severity=severity,
        margin=_rank_margin(value, limit),
    )


_STEPS = 8


def _of_two(network: Network) -> bool:
    """Return whether two outputs or fewer are learned.

    The gradient of two logits points along one direction, which is all that steps then make.
    """
    head = graph.head(network)
    return head is not None and (fans.units(head) or 0) <= 2


@check("IA203", "signal")
def vanishing_signal(subject: Sent, limits: Limits) -> Iterator[Hit]:
    """The pre-activations' second moment falls by decades between first and last hidden layer."""
    ratio = subject.trace.forward_ratio
    if ratio is not None and ratio < limits["ratio"] and not _any_norm(subject.network):
        yield _ratio_hit(subject, ratio, limits["ratio"], "signal")


@check("IA204", "signal")
def exploding_signal(subject: Sent, limits: Limits) -> Iterator[Hit]:
    """The pre-activations' second moment grows by decades between first and last hidden layer."""
    ratio = subject.trace.forward_ratio
    if ratio is not None and not ratio <= limits["ratio"] and not _any_norm(subject.network):
        yield _ratio_hit(subject, ratio, limits["ratio"], "signal")


@check("IA205", "signal")
def vanishing_gradient(subject: Sent, limits: Limits) -> Iterator[Hit]:
    """The gradient's power at the first hidden layer is decades below the last one's."""
    ratio = subject.trace.backward_ratio
    if ratio is not None and ratio < limits["ratio"]:
        hit = _ratio_hit(subject, ratio, limits["ratio"], "gradient")
        spread = ratio * _places(subject) >= limits["ratio"]
        note = spread or _one_place(subject.network)
        yield replace(hit, severity=Severity.NOTE) if note else hit


@check("IA206", "signal")
def exploding_gradient(subject: Sent, limits: Limits) -> Iterator[Hit]:
    """The gradient's power at the first hidden layer is decades above the last one's."""
    ratio = subject.trace.backward_ratio
    if ratio is not None and not ratio <= limits["ratio"]:
        yield _ratio_hit(subject, ratio, limits["ratio"], "gradient")


@check("IA207", "signal")
def saturated_units(subject: Sent, limits: Limits) -> Iterator[Hit]:
    """Most outputs of a bounded activation lie on its plateaus."""
    yield from _share_hit(subject, "saturated", limits["share"])


@check("IA208", "signal")
def dead_units(subject: Sent, limits: Limits) -> Iterator[Hit]:
    """Most units of a rectifier are never active."""
    yield from _share_hit(subject, "dead", limits["share"])


@check("IA209", "signal")
def chaotic(subject: Sent, limits: Limits) -> Iterator[Hit]:
    """Nearby inputs end far apart: E||h(x + e d) - h(x)||^2 / (e^2 Var h) is large."""
    sensitivity = subject.trace.sensitivity
    if sensitivity is None or sensitivity <= limits["sensitivity"]:
        return
    by_name = graph.by_name(subject.network)
    # Recurrent layers have no weight of one matrix, but a sensitivity.
    layers = graph.hidden(subject.network) or [by_name[name] for name in subject.trace.hidden]
    if layers:
        # Where norms take out the scale of every weight, no other draw changes this.
        scaled = any(not graph.normed(subject.network, layer.name) for layer in layers)
        batch = _any_norm(subject.network, frozenset({"batch_norm"}))
        yield Hit(
            site_of(subject.network, layers[-1]),
            {"sensitivity": sensitivity, "hidden_layers": len(layers)},
            layers[-1],
            severity=Severity.NOTE if batch or not scaled else None,
            margin=math.log10(sensitivity / limits["sensitivity"]),
        )


@check("IA210", "signal")
def norm_not_normalising(subject: Sent, limits: Limits) -> Iterator[Hit]:
    """A norm whose input varies less than its eps, which then sets the scale instead."""
    network = subject.network
    found: list[tuple[Layer, Layer, float, float]] = []
    by_name = graph.by_name(network)
    deep = limits["warns"]
    for norm in network.layers:
        if norm.op not in graph.NORMS or len(norm.inputs) != 1:
            continue
        signal = subject.trace.signals.get(norm.inputs[0])
        eps = norm.attributes.get("eps", 1e-5)
        if signal is None or signal.std is None or not isinstance(eps, int | float):
            continue
        variance = signal.std * signal.std
        if variance <= eps * limits["times_eps"]:
            found.append((norm, by_name[norm.inputs[0]], variance, float(eps)))
    if found:
        norm, feeding, variance, eps = found[0]
        mild = all(v > e * deep for *_, v, e in found)
        yield Hit(
            site_of(network, norm),
            {"variance": variance, "eps": eps, "layers": len(found), "feeding": feeding.name},
            feeding if feeding.op in graph.WEIGHTED else None,
            severity=Severity.NOTE if mild else None,
            margin=math.log10(eps / variance) if variance > 0 else None,
            related=sites(network, [f[0] for f in found[1:]]),
        )


def _layer(network: Network, name: str | None) -> Layer:
    """Return the weighted layer at or before the named one."""
    by_name = graph.by_name(network)
    layer = by_name.get(name or "") or graph.weighted(network)[0]
    while layer.op not in graph.WEIGHTED and len(layer.inputs) == 1:
        layer = by_name[layer.inputs[0]]
    return layer


def _depth(network: Network) -> dict[str, int]:
    return {"hidden_layers": len(graph.hidden(network))}


def _any_norm(network: Network, kinds: frozenset[str] = graph.NORMS) -> bool:
    inside = graph.placed(network)
    return any(x.op in kinds and x.name in inside for x in network.layers)


def _places(subject: Sent) -> float:
    """Return how many times as many places the first hidden layer has as the last one.

    A stride or a pool hands the gradient of one place on to several: each has less of it, but the
    weight, shared by all, gets the sum.
    """
    layers = graph.hidden(subject.network)
    ends = [subject.trace.signals.get(x.name) for x in (*layers[:1], *layers[-1:])]
    counts = [math.prod(s.shape) / s.features if s and s.features else 1.0 for s in ends]
    return counts[0] / counts[-1] if len(counts) > 1 and counts[-1] else 1.0


def _one_place(network: Network) -> bool:
    """Return whether the head reads one position of a sequence.

    The last layers then have a gradient at that position alone, the first ones at all: their powers
    do not compare.
    """
    inside = graph.placed(network)
    return any(x.op == "take" and x.name in inside for x in network.layers)


def _rank_margin(value: float, limit: float) -> float | None:
    """Return the margin of an effective rank, which counts from 1."""
    return None if value <= 1.0 else math.log10((limit - 1.0) / (value - 1.0))


def _ratio_hit(subject: Sent, ratio: float, limit: float, what: str) -> Hit:
    network, trace = subject.network, subject.trace
    ends = trace.backward_ends if what == "gradient" else trace.forward_ends
    first, last = (_layer(network, name) for name in ends or ("", ""))
    read = "gradient_std" if what == "gradient" else "std"
    signals = [trace.signals.get(name) for name in ends or ("", "")]
    values = [getattr(s, read) if s is not None else None for s in signals]
    margin = abs(math.log10(ratio / limit)) if ratio > 0 and math.isfinite(ratio) else None
    return Hit(
        site_of(network, first),
        {
            "ratio": ratio,
            "first": first.name,
            "last": last.name,
            "first_std": _number(values[0]),
            "last_std": _number(values[1]),
            "layers": len(graph.hidden(network) or graph.weighted(network)),
        },
        first,
        margin=margin,
        related=sites(network, [last] if last is not first else []),
    )


def _number(value: float | None) -> float:
    return 0.0 if value is None else value


def _share_hit(subject: Sent, name: str, limit: float) -> Iterator[Hit]:
    network = subject.network
    found: list[tuple[Layer, float]] = []
    for layer in network.layers:
        signal = subject.trace.signals.get(layer.name)
        share = None if signal is None else getattr(signal, name)
        if layer.op == "activation" and share is not None and share > limit:
            found.append((layer, share))
    if found:
        layer, share = max(found, key=lambda f: f[1])
        rest = [f[0] for f in found if f[0] is not layer]
        yield Hit(
            site_of(network, _layer(network, layer.name)),
            {
                "share": f"{100 * share:.3g} %",
                "activation": str(layer.attributes.get("function")),
                "layers": len(found),
            },
            _layer(network, layer.name),
            related=sites(network, [_layer(network, x.name) for x in rest]),
        )
