from __future__ import annotations

import os

import pytest

# The products of small networks gain nothing from threads, and idle ones spin.
for _library in ("OPENBLAS", "OMP", "MKL"):
    os.environ.setdefault(f"{_library}_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update",
        action="store_true",
        help="write the snapshots anew from what is rendered now, instead of comparing",
    )


@pytest.fixture(autouse=True)
def _width_of_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the width of the report to the test: runners that share tests out set COLUMNS."""
    monkeypatch.delenv("COLUMNS", raising=False)
