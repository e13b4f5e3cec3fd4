"""The pictures of each layer: what it sends on, what it would, and how its weights are spread."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping

from initaudit.finding import Forward, LayerReport, NetworkReport
from initaudit.report.html.escaping import shown
from initaudit.report.html.svg import histogram
from initaudit.report.plain import one_line
from initaudit.report.wording import number

_BOUNDED: Mapping[str, tuple[float, float]] = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}
_MANY = 100
"""Layers beyond which those out of sight are laid out when they are reached."""


def histograms(network: NetworkReport, at: int) -> str:
    """Return the histograms in the order of the network; a name leads to the layer's row."""
    reach = _reach(network)
    items = [
        item
        for i, layer in enumerate(network.layers)
        if (item := _item(layer, f"n{at}l{i}", reach, network.suggested.get(layer.name)))
    ]
    if not items:
        return ""
    keys = '<span><span class="key key0"></span>activations</span>'
    if network.suggested:
        keys += '<span><span class="key key1"></span>under the suggested initialiser</span>'
    keys += '<span><span class="key key2"></span>weights, with the law they match</span>'
    return (
        "<h3>Activations and weights by layer</h3><p>In the order of the network. Activations of "
        "layers of one role share an axis, so that a signal that shrinks shows as a spike; weights "
        "have an axis each. Heights are square roots; the tick below marks zero.</p>"
        f'<p class="keys">{keys}</p>'
        f'<ol class="histograms{" many" * (len(items) > _MANY)}">{"".join(items)}</ol>'
    )


def _role(layer: LayerReport) -> str:
    return re.sub(r"\d+", "#", layer.name)


def _reach(network: NetworkReport) -> Mapping[str, float]:
    """Return the end of the axis of each layer, by its name.

    Layers whose names differ in numbers alone have one role and share it; a layer that is the only
    one of its role shares with the others of its operation that are.
    """
    often = Counter(map(_role, network.layers))
    shared = {x.name: _role(x) if often[_role(x)] > 1 else f"only {x.op}" for x in network.layers}
    most: dict[str, float] = {}
    for layer in network.layers:
        key = shared[layer.name]
        for forward in (layer.forward, network.suggested.get(layer.name)):
            if forward is not None:
                most[key] = max(most.get(key, 0.0), *map(abs, _ends(forward) or (0.0,)))
    return {name: most.get(key) or 1.0 for name, key in shared.items()}


def _ends(forward: Forward) -> tuple[float, float] | None:
    low, high = forward.low, forward.high
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return None
    return low, high


def _item(layer: LayerReport, link: str, reach: Mapping[str, float], better: Forward | None) -> str:
    name = one_line(layer.name)
    pictures = "".join((*_signals(layer, name, reach[layer.name], better), _weights(layer, name)))
    if not pictures:
        return ""
    told = layer.activation or layer.op if layer.op == "activation" else layer.op
    return (
        f'<li><b><a href="#{link}">{shown(name)}</a></b> <span class="soft">{shown(told)}</span>'
        f'<div class="pair">{pictures}</div></li>'
    )


def _signals(layer: LayerReport, name: str, reach: float, better: Forward | None) -> Iterator[str]:
    bounds = _BOUNDED.get(layer.activation or "") if layer.op == "activation" else None
    axis = bounds or (-reach, reach)
    for forward, kind, what in ((layer.forward, 0, "activations"), (better, 1, "suggested")):
        ends = _ends(forward) if forward is not None else None
        if forward is None or ends is None or not forward.histogram:
            continue
        words = f"{number(ends[0])} to {number(ends[1])}, std {number(forward.std)}"
        title = f"{name}: {what} from {words}"
        drawn = histogram(forward.histogram, ends, axis, kind, title)
        yield _captioned(drawn, f"{what}: {words}")


def _weights(layer: LayerReport, name: str) -> str:
    tensor = layer.tensor
    if tensor is None or not tensor.histogram or tensor.minimum is None or tensor.maximum is None:
        return ""
    ends = (tensor.minimum, tensor.maximum)
    law = layer.law.label if layer.law else "no named initialiser"
    words = f"{number(ends[0])} to {number(ends[1])}: {law}"
    edge = max(map(abs, ends)) or 1.0
    title = f"{name}: weights from {words}"
    drawn = histogram(tensor.histogram, ends, (-edge, edge), 2, title)
    return _captioned(drawn, f"weights: {words}")


def _captioned(drawn: str, words: str) -> str:
    # A number is not broken at its sign or exponent.
    whole = words.replace("-", "\N{NON-BREAKING HYPHEN}")
    return f'<div>{drawn}<span class="soft">{shown(whole)}</span></div>'
