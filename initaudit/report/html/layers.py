"""The part of the page about one network: checklist, signal, histograms, table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

from initaudit.finding import Finding, Forward, LayerReport, NetworkReport
from initaudit.report.checklist import answers
from initaudit.report.html.svg import Point, histogram, plot
from initaudit.report.placing import worst_by_layer
from initaudit.report.plain import one_line
from initaudit.report.wording import number
from initaudit.rulebook import Severity

_BOUNDED: Mapping[str, tuple[float, float]] = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}
_MANY = 100
"""Layers beyond which those out of sight are laid out when they are reached."""
_COLUMNS = (
    ("layer", True), ("operation", True), ("shape", True), ("initialiser", True), ("gain", False),
    ("std", False), ("saturated", False), ("dead", False), ("effective rank", False),
    ("gradient std", False), ("weight gradient", False), ("finding", True),
)  # fmt: skip


def network_section(network: NetworkReport, findings: Sequence[Finding], at: int) -> str:
    """Return the section of one network; ``at`` is its place in the report."""
    title = one_line(network.path) + (
        f" ({network.name})" if network.name and network.name not in network.path else ""
    )
    parts = [
        f'<section id="n{at}"><h2>{escape(title)} '
        f'<span class="badge {network.verdict}">{network.verdict}</span></h2>',
        _origin(network),
        _checklist(network, findings),
        _signal(network, at),
        _histograms(network, at),
        _table(network, findings, at),
        _listed("Assumed", network.assumptions),
        _listed("Where the signal stops", [f"{x}: {why}" for x, why in network.stopped]),
        "</section>",
    ]
    return "".join(parts)


def _origin(network: NetworkReport) -> str:
    words = {"measured": "at initialisation", "trained": "trained", "declared": "as declared"}
    evidence = "; ".join(network.evidence)
    text = (
        f"{network.parameters:,} parameters, {words[network.origin.value]}"
        f"{f' ({evidence})' if evidence else ''}. Topology from {network.topology}; "
        f"{network.coverage:.0%} of the weights took part in the propagation."
    )
    under = network.measured_under
    more = f" Numbers are those under {under}: the activation is not known." if under else ""
    return f"<p>{escape(text + more)}</p>"


def _checklist(network: NetworkReport, findings: Sequence[Finding]) -> str:
    rows = []
    for answer in answers(network, findings):
        word = "yes" if answer.yes else "no" if answer.yes is not None else "not known"
        kind = "error" if answer.yes else "clean" if answer.yes is not None else "unjudged"
        numbers = "; ".join(
            clause.text + (f" ({clause.layer})" if clause.layer else "")
            for clause in answer.numbers
        )
        rules = " ".join(f'<a href="#{r}">{r}</a>' for r in answer.rules)
        rows.append(
            f'<tr><th scope="row" class="text">{escape(answer.question)}</th>'
            f'<td class="text"><b class="{kind}">{word}</b> {rules}</td>'
            f'<td class="text wide">{escape(numbers)}</td></tr>'
        )
    body = "".join(rows)
    return f'<h3>Checklist</h3><div class="scroll"><table><tbody>{body}</tbody></table></div>'


def _signal(network: NetworkReport, at: int) -> str:
    forward, backward = [], []
    for depth, layer in enumerate(network.layers):
        link = f"n{at}l{depth}"
        ahead = layer.forward.std if layer.forward else None
        back = layer.backward.std if layer.backward else None
        name = one_line(layer.name)
        forward.append(Point(depth, ahead, f"{name}: activations {_shown(ahead)}", link))
        backward.append(Point(depth, back, f"{name}: gradients {_shown(back)}", link))
    drawn = plot((forward, backward), "Standard deviation of activations and gradients by depth")
    if not drawn:
        return ""
    ratios = (("signal", network.forward_ratio), ("gradient", network.backward_ratio))
    told = ", ".join(f"{what} power x{_shown(v)}" for what, v in ratios if v is not None)
    return (
        '<h3>Signal through the network</h3><p><span class="key key0"></span>activations '
        '<span class="key key1"></span>gradients; standard deviation, log scale. '
        f"A point leads to its layer.{f' From end to end: {told}.' if told else ''}</p>"
        f'<div class="scroll plot">{drawn}</div>'
    )


def _histograms(network: NetworkReport, at: int) -> str:
    held = [(i, x) for i, x in enumerate(network.layers) if x.forward or x.tensor]
    seen = [x.forward for _, x in held if x.forward and _finite(x.forward)]
    if not held:
        return ""
    seen += [f for f in network.suggested.values() if _finite(f)]
    most = max((max(abs(f.low or 0.0), abs(f.high or 0.0)) for f in seen), default=1.0)
    held_up = network.suggested
    items = "".join(_item(layer, i, at, most, held_up.get(layer.name)) for i, layer in held)
    beside = (
        '<span class="key key1"></span>activations under the suggested initialiser, on the same '
        "axis; "
        if held_up
        else ""
    )
    return (
        "<h3>Activations and weights by layer</h3><p>In the order of the network. "
        '<span class="key key0"></span>activations, on one axis for all layers of a kind, so that '
        f'a signal that shrinks shows as a spike; {beside}<span class="key key2"></span>weights, '
        "each on its own axis. Heights are square roots.</p>"
        f'<ol class="histograms{" many" * (len(held) > _MANY)}">{items}</ol>'
    )


def _item(layer: LayerReport, i: int, at: int, most: float, better: Forward | None) -> str:
    name = one_line(layer.name)
    parts = [f'<b><a href="#n{at}l{i}">{escape(name)}</a></b> <span class="soft">{layer.op}</span>']
    pair = []
    for forward, kind, what in ((layer.forward, 0, "activations"), (better, 1, "suggested")):
        if forward is None or not _finite(forward) or not forward.histogram:
            continue
        low, high = forward.low or 0.0, forward.high or 0.0
        axis = _BOUNDED.get(layer.activation or "") if layer.op == "activation" else None
        words = f"{number(low)} to {number(high)}, std {_shown(forward.std)}"
        title = f"{name}: {what} from {words}"
        reach = axis or (-most, most)
        drawn = histogram(forward.histogram, (low, high), reach, kind, title)
        pair.append(f'<div>{drawn}<span class="soft">{words}</span></div>')
    tensor = layer.tensor
    if tensor is not None and tensor.histogram and tensor.minimum is not None:
        low, high = tensor.minimum, tensor.maximum or 0.0
        law = layer.law.label if layer.law else "no named initialiser"
        words = f"{number(low)} to {number(high)}: {law}"
        edge = max(abs(low), abs(high)) or 1.0
        drawn = histogram(
            tensor.histogram, (low, high), (-edge, edge), 2, f"{name}: weights from {words}"
        )
        pair.append(f'<div>{drawn}<span class="soft">{escape(words)}</span></div>')
    if not pair:
        return ""
    return f'<li>{parts[0]}<div class="pair">{"".join(pair)}</div></li>'


def _finite(forward: Forward) -> bool:
    ends = (forward.low, forward.high)
    return all(end is not None and math.isfinite(end) for end in ends)


def _table(network: NetworkReport, findings: Sequence[Finding], at: int) -> str:
    worst = worst_by_layer(findings)
    head = "".join(
        f'<th scope="col"{" class=text" if text else ""}><button type="button">{name}</button></th>'
        for name, text in _COLUMNS
    )
    rows = "".join(_row(x, worst.get(x.name), f"n{at}l{i}") for i, x in enumerate(network.layers))
    name = f"filter{at}"
    return (
        f'<h3>Layers</h3><p class="filter"><label for="{name}">Filter </label>'
        f'<input id="{name}" type="search" autocomplete="off"> <span id="{name}-told" '
        'class="soft" role="status"></span></p>'
        f'<div class="scroll"><table class="sortable" data-filter="{name}"><caption '
        f'class="hidden">Layers</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody>'
        "</table></div>"
    )


def _row(layer: LayerReport, worst: Severity | None, link: str) -> str:
    forward, backward = layer.forward, layer.backward
    shape = "\N{MULTIPLICATION SIGN}".join("?" if n is None else str(n) for n in layer.shape)
    kind = worst.name.lower() if worst is not None else ""
    law = layer.law.label if layer.law else ""
    told = layer.activation or layer.op if layer.op == "activation" else layer.op
    texts = (one_line(layer.name), told, shape, law)
    cells = [f'<td class="text">{escape(text)}</td>' for text in texts]
    numbers = (
        layer.gain,
        forward.std if forward else None,
        forward.saturated if forward else None,
        forward.dead if forward else None,
        forward.effective_rank if forward else None,
        backward.std if backward else None,
        backward.weight_grad_std if backward else None,
    )
    cells += [_cell(value) for value in numbers]
    badge = f'<span class="badge {kind}">{kind}</span>' if kind else ""
    apart = f'<span class="soft">{escape(one_line(layer.apart))}</span>' if layer.apart else ""
    return f'<tr id="{link}">{"".join(cells)}<td class="text">{badge} {apart}</td></tr>'


def _cell(value: float | None) -> str:
    known = value is not None and math.isfinite(value)
    sort = f"{value:.9g}" if known else ""
    return f'<td data-v="{sort}">{_shown(value) if value is not None else ""}</td>'


def _shown(value: float | None) -> str:
    return "not measured" if value is None else number(value)


def _listed(title: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    items = "".join(f"<li>{escape(one_line(line))}</li>" for line in lines)
    return f"<h3>{title}</h3><ul>{items}</ul>"
