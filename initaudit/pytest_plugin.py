"""The pytest plugin: a fixture that asserts that a freshly built model starts healthy."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import initaudit


@pytest.fixture(name="assert_healthy")
def _assert_healthy() -> Callable[..., None]:
    """Return `initaudit.assert_healthy`: fails with the report where an audit finds a fault."""
    return initaudit.assert_healthy
