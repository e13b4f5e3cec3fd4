"""Names and paths as they may be printed."""

from __future__ import annotations


def printable(text: str, *, limit: int | None = 120) -> str:
    r"""Return a name on one line: what a terminal would act on is escaped, and a long one is cut.

    Bytes of a path that are no UTF-8 appear as ``\udcXX``.
    """
    if limit is not None and len(text) > limit:
        text = text[: limit - 3] + "..."
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )
