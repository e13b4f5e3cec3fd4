"""The settings of an audit: what is given, over what the configuration says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from initaudit.config import Config, ConfigError
from initaudit.config import find as find_config
from initaudit.config import read as read_config
from initaudit.options import Options
from initaudit.rulebook import Severity


@dataclass(frozen=True, slots=True)
class Settings:
    """What an audit is asked for, and what the exit code follows from."""

    options: Options
    format: str
    fail_on: Severity
    strict: bool
    baseline: Path | None


def settings_of(config_path: Path | None, given: Mapping[str, Any]) -> Settings:
    """Return the options given over those of a configuration, the nearest if none is named."""
    config = _config(config_path)
    values = dict(config.values)
    for key in ("stage", "activation", "input_shape", "seed", "samples", "output_format",
                "fail_on", "strict", "force_exclude", "baseline", "cache_dir", "jobs",
                "report_unused_ignores"):  # fmt: skip
        if given[key] is not None:
            values[key] = given[key]
    for key in ("select", "ignore"):
        if given[key]:
            values[key] = given[key]
    for key in ("extend_select", "exclude"):
        values[key] = (*values.get(key, ()), *given[key])
    folders = (*map(Path, values.get("rules", ())), *given["rule_folders"])
    shape = values.get("input_shape")
    defaults = Options()
    formats = (values.get("output_format"), *(form for form, _ in given["also"]))
    options = Options(
        stage=values.get("stage", defaults.stage),
        activation=values.get("activation"),
        input_shape=None if shape is None else tuple(shape),
        seed=values.get("seed", defaults.seed),
        samples=values.get("samples", defaults.samples),
        probe=values.get("probe", defaults.probe) and not given["no_probe"],
        select=tuple(values.get("select", ())),
        ignore=tuple(values.get("ignore", ())),
        limits=config.limits,
        rules=folders,
        extend_select=values["extend_select"],
        per_file_ignores=_merged(values.get("per_file_ignores", {}), given["per_file_ignores"]),
        exclude=values["exclude"],
        force_exclude=values.get("force_exclude", False),
        base=None if config.path is None else config.path.absolute().parent,
        cache=_cache(values, config, off=given["no_cache"]),
        jobs=values.get("jobs"),
        strict=bool(values.get("strict", False)),
        unused_ignores=values.get("report_unused_ignores", False),
        model=given["model"],
        suggest="html" in formats,
    )
    level = Severity[values.get("fail_on", "warning").upper()]
    baseline = values.get("baseline")
    return Settings(
        options,
        values.get("output_format", "text"),
        level,
        options.strict,
        None if baseline is None else Path(baseline),
    )


def _merged(
    config: Mapping[str, Sequence[str]], given: Sequence[tuple[str, str]]
) -> Mapping[str, tuple[str, ...]]:
    merged = {pattern: tuple(rules) for pattern, rules in config.items()}
    for pattern, rule in given:
        merged[pattern] = (*merged.get(pattern, ()), rule)
    return merged


def _cache(values: Mapping[str, Any], config: Config, *, off: bool) -> Path | None:
    """Return the folder of the cache: the one given, else one beside the configuration."""
    if off or not values.get("cache", True):
        return None
    if "cache_dir" in values:
        return Path(values["cache_dir"])
    return (Path() if config.path is None else config.path.parent) / ".initaudit_cache"


def _config(path: Path | None) -> Config:
    found = path or find_config(Path.cwd())
    if found is None:
        return Config()
    try:
        return read_config(found)
    except ConfigError as error:
        raise click.UsageError("\n".join(error.mistakes)) from None
