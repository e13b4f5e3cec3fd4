"""A measured network as the report shows it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from initaudit import fans, graph
from initaudit.checkpoint.stored import FLOATS
from initaudit.finding import Backward, Finding, Forward, LayerReport, NetworkReport
from initaudit.judge import Sent
from initaudit.network import Layer, Network, Param, Tensor
from initaudit.propagate import Propagation
from initaudit.replica.trace import Signal, Trace
from initaudit.rulebook import Severity


def network_report(
    network: Network,
    tensors: Sequence[Tensor],
    propagation: Propagation,
    findings: Iterable[Finding],
) -> NetworkReport:
    """Return what was measured of a network, and the verdict on it."""
    shown = propagation.sent[0] if propagation.sent else None
    trace = None if shown is None else shown.trace
    probed = None if shown is None else shown.probed
    layers = _layers(network, tensors, shown, dict(propagation.stopped))
    count = sum(t.count for t in tensors if t.dtype in FLOATS)
    return NetworkReport(
        path=network.site.path,
        name=network.name,
        origin=network.origin,
        topology=network.topology,
        assumptions=(
            *(a.text for a in network.assumptions),
            *(trace.notes if trace is not None else ()),
        ),
        evidence=network.evidence,
        verdict=_verdict(findings, propagated=trace is not None),
        measured_under=None if shown is None else shown.activation,
        activations=_activations(network, propagation.sent),
        input_rank=None if trace is None else trace.input_rank,
        forward_ratio=None if trace is None else trace.forward_ratio,
        backward_ratio=None if trace is None else trace.backward_ratio,
        effective_rank_min=None if trace is None else trace.effective_rank_min,
        effective_rank_min_after_probe=None if probed is None else probed.effective_rank_min,
        sensitivity=None if trace is None else trace.sensitivity,
        coverage=_coverage(network, trace, count),
        parameters=count,
        layers=layers,
        stopped=propagation.stopped,
    )


def _verdict(findings: Iterable[Finding], *, propagated: bool) -> str:
    worst = max((f.severity for f in findings), default=None)
    if worst is not None and (propagated or worst > Severity.NOTE):
        return worst.name.lower()
    return "clean" if propagated else "unjudged"


def _activations(network: Network, sent: Sequence[Sent]) -> tuple[str, ...]:
    if len(sent) > 1:
        return tuple(s.activation for s in sent if s.activation is not None)
    functions = [str(x.attributes.get("function")) for x in network.layers if x.op == "activation"]
    return tuple(dict.fromkeys(functions))


def _coverage(network: Network, trace: Trace | None, count: int) -> float:
    """Return the share of floating-point elements in layers that passed a signal on."""
    if trace is None or not count:
        return 0.0
    parts = {
        p.tensor.name: p.tensor.count
        for layer in network.layers
        if layer.name in trace.signals
        for p in layer.params
        if p.tensor is not None
    }
    return min(sum(parts.values()) / count, 1.0)


def _layers(
    network: Network, tensors: Sequence[Tensor], shown: Sent | None, stopped: Mapping[str, str]
) -> tuple[LayerReport, ...]:
    reasons = dict(network.apart) | dict(stopped)
    names = {layer.name for layer in network.layers}
    by_name = {tensor.name: tensor for tensor in tensors}
    used = network if shown is None else shown.network
    made = [
        _layer(layer, shown, reasons.get(layer.name))
        for layer in used.layers
        if layer.op != "input"
    ]
    made += [
        LayerReport(name, "tensor", t.shape if t else (), None, t, None, t.law if t else None,
                    None, None, reason)
        for name, reason in network.apart
        if name not in names
        for t in [by_name.get(name)]
    ]  # fmt: skip
    return tuple(made)


def _layer(layer: Layer, shown: Sent | None, reason: str | None) -> LayerReport:
    signal = None if shown is None else shown.trace.signals.get(layer.name)
    tensor = _shown_tensor(layer)
    gain = fans.gain(layer)
    function = layer.attributes.get("function")
    if layer.op != "activation" and shown is not None and layer.inputs:
        behind = graph.activation_after(shown.network, layer.name)
        function = None if behind is None else behind.attributes.get("function")
    return LayerReport(
        name=layer.name,
        op=layer.op,
        shape=tensor.shape if tensor is not None else signal.shape if signal is not None else (),
        activation=None if function is None else str(function),
        tensor=tensor,
        gain=gain if gain is None or math.isfinite(gain) else None,
        law=None if tensor is None else tensor.law,
        forward=None if signal is None else forward_of(signal),
        backward=None if signal is None else _backward(signal),
        apart=reason if signal is None else None,
    )


def _shown_tensor(layer: Layer) -> Tensor | None:
    weight = fans.weight_of(layer)
    if weight is not None:
        return weight
    held = sorted((p for p in layer.params if p.tensor is not None), key=_shown_last)
    return held[0].tensor if held else None


def _shown_last(param: Param) -> tuple[bool, bool]:
    """Order what multiplies the input first, then other matrices, then biases."""
    return param.name != "weight_ih", not param.name.startswith("weight")


def forward_of(signal: Signal) -> Forward:
    """Return what was measured at a layer's output, as the report shows it."""
    return Forward(
        mean=signal.mean,
        std=signal.std,
        second_moment=signal.second_moment,
        saturated=signal.saturated,
        dead=signal.dead,
        effective_rank=signal.effective_rank,
        cosine=signal.cosine,
        histogram=signal.histogram,
        low=signal.low,
        high=signal.high,
        token_cosine=signal.token_cosine,
        entropy=signal.entropy,
    )


def _backward(signal: Signal) -> Backward | None:
    if signal.gradient_std is None and signal.weight_grad_std is None:
        return None
    return Backward(signal.gradient_std, signal.weight_grad_std)
