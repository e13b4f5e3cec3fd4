"""Fixes of source: edits that put a finding right and leave every other byte as it is."""

from __future__ import annotations

from initaudit.finding import Edit
from initaudit.source.fix.applying import Fixed, edits_for, fix_bytes, fix_file, with_edits
from initaudit.source.fix.edits import SAFE, UNSAFE
from initaudit.source.fix.writing import write_atomically

__all__ = [
    "SAFE", "UNSAFE", "Edit", "Fixed", "edits_for", "fix_bytes", "fix_file", "with_edits",
    "write_atomically",
]  # fmt: skip
