"""Two checkpoints side by side, as JSON."""

from __future__ import annotations

import json
import math
from typing import Any

from initaudit.comparing import Compared, Moved
from initaudit.finding import Finding

VERSION = 1


def render(compared: Compared) -> str:
    """Return ASCII JSON; a number that is not finite is null."""
    document = {
        "version": VERSION,
        "verdicts": [
            [n.verdict for n in report.networks] for report in (compared.before, compared.after)
        ],
        "cautions": list(compared.cautions),
        "tensors": [_moved(one) for one in compared.moved],
        "only_first": list(compared.lost),
        "only_second": list(compared.gained),
        "reshaped": list(compared.reshaped),
        "came": [_finding(f) for f in compared.came],
        "went": [_finding(f) for f in compared.went],
        "stayed": [_finding(f) for f in compared.stayed],
        "unread": [{"path": u.site.path, "reason": u.reason} for u in compared.unread],
    }
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


def _moved(one: Moved) -> dict[str, Any]:
    return {
        "name": one.name,
        "shape": list(one.shape),
        "same": one.same,
        "std_before": _finite(one.before),
        "std_after": _finite(one.after),
        "std_ratio": _finite(one.ratio),
        "distance": _finite(one.distance),
        "cosine": _finite(one.cosine),
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "name": finding.name,
        "severity": finding.severity.name.lower(),
        "layer": finding.site.layer,
        "tensor": finding.site.tensor,
        "message": finding.message,
    }
