"""Regular expressions that begin with a plain word, found by the word.

A search for a word skips most of a text; one for a regular expression looks at every character.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property


def word_start(text: str, at: int) -> int:
    """Return where the word begins that a place lies in or right behind."""
    while at and (text[at - 1].isalnum() or text[at - 1] == "_"):
        at -= 1
    return at


@dataclass(frozen=True)
class Form:
    """A word, and the rest of a regular expression behind it."""

    word: str
    rest: str = ""

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(re.escape(self.word) + self.rest)

    def matches(self, text: str) -> Iterator[re.Match[str]]:
        """Yield the places that match, in order, none of which lies in another."""
        match_at = self._pattern.match
        at = text.find(self.word)
        while at >= 0:
            match = match_at(text, at)
            if match is not None:
                yield match
            at = text.find(self.word, at + 1 if match is None else match.end())

    def found(self, text: str) -> bool:
        """Return whether a place matches."""
        return next(self.matches(text), None) is not None
