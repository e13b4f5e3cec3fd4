"""A finding's name for a machine, which stays when its numbers or its line change."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable

from initaudit.finding import Finding


def fingerprint(finding: Finding, nth: int = 0) -> str:
    """Return 16 hexadecimal digits over rule, path, layer and tensor.

    ``nth`` tells apart findings that agree in all of these, such as two calls in one file.
    """
    site = finding.site
    parts = [finding.rule, site.path.replace("\\", "/"), site.layer or "", site.tensor or ""]
    if nth:
        parts.append(str(nth))
    # surrogatepass: a path that is not text in its file system is still a path.
    data = "\0".join(parts).encode("utf-8", "surrogatepass")
    return hashlib.sha256(data).hexdigest()[:16]


def fingerprints(findings: Iterable[Finding]) -> tuple[str, ...]:
    """Return the fingerprint of each finding of a report, in order, all different."""
    seen: Counter[str] = Counter()
    made = []
    for finding in findings:
        plain = fingerprint(finding)
        made.append(fingerprint(finding, seen[plain]))
        seen[plain] += 1
    return tuple(made)
