"""A report's findings put right in their files, or shown as what that would change."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from initaudit.finding import Finding, Report
from initaudit.network import Site, Unread
from initaudit.source.fix.applying import fix_bytes, with_edits
from initaudit.source.fix.writing import write_atomically

# A fix may bring out another finding; files in which that goes on and on are left as they are.
_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Planned:
    """One file with its fixes made: bytes before and after, and how many findings they settle."""

    path: str
    before: bytes
    after: bytes
    count: int


def planned(
    report: Report, *, unsafe: bool, given: Mapping[str, bytes] | None = None
) -> tuple[Planned, ...]:
    """Return the files that fixes change; ``given`` holds the bytes of those that are no files."""
    by_path: dict[str, list[Finding]] = {}
    for finding in report.findings:
        if finding.fix is not None:
            by_path.setdefault(finding.site.path, []).append(finding)
    made = []
    for path, findings in by_path.items():
        try:
            before = given[path] if given and path in given else Path(path).read_bytes()
            after, fixed = fix_bytes(before, findings, unsafe=unsafe)
        except (OSError, ValueError):
            continue
        if fixed.applied:
            made.append(Planned(path, before, after, len(fixed.applied)))
    return tuple(made)


def fixed(judge: Callable[[], Report], *, unsafe: bool) -> tuple[Report, int]:
    """Fix what can be fixed, file by file, and judge again until nothing is left to fix.

    Returns:
        The report on what is left, with files that could not be written as unread, and how many
        findings were put right.
    """
    report = judge()
    count = 0
    failed: list[Unread] = []
    for _ in range(_ROUNDS):
        changed = False
        refused = {entry.site.path for entry in failed}
        for plan in planned(report, unsafe=unsafe):
            if plan.path in refused:
                continue
            try:
                write_atomically(Path(plan.path), plan.after)
            except OSError as error:
                reason = f"cannot be fixed: {error.strerror}"
                failed.append(Unread(Site(plan.path), reason))
                continue
            changed = True
            count += plan.count
        if not changed:
            break
        report = judge()
    if failed:
        report = replace(report, unread=(*report.unread, *failed), failed=True)
    return report, count


def shown(plans: tuple[Planned, ...]) -> str:
    """Return what the plans change as a unified diff."""
    lines: list[str] = []
    for plan in plans:
        before, after = (text.decode("utf-8", "replace") for text in (plan.before, plan.after))
        lines += difflib.unified_diff(
            before.splitlines(keepends=True),
            after.splitlines(keepends=True),
            plan.path,
            plan.path,
        )
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
                   for line in lines)  # fmt: skip


def with_fixes(report: Report, given: Mapping[str, bytes] | None = None) -> Report:
    """Return the report with the edits of each finding's fix, for formats that carry them."""
    known = given or {}

    def read(path: str) -> bytes:
        return known[path] if path in known else Path(path).read_bytes()

    return replace(report, findings=with_edits(report.findings, read))
