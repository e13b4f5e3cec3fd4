"""An import of timm where torchvision, whose operations its models do not use, is not installed."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

ROOT = "torchvision"


class _Word(type):
    """The type of classes of which every attribute is a word: members of enumerations."""

    def __getattr__(cls, name: str) -> str:
        if name.startswith("__"):
            raise AttributeError(name)
        return name


class _Empty(ModuleType):
    """A module that has a class, of which nothing is ever made, under every name."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Word(name, (), {})


class _Finder(MetaPathFinder, Loader):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        ours = fullname.partition(".")[0] == ROOT
        return ModuleSpec(fullname, self, is_package=True) if ours else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Empty(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


def timm() -> Any:
    """Return the package timm.

    Raises:
        ImportError: it is not installed.
    """
    absent = ROOT not in sys.modules and importlib.util.find_spec(ROOT) is None
    finder = _Finder()
    if absent:
        sys.meta_path.append(finder)
    try:
        with warnings.catch_warnings(action="ignore"):
            return importlib.import_module("timm")
    finally:
        if absent:
            sys.meta_path.remove(finder)
            for name in [n for n in sys.modules if n.partition(".")[0] == ROOT]:
                del sys.modules[name]
