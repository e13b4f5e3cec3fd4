"""What only transformers show: attention, tokens, the residual stream, logits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import median

from initaudit import fans, graph
from initaudit.claims import Hit, Limits, check
from initaudit.judge import Built, Sent
from initaudit.network import Layer
from initaudit.places import site_of, sites


@check("IA212", "signal")
def collapsed_attention(subject: Sent, limits: Limits) -> Iterator[Hit]:
    """Attention that looks at one position each, before anything was learned."""
    network = subject.network
    found = [
        (layer, signal.entropy)
        for layer in network.layers
        if layer.op == "attention"
        and (signal := subject.trace.signals.get(layer.name)) is not None
        and signal.entropy is not None
        and signal.entropy < limits["share"]
    ]
    if found:
        layer, entropy = min(found, key=lambda f: f[1])
        rest = [f[0] for f in found if f[0] is not layer]
        yield Hit(
            site_of(network, layer),
            {"entropy": f"{100 * entropy:.3g} %", "layers": len(found)},
            related=sites(network, rest),
        )


@check("IA213", "signal")
def alike_tokens(subject: Sent, limits: Limits) -> Iterator[Hit]:
    """All tokens of a sample end as nearly the same vector."""
    network = subject.network
    if not any(layer.op == "attention" for layer in network.layers):
        return
    signals = subject.trace.signals
    for name in reversed(subject.trace.hidden):
        cosine = signals[name].token_cosine
        if cosine is None:
            continue
        if cosine > limits["cosine"]:
            layer = graph.by_name(network)[name]
            yield Hit(site_of(network, layer), {"cosine": cosine, "layer": name})
        return


@check("IA214", "signal")
def growing_stream(subject: Sent, limits: Limits) -> Iterator[Hit]:
    """The residual stream grows by decades from its first addition to its last."""
    network = subject.network
    crossed = graph.bottlenecks(network)
    stream = [
        (layer, second)
        for layer in network.layers
        if layer.op == "add" and layer.name in crossed
        if (signal := subject.trace.signals.get(layer.name)) is not None
        and (second := signal.second_moment) is not None
    ]
    if len(stream) < 3 or not stream[0][1] > 0.0:
        return
    (first, start), (last, end) = stream[0], stream[-1]
    ratio = end / start
    if ratio > limits["ratio"]:
        yield Hit(
            site_of(network, last),
            {
                "ratio": ratio,
                "first": first.name,
                "last": last.name,
                "additions": len(stream),
            },
            margin=math.log10(ratio / limits["ratio"]) if math.isfinite(ratio) else None,
            related=sites(network, [first]),
        )


@check("IA215", "network")
def unscaled_branch_ends(subject: Built, limits: Limits) -> Iterator[Hit]:
    """Output projections of a family that scales them with its depth, here not scaled."""
    network = subject.network
    ends = [x for x in graph.weighted(network) if x.attributes.get("residual_scaled")]
    others = [
        x
        for x in graph.weighted(network)
        if x.op == "linear" and x not in ends and x.attributes.get("role") is None
    ]
    scaled, plain = _stds(ends), _stds(others)
    if len(scaled) < limits["branches"] or not plain or median(plain) == 0.0:
        return
    ratio, wanted = median(scaled) / median(plain), 1.0 / math.sqrt(len(scaled))
    if ratio > limits["share"]:
        yield Hit(
            site_of(network, ends[0]),
            {"ratio": ratio, "wanted": wanted, "branches": len(scaled)},
            related=sites(network, ends[1:]),
        )


@check("IA216", "signal")
def sure_logits(subject: Sent, limits: Limits) -> Iterator[Hit]:
    """Logits so large that the first loss lies far above that of guessing.

    For C independent N(0, s^2) logits E[log sum exp] is ln C + s^2 / 2 up to s = sqrt(2 ln C) and
    s sqrt(2 ln C) beyond (Derrida 1981, the random energy model).
    """
    network = subject.network
    for head in graph.heads(network):
        classes, signal = fans.units(head), subject.trace.signals.get(head.name)
        if head.op != "linear" or classes is None or classes < limits["classes"]:
            continue
        if signal is None or signal.std is None or graph.consumers(network)[head.name]:
            continue
        guessing, std = math.log(classes), signal.std
        edge = math.sqrt(2.0 * guessing)
        loss = guessing + std * std / 2.0 if std <= edge else std * edge
        if loss > limits["times"] * guessing:
            yield Hit(
                site_of(network, head),
                {"std": std, "classes": classes, "loss": loss, "guessing": guessing},
                margin=math.log10(loss / guessing / limits["times"]),
            )


def _stds(layers: list[Layer]) -> list[float]:
    return [t.std for x in layers if (t := fans.weight_of(x)) is not None and t.std is not None]
