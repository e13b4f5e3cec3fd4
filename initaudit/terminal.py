"""Standard output and standard error: what they can show, and what becomes of them."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from contextlib import AbstractContextManager
from typing import Any

from initaudit.report import Style

_PIPE_WIDTH = 100


def style(*, to_file: bool, verbose: bool, quiet: bool) -> Style:
    """Return how a report may look on standard output, or in a file."""
    stream = None if to_file else sys.stdout
    terminal = stream is not None and stream.isatty()
    colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    encoding = "utf-8" if stream is None else (stream.encoding or "ascii").lower()
    measured = terminal or "COLUMNS" in os.environ
    return Style(
        width=shutil.get_terminal_size((_PIPE_WIDTH, 25)).columns if measured else _PIPE_WIDTH,
        colour=colour,
        verbose=verbose,
        quiet=quiet,
        ascii=not encoding.startswith("utf"),
    )


def write(text: str) -> None:
    """Write to standard output, escaping what its encoding lacks.

    A reader that has left, or an output that was closed from the start, is no failure.

    Raises:
        OSError: it cannot be written to, as on a full disk.
    """
    stream = sys.stdout
    if stream is None:
        return
    encoding = stream.encoding or "ascii"
    try:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except BrokenPipeError:
        _discard()
    except OSError:
        _discard()
        raise


def _discard() -> None:
    """Let what standard output still holds go nowhere, or flushing it at exit fails again."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


class Watcher(AbstractContextManager["Watcher"]):
    """A progress bar on standard error, from the first second on and only for a person."""

    DELAY = 1.0

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._start = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    @classmethod
    def on_terminal(cls) -> Watcher:
        """Return a watcher that shows a bar only where standard error is a terminal."""
        watched = sys.stderr is not None and sys.stderr.isatty()
        return cls(shown=watched and os.environ.get("TERM") != "dumb")

    def __call__(self, what: str, share: float) -> None:
        """Say what is being done and how far it is."""
        if not self._shown or time.monotonic() - self._start < self.DELAY:
            return
        if self._bar is None:
            self._bar = _bar()
            self._bar.start()
            self._task = self._bar.add_task(what, total=1.0)
        self._bar.update(self._task, description=what, completed=share)

    def __exit__(self, *details: object) -> None:
        if self._bar is not None:
            self._bar.stop()


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, no_color=bool(os.environ.get("NO_COLOR")))
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True)
