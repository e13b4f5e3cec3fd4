"""The model classes under fixtures/models, read and built, for the tests that compare the two."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from initaudit.catalogue import Catalogue, load
from initaudit.finding import Report
from initaudit.reading import choosing, model, passing
from initaudit.reading.state import State
from initaudit.reading.units import Files

FOLDER = Path(__file__).parent.parent / "fixtures" / "models"
Verdict = set[tuple[str, str]]


@cache
def catalogue() -> Catalogue:
    return load()


@cache
def classes(pattern: str) -> tuple[tuple[Path, str], ...]:
    """Return (file, class) of every model whose constructor needs no argument."""
    found = []
    files = Files()
    for path in sorted(FOLDER.glob(pattern)):
        unit = choosing.unit_of(files, path)
        for cls in choosing.models(State(files, catalogue()), unit):
            if not model.read(files, catalogue(), cls).opened:
                found.append((path, cls.name))
    return tuple(found)


@cache
def read(path: Path, name: str) -> model.Model:
    """Return a fixture's class as it is read."""
    files = Files()
    unit = choosing.unit_of(files, path)
    return model.read(files, catalogue(), choosing.find(State(files, catalogue()), unit, name))


@cache
def followed(path: Path, name: str) -> passing.Reading:
    """Return the forward pass of a fixture's class, over a small image where it takes any."""
    made = read(path, name)
    _, stored = passing.declared(made, 0)
    reading = passing.follow(made, stored)
    shape = reading.entries[0].shape if reading.entries else ()
    if len(shape) == 3:
        small = passing.follow(made, stored, (shape[0], 16, 16))
        return reading if small.stopped else small
    return reading


def module(path: Path) -> Any:
    """Return a fixture's file, imported."""
    if path.stem not in sys.modules:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[path.stem] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[path.stem])
    return sys.modules[path.stem]


def verdict(report: Report) -> Verdict:
    """Return rule and severity of the findings about weights and the signal."""
    return {(f.rule, f.severity.name) for f in report.findings if f.rule < "IA3"}


def ids(found: Sequence[tuple[Path, str]]) -> list[str]:
    return [f"{path.stem}-{name}" for path, name in found]
