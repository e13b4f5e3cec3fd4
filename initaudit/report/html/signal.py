"""The plot of the page: the spread of activations and of gradients against depth."""

from __future__ import annotations

from initaudit.finding import NetworkReport
from initaudit.report.arithmetic import sentence
from initaudit.report.html.svg import Line, Point, plot
from initaudit.report.plain import one_line
from initaudit.report.wording import number

_FEWEST = 3
"""Additions from which a network is drawn along its residual stream."""


def signal_plot(network: NetworkReport, at: int) -> str:
    """Return the plot with its key, empty where nothing was measured.

    In a network of residual blocks the lines join the sums alone, the stream that runs through all
    blocks; what is inside a block are smaller points beside it.
    """
    layers = network.layers
    sums = sum(x.op == "add" and x.forward is not None for x in layers)
    stream = sums >= _FEWEST
    forward: list[Point] = []
    backward: list[Point] = []
    better: list[Point] = []
    for depth, layer in enumerate(layers):
        link, name = f"n{at}l{depth}", one_line(layer.name)
        aside = stream and layer.op != "add"
        held = network.suggested.get(layer.name)
        for line, value, what in (
            (forward, layer.forward.std if layer.forward else None, "activations"),
            (backward, layer.backward.std if layer.backward else None, "gradients"),
            (better, held.std if held else None, "suggested"),
        ):
            line.append(Point(depth, value, name, f"{what} {number(value)}", link, aside))
    lines = [Line(0, forward), Line(1, backward)]
    if any(point.value for point in better):
        lines.insert(0, Line(0, better, dashed=True))
    drawn = plot(lines, "Standard deviation of activations and gradients by depth")
    if not drawn:
        return ""
    ratios = (("signal", network.forward_ratio), ("gradient", network.backward_ratio))
    told = ", ".join(f"{what} power x{number(v)}" for what, v in ratios if v is not None)
    by_laws = sentence(network)
    keys = (
        '<span><span class="key key0"></span>activations</span>'
        '<span><span class="key key1"></span>gradients</span>'
    )
    if len(lines) > 2:
        keys += (
            '<span><span class="key key0 dashed"></span>activations under the suggested '
            "initialiser</span>"
        )
    along = (
        " Lines follow the residual stream; smaller points are inside the blocks." if stream else ""
    )
    return (
        f"<h3>Signal through the network</h3><p>Standard deviation, log scale."
        f"{f' From end to end: {told}.' if told else ''}{along}"
        f"{f' By arithmetic, from the declared laws alone: {by_laws}.' if by_laws else ''}</p>"
        f'<p class="keys">{keys}</p><div class="scroll plot">{drawn}</div>'
        '<p class="readout" role="status"><span class="soft">Point at a layer for its numbers; '
        "click, or walk with the arrow keys and press Enter, to go to its row.</span></p>"
    )
