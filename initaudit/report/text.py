"""The report for a person at a terminal."""

from __future__ import annotations

from initaudit.finding import Report
from initaudit.report import Style
from initaudit.report.closing import closing

# Under this width no table holds a name and two bars; the terminal may wrap the lines instead.
NARROWEST = 40


def render(report: Report, style: Style) -> str:
    """Return the report as text: each network, findings elsewhere, what was not read, the counts.

    No line is wider than ``style.width`` (or 40, if that is more), but for lines of code and
    places.
    """
    if not (report.networks or report.findings or report.unread or report.unused or report.stale):
        line = "".join(part for part, _ in closing(report, style))
        if not style.colour and len(line) <= max(style.width, NARROWEST):
            return line + "\n"
    # Imported for what has more to show, for the terminal library takes long to load.
    from initaudit.report.sections import sections

    return sections(report, style, max(style.width, NARROWEST))
