"""The known name that a misspelt one was meant to be."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], number: int = 1, cutoff: float = 0.6) -> list[str]:
    """Return up to ``number`` known names that are like ``word``, whatever its case, best first.

    ``cutoff`` is the least similarity, from 0 to 1, as `difflib.get_close_matches` measures it.
    """
    # Imported here: a run without a mistake has no use for it.
    from difflib import get_close_matches

    folded = {name.lower(): name for name in known}
    return [folded[name] for name in get_close_matches(word.lower(), folded, number, cutoff)]


def meant(word: str, known: Iterable[str], number: int = 1, cutoff: float = 0.6) -> str:
    """Return ``did you mean ...?`` with the nearest known names, or nothing."""
    near = nearest(word, known, number, cutoff)
    return f"did you mean {' or '.join(near)}?" if near else ""
