"""Comments that ignore findings: ``# initaudit: ignore[...]``, ``file-ignore``, ``# noqa``."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from initaudit.source.words import Form

_OWN = re.compile(r"#\s*initaudit:\s*(file-)?ignore\b(?:\s*\[([^\]]*)\])?")
_NOQA = re.compile(r"#\s*noqa(?::\s*([a-z]+\d+(?:[,\s]+[a-z]+\d+)*))?(?![\w:])", re.IGNORECASE)
_RULE = re.compile(r"IA\d*|[a-z]+(?:-[a-z]+)*", re.IGNORECASE)
# What must stand in a file that has such a comment; searched for in every file, so plain words.
_WRITTEN = ("noqa", "NOQA", "NoQA")
_NAMED = tuple(Form(word, r"[\w,\s]*\bIA\d") for word in ("noqa:", "NOQA:", "NoQA:"))
_ID = re.compile(r"IA\d+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Ignore:
    """One comment that ignores findings.

    ``line`` is where it stands, ``first`` to ``last`` the lines it speaks of: those of a
    statement, or of the header of a compound one. ``rules`` are ids, prefixes or names; empty
    means all, if ``blanket``. ``text`` is the comment as written, up to its reason. ``cell`` is
    that of a notebook, where ``line`` counts within it.
    """

    line: int
    first: int
    last: int
    rules: tuple[str, ...]
    blanket: bool
    text: str
    cell: int | None = None

    def covers(self, line: int, rule: str, name: str) -> bool:
        """Return whether a finding of a rule that begins in a line is ignored."""
        if not self.first <= line <= self.last:
            return False
        return self.blanket or any(
            word == name or (_ID.fullmatch(word) is not None and rule.startswith(word.upper()))
            for word in self.rules
        )

    @property
    def ours(self) -> bool:
        """Whether the comment names this tool or its rules; a bare ``noqa`` may be for another."""
        return not (self.blanket and "noqa" in self.text.lower())


def read_ignores(text: str, *, every: bool = True) -> tuple[Ignore, ...]:
    """Return the comments of a file that ignore findings; strings that look like one are not.

    A comment speaks of the statement it stands in; alone on a line, of the statement below.
    Without ``every`` a file is only read closer where a comment names this tool or its rules, in
    their usual form.
    """
    if "initaudit:" not in text:
        noqa = any(word in text for word in _WRITTEN) if every else "noqa: " in text
        if not noqa or not (every or any(form.found(text) for form in _NAMED)):
            return ()
    if not any(_may_ignore(line) for line in text.split("\n") if "#" in line):
        return ()
    found: list[Ignore] = []
    # Tokenising stops at what it cannot read; what stands before it counts.
    try:
        for line, first, last, comment in _comments(text):
            found += _read(line, first, last, comment)
    except (tokenize.TokenError, SyntaxError):
        pass
    return tuple(found)


def _may_ignore(line: str) -> bool:
    """Return whether a line ignores anything, if its comment begins at any of its signs for one."""
    if "initaudit:" not in line and "noqa" not in line.lower():
        return False
    starts = (match.start() for match in re.finditer("#", line))
    return any(any(_read(1, 1, 1, line[start:])) for start in starts)


def _comments(text: str) -> Iterator[tuple[int, int, int, str]]:
    """Yield comments with their line and the lines of the statement that they belong to."""
    pending: list[tuple[int, str]] = []
    inside: list[tuple[int, str]] = []
    first: int | None = None
    end = text.count("\n") + 1
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            (pending if first is None else inside).append((token.start[0], token.string))
        elif token.type == tokenize.NEWLINE:
            start = token.start[0] if first is None else first
            for line, comment in (*pending, *inside):
                yield line, start, token.end[0], comment
            pending, inside, first = [], [], None
        elif token.type in _OF_A_STATEMENT and first is None:
            first = token.start[0]
    for line, comment in pending:
        yield line, line, end, comment


_LAYOUT = {tokenize.NL, tokenize.COMMENT, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
           tokenize.ENDMARKER, tokenize.ENCODING}  # fmt: skip
_OF_A_STATEMENT = frozenset(tokenize.tok_name) - _LAYOUT


def _read(line: int, first: int, last: int, comment: str) -> Iterator[Ignore]:
    for match in _OWN.finditer(comment):
        rules = () if match[2] is None else tuple(_RULE.findall(match[2]))
        if match[1]:
            yield Ignore(line, 1, 1 << 60, rules, match[2] is None, match[0])
        else:
            yield Ignore(line, first, last, rules, match[2] is None, match[0])
    for match in _NOQA.finditer(comment):
        ours = tuple(_ID.findall(match[1] or ""))
        # With codes of other tools only it says nothing to us; alone on a line it never does.
        if (match[1] is None or ours) and first <= line:
            yield Ignore(line, first, last, ours, match[1] is None, match[0])


def covering(ignores: Iterable[Ignore], line: int, rule: str, name: str) -> tuple[int, ...]:
    """Return the places in ``ignores`` of those that cover a finding."""
    return tuple(i for i, one in enumerate(ignores) if one.covers(line, rule, name))
