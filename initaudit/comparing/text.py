"""Two checkpoints side by side, as text."""

from __future__ import annotations

from collections.abc import Sequence

from initaudit.comparing import Compared, Moved
from initaudit.finding import Finding
from initaudit.report import Style
from initaudit.report.plain import one_line, sentence
from initaudit.report.wording import count, name, number, prose

MOST = 40


def render(compared: Compared, style: Style) -> str:
    """Return what moved by tensor, in the order of the file, and which findings came and went."""
    parts = [_headline(compared)]
    parts += [f"caution: {told}" for told in compared.cautions]
    parts += _table(compared.moved, style)
    for title, names in (
        ("Only in the first", compared.lost),
        ("Only in the second", compared.gained),
        ("Of another shape", compared.reshaped),
    ):
        if names:
            parts += ["", f"{title}: " + ", ".join(name(x, style) for x in names)]
    for title, findings in (
        ("Came", compared.came),
        ("Went", compared.went),
        ("Stayed", compared.stayed),
    ):
        parts += _findings(title, findings, style)
    parts += [f"not read: {one_line(u.site.path)}: {one_line(u.reason)}" for u in compared.unread]
    return "\n".join(parts) + "\n"


def headline(compared: Compared) -> str:
    """Return the comparison in one sentence."""
    if compared.failed:
        return "Not compared: a checkpoint could not be judged"
    moved = sum(not one.same for one in compared.moved)
    came, went = (count(len(x), "finding") for x in (compared.came, compared.went))
    tensors = count(len(compared.moved), "tensor")
    return (
        f"{moved:,} of {tensors} moved; {came} came, {went} went, {len(compared.stayed):,} stayed"
    )


def _headline(compared: Compared) -> str:
    return headline(compared) + "."


def _table(moved: Sequence[Moved], style: Style) -> list[str]:
    changed = [one for one in moved if not one.same]
    shown = changed if style.verbose else changed[:MOST]
    if not shown:
        return []
    head = ("tensor", "std before", "std after", "ratio", "moved by", "cosine")
    rows: list[Sequence[str]] = [head]
    for one in shown:
        values = (one.before, one.after, one.ratio, one.distance, one.cosine)
        rows.append((name(one.name, style), *map(number_of, values)))
    widths = [max(len(row[at]) for row in rows) for at in range(len(head))]
    lines = []
    for first, *rest in rows:
        cells = (cell.rjust(wide) for cell, wide in zip(rest, widths[1:], strict=True))
        lines.append("  ".join((first.ljust(widths[0]), *cells)))
    left = len(changed) - len(shown)
    return ["", *lines, *([f"+{left:,} more (--verbose shows them)"] if left else [])]


def number_of(value: float | None) -> str:
    """Return a number for a cell, a dash where there is none."""
    return "-" if value is None else number(value)


def _findings(title: str, findings: Sequence[Finding], style: Style) -> list[str]:
    if not findings:
        return []
    lines = [
        f"  {f.severity.name.lower()} {f.rule} {f.name}: {prose(sentence(f), style)}"
        for f in findings
    ]
    return ["", title, *lines]
