"""The report as one HTML page: nothing is fetched, and all text of inputs is escaped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from markdown_it import MarkdownIt

from initaudit.finding import Finding, Report
from initaudit.network import Site
from initaudit.report import Style
from initaudit.report.closing import closing
from initaudit.report.html.escaping import block, shown
from initaudit.report.html.layers import network_section, overview
from initaudit.report.html.look import POLICY, SCRIPT, STYLE
from initaudit.report.placing import by_network, worst_first
from initaudit.report.plain import one_line, within
from initaudit.rulebook import Confidence, Rule

_MANY = 12
"""Findings beyond which they can be filtered, and are laid out when they are reached."""


def render(report: Report, style: Style) -> str:
    """Return the page; ``style`` changes nothing but whether the closing line tells the time."""
    sentence = "".join(text for text, _ in closing(report, style))
    worst = report.worst.name.lower() if report.worst is not None else "clean"
    held, _ = by_network(report)
    alone = len(report.networks) == 1
    first = f"<section>{overview(report.networks[0], held[0], 0)}</section>" if alone else ""
    networks = "".join(
        network_section(network, found, at, told=alone)
        for at, (network, found) in enumerate(zip(report.networks, held, strict=True))
    )
    script = f"<script>{SCRIPT}</script>"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>initaudit: {shown(sentence)}</title><style>{STYLE}</style></head><body>"
        f'<h1>initaudit</h1><p class="verdict {worst}">{shown(sentence)}{_worst(report)}</p>'
        f"<main>{_contents(report)}{first}{_findings(report)}{networks}{_not_judged(report)}</main>"
        f"<footer>initaudit {shown(report.version)}</footer>{script}</body></html>\n"
    )


def _worst(report: Report) -> str:
    """Return the worst finding by name, with a link; empty where a count says it all."""
    found = worst_first(report.findings)
    if not found:
        return ""
    first = found[0]
    title = f"{first.rule} {shown(first.name)}"
    return f' Worst: <a href="#{first.rule}">{title}</a>.'


def _contents(report: Report) -> str:
    if len(report.networks) < 2:
        return ""
    items = "".join(
        f'<li><a href="#n{at}">{shown(n.path)}</a> '
        f'<span class="badge {n.verdict}">{n.verdict}</span></li>'
        for at, n in enumerate(report.networks)
    )
    return f'<nav aria-label="Networks"><ul>{items}</ul></nav>'


def _findings(report: Report) -> str:
    found = worst_first(report.findings)
    if not found:
        return ""
    known = {rule.id: rule for rule in report.pages}
    told: set[str] = set()
    parts = []
    for finding in found:
        page = known.get(finding.rule) if finding.rule not in told else None
        parts.append(_article(finding, page, first=finding.rule not in told))
        told.add(finding.rule)
    many = len(found) > _MANY
    return (
        f'<section id="findings"><h2>Findings</h2>{_tally(found) if len(told) < len(found) else ""}'
        f"{_filter() if many else ''}<div{' class=many id=found' if many else ''}>"
        f"{''.join(parts)}</div></section>"
    )


def _tally(found: Iterable[Finding]) -> str:
    """Return how often each rule was broken, as a table that leads to the first finding of each."""
    often = Counter(f.rule for f in found)
    kinds = {f.rule: f for f in reversed(list(found))}
    rows = "".join(
        f'<tr><td class="text"><span class="badge {f.severity.name.lower()}">'
        f'{f.severity.name.lower()}</span></td><th scope="row" class="text">'
        f'<a href="#{rule}">{rule} {shown(f.name)}</a></th><td>{often[rule]:,}</td></tr>'
        for rule, f in ((rule, kinds[rule]) for rule in often)
    )
    return (
        '<div class="scroll"><table class="tally">'
        '<caption class="hidden">Findings by rule</caption><thead><tr>'
        '<th scope="col" class="text">severity</th><th scope="col" class="text">rule</th>'
        f'<th scope="col">findings</th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _filter() -> str:
    return (
        '<p class="filter"><label for="find">Filter findings </label><input id="find" '
        'type="search" autocomplete="off" data-list="found"> '
        '<span id="find-told" class="soft" role="status"></span></p>'
    )


def _article(finding: Finding, page: Rule | None, *, first: bool) -> str:
    kind = finding.severity.name.lower()
    sure = finding.confidence
    doubt = f" ({sure.name.lower()} confidence)" if sure is not Confidence.HIGH else ""
    parts = [
        f'<article class="{kind}"{f" id={finding.rule}" if first else ""}><h4>'
        f'<span class="badge">{kind}</span>{finding.rule} {shown(finding.name)}{doubt}</h4>',
        f"<p><code>{shown(_place(finding.site))}</code></p>",
        f"<p>{shown(finding.message)}</p>",
    ]
    if finding.excerpts and finding.excerpts[0]:
        parts.append(f"<pre><code>{block(finding.excerpts[0])}</code></pre>")
    if finding.cure:
        parts.append(f"<p><b>Cure.</b> {shown(finding.cure)}</p>")
    if finding.code:
        parts.append(f"<pre><code>{block(finding.code)}</code></pre>")
    parts.append(_places(finding.related))
    if page is not None:
        text = MarkdownIt("commonmark", {"html": False}).render(page.markdown)
        parts.append(
            f'<details class="page"><summary>What {finding.rule} means</summary>{text}</details>'
        )
    return "".join(parts) + "</article>"


def _places(sites: Iterable[Site]) -> str:
    places = list(dict.fromkeys(map(_place, sites)))
    if not places:
        return ""
    items = "".join(f"<li><code>{shown(place)}</code></li>" for place in places)
    many = " open" if len(places) <= 3 else ""
    return f"<details{many}><summary>With it ({len(places):,})</summary><ul>{items}</ul></details>"


def _place(site: Site) -> str:
    lines = f":{site.line}" if site.line is not None else ""
    column = f":{site.column}" if site.line is not None and site.column is not None else ""
    inside = within(site)
    return one_line(f"{site.path}{lines}{column}") + (f" ({one_line(inside)})" if inside else "")


def _not_judged(report: Report) -> str:
    parts = []
    if report.unread:
        items = "".join(
            f"<li><code>{shown(_place(u.site))}</code>: {shown(u.reason)}</li>"
            for u in report.unread
        )
        parts.append(f"<section><h2>Not judged</h2><ul>{items}</ul></section>")
    if report.stale:
        items = "".join(
            f"<li><code>{shown(s.path)}</code>: {s.rule} {shown(s.place)}</li>"
            for s in report.stale
        )
        title = "Known from the baseline, and gone"
        parts.append(f"<section><h2>{title}</h2><ul>{items}</ul></section>")
    return "".join(parts)
