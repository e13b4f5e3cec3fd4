"""The experiments: one module each, with ``TITLE``, ``ABOUT`` and ``run(settings)``."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import ModuleType

from initaudit.lab.results import Result
from initaudit.lab.settings import Settings

NAMES = ("zero", "constant", "small", "large", "proper", "depth", "mixed", "detect", "slow")


def run(name: str, settings: Settings) -> Result:
    """Run one experiment.

    Raises:
        InitialiserError, TrainError: for settings that it cannot be run with.
    """
    result: Result = _module(name).run(settings)
    return result


def titles() -> Mapping[str, str]:
    """Return what each experiment is about, in a few words."""
    return {name: str(_module(name).TITLE) for name in NAMES}


def _module(name: str) -> ModuleType:
    return import_module(f"{__name__}.{name}")
