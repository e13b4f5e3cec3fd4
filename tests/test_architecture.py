"""What the design promises about imports, held by reading the source."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import initaudit

PACKAGE = Path(initaudit.__file__).parent

# Each layer may import itself and the layers before it.
LAYERS = (
    {"nearest", "network", "version"},
    {"rulebook", "special", "signal", "graph", "fans", "places", "lora"},
    {"checkpoint", "replica", "finding"},
    {"architecture", "catalogue", "claims"},
    {"source", "reading"},
    {"judge", "remedy", "options", "inputs"},
    {"checks", "propagate"},
    {"assemble"},
    {"suggesting"},
    {"sending"},
    {"auditing"},
    {"declaring"},
    {"running"},
    {"report"},
    {"arguments", "config", "baseline", "fixing", "terminal"},
    {"lab", "comparing"},
    {"commands"},
    {"cli", "pytest_plugin"},
    {"__main__"},
)
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
FRAMEWORKS = {"torch", "tensorflow", "keras", "jax", "flax", "ml_dtypes"}


def modules() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


def imported(source: str) -> Iterator[str]:
    """Yield the modules that run-time code imports; typing-only imports do not count."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            if node.module == "initaudit":
                yield from (f"initaudit.{alias.name}" for alias in node.names)


def part(module: str) -> str:
    words = module.split(".")
    return words[1] if len(words) > 1 else ""


def test_every_module_has_a_layer() -> None:
    parts = {p.relative_to(PACKAGE).parts[0].removesuffix(".py") for p in modules()}
    assert parts == set(RANK)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_one_way(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for module in imported(path.read_text()):
        if module.startswith("initaudit.") and part(module) != "version":
            assert RANK[part(module)] <= RANK[own], module


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_framework_is_imported(path: Path) -> None:
    found = {module.split(".")[0] for module in imported(path.read_text())}
    assert not found & FRAMEWORKS


def test_reading_imports_sees_what_it_must() -> None:
    source = "import torch.nn\nfrom initaudit import graph\nfrom initaudit.cli import main"
    assert list(imported(source)) == [
        "torch.nn", "initaudit", "initaudit.graph", "initaudit.cli",
    ]  # fmt: skip


def test_help_needs_neither_numpy_nor_libcst() -> None:
    code = (
        "import sys\n"
        "from initaudit.cli import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "print('loaded:', sorted({'libcst', 'torch'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.endswith("loaded: []\n")
