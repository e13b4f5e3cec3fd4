"""Source files to findings: read, parse what is worth it, check, ask the project, suppress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from initaudit.catalogue import Catalogue
from initaudit.claims import Hit, finding, registered
from initaudit.finding import Finding
from initaudit.network import Site, Unread
from initaudit.rulebook import Rule
from initaudit.source.file import File
from initaudit.source.module import parse
from initaudit.source.prefilter import worth_parsing
from initaudit.source.project import Outline, Project, outline, outline_text


@dataclass(frozen=True, slots=True)
class Checked:
    """What one file came to: claims by rule, its outline, and what could not be read of it."""

    path: str
    hits: tuple[tuple[str, Hit], ...] = ()
    outline: Outline | None = None
    unread: tuple[Unread, ...] = ()


def check_text(text: str, path: str, rules: Mapping[str, Rule], catalogue: Catalogue) -> Checked:
    """Check the text of one file against the rules that judge source."""
    import initaudit.source.checks  # noqa: F401  (they register themselves)

    try:
        module = parse(text, path)
    except (SyntaxError, ValueError) as error:
        return Checked(path, unread=(Unread(_error_site(error, path), _reason(error)),))
    except (RecursionError, MemoryError):
        reason = "is nested too deeply to be read"
        return Checked(path, unread=(Unread(Site(path), reason),))
    file = File(module, catalogue)
    checks = registered()
    hits = tuple(
        (rule.id, hit)
        for rule in rules.values()
        if (rule.id, "draw") in checks
        for hit in checks[rule.id, "draw"](file, rule.limits)
    )
    return Checked(path, hits, outline(file))


def check_bytes(
    content: bytes, path: str, rules: Mapping[str, Rule], catalogue: Catalogue
) -> Checked:
    """Check a file's bytes; one that holds nothing to judge is not parsed."""
    text = content.decode("utf-8", errors="replace")
    if not worth_parsing(content):
        return Checked(path, outline=outline_text(text, path))
    return check_text(text, path, rules, catalogue)


def settle(checked: Sequence[Checked], rules: Mapping[str, Rule]) -> list[Finding]:
    """Return the findings of all files, without the claims that the project contradicts."""
    project = Project(c.outline for c in checked if c.outline is not None)
    found = [
        finding(rules[rule], hit, {}, "")
        for one in checked
        for rule, hit in one.hits
        if not any(project.answers(doubt) for doubt in hit.doubts)
    ]
    found.sort(key=lambda f: (f.site.path, f.site.line or 0, f.site.column or 0, f.rule))
    return found


def _reason(error: SyntaxError | ValueError) -> str:
    if isinstance(error, SyntaxError):
        return f"is not Python 3 that can be parsed: {error.msg}"
    return f"cannot be parsed: {error}"


def _error_site(error: SyntaxError | ValueError, path: str) -> Site:
    line = error.lineno if isinstance(error, SyntaxError) else None
    return Site(path, line=line)
