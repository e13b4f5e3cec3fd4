"""A framework's TOML file to entries of the catalogue."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from initaudit.catalogue.entries import (
    FORMS,
    LAWS,
    REQUIRED,
    ROLES,
    UNKNOWN,
    Initialiser,
    LayerSpec,
    LayerWeight,
    Parameter,
    Required,
    Value,
)
from initaudit.catalogue.tables import CatalogueError, Kind, check, each, grouped, parse, strings
from initaudit.network import Fan, Interval, Weights

_HEAD = {"framework": str, "packages": list}
_TABLES = ("modules", "names", "strings", "returns", "laws", "methods", "initialisers", "layers")
_INITIALISER = {
    "like": str, "form": str, "parameters": list, "law": str, "numbers": dict, "fixed": dict,
    "deprecated": str,
}  # fmt: skip
_LAYER = {
    "like": str, "op": str, "parameters": list, "weights": dict, "inputs": str, "outputs": str,
    "kernel": str, "groups": str, "grouped": str, "dims": int, "gates": int, "attributes": dict,
    "options": dict, "activation": str,
}  # fmt: skip
_WEIGHT: Mapping[str, Kind] = {
    "init": str,
    "shape": list,
    "role": str,
    "keyword": str,
    "switch": (str, list),
}
_LAW = {"law": str, "mean": float, "scale": float, "fan": str}
_ZEROS = Weights("zeros", Interval.point(0.0), Interval.point(0.0))
_ONES = Weights("constant", Interval.point(1.0), Interval.point(0.0))


@dataclass(frozen=True, slots=True)
class Head:
    """What a file says before its first table: enough to know when it is needed."""

    path: Path
    text: str
    framework: str
    packages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Framework:
    """One file's entries by qualified name; ``modules`` and ``names`` are other names of them."""

    name: str
    modules: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    strings: Mapping[str, str] = field(default_factory=dict)
    returns: Mapping[str, str] = field(default_factory=dict)
    methods: Mapping[str, Initialiser] = field(default_factory=dict)
    initialisers: Mapping[str, Initialiser] = field(default_factory=dict)
    layers: Mapping[str, LayerSpec] = field(default_factory=dict)


def head(path: Path) -> Head:
    """Read a file and the keys before its first table.

    Raises:
        CatalogueError: for a file that cannot be read or lacks ``framework`` or ``packages``.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogueError(f"{path}: cannot be read: {error}") from None
    top = parse(text.partition("\n[")[0], str(path))
    check(top, _HEAD, str(path), required=tuple(_HEAD))
    return Head(path, text, top["framework"], tuple(map(str, top["packages"])))


def framework(file: Head) -> Framework:
    """Read the whole of a file.

    Raises:
        CatalogueError: for anything that is unknown, missing or of the wrong type.
    """
    where = str(file.path)
    tree = parse(file.text, where)
    if unknown := sorted(set(tree) - set(_HEAD) - set(_TABLES)):
        raise CatalogueError(f"{where}: unknown key {unknown[0]!r}")
    for table in _TABLES:
        if not isinstance(tree.get(table, {}), dict):
            raise CatalogueError(f"{where}: {table!r} must be a table")
    laws = {"zeros": _ZEROS, "ones": _ONES}
    laws |= each(tree, "laws", where, _law)

    def layer(name: str, raw: dict[str, Any], place: str) -> LayerSpec:
        return _layer(name, raw, place, file.framework, laws)

    def initialiser(name: str, raw: dict[str, Any], place: str) -> Initialiser:
        return _initialiser(name, raw, place, file.framework)

    return Framework(
        name=file.framework,
        modules=strings(tree, "modules", where),
        names=strings(tree, "names", where),
        strings=strings(tree, "strings", where),
        returns=strings(tree, "returns", where),
        methods=each(tree, "methods", where, initialiser),
        initialisers=grouped(tree, "initialisers", where, initialiser),
        layers=grouped(tree, "layers", where, layer),
    )


def _initialiser(name: str, raw: dict[str, Any], place: str, framework: str) -> Initialiser:
    check(raw, _INITIALISER, place, required=("form", "law"))
    parameters = _parameters(raw.get("parameters", []), place)
    fixed = {role: _value(value, place) for role, value in raw.get("fixed", {}).items()}
    numbers = strings(raw, "numbers", place)
    names = {p.name for p in parameters}
    for held, complaint in (
        (raw["form"] in FORMS, f"form is one of {', '.join(FORMS)}"),
        (raw["law"] in LAWS, f"law is one of {', '.join(LAWS)}"),
        ({*numbers, *fixed} <= {*ROLES}, f"roles are {', '.join(ROLES)}"),
        ({*numbers.values()} <= names, "numbers name parameters of the entry"),
    ):
        if not held:
            raise CatalogueError(f"{place}: {complaint}")
    return Initialiser(
        name, framework, raw["form"], parameters, raw["law"], numbers, fixed, raw.get("deprecated")
    )


def _layer(
    name: str, raw: dict[str, Any], place: str, framework: str, laws: Mapping[str, Weights]
) -> LayerSpec:
    check(raw, _LAYER, place, required=("op",))
    parameters = _parameters(raw.get("parameters", []), place)
    names = {p.name for p in parameters}
    strings(raw, "options", place)
    spec = LayerSpec(
        name,
        framework,
        raw["op"],
        parameters,
        {
            key: _weight(key, value, f"{place}.weights.{key}", laws)
            for key, value in raw.get("weights", {}).items()
        },
        **{key: raw[key] for key in _LAYER if key in raw and key not in _SPELLED},
    )
    named = [spec.inputs, spec.outputs, spec.kernel, spec.groups, spec.activation]
    named += [n for w in spec.weights.values() for n in (w.keyword, *w.switches)]
    for other in (*named, *spec.options.values()):
        if other is not None and other not in names:
            raise CatalogueError(f"{place}: {other!r} is not a parameter")
    return spec


_SPELLED = ("like", "op", "parameters", "weights")


def _weight(name: str, raw: object, place: str, laws: Mapping[str, Weights]) -> LayerWeight:
    if not isinstance(raw, dict):
        raise CatalogueError(f"{place}: must be a table")
    check(raw, _WEIGHT, place, required=("init", "shape"))
    if not all(isinstance(axis, str | int) for axis in raw["shape"]):
        raise CatalogueError(f"{place}: an axis is a role, a parameter or a size")
    if raw["init"] not in laws:
        raise CatalogueError(f"{place}: init {raw['init']!r} is not in [laws]")
    switch = raw.get("switch", [])
    return LayerWeight(
        name,
        raw.get("role", name),
        tuple(raw["shape"]),
        laws[raw["init"]],
        raw.get("keyword"),
        tuple(map(str, switch)) if isinstance(switch, list) else (switch,),
    )


def _law(name: str, raw: dict[str, Any], place: str) -> Weights:
    del name
    check(raw, _LAW, place, required=("law",))
    fan = raw.get("fan", "none")
    if raw["law"] not in LAWS or fan not in get_args(Fan):
        raise CatalogueError(f"{place}: no such law or fan")
    unknown = raw["law"] == "unknown"
    return Weights(
        raw["law"],
        Interval.unknown() if unknown else Interval.point(raw.get("mean", 0.0)),
        Interval(0.0, float("inf")) if "scale" not in raw and unknown
        else Interval.point(raw.get("scale", 0.0)),
        fan,
    )  # fmt: skip


def _parameters(raw: list[Any], place: str) -> tuple[Parameter, ...]:
    """Read ``["x", ["y", 0.5], ["z"], "*", "w"]``: x required, z None, w keyword-only.

    ``"*name"`` is variadic; ``"**name"`` stands for all other keywords.
    """
    found: list[Parameter] = []
    keyword = False
    for item in raw:
        if item == "*":
            keyword = True
            continue
        parts = item if isinstance(item, list) else [item]
        if not parts or not isinstance(parts[0], str) or len(parts) > 2:
            raise CatalogueError(f"{place}: a parameter is a name or [name, default]: {item!r}")
        name = parts[0]
        default: Value | Required = REQUIRED
        if isinstance(item, list):
            default = _value(parts[1], place) if len(parts) == 2 else None
        if name.startswith("**"):
            found.append(Parameter(name[2:], default, "others"))
        elif name.startswith("*"):
            found.append(Parameter(name[1:], default, "variadic"))
            keyword = True
        else:
            found.append(Parameter(name, default, "keyword" if keyword else "plain"))
    return tuple(found)


def _value(raw: object, place: str) -> Value:
    match raw:
        case "?":
            return UNKNOWN
        case str() | bool():
            return raw
        case int() | float() if not math.isnan(raw):
            return Interval.point(float(raw))
        case list():
            return tuple(_value(v, place) for v in raw)
        case {"lo": int() | float() as lo, "hi": int() | float() as hi} if lo <= hi:
            return Interval(float(lo), float(hi))
        case _:
            raise CatalogueError(f"{place}: not a number, text, list or {{ lo, hi }}: {raw!r}")
