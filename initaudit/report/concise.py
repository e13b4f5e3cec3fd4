"""One line a finding, ``path:line:column: IA103 message``, as editors and shells read them."""

from __future__ import annotations

from initaudit.finding import Report
from initaudit.network import Site
from initaudit.report import Style
from initaudit.report.plain import one_line, sentence


def render(report: Report, style: Style) -> str:
    """Return a line a finding, then one for each input that was not judged.

    A place without a line of its own, such as a checkpoint's, has the path alone. Paths are as
    they were given. ``style`` changes nothing.
    """
    del style
    found = [f"{_place(f.site)}: {f.rule} {sentence(f)}" for f in report.findings]
    found += [f"{_place(u.site)}: not judged: {one_line(u.reason)}" for u in report.unread]
    return "".join(f"{line}\n" for line in found)


def _place(site: Site) -> str:
    """Return path, line and column; in a notebook the lines are those of the cell."""
    parts = [one_line(site.path)]
    for number in (site.line, site.column):
        if number is None:
            break
        parts.append(str(number))
    return ":".join(parts)
