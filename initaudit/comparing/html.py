"""Two checkpoints side by side, as one HTML page."""

from __future__ import annotations

from collections.abc import Sequence

from initaudit.comparing import Compared
from initaudit.comparing.text import headline, number_of
from initaudit.finding import Finding
from initaudit.report.html.escaping import shown
from initaudit.report.html.look import POLICY, SCRIPT, STYLE
from initaudit.report.plain import sentence

_COLUMNS = ("tensor", "std before", "std after", "ratio", "moved by", "cosine")


def render(compared: Compared, first: str, second: str) -> str:
    """Return the page: the sentence, findings that came and went, and a table of all tensors."""
    told = headline(compared)
    kind = compared.came[0].severity.name.lower() if compared.came else "clean"
    if compared.failed:
        kind = "error"
    unread = "".join(
        f"<li><code>{shown(u.site.path)}</code>: {shown(u.reason)}</li>" for u in compared.unread
    )
    cautions = "".join(f"<p>Caution: {shown(caution)}.</p>" for caution in compared.cautions)
    if unread:
        unread = f"<section><h2>Not judged</h2><ul>{unread}</ul></section>"
    names = "".join(
        f"<h3>{title}</h3><p>{', '.join(f'<code>{shown(x)}</code>' for x in held)}</p>"
        for title, held in (
            ("Only in the first", compared.lost),
            ("Only in the second", compared.gained),
            ("Of another shape", compared.reshaped),
        )
        if held
    )
    findings = "".join(
        _findings(title, held)
        for title, held in (
            ("Findings that came", compared.came),
            ("Findings that went", compared.went),
            ("Findings that stayed", compared.stayed),
        )
    )
    table = _table(compared) if compared.moved else ""
    files = f"<code>{shown(first)}</code> and <code>{shown(second)}</code>"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f"<title>initaudit compare: {shown(told)}</title><style>{STYLE}</style></head><body>"
        f'<h1>initaudit compare</h1><p class="verdict {kind}">{shown(told)}.</p><p>{files}</p>'
        f"{cautions}<main>{unread}{findings}{names}{table}</main><script>{SCRIPT}</script></body></html>\n"
    )


def _findings(title: str, findings: Sequence[Finding]) -> str:
    if not findings:
        return ""
    items = "".join(
        f'<article class="{f.severity.name.lower()}"><h4><span class="badge">'
        f"{f.severity.name.lower()}</span>{f.rule} {shown(f.name)}</h4>"
        f"<p>{shown(sentence(f))}</p></article>"
        for f in findings
    )
    return f"<section><h2>{title}</h2>{items}</section>"


def _table(compared: Compared) -> str:
    head = "".join(
        f'<th scope="col"{"" if at else " class=text"}><button type="button">{name}</button></th>'
        for at, name in enumerate(_COLUMNS)
    )
    rows = []
    for one in compared.moved:
        values = (one.before, one.after, one.ratio, one.distance, one.cosine)
        cells = "".join(
            f'<td data-v="{"" if v is None else f"{v:.9g}"}">{number_of(v)}</td>' for v in values
        )
        rows.append(f'<tr><td class="text">{shown(one.name)}</td>{cells}</tr>')
    return (
        '<section><h2>Tensors</h2><p class="filter"><label for="filter">Filter </label>'
        '<input id="filter" type="search" autocomplete="off"> '
        '<span id="filter-told" class="soft" role="status"></span></p><div class="scroll">'
        '<table class="sortable" data-filter="filter"><caption class="hidden">Tensors</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div></section>"
    )
