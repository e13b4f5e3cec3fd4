"""The experiments: one module each, with ``TITLE``, ``ABOUT`` and ``run(settings)``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from types import ModuleType

from initaudit.lab.results import Result
from initaudit.lab.settings import Settings

NAMES = ("zero", "constant", "small", "large", "proper", "depth", "mixed", "detect", "slow")
_LONGEST_FIRST = (
    "proper",
    "depth",
    "slow",
    "large",
    "small",
    "detect",
    "constant",
    "mixed",
    "zero",
)
_WORKERS = 2


def run(name: str, settings: Settings) -> Result:
    """Run one experiment.

    Raises:
        InitialiserError, TrainError: for settings that it cannot be run with.
    """
    result: Result = _module(name).run(settings)
    return result


def run_all(
    settings: Settings, progress: Callable[[str, float], None] = lambda what, share: None
) -> Iterator[Result]:
    """Yield the results of all experiments, in order; two processes run them where there are cores.

    Raises:
        InitialiserError, TrainError: as `run`.
    """
    workers = min(_WORKERS, os.cpu_count() or 1)
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        waiting = {name: pool.submit(run, name, settings) for name in _LONGEST_FIRST}
        for i, name in enumerate(NAMES):
            progress(f"running {name}", i / len(NAMES))
            yield waiting[name].result()


def titles() -> Mapping[str, str]:
    """Return what each experiment is about, in a few words."""
    return {name: str(_module(name).TITLE) for name in NAMES}


def _module(name: str) -> ModuleType:
    return import_module(f"{__name__}.{name}")
