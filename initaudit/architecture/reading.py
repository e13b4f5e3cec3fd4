"""An architecture's TOML file to its values, every mistake named with its place."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from initaudit.architecture.entries import (
    Agreement,
    Architecture,
    Block,
    Given,
    Nested,
    Setting,
    Step,
    Value,
)
from initaudit.architecture.references import unknown
from initaudit.architecture.settings import OPERATIONS

_TOP = frozenset(
    {"name", "model_types", "prefixes", "marks", "either", "without", "zeros", "whole",
     "expect", "settings", "inputs", "steps", "blocks", "agree", "notes"}
)  # fmt: skip
_STEP = frozenset(
    {"name", "as", "op", "from", "params", "optional", "when", "given", "role", "tied"}
)
_NESTED = frozenset(
    {"repeat", "path", "block", "from", "set", "first", "span", "gaps", "optional", "when",
     "join"}
)  # fmt: skip
_SETTING = frozenset(
    {"extent", "present", "same", "count", "config", "like", "case", "cases", "staged",
     "length", "among", "root", "less",
     "default", "divides", "most", "activation", "tell", *OPERATIONS}
)  # fmt: skip


class ArchitectureError(Exception):
    """An architecture's file that cannot be used; the text names the file, the place, the fault."""


def read(path: Path) -> Architecture:
    """Read one file.

    Raises:
        ArchitectureError: for a file that cannot be read or is not of the form.
    """
    try:
        tree = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ArchitectureError(f"{path}: {error}") from None
    try:
        made = _made(tree, path)
    except (TypeError, ValueError, IndexError) as error:
        raise ArchitectureError(f"{path}: {error}") from None
    if (name := unknown(made)) is not None:
        raise ArchitectureError(f"{path}: there is no setting {name!r}")
    return made


def _made(tree: Mapping[str, Any], path: Path) -> Architecture:
    where = str(path)
    _known(tree, _TOP, where)
    for key in ("name", "marks", "steps", "inputs"):
        if key not in tree:
            raise ArchitectureError(f"{where}: key {key!r} is missing")
    blocks = {
        name: _block(name, raw, f"{where}: blocks.{name}")
        for name, raw in _table(tree.get("blocks", {}), f"{where}: blocks").items()
    }
    made = Architecture(
        name=_string(tree["name"], f"{where}: name"),
        path=path,
        model_types=_strings(tree.get("model_types", []), f"{where}: model_types"),
        prefixes=_strings(tree.get("prefixes", [""]), f"{where}: prefixes"),
        marks=_strings(tree["marks"], f"{where}: marks"),
        without=_strings(tree.get("without", []), f"{where}: without"),
        either=_strings(tree.get("either", []), f"{where}: either"),
        zeros=_strings(tree.get("zeros", []), f"{where}: zeros"),
        whole=_strings(tree.get("whole", []), f"{where}: whole"),
        expect=_values(tree.get("expect", {}), f"{where}: expect"),
        settings=_settings(tree, where),
        inputs=tuple(
            _given(raw, f"{where}: inputs") for raw in _rows(tree["inputs"], f"{where}: inputs")
        ),
        steps=_steps(tree["steps"], f"{where}: steps"),
        blocks=blocks,
        agree=tuple(
            _agreement(raw, f"{where}: agree")
            for raw in _rows(tree.get("agree", []), f"{where}: agree")
        ),
        notes=_strings(tree.get("notes", []), f"{where}: notes"),
    )
    for steps in (made.steps, *(block.steps for block in blocks.values())):
        for step in steps:
            for name in step.blocks if isinstance(step, Nested) else ():
                if name not in blocks:
                    raise ArchitectureError(f"{where}: there is no block {name!r}")
    return made


def _block(name: str, raw: Any, where: str) -> Block:
    table = _table(raw, where)
    _known(table, frozenset({"steps", "needs", "without", "settings", "expect"}), where)
    return Block(
        name,
        _steps(table.get("steps", []), where),
        _strings(table.get("needs", []), where),
        _strings(table.get("without", []), where),
        _settings(table, where),
        _values(table.get("expect", {}), f"{where}: expect"),
    )


def _steps(raw: Any, where: str) -> tuple[Step | Nested, ...]:
    return tuple(_step(row, f"{where}[{i}]") for i, row in enumerate(_rows(raw, where)))


def _step(raw: Mapping[str, Any], where: str) -> Step | Nested:
    if "repeat" in raw or "path" in raw:
        _known(raw, _NESTED, where)
        given = raw.get("block")
        blocks = _strings([given] if isinstance(given, str) else given, f"{where}: block")
        span = raw.get("span")
        return Nested(
            pattern=_string(raw.get("repeat", raw.get("path")), where),
            blocks=blocks,
            source=_string(raw.get("from", "<"), where),
            settings=_values(raw.get("set", {}), where),
            first=_values(raw.get("first", {}), where),
            span=None if span is None else (int(span[0]), int(span[1])),
            gaps=bool(raw.get("gaps", span is not None)),
            optional=bool(raw.get("optional", False)),
            when=_values(raw.get("when", {}), where),
            join=_word(raw, "join", where),
        )
    if "op" not in raw or ("name" in raw) == ("as" in raw):
        raise ArchitectureError(f"{where}: a step has an op, and a name (of a module) or as")
    given = raw.get("from", "<")
    return Step(
        name=_string(raw.get("name", raw.get("as")), where),
        op=_string(raw["op"], where),
        module="name" in raw,
        sources=_strings([given] if isinstance(given, str) else given, where),
        params={k: _string(v, where) for k, v in _table(raw.get("params", {}), where).items()},
        optional=bool(raw.get("optional", False)),
        when=_values(raw.get("when", {}), where),
        given=_strings(raw.get("given", []), where),
        role=_word(raw, "role", where),
        tied=_word(raw, "tied", where),
        attributes=_values({k: v for k, v in raw.items() if k not in _STEP}, where),
    )


def _settings(holder: Mapping[str, Any], where: str) -> tuple[Setting, ...]:
    table = _table(holder.get("settings", {}), f"{where}: settings")
    return tuple(_setting(name, raw, f"{where}: settings.{name}") for name, raw in table.items())


def _setting(name: str, raw: Any, where: str) -> Setting:
    if not isinstance(raw, dict):
        return Setting(name, default=_value(raw, where))
    _known(raw, _SETTING, where)
    return Setting(
        name,
        extent=_extent(raw["extent"], where) if "extent" in raw else None,
        present=_word(raw, "present", where),
        same=_strings(raw.get("same", []), where),
        count=_word(raw, "count", where),
        config=_strings(raw.get("config", []), where),
        like=_word(raw, "like", where),
        case=_word(raw, "case", where),
        cases=_values(raw.get("cases", {}), where),
        staged=_strings(raw.get("staged", []), where),
        length=_word(raw, "length", where),
        among=_strings(raw.get("among", []), where),
        derived={key: _operands(raw[key], where) for key in raw if key in OPERATIONS},
        root=_word(raw, "root", where),
        less=int(raw.get("less", 0)),
        default=_value(raw["default"], where) if "default" in raw else None,
        divides=_word(raw, "divides", where),
        most=_extent(raw["most"], where) if "most" in raw else None,
        activation=bool(raw.get("activation", False)),
        tell=_word(raw, "tell", where),
    )


def _agreement(raw: Mapping[str, Any], where: str) -> Agreement:
    config = _string(raw.get("config"), where)
    told = {key: value for key, value in raw.items() if key != "config"}
    if len(told) != 1 or not told.keys() <= {"extent", "count", "like"}:
        raise ArchitectureError(f"{where}: a key agrees with one of extent, count and like")
    return Agreement(config, _setting(config, told, where))


def _operands(raw: Any, where: str) -> tuple[str | float, ...]:
    value = _value(raw, where)
    if not isinstance(value, tuple) or len(value) < 2:
        raise ArchitectureError(f"{where}: an operation works on a list of settings and numbers")
    return value


def _given(raw: Mapping[str, Any], where: str) -> Given:
    _known(raw, frozenset({"name", "shape", "tokens", "when"}), where)
    shape = raw.get("shape")
    if not isinstance(shape, list) or not shape:
        raise ArchitectureError(f"{where}: shape must list numbers and $settings")
    return Given(
        _string(raw.get("name"), where),
        tuple(shape),
        raw.get("tokens"),
        _values(raw.get("when", {}), where),
    )


def _extent(raw: Any, where: str) -> tuple[str, int]:
    if not isinstance(raw, list) or [type(x) for x in raw] != [str, int]:
        raise ArchitectureError(f"{where}: extent must be a stored name and an axis")
    return raw[0], raw[1]


def _known(table: Mapping[str, Any], keys: frozenset[str], where: str) -> None:
    if unknown := sorted(set(table) - keys):
        raise ArchitectureError(f"{where}: unknown key {unknown[0]!r}")


def _table(raw: Any, where: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise ArchitectureError(f"{where} must be a table")
    return raw


def _rows(raw: Any, where: str) -> list[dict[str, Any]]:
    if not isinstance(raw, list) or not all(isinstance(row, dict) for row in raw):
        raise ArchitectureError(f"{where} must list tables")
    return raw


def _string(raw: Any, where: str) -> str:
    if not isinstance(raw, str):
        raise ArchitectureError(f"{where} must be a string, not {raw!r}")
    return raw


def _word(table: Mapping[str, Any], key: str, where: str) -> str | None:
    return _string(table[key], f"{where}: {key}") if key in table else None


def _strings(raw: Any, where: str) -> tuple[str, ...]:
    if not isinstance(raw, list) or not all(isinstance(word, str) for word in raw):
        raise ArchitectureError(f"{where} must list strings")
    return tuple(raw)


def _values(raw: Any, where: str) -> dict[str, Value]:
    return {key: _value(value, where) for key, value in _table(raw, where).items()}


def _value(raw: Any, where: str) -> Value:
    if isinstance(raw, list) and all(isinstance(x, int | float | str) for x in raw):
        return tuple(raw)
    if isinstance(raw, int | float | str | bool):
        return raw
    raise ArchitectureError(f"{where}: {raw!r} is no number, word, truth value or list of them")
