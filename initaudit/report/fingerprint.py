"""A finding's name for a machine, which stays when its numbers or its line change."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable

from initaudit.finding import Finding


def fingerprint(finding: Finding, nth: int = 0, path: str | None = None) -> str:
    """Return 16 hexadecimal digits over rule, path and place.

    The place is the layer and tensor in a checkpoint, in source the class and function around
    and the text of the line, its spacing left out. ``nth`` tells apart findings that agree in all
    of these, such as two equal lines. ``path`` stands in for the finding's own.
    """
    site = finding.site
    where = (site.path if path is None else path).replace("\\", "/")
    parts = [finding.rule, where, site.layer or "", site.tensor or ""]
    if finding.excerpts:
        parts += [finding.symbol, "".join(finding.excerpts[0].split())]
    if nth:
        parts.append(str(nth))
    # surrogatepass: a path that is not text in its file system is still a path.
    data = "\0".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest()[:16]


def fingerprints(
    findings: Iterable[Finding], paths: Iterable[str] | None = None
) -> tuple[str, ...]:
    """Return the fingerprint of each finding of a report, in order, all different.

    ``paths`` stand in for the findings' own, one each.
    """
    every = list(findings)
    shown = [f.site.path for f in every] if paths is None else list(paths)
    seen: Counter[str] = Counter()
    made = []
    for finding, path in zip(every, shown, strict=True):
        plain = fingerprint(finding, path=path)
        made.append(fingerprint(finding, seen[plain], path))
        seen[plain] += 1
    return tuple(made)
