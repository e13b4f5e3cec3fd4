"""Findings in source for a person: place, message, the line with its span marked, the cure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from initaudit.finding import Finding, Report, Stale, Unused
from initaudit.network import Site
from initaudit.report import Style
from initaudit.report.blocks import wrapped
from initaudit.report.table import SEVERITY_STYLES
from initaudit.report.wording import count, ellipsis, listing, name, place, prose, within
from initaudit.rulebook import Confidence

_FEW = 4
_NAMES = 8
_TAB = "    "
# A line of source that would be cut to less than this says nothing.
_LEAST = 20


def is_source(finding: Finding) -> bool:
    """Return whether a finding is in source, not in a checkpoint."""
    return bool(finding.excerpts)


def source_blocks(findings: Sequence[Finding], style: Style, console: Console) -> list[list[Text]]:
    """Return one block a finding, in the order given; a cure is told once unless verbose."""
    told: set[str] = set()
    blocks = []
    for finding in findings:
        cured = style.verbose or finding.cure not in told
        told.add(finding.cure)
        blocks.append(_block(finding, style, console, cured=cured))
    return blocks


def unused_lines(unused: Sequence[Unused], style: Style, console: Console) -> list[Text]:
    """Return the comments that ignore findings and match none."""
    lines = []
    for one in unused:
        text = f"{place(one.site, style)}: {prose(one.text, style)}"
        lines += wrapped(text, console, indent=2)
    return [Text("Comments that ignore nothing", style="bold"), *lines] if lines else []


def stale_lines(stale: Sequence[Stale], style: Style, console: Console) -> list[Text]:
    """Return the entries of the baseline that no finding matches any more."""
    few = stale if style.verbose else stale[:_FEW]
    lines = []
    for one in few:
        text = f"{name(one.path, style)}: {name(one.rule, style)} {prose(one.place, style)}"
        lines += wrapped(text, console, indent=2)
    if len(few) < len(stale):
        lines.append(Text(f"  +{len(stale) - len(few):,} more"))
    title = "Entries of the baseline that match nothing any more (--write-baseline drops them)"
    return [*wrapped(Text(title, style="bold"), console), *lines] if lines else []


def statistics_lines(report: Report, names: Sequence[Finding], style: Style) -> list[Text]:
    """Return how often each rule was broken, the most frequent first."""
    called = {finding.rule: finding.name for finding in names}
    counts = sorted(report.summary.rules.items(), key=lambda item: (-item[1], item[0]))
    widest = max((len(f"{number:,}") for _, number in counts), default=0)
    return [
        Text(f"{number:>{widest},}  ").append(rule, style="bold").append(f"  {called[rule]}")
        for rule, number in counts
    ]


def _block(finding: Finding, style: Style, console: Console, *, cured: bool) -> list[Text]:
    head = Text(f"{place(finding.site, style)}: ", style="bold")
    head.append(finding.severity.name.lower(), style=SEVERITY_STYLES[finding.severity])
    head.append(f" {name(finding.rule, style)} {name(finding.name, style)}")
    if finding.confidence is not Confidence.HIGH:
        head.append(f" ({finding.confidence.name.lower()} confidence)", style="dim")
    # A place is never broken: half a path cannot be clicked or copied.
    if cell_len(f"{place(finding.site, style)}:") <= console.width:
        lines = wrapped(head, console, hang=2)
    else:
        lines = [head]
    lines += wrapped(prose(finding.message, style), console, indent=2)
    lines += _marked(finding.site, finding.excerpts[0], style, console)
    if finding.cure and cured:
        lead = Text("cure: ", style="green")
        lines += wrapped(prose(finding.cure, style), console, lead=lead, indent=2)
    return lines + _related(finding, style, console)


def _marked(site: Site, excerpt: str, style: Style, console: Console) -> list[Text]:
    """Return the line of source with the span under it marked; nothing where it does not fit.

    The indentation is left out. A span that goes on in later lines is marked to the end.
    """
    if site.line is None or site.column is None or not excerpt.strip():
        return []
    indent = len(excerpt) - len(excerpt.lstrip())
    start = max(site.column - 1, indent)
    same = site.end_line == site.line and site.end_column is not None
    end = (site.end_column or 1) - 1 if same else len(excerpt)
    before, span, after = (
        _shown(part, style) for part in (excerpt[indent:start], excerpt[start:end], excerpt[end:])
    )
    number = f"{site.line:>6} "
    room = console.width - len(number) - 2
    if room < _LEAST or cell_len(before) >= room:
        return []
    code = before + span + after.rstrip()
    if cell_len(code) > room:
        mark = ellipsis(style)
        code = set_cell_size(code, room - cell_len(mark)).rstrip() + mark
    carets = min(max(cell_len(span.rstrip()), 1), room - cell_len(before))
    rule = Text(" " * len(number) + "|", style="dim")
    return [
        Text(number, style="dim").append("| ", style="dim").append(Text(code)),
        rule.append(" " * (cell_len(before) + 1)).append("^" * carets, style="bold red"),
    ]


def _related(finding: Finding, style: Style, console: Console) -> list[Text]:
    lines: list[Text] = []
    groups = _by_line(finding)
    shown = groups if style.verbose else groups[:_FEW]
    for sites, excerpt in shown:
        lines += _group(sites, excerpt, finding.site, style, console)
    if len(shown) < len(groups):
        rest = count(sum(len(sites) for sites, _ in groups[len(shown) :]), "more place")
        lines.append(Text(f"  with: {rest}", style="dim"))
    return lines


def _by_line(finding: Finding) -> list[tuple[list[Site], str]]:
    """Return the related places with their lines; layers made in one place stand together."""
    groups: dict[object, tuple[list[Site], str]] = {}
    for site, excerpt in zip(finding.related, finding.excerpts[1:], strict=False):
        inside = site.tensor is not None or site.layer is not None
        at = (site.path, site.cell, site.line, site.column) if inside else len(groups)
        groups.setdefault(at, ([], excerpt))[0].append(site)
    return list(groups.values())


def _group(
    sites: list[Site], excerpt: str, first: Site, style: Style, console: Console
) -> list[Text]:
    head, code = sites[0], _shown(excerpt.strip(), style)
    inside = [within(site, style) for site in sites]
    names = listing(inside, len(inside) if style.verbose else _NAMES)
    if any(inside) and (head.path, head.line, head.column) == (
        first.path,
        first.line,
        first.column,
    ):
        return wrapped(names, console, lead=Text("also here: ", style="dim"), indent=2, hang=2)
    where = place(head, style)
    if len(sites) > 1:
        where = f"{place(replace(head, tensor=None, layer=None), style)}: {names}"
    text = Text(f"{where}: ", style="dim").append(code)
    return wrapped(text, console, lead=Text("with: ", style="dim"), indent=2, hang=2)


def _shown(code: str, style: Style) -> str:
    return prose(code.replace("\t", _TAB), style)
