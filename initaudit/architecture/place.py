"""Where steps of an architecture stand, and what their names stand for there."""

from __future__ import annotations

import re
from dataclasses import dataclass

_OWN = re.compile(r"\{([+-]\d{1,4})\}")


@dataclass(frozen=True, slots=True)
class Place:
    """A path that names are below, that of the block around, and the prefix of all names.

    ``number`` is that of the repetition, None outside of repeated blocks.
    """

    path: str
    outer: str = ""
    prefix: str = ""
    number: int | None = None

    def full(self, name: str) -> str:
        """Return the name in full: ``/`` as it stands, ``^``, ``~`` below another path.

        ``{+2}`` in it is the number of the repetition and two.
        """
        if self.number is not None and "{" in name:
            own = self.number
            name = _OWN.sub(lambda found: str(own + int(found[1])), name)
        if name.startswith("/"):
            return name[1:]
        if name.startswith("^"):
            return self.outer + name[1:]
        return self.prefix + name[1:] if name.startswith("~") else self.path + name
