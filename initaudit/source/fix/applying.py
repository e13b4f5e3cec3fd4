"""Findings to edits, edits to a fixed file."""

from __future__ import annotations

import ast
import io
import tokenize
from bisect import bisect_right
from codecs import BOM_UTF8 as _MARK
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from initaudit.finding import Edit, Finding
from initaudit.source.fix.edits import (
    SAFE,
    UNSAFE,
    Change,
    Rewrite,
    as_edit,
    line_starts,
    smallest,
    span,
)
from initaudit.source.fix.imports import import_changes


@dataclass(frozen=True, slots=True)
class Fixed:
    """A file with its fixes made.

    ``applied`` and ``left`` are the findings that were put right and those that were not:
    without a fix, with one that is not asked for, or with one that does not fit the place.
    """

    text: str
    applied: tuple[Finding, ...] = ()
    left: tuple[Finding, ...] = ()


@dataclass(slots=True)
class _Place:
    finding: Finding
    start: int
    end: int


def fix_file(text: str, findings: Sequence[Finding], *, unsafe: bool = False) -> Fixed:
    """Return the text with the findings put right whose fix is safe, or all fixes.

    ``text`` is the file as it is stored, with its own line ends. What the fixes do not touch is
    kept to the last character. Findings inside of others are fixed first. Where the fixed text
    would not parse, all findings are left.
    """
    wanted = SAFE | UNSAFE if unsafe else SAFE
    starts = line_starts(text)
    places: list[_Place] = []
    for finding in findings:
        found = span(starts, finding.site)
        if finding.fix in wanted and found is not None and finding.site.cell is None:
            places.append(_Place(finding, *found))
    if not places or not _parses(text):
        return Fixed(text, (), tuple(findings))
    fixed, applied = _applied(text, places)
    if not applied or not _parses(fixed):
        return Fixed(text, (), tuple(findings))
    done = {id(finding) for finding in applied}
    return Fixed(
        fixed,
        tuple(f for f in findings if id(f) in done),
        tuple(f for f in findings if id(f) not in done),
    )


def fix_bytes(
    content: bytes, findings: Sequence[Finding], *, unsafe: bool = False
) -> tuple[bytes, Fixed]:
    """Return a file's bytes with the findings put right, in its own encoding.

    Raises:
        ValueError: where the bytes are no text of the encoding that they declare.
    """
    encoding, text = _decoded(content)
    fixed = fix_file(text, findings, unsafe=unsafe)
    if not fixed.applied:
        return content, fixed
    mark = _MARK if content.startswith(_MARK) else b""
    return mark + fixed.text.encode(encoding), fixed


def edits_for(text: str, finding: Finding) -> tuple[Edit, ...]:
    """Return the edits that put one finding right by itself, in order; none where it has no fix."""
    starts = line_starts(text)
    found = span(starts, finding.site)
    if finding.fix not in SAFE | UNSAFE or found is None or finding.site.cell is not None:
        return ()
    rewritten = _change(text, _Place(finding, *found))
    if rewritten is None:
        return ()
    change, renamed = rewritten
    changes = [change]
    if renamed is not None:
        extra = import_changes(text, change, [renamed])
        if extra is None:
            return ()
        changes += extra
    changes.sort(key=lambda c: c.start)
    return tuple(as_edit(starts, one) for one in changes)


def with_edits(findings: Iterable[Finding], read: Callable[[str], bytes]) -> tuple[Finding, ...]:
    """Return the findings with the edits of their fixes; ``read`` gives the bytes of a path.

    Findings in a file that cannot be read any more stay as they are.
    """
    texts: dict[str, str | None] = {}
    found = []
    for one in findings:
        path = one.site.path
        if one.fix not in SAFE | UNSAFE:
            found.append(one)
            continue
        if path not in texts:
            try:
                texts[path] = _decoded(read(path))[1]
            except (OSError, ValueError):
                texts[path] = None
        text = texts[path]
        found.append(one if text is None else replace(one, edits=edits_for(text, one)))
    return tuple(found)


def _decoded(content: bytes) -> tuple[str, str]:
    """Return a file's encoding and its text, without a byte order mark.

    Raises:
        ValueError: where the bytes are no text of the encoding that they declare.
    """
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
    except SyntaxError as error:
        raise ValueError(f"cannot be read: {error}") from None
    plain = "utf-8" if encoding == "utf-8-sig" else encoding
    return plain, content.removeprefix(_MARK).decode(plain)


def _applied(text: str, places: list[_Place]) -> tuple[str, list[Finding]]:
    """Return the text after all changes, innermost places first, and what was put right."""
    applied: list[Finding] = []
    names: dict[tuple[str, str], None] = {}
    left = sorted(places, key=lambda p: (p.end - p.start, p.start))
    while left:
        place = left.pop(0)
        rewritten = _change(text, place) if place.start >= 0 else None
        if rewritten is None:
            continue
        change, renamed = rewritten
        fixed = change.within(text)
        if renamed is not None:
            if import_changes(fixed, None, [renamed]) is None:
                continue
            names.setdefault(renamed)
        text = fixed
        _shift(left, change)
        applied.append(place.finding)
    imports = import_changes(text, None, list(names)) if names else None
    for one in sorted(imports or (), key=lambda c: -c.start):
        text = one.within(text)
    return text, applied


def _shift(places: Iterable[_Place], change: Change) -> None:
    """Move the places behind a change along with the text."""
    grown = len(change.replacement) - (change.end - change.start)
    for place in places:
        if place.end <= change.start:
            continue
        if place.start >= change.end and place.start > change.start:
            place.start += grown
            place.end += grown
        elif place.start <= change.start and place.end >= change.end:
            place.end += grown
        else:
            place.start = place.end = -1


def _change(text: str, place: _Place) -> Rewrite | None:
    from initaudit.source.fix.expressions import rewrite
    from initaudit.source.fix.parameter import wrapped
    from initaudit.source.fix.statements import per_slice, zero_the_row

    finding = place.finding
    placed = {"wrap-in-parameter": wrapped, "per-slice": per_slice, "zero-the-row": zero_the_row}
    if finding.fix in placed:
        return placed[finding.fix](text, place.start, place.end, finding.facts)
    old = text[place.start : place.end]
    if finding.fix is None or (finding.fix == "comprehension" and _in_class_body(text, place)):
        return None
    new = rewrite(old, finding.fix, finding.facts)
    if new is None or new.text == old:
        return None
    return smallest(place.start, old, new.text), new.renamed


def _in_class_body(text: str, place: _Place) -> bool:
    """Return whether a place lies directly in a class, whose names a comprehension cannot see."""
    line = bisect_right(line_starts(text), place.start)
    innermost: ast.AST | None = None
    for node in ast.walk(ast.parse(text)):
        kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        # A walk from the top meets what lies inside later.
        if isinstance(node, kinds) and node.lineno <= line <= (node.end_lineno or 0):
            innermost = node
    return isinstance(innermost, ast.ClassDef)


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
