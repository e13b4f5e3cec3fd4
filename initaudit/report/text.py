"""The report for a person at a terminal."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from io import StringIO

from rich.console import Console
from rich.text import Text

from initaudit.finding import Finding, NetworkReport, Report
from initaudit.network import Origin, Topology
from initaudit.report import Style
from initaudit.report.blocks import (
    assumption_lines,
    finding_block,
    is_weighted,
    left_lines,
    unread_lines,
    wrapped,
)
from initaudit.report.checklist import Answer, answers
from initaudit.report.placing import by_network, on_path, worst_by_layer, worst_first
from initaudit.report.rows import Row, rows
from initaudit.report.source import (
    is_source,
    source_blocks,
    stale_lines,
    statistics_lines,
    unused_lines,
)
from initaudit.report.table import layer_table, legend
from initaudit.report.wording import count, name, percent, prose, tally

# What starts a line so is a command to GitHub Actions, wherever its log comes from.
_COMMAND = re.compile(r"^([^\S\n]*)([:#])(?=:|#\[)", re.MULTILINE)

# Under this width no table holds a name and two bars; the terminal may wrap the lines instead.
NARROWEST = 40

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


def render(report: Report, style: Style) -> str:
    """Return the report as text: each network, findings elsewhere, what was not read, the counts.

    No line is wider than ``style.width`` (or 40, if that is more), but for lines of code.
    """
    out = StringIO()
    console = Console(
        file=out,
        width=max(style.width, NARROWEST),
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
            parts += _network(network, findings, stored.findings, style, console)
        parts += [finding_block(f, style, console) for f in loose]
        parts.append(unread_lines(report.unread, style, console))
        parts.append(stale_lines(report.stale, style, console))
    parts.append(unused_lines(report.unused, style, console))
    if style.statistics:
        parts.append(statistics_lines(report, report.findings, style))
    parts.append(wrapped(_closing(report, style), console))
    spaced: list[list[Text]] = []
    for part in parts:
        if part:
            spaced += [[Text()], part] if spaced else [part]
    return spaced


def _network(
    network: NetworkReport,
    findings: Sequence[Finding],
    every: Sequence[Finding],
    style: Style,
    console: Console,
) -> list[list[Text]]:
    here = [f for f in every if on_path(f, network)]
    table = rows(network.layers, worst_by_layer(findings), fold=not style.verbose)
    return [
        _title(network, findings, style, console),
        _checklist(answers(network, here), style, console),
        _layers(table, style, console),
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


def _title(
    network: NetworkReport, findings: Sequence[Finding], style: Style, console: Console
) -> list[Text]:
    word, colour, sentence = _VERDICTS.get(
        network.verdict, (network.verdict.upper(), "bold", "see below")
    )
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


def _closing(report: Report, style: Style) -> Text:
    summary = report.summary
    heads = [row.layer for n in report.networks for row in rows(n.layers, {})]
    judged = [x for x in heads if x.forward is not None or is_weighted(x)]
    alone = [x for x in judged if x.forward is None]
    layers = f"{count(len(judged), 'layer')} judged"
    if alone:
        layers += f", {'all' if len(alone) == len(judged) else format(len(alone), ',')}"
        layers += " by weights alone"
    if len(judged) < len(heads):
        layers += f", {len(heads) - len(judged):,} not"
    where = count(summary.networks, "network") + (f" ({layers})" if heads else "") + " in "
    if not summary.networks:
        where = ""
    text = Text()
    counts = tally(report.findings)
    if counts:
        worst = _VERDICTS[report.worst.name.lower()][1] if report.worst is not None else ""
        text.append(counts, style=worst).append(f" in {where}")
    else:
        text.append("No findings", style="green" if judged or not heads else "magenta")
        text.append(f" in {where}")
    text.append(count(summary.files, "file"))
    if summary.unread:
        text.append(f", {summary.unread:,} not read", style="magenta")
    apart = [(summary.ignored, "ignored by comments"), (summary.known, "known from the baseline")]
    text.append("".join(f", {number:,} {how}" for number, how in apart if number))
    if report.failed:
        text.append("; an input could not be judged", style="bold red")
    if style.verbose and summary.seconds is not None:
        text.append(f", {summary.seconds:.2f} s")
    return text.append(".")
