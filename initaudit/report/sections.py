"""The parts of the text report: networks, findings, what was not read, counts."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import StringIO

from rich.console import Console
from rich.text import Text

from initaudit.finding import Finding, NetworkReport, Report
from initaudit.network import Origin, Topology
from initaudit.report import Style
from initaudit.report.arithmetic import sentence
from initaudit.report.blocks import (
    assumption_lines,
    finding_block,
    left_lines,
    unread_lines,
    wrapped,
)
from initaudit.report.checklist import Answer, answers
from initaudit.report.closing import closing
from initaudit.report.placing import (
    by_network,
    declared_in,
    on_path,
    worst_by_layer,
    worst_first,
)
from initaudit.report.rows import Row, is_weighted, rows
from initaudit.report.source import (
    is_source,
    source_blocks,
    stale_lines,
    statistics_lines,
    unused_lines,
)
from initaudit.report.table import layer_table, legend
from initaudit.report.wording import name, percent, prose, tally

# What starts a line so is a command to GitHub Actions, wherever its log comes from.
_COMMAND = re.compile(r"^([^\S\n]*)([:#])(?=:|#\[)", re.MULTILINE)

# Under this width the checklist's numbers stand below the answers, not beside them.
_BESIDE = 60

_ORIGINS: Mapping[Origin, str] = {
    Origin.DECLARED: "as declared in source",
    Origin.MEASURED: "weights at initialisation",
    Origin.TRAINED: "trained weights",
}
_TOPOLOGIES: Mapping[Topology, str] = {
    "graph": "topology from its graph",
    "source": "topology from source",
    "config": "topology from its config",
    "names": "topology from tensor names",
    "shapes": "topology guessed from tensor shapes",
}
_VERDICTS: Mapping[str, tuple[str, str, str]] = {
    "error": ("ERROR", "bold red", "it does not train as it stands"),
    "warning": ("WARNING", "yellow", "it may not train well"),
    "note": ("NOTE", "cyan", "nothing was found that keeps it from training"),
    "clean": ("CLEAN", "green", "no fault was found"),
    "unjudged": ("UNJUDGED", "magenta", "nothing could be judged"),
}
_OPEN: Mapping[str, str] = {
    "clean": "its sizes are left open; by arithmetic no fault was found, whatever they are",
    "unjudged": "its sizes are left open, and arithmetic does not settle its signal",
}
_ANSWERS: Mapping[bool | None, tuple[str, str]] = {
    True: ("yes", "bold red"),
    False: ("no", "green"),
    None: ("?", "magenta"),
}
_TRAINED: Mapping[str, str] = {
    "error": "it holds weights that are broken",
    "warning": "it holds weights that look wrong",
    "note": "nothing broken was found",
}


def sections(report: Report, style: Style, width: int) -> str:
    """Return the report as text, no line wider than ``width`` but for lines of code and places."""
    out = StringIO()
    console = Console(
        file=out,
        width=width,
        height=25,
        force_terminal=style.colour,
        color_system="standard" if style.colour else None,
        no_color=not style.colour,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
        force_jupyter=False,
        _environ={},
    )
    for paragraph in _paragraphs(report, style, console):
        for line in paragraph:
            console.print(line, soft_wrap=True)
    return _COMMAND.sub(lambda found: f"{found[1]}\\x{ord(found[2]):02x}", out.getvalue())


def _paragraphs(report: Report, style: Style, console: Console) -> list[list[Text]]:
    parts: list[list[Text]] = []
    source = [f for f in report.findings if is_source(f)]
    stored = replace(report, findings=tuple(f for f in report.findings if not is_source(f)))
    parts += source_blocks(source, style, console)
    if style.quiet:
        parts += [finding_block(f, style, console) for f in worst_first(stored.findings)]
        if report.failed:
            parts.append(unread_lines(report.unread, style, console))
    else:
        held, loose = by_network(stored)
        for network, findings in zip(report.networks, held, strict=True):
            # What cites a line is shown above; of the network it is told here, too.
            cited = [f for f in source if declared_in(f, network)]
            parts += _network(network, findings, cited, stored.findings, style, console)
        parts += [finding_block(f, style, console) for f in loose]
        parts.append(unread_lines(report.unread, style, console))
        parts.append(stale_lines(report.stale, style, console))
    parts.append(unused_lines(report.unused, style, console))
    if style.statistics:
        parts.append(statistics_lines(report, report.findings, style))
    parts.append(wrapped(Text.assemble(*closing(report, style)), console))
    spaced: list[list[Text]] = []
    for part in parts:
        if part:
            spaced += [[Text()], part] if spaced else [part]
    return spaced


def _network(
    network: NetworkReport,
    findings: Sequence[Finding],
    cited: Sequence[Finding],
    every: Sequence[Finding],
    style: Style,
    console: Console,
) -> list[list[Text]]:
    here = [f for f in every if on_path(f, network)] + [*cited]
    table = rows(network.layers, worst_by_layer([*findings, *cited]), fold=not style.verbose)
    return [
        _title(network, [*findings, *cited], style, console),
        _checklist(answers(network, here), style, console),
        _layers(table, style, console) + _arithmetic(network, console),
        *(finding_block(f, style, console) for f in findings),
        assumption_lines(network, style, console),
        left_lines(network, style, console),
    ]


def _layers(table: Sequence[Row], style: Style, console: Console) -> list[Text]:
    if not table:
        return []
    drawn = legend(table)
    explained = wrapped(Text(drawn, style="dim"), console, lead=Text("bars: ", style="dim"))
    return layer_table(table, style, console.width) + (explained if drawn else [])


def _arithmetic(network: NetworkReport, console: Console) -> list[Text]:
    told = sentence(network)
    return wrapped(told, console, lead=Text("arithmetic: ", style="dim")) if told else []


def _title(
    network: NetworkReport, findings: Sequence[Finding], style: Style, console: Console
) -> list[Text]:
    word, colour, sentence = _VERDICTS.get(
        network.verdict, (network.verdict.upper(), "bold", "see below")
    )
    if network.verdict == "unjudged" and any(map(is_weighted, network.layers)):
        sentence = "its signal could not be judged; its weights alone show no fault"
    if math.isnan(network.coverage) and network.verdict in _OPEN:
        sentence = _OPEN[network.verdict]
    if network.origin is Origin.TRAINED:
        sentence = _TRAINED.get(network.verdict, sentence)
    if network.verdict in ("note", "clean") and network.coverage < 1:
        share = f"{percent(network.coverage)} of its weights"
        sentence += f", judging by {share if network.coverage > 0 else 'weights alone'}"
    title = Text().append(word, style=colour)
    title.append(f" {name(network.path, style)}", style="bold")
    if network.name and not network.path.endswith(network.name):
        title.append(f" {name(network.name, style)}", style="bold")
    rest = f": {_ORIGINS[network.origin]}, {_TOPOLOGIES[network.topology]}; {sentence}"
    counts = tally(findings)
    title.append(rest + (f" ({counts})." if counts else "."))
    return wrapped(title, console, hang=2)


def _checklist(checklist: Sequence[Answer], style: Style, console: Console) -> list[Text]:
    widest = max(len(a.question) for a in checklist)
    lines: list[Text] = []
    for answer in checklist:
        word, colour = _ANSWERS[answer.yes]
        lead = Text(f"{answer.question:<{widest}}  ").append(f"{word:<3}  ", style=colour)
        rules = Text(" ".join(answer.rules), style="bold")
        clauses = [
            prose(n.text, style) + (f" ({name(n.layer, style)})" if n.layer is not None else "")
            for n in answer.numbers
        ]
        numbers = Text("; ".join(clauses) or "not known")
        if console.width < _BESIDE:
            answered = lead.append_text(rules)
            answered.rstrip()
            lines.append(answered)
            lines += wrapped(numbers, console, indent=4)
        else:
            both = [t for t in (rules, numbers) if t]
            lines += wrapped(Text("  ").join(both), console, lead=lead)
    return lines
