"""Audits the weights a neural network starts from, before the first training step."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from initaudit import version

if TYPE_CHECKING:
    from initaudit.finding import Report

__version__ = version.VERSION

__all__ = ["UnhealthyError", "__version__", "assert_healthy", "audit"]


class UnhealthyError(AssertionError):
    """What `assert_healthy` raises; the text is the report, ``report`` the same as values."""

    def __init__(self, text: str, report: Report) -> None:
        super().__init__(text)
        self.report = report


def audit(obj: object, **options: Any) -> Report:
    """Audit a checkpoint or source and return what was found, measured and not judged.

    ``obj`` is a path (of a file or folder, of either), a mapping of names to arrays (a tree of
    them, too, as Flax keeps parameters), anything with a ``state_dict()``, or a Keras model. The
    network of a live PyTorch module comes from its source, where that is found as text; nothing
    of it is run. ``options`` are the fields of `initaudit.options.Options`, such as
    ``activation="relu"``, ``stage="init"`` or ``input_shape=(3, 32, 32)``.

    Raises:
        OptionsError: for options that cannot be used.
        TypeError: for an object that is none of these, or an option that does not exist.
        ValueError: for an empty path.
    """
    from pathlib import Path

    from initaudit.options import Options
    from initaudit.running import run

    if "input_shape" in options and options["input_shape"] is not None:
        options["input_shape"] = tuple(options["input_shape"])
    told = Options(**options)
    if isinstance(obj, str | PathLike):
        if not fspath(obj):
            raise ValueError("the path is empty")
        return run([Path(obj)], told)
    from initaudit.auditing import audit_mapping

    if isinstance(obj, Mapping):
        nested = any(isinstance(value, Mapping) for value in obj.values())
        return audit_mapping(_flat(obj) if nested else obj, "mapping", told)
    if callable(state := getattr(obj, "state_dict", None)):
        from initaudit.declaring import audit_live

        arrays = state()
        live = audit_live(obj, arrays, told) if hasattr(obj, "_modules") else None
        return live or audit_mapping(arrays, type(obj).__name__, told)
    if isinstance(held := getattr(obj, "weights", None), list | tuple):
        named = {str(getattr(w, "path", getattr(w, "name", i))): w for i, w in enumerate(held)}
        return audit_mapping({k: _array(w) for k, w in named.items()}, type(obj).__name__, told)
    raise TypeError(
        f"cannot audit {type(obj).__name__}: give a path, a mapping of names to arrays, "
        "or an object with state_dict() or weights"
    )


def _flat(tree: Mapping[Any, Any], above: str = "") -> dict[str, Any]:
    """Return a tree of arrays, as Flax keeps them, by its paths joined with ``/``."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        path = f"{above}/{key}" if above else str(key)
        found |= _flat(value, path) if isinstance(value, Mapping) else {path: value}
    return found


def _array(weight: Any) -> Any:
    """Return a variable of Keras as an array."""
    return weight.numpy() if callable(getattr(weight, "numpy", None)) else weight


def assert_healthy(obj: object, *, fail_on: str = "warning", **options: Any) -> None:
    """Raise `UnhealthyError` with the text report if an audit finds a fault.

    ``fail_on`` is the lowest severity that counts: error, warning or note. An input that could not
    be judged counts as a fault. The other arguments are those of `audit`.

    Raises:
        UnhealthyError: with the report as its text.
        ValueError: for another ``fail_on``, and as `audit`.
        TypeError: as `audit`.
    """
    from initaudit.report import FORMATS, Style
    from initaudit.rulebook import Severity

    levels = {severity.name.lower(): severity for severity in Severity}
    if fail_on not in levels:
        raise ValueError(f"fail_on {fail_on!r}: must be one of {', '.join(levels)}")
    report = audit(obj, **options)
    bad = report.worst is not None and report.worst >= levels[fail_on]
    if bad or report.failed:
        text = FORMATS["text"](report, Style(width=100, colour=False))
        raise UnhealthyError("\n" + text, report)
