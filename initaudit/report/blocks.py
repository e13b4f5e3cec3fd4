"""The parts of the text report below a network's table: findings, assumptions, what is left."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.text import Text

from initaudit.finding import Finding, LayerReport, NetworkReport
from initaudit.network import Origin, Unread
from initaudit.report import Style
from initaudit.report.rows import is_weighted
from initaudit.report.table import SEVERITY_STYLES
from initaudit.report.wording import count, listing, name, percent, place, prose, within
from initaudit.rulebook import Confidence

_FEW = 4
_STAGES: Mapping[Origin, str] = {
    Origin.DECLARED: "declared",
    Origin.MEASURED: "initialisation",
    Origin.TRAINED: "trained",
}


def wrapped(
    text: Text | str,
    console: Console,
    *,
    lead: Text | str = "",
    indent: int = 0,
    hang: int = 0,
) -> list[Text]:
    """Return the lines of a paragraph after ``lead``.

    Later lines begin under the text's beginning, moved right by ``hang``.
    """
    whole = Text(text) if isinstance(text, str) else text
    start = Text(" " * indent).append_text(Text(lead) if isinstance(lead, str) else lead)
    later = Text(" " * (start.cell_len + hang))
    made: list[Text] = []
    for line in whole.wrap(console, max(console.width - later.cell_len, 10), overflow="fold"):
        line.rstrip()
        made.append((later if made else start).copy().append_text(line))
    return made


def finding_block(finding: Finding, style: Style, console: Console) -> list[Text]:
    """Return one finding: severity and rule, place, message, cure, code, related places."""
    word = finding.severity.name.lower()
    head = Text()
    head.append(word, style=SEVERITY_STYLES[finding.severity])
    head.append(f" {name(finding.rule, style)}", style="bold")
    head.append(f" {name(finding.name, style)}")
    if finding.confidence is not Confidence.HIGH:
        head.append(f" ({finding.confidence.name.lower()} confidence)", style="dim")
    lines = wrapped(head, console)
    lines += wrapped(Text(place(finding.site, style), style="bold"), console, indent=2)
    lines += wrapped(prose(finding.message, style), console, indent=2)
    if finding.cure:
        lead = Text("cure: ", style="green")
        lines += wrapped(prose(finding.cure, style), console, lead=lead, indent=2)
    # Code is never wrapped: a broken line could not be copied.
    lines += [
        Text(f"      {prose(line, style)}", style="green") for line in _code_lines(finding.code)
    ]
    if finding.related:
        here = finding.site.path
        also = [
            within(s, style) if s.path == here and within(s, style) else place(s, style)
            for s in finding.related
        ]
        text = Text(listing(also, len(also) if style.verbose else _FEW), style="dim")
        lines += wrapped(text, console, lead=Text("also in: ", style="dim"), indent=2)
    return lines


def assumption_lines(network: NetworkReport, style: Style, console: Console) -> list[Text]:
    """Return what was guessed, and the evidence for the stage the network is taken to be in."""
    taken = list(network.assumptions)
    if network.measured_under is not None:
        under = f"an activation is not known: judged under {', '.join(network.activations)}; "
        taken.append(f"{under}the numbers shown are those under {network.measured_under}")
    lines = _section("Assumptions", taken, style, console)
    title = f"Evidence for the stage: {_STAGES[network.origin]}"
    return lines + _section(title, network.evidence, style, console)


def left_lines(network: NetworkReport, style: Style, console: Console) -> list[Text]:
    """Return what was not judged in a network, equal reasons together, and the coverage."""
    if network.parameters is None:
        # Of open sizes: an assumption says so, and the columns show what is told.
        return []
    few = len(network.layers) if style.verbose else _FEW
    items = []
    for reason, names in _grouped((reason, layer) for layer, reason in network.stopped).items():
        items.append(f"the signal stopped at {_names(names, few, style)}: {reason}")
    stopped = {layer for layer, _ in network.stopped}
    left = [x for x in network.layers if _reason(x, network) is not None and x.name not in stopped]
    for weighted, how in ((True, " by weights alone"), (False, "")):
        pairs = ((_reason(x, network) or "", x.name) for x in left if is_weighted(x) is weighted)
        for reason, names in _grouped(pairs).items():
            size = count(len(names), "layer")
            items.append(f"{size}{how}: {reason} ({_names(names, few, style)})")
    lines = _section("Not judged in the signal", items, style, console)
    if not math.isfinite(network.coverage):
        return lines + wrapped("not known", console, lead="coverage: ")
    share = f"{percent(network.coverage)} of {network.parameters:,} weight elements"
    return lines + wrapped(f"{share} took part in the propagation", console, lead="coverage: ")


def unread_lines(unread: Sequence[Unread], style: Style, console: Console) -> list[Text]:
    """Return the inputs that were not judged, equal reasons together; every file is named."""
    groups = _grouped((entry.reason, place(entry.site, style)) for entry in unread)
    files = {entry.reason for entry in unread if entry.site.tensor is None}
    items = [
        f"{places[0]}: {reason}"
        if len(places) == 1
        else f"{len(places):,} places: {reason}: "
        + listing(places, len(places) if style.verbose or reason in files else _FEW)
        for reason, places in groups.items()
    ]
    return _section("Not read", items, style, console)


def _reason(layer: LayerReport, network: NetworkReport) -> str | None:
    """Return why a layer took no part in the signal; None where it did."""
    if layer.apart is not None:
        return layer.apart
    if layer.forward is not None:
        return None
    return "no signal reached it" if network.coverage > 0 else "no signal was sent"


def _grouped(pairs: Iterable[tuple[str, str]]) -> Mapping[str, list[str]]:
    groups: dict[str, list[str]] = {}
    for key, member in pairs:
        groups.setdefault(key, []).append(member)
    return groups


def _names(names: Sequence[str], most: int, style: Style) -> str:
    return listing([name(n, style) for n in names], most)


def _section(title: str, items: Iterable[str], style: Style, console: Console) -> list[Text]:
    lines: list[Text] = []
    for item in items:
        lines += wrapped(prose(item, style), console, lead="- ", indent=2)
    return [Text(title, style="bold"), *lines] if lines else []


def _code_lines(code: str) -> list[str]:
    return code.strip("\n").split("\n") if code.strip() else []
