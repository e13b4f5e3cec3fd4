"""The results of many files, kept in memory as few large objects."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass, field

from initaudit.source.linting import Checked

_SOME = 64


@dataclass(slots=True)
class Packed:
    """Results by a number, all but the last few as bytes, which never leave this process.

    Small objects that live on where syntax trees have died scatter the next trees over memory,
    and parsing takes longer the more of them there are.
    """

    recent: list[tuple[int, Checked]] = field(default_factory=list)
    older: list[bytes] = field(default_factory=list)

    def put(self, i: int, checked: Checked) -> None:
        """Add the result of one file."""
        self.recent.append((i, checked))
        if len(self.recent) == _SOME:
            self.older.append(pickle.dumps(self.recent, pickle.HIGHEST_PROTOCOL))
            self.recent.clear()

    def all(self) -> Iterator[tuple[int, Checked]]:
        """Yield every result with its number, in the order in which they were put."""
        for some in self.older:
            yield from pickle.loads(some)  # noqa: S301  (made above)
        yield from self.recent
