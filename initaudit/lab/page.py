"""Results as one HTML page: self-contained, light and dark, narrow and wide."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from initaudit.lab.results import Claim, Named, Picture, Result, Table
from initaudit.lab.svg import STYLE, svg
from initaudit.version import VERSION

_LAYOUT = """
*{box-sizing:border-box}
body{margin:0 auto;max-width:76rem;padding:1.5rem 1rem 4rem;color:var(--ink);
background:var(--paper);font:1rem/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
h1{font-size:1.6rem;margin:0 0 .25rem}h2{font-size:1.25rem;margin:0 0 .5rem}
h3{font-size:.95rem;margin:0 0 .5rem}p{max-width:46rem}
a{color:var(--s0)}nav ol{display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));
gap:.25rem 1rem;padding-left:1.5rem}
section{border-top:1px solid var(--line);padding-top:1.5rem;margin-top:2rem}
.claims,.named{list-style:none;padding:0;margin:1rem 0}
.claims li{padding:.4rem 0 .4rem 2.4rem;text-indent:-2.4rem}
.claims b{display:inline-block;width:2.4rem;text-indent:0}.claims .measured{color:var(--soft)}
.yes{color:var(--s2)}.no,.error{color:var(--s1)}.warning{color:var(--s4)}.note{color:var(--s0)}
.clean{color:var(--s2)}.named li{padding:.2rem 0}.named code{font-size:.9em}
.pictures{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,30rem),1fr));gap:1.5rem}
figure{margin:0;min-width:0}
figure svg{width:100%;max-width:40rem;min-width:32rem;height:auto;display:block}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem;
font-variant-numeric:tabular-nums}td,th{padding:.2rem .75rem .2rem 0;text-align:right}
td:first-child,th:first-child{text-align:left}th{border-bottom:1px solid var(--line)}
.lesson{border-left:3px solid var(--s2);padding-left:.75rem}
footer{margin-top:3rem;color:var(--soft);font-size:.9rem}
@media print{section{break-inside:avoid-page}}
"""


def page(results: Sequence[Result], *, title: str = "initaudit lab") -> str:
    """Return the page; nothing on it is fetched or executed."""
    links = "".join(f'<li><a href="#{escape(r.name)}">{escape(r.title)}</a></li>' for r in results)
    nav = f"<nav><ol>{links}</ol></nav>" if len(results) > 1 else ""
    body = "".join(_section(result) for result in results)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{STYLE}{_LAYOUT}</style></head><body>"
        f"<h1>{escape(title)}</h1>"
        "<p>What bad starts do to a network, measured on a NumPy replica, and what the audit says "
        f"of the same weights saved as a checkpoint.</p>{nav}<main>{body}</main>"
        f"<footer>initaudit {escape(VERSION)}</footer></body></html>\n"
    )


def _section(result: Result) -> str:
    claims = "".join(_claim(one) for one in result.claims)
    pictures = "".join(_figure(one) for one in result.pictures)
    audits = "".join(_named(one) for one in result.named)
    lesson = f'<p class="lesson">{escape(result.lesson)}</p>' if result.lesson else ""
    said = "What the audit says of these networks, saved as checkpoints"
    listed = f'<h3>{said}</h3><ul class="named">{audits}</ul>' if audits else ""
    return (
        f'<section id="{escape(result.name)}"><h2>{escape(result.title)}</h2>'
        f'<p>{escape(result.about)}</p><ul class="claims">{claims}</ul>{listed}{lesson}'
        f'<div class="pictures">{pictures}</div></section>'
    )


def _claim(one: Claim) -> str:
    word = "yes" if one.holds else "no"
    return (
        f'<li><b class="{word}">{word}</b>{escape(one.expected)}<br>'
        f'<span class="measured">measured: {escape(one.measured)}</span></li>'
    )


def _named(one: Named) -> str:
    rules = "".join(
        f'; <span class="{severity}">{severity}</span> <code>{escape(rule)}</code> {escape(name)}'
        for rule, (name, severity) in one.rules.items()
    )
    odd = "" if one.as_expected else ' <b class="no">(not what this experiment expects)</b>'
    verdict = escape(one.verdict)
    return f'<li>{escape(one.network)}: <span class="{verdict}">{verdict}</span>{rules}{odd}</li>'


def _figure(drawn: Picture) -> str:
    made = _table(drawn) if isinstance(drawn, Table) else svg(drawn)
    return f'<figure><h3>{escape(drawn.title)}</h3><div class="scroll">{made}</div></figure>'


def _table(drawn: Table) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in drawn.header)
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in drawn.rows
    )
    return f"<table><tr>{head}</tr>{rows}</table>"
