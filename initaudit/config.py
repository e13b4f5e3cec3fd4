"""``[tool.initaudit]`` of a pyproject.toml, every mistake in it reported at once."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from initaudit.nearest import meant
from initaudit.options import STAGES, Options, OptionsError, every_rule
from initaudit.report import FORMATS

LEVELS = ("error", "warning", "note")


class ConfigError(ValueError):
    """A configuration that cannot be used; ``mistakes`` are one line each, the file first."""

    def __init__(self, path: Path, mistakes: list[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.path = path
        self.mistakes = tuple(f"{path}: {mistake}" for mistake in mistakes)


@dataclass(frozen=True, slots=True)
class Config:
    """What a configuration says: ``values`` by option name, ``limits`` by rule and name."""

    path: Path | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def find(start: Path) -> Path | None:
    """Return the nearest pyproject.toml at or above ``start`` that has ``[tool.initaudit]``."""
    for folder in (start, *start.parents):
        candidate = folder / "pyproject.toml"
        try:
            if candidate.is_file() and _table(candidate) is not None:
                return candidate
        except ConfigError:
            # A file that another tool must complain about is ours only where it names us.
            if "tool.initaudit" in candidate.read_text(encoding="utf-8", errors="replace"):
                return candidate
        except OSError:
            continue
    return None


def read(path: Path) -> Config:
    """Read the configuration of a file.

    Raises:
        ConfigError: with all that is wrong.
    """
    table = _table(path)
    if table is None:
        raise ConfigError(path, ["has no [tool.initaudit]"])
    mistakes: list[str] = []
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key == "limits":
            continue
        if key not in _KEYS:
            hint = meant(key, (*_KEYS, "limits")) or f"known are {', '.join(sorted(_KEYS))}"
            mistakes.append(f"tool.initaudit.{key}: unknown; {hint}")
            continue
        right, wanted = _KEYS[key]
        if not right(value):
            mistakes.append(f"tool.initaudit.{key}: must be {wanted}")
        else:
            values[key.replace("-", "_")] = value
    limits = table.get("limits", {})
    mistakes += _limits(limits)
    if "rules" in values:
        values["rules"] = [str(path.parent / folder) for folder in values["rules"]]
    mistakes += _unusable(values, limits)
    if mistakes:
        raise ConfigError(path, mistakes)
    for key in ("baseline", "cache_dir"):
        if key in values:
            values[key] = str(path.parent / values[key])
    return Config(path, values, limits)


def _table(path: Path) -> dict[str, Any] | None:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(path, [f"cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise ConfigError(path, ["is not UTF-8"]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(path, [f"is not TOML: {error}"]) from None
    tool = document.get("tool")
    table = tool.get("initaudit") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise ConfigError(path, ["tool.initaudit: must be a table"])
    return table


def _limits(limits: object) -> list[str]:
    if not isinstance(limits, dict):
        return ["tool.initaudit.limits: must be a table of tables, such as [...limits.IA103]"]
    return [
        f"tool.initaudit.limits.{key}: must be a table of numbers"
        for key, values in limits.items()
        if not isinstance(values, dict)
    ]


def _unusable(values: Mapping[str, Any], limits: object) -> list[str]:
    """Return what is wrong with values that are of the right kind."""
    told = Options(
        activation=values.get("activation"),
        seed=values.get("seed", Options().seed),
        samples=values.get("samples", Options().samples),
        select=tuple(values.get("select", ())),
        extend_select=tuple(values.get("extend_select", ())),
        ignore=tuple(values.get("ignore", ())),
        per_file_ignores=values.get("per_file_ignores", {}),
        limits={k: v for k, v in limits.items() if isinstance(v, dict)}
        if isinstance(limits, dict)
        else {},
        rules=tuple(map(Path, values.get("rules", ()))),
    )
    try:
        every_rule(told)
    except OptionsError as error:
        return [f"tool.initaudit: {mistake}" for mistake in error.mistakes]
    return []


def _strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(v, str) for v in value)


def _lists(value: object) -> bool:
    return isinstance(value, dict) and all(_strings(v) for v in value.values())


def _whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _shape(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(_whole(v) and v > 0 for v in value)


def _one_of(words: tuple[str, ...]) -> tuple[Callable[[object], bool], str]:
    return lambda value: value in words, "one of " + ", ".join(words)


_TRUTH = (lambda value: isinstance(value, bool), "true or false")
_LIST = (_strings, "a list of strings")
_NUMBER = (_whole, "a whole number")
_STRING = (lambda value: isinstance(value, str), "a string")
_FEW = (lambda value: _whole(value) and value > 0, "a whole number above zero")

_KEYS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "select": _LIST,
    "ignore": _LIST,
    "rules": _LIST,
    "fail-on": _one_of(LEVELS),
    "stage": _one_of(STAGES),
    "activation": _STRING,
    "input-shape": (_shape, "a list of whole numbers above zero"),
    "output-format": _one_of(tuple(FORMATS)),
    "seed": _NUMBER,
    "samples": _NUMBER,
    "probe": _TRUTH,
    "strict": _TRUTH,
    "extend-select": _LIST,
    "per-file-ignores": (_lists, 'a table of lists, such as {"tests/*" = ["IA401"]}'),
    "exclude": _LIST,
    "force-exclude": _TRUTH,
    "baseline": _STRING,
    "cache": _TRUTH,
    "cache-dir": _STRING,
    "jobs": _FEW,
    "report-unused-ignores": _TRUTH,
}
