"""Work that runs beside the pass it measures, on another core."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

import numpy as np


class Beside:
    """Runs one task at a time in a thread of its own; or at once, where it is not ``wanted``.

    A new task waits for the one before it, so that what tasks hold on to stays bounded. What a task
    raises is raised there, or by `wait`.
    """

    def __init__(self, wanted: bool) -> None:  # noqa: FBT001
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="initaudit") if wanted else None
        self._running: Future[None] | None = None

    def __enter__(self) -> Beside:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def run(self, task: Callable[[], None]) -> None:
        """Begin a task."""
        if self._pool is None:
            task()
            return
        self.wait()
        self._running = self._pool.submit(_quiet, task)

    def wait(self) -> None:
        """Wait for the task that runs."""
        running, self._running = self._running, None
        if running is not None:
            running.result()


def _quiet(task: Callable[[], None]) -> None:
    # The error state belongs to the thread.
    with np.errstate(all="ignore"):
        task()
