"""The last line of the text report: what was found, in how much, and what became of the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from initaudit.finding import Finding, Report
from initaudit.report import Style
from initaudit.report.rows import is_weighted, rows
from initaudit.report.wording import count, tally
from initaudit.rulebook import Severity
from initaudit.source.fix.edits import SAFE, UNSAFE

_WORST: Mapping[Severity, str] = {
    Severity.ERROR: "bold red",
    Severity.WARNING: "yellow",
    Severity.NOTE: "cyan",
}


def closing(report: Report, style: Style) -> list[tuple[str, str]]:
    """Return the counts of the closing line as parts with the style of each."""
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
    parts: list[tuple[str, str]] = []
    counts = tally(report.findings)
    if counts:
        parts.append((counts, _WORST[report.worst] if report.worst is not None else ""))
    else:
        parts.append(("No findings", "green" if judged or not heads else "magenta"))
    parts.append((f" in {where}{count(summary.files, 'file')}", ""))
    if summary.unread:
        parts.append((f", {summary.unread:,} not read", "magenta"))
    apart = [
        (report.fixed, "fixed"),
        (summary.ignored, "ignored by comments"),
        (summary.known, "known from the baseline"),
    ]
    parts += [(f", {number:,} {how}", "") for number, how in apart if number]
    if report.failed:
        parts.append(("; an input could not be judged", "bold red"))
    if style.verbose and summary.seconds is not None:
        parts.append((f", {summary.seconds:.2f} s", ""))
    return [*parts, (f".{_fixable(report.findings)}", "")]


def _fixable(findings: Sequence[Finding]) -> str:
    """Return how many findings the fixers can put right, as a sentence; empty for none."""
    safe = sum(1 for f in findings if f.fix in SAFE)
    unsafe = sum(1 for f in findings if f.fix in UNSAFE)
    parts = [f"{safe:,} with --fix"] * bool(safe)
    parts += [f"{unsafe:,} with --fix --unsafe-fixes"] * bool(unsafe)
    return f" Fixable: {', '.join(parts)}." if parts else ""
