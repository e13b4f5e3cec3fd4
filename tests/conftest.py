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
