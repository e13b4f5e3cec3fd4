"""A report whatever a source holds: what cannot be judged is told with its reason and place."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from initaudit.checkpoint.stored import CheckpointError
from initaudit.finding import Report, unexpected
from initaudit.network import Site, Unread
from initaudit.options import OptionsError
from initaudit.reading import choosing
from initaudit.reading.values import StopError
from initaudit.version import VERSION

_FRAMES = 8000
"""Python's own limit of calls within calls while a source is followed."""


@contextmanager
def deep() -> Iterator[None]:
    """Raise the limit of calls within calls while a source is followed."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, _FRAMES))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def guarded(cls: choosing.Named, audit: partial[Report]) -> Report:
    """Return a report whatever a source holds: the other models are still judged."""
    try:
        with deep():
            return audit()
    except (OptionsError, CheckpointError):
        raise
    except StopError as stop:
        return left(cls, stop.reason, stop.site)
    except RecursionError:
        reason = "it is nested too deeply"
    except Exception as error:
        reason = unexpected(error)
    return left(cls, reason, None)


def left(cls: choosing.Named, reason: str, site: Site | None) -> Report:
    """Return a report that says why a model is not judged."""
    place = site or cls.unit.site(cls.node)
    unread = Unread(line(place), f"{cls.name} is not judged: {reason}")
    return Report(unread=(unread,), failed=True, version=VERSION)


def line(site: Site) -> Site:
    """Return a place without its columns."""
    return Site(site.path, site.line)
