"""The part of the page about one network: checklist, signal, histograms, table."""

from __future__ import annotations

import math
from collections.abc import Sequence

from initaudit.finding import Finding, LayerReport, NetworkReport
from initaudit.report.arithmetic import predicted_std
from initaudit.report.checklist import answers
from initaudit.report.html.escaping import shown
from initaudit.report.html.histograms import histograms
from initaudit.report.html.signal import signal_plot
from initaudit.report.placing import worst_by_layer
from initaudit.report.plain import one_line
from initaudit.report.wording import number
from initaudit.rulebook import Severity

_PREDICTED = "std by arithmetic"
_COLUMNS = (
    ("layer", True), ("operation", True), ("shape", True), ("initialiser", True), ("gain", False),
    (_PREDICTED, False), ("std", False), ("saturated", False), ("dead", False),
    ("effective rank", False), ("gradient std", False), ("weight gradient", False),
    ("finding", True),
)  # fmt: skip


def overview(network: NetworkReport, findings: Sequence[Finding], at: int) -> str:
    """Return the name of the network, what it is taken for, and the checklist.

    ``at`` is its place in the report.
    """
    title = one_line(network.path) + (
        f" ({network.name})" if network.name and network.name not in network.path else ""
    )
    badge = f'<span class="badge {network.verdict}">{network.verdict}</span>'
    head = f'<h2 id="n{at}">{shown(title)} {badge}</h2>'
    return head + _origin(network) + _checklist(network, findings)


def network_section(
    network: NetworkReport, findings: Sequence[Finding], at: int, *, told: bool
) -> str:
    """Return the section of one network; ``at`` is its place in the report.

    ``told`` leaves out the overview, where the page has it already.
    """
    parts = [
        "<section>",
        "<h2>Measured</h2>" if told else overview(network, findings, at),
        signal_plot(network, at),
        histograms(network, at),
        _table(network, findings, at),
        _listed("Assumed", network.assumptions),
        _listed("Where the signal stops", [f"{x}: {why}" for x, why in network.stopped]),
        "</section>",
    ]
    return "".join(parts)


def _origin(network: NetworkReport) -> str:
    words = {"measured": "at initialisation", "trained": "trained", "declared": "as declared"}
    evidence = "; ".join(network.evidence)
    count = "An open number of" if network.parameters is None else f"{network.parameters:,}"
    share = "no signal was sent"
    if network.parameters is not None:
        share = f"{network.coverage:.0%} of the weights took part in the propagation"
    text = (
        f"{count} parameters, {words[network.origin.value]}"
        f"{f' ({evidence})' if evidence else ''}. Topology from {network.topology}; "
        f"{share}."
    )
    under = network.measured_under
    more = f" Numbers are those under {under}: the activation is not known." if under else ""
    return f"<p>{shown(text + more)}</p>"


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
            f'<tr><th scope="row" class="text">{shown(answer.question)}</th>'
            f'<td class="text"><b class="{kind}">{word}</b> {rules}</td>'
            f'<td class="text wide">{shown(numbers)}</td></tr>'
        )
    body = "".join(rows)
    return f'<h3>Checklist</h3><table class="checklist"><tbody>{body}</tbody></table>'


def _table(network: NetworkReport, findings: Sequence[Finding], at: int) -> str:
    worst = worst_by_layer(findings)
    by_laws = any(predicted_std(x) for x in network.layers)
    head = "".join(
        f'<th scope="col"{" class=text" if text else ""}><button type="button">{name}</button></th>'
        for name, text in _COLUMNS
        if by_laws or name != _PREDICTED
    )
    rows = "".join(
        _row(x, worst.get(x.name), f"n{at}l{i}", by_laws=by_laws)
        for i, x in enumerate(network.layers)
    )
    name = f"filter{at}"
    return (
        f'<h3>Layers</h3><p class="filter"><label for="{name}">Filter </label>'
        f'<input id="{name}" type="search" autocomplete="off"> <span id="{name}-told" '
        'class="soft" role="status"></span></p>'
        f'<div class="scroll"><table class="sortable" data-filter="{name}"><caption '
        f'class="hidden">Layers</caption><thead><tr>{head}</tr></thead><tbody>{rows}</tbody>'
        "</table></div>"
    )


def _row(layer: LayerReport, worst: Severity | None, link: str, *, by_laws: bool) -> str:
    forward, backward = layer.forward, layer.backward
    shape = "\N{MULTIPLICATION SIGN}".join("?" if n is None else str(n) for n in layer.shape)
    kind = worst.name.lower() if worst is not None else ""
    law = layer.law.label if layer.law else ""
    told = layer.activation or layer.op if layer.op == "activation" else layer.op
    texts = (one_line(layer.name), told, shape, law)
    cells = [f'<td class="text">{shown(text)}</td>' for text in texts]
    numbers = (
        layer.gain,
        forward.std if forward else None,
        forward.saturated if forward else None,
        forward.dead if forward else None,
        forward.effective_rank if forward else None,
        backward.std if backward else None,
        backward.weight_grad_std if backward else None,
    )
    found = [_cell(value) for value in numbers]
    if by_laws:
        found.insert(1, _predicted(layer))
    cells += found
    badge = f'<span class="badge {kind}">{kind}</span>' if kind else ""
    apart = f'<span class="soft">{shown(layer.apart)}</span>' if layer.apart else ""
    return f'<tr id="{link}">{"".join(cells)}<td class="text">{badge} {apart}</td></tr>'


def _predicted(layer: LayerReport) -> str:
    shown_as = predicted_std(layer)
    high = layer.predicted.hi if layer.predicted is not None and shown_as else math.inf
    sort = f"{math.sqrt(high):.9g}" if math.isfinite(high) else ""
    return f'<td data-v="{sort}">{shown(shown_as)}</td>'


def _cell(value: float | None) -> str:
    known = value is not None and math.isfinite(value)
    sort = f"{value:.9g}" if known else ""
    return f'<td data-v="{sort}">{number(value) if value is not None else ""}</td>'


def _listed(title: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    items = "".join(f"<li>{shown(text)}</li>" for text in lines)
    return f"<h3>{title}</h3><ul>{items}</ul>"
