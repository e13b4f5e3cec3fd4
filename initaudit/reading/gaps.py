"""What a source does not tell: numbers that are open, values unknown, and where a path ends."""

from __future__ import annotations

from dataclasses import dataclass

from initaudit.network import Site


class Open(int):
    """A whole number that the source leaves open; it holds one that could stand there.

    ``key`` names the argument that it is, where it is one as it was given.
    """

    key: str = ""

    @classmethod
    def of(cls, value: int, key: str) -> Open:
        """Return the number that stands for an argument."""
        made = cls(value)
        made.key = key
        return made


class Vague(float):
    """A number computed from one that the source leaves open."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that the source does not tell; ``key`` names what an argument of the model holds."""

    reason: str
    key: str = ""


class StopError(Exception):
    """Why the path ends here, as one line, and where."""

    def __init__(self, reason: str, site: Site | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.site = site


class UnfitError(StopError):
    """A call that a framework refuses with a TypeError: its arguments do not fit."""


class EndlessError(StopError):
    """The source takes too many steps: nothing is told of a model that is not followed whole."""
