"""The command line: parse, call, print, exit."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from initaudit import terminal
from initaudit.config import LEVELS, Config, ConfigError
from initaudit.config import find as find_config
from initaudit.config import read as read_config
from initaudit.finding import Report, unexpected
from initaudit.options import STAGES, Options, OptionsError
from initaudit.report import FORMATS
from initaudit.rulebook import RulebookError, Severity, load
from initaudit.version import VERSION

CLEAN, FOUND, FAILED, INTERRUPTED = 0, 1, 2, 130
_CONTEXT = {"help_option_names": ["-h", "--help"]}
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
_EPILOG = "Other commands: `initaudit explain RULE`, `initaudit rules` and `initaudit lab`."


class _Shape(click.ParamType[tuple[int, ...]]):
    name = "3,224,224"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        """Return ``3,224,224`` as a tuple."""
        try:
            shape = tuple(int(part) for part in str(value).split(","))
        except ValueError:
            shape = ()
        if not shape or min(shape) < 1:
            self.fail(f"{value!r} is not a list of whole numbers above zero such as 3,224,224")
        return shape


def _rule_list(ctx: Any, param: Any, values: Sequence[str]) -> tuple[str, ...]:
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())


def _pattern_list(ctx: Any, param: Any, values: Sequence[str]) -> tuple[tuple[str, str], ...]:
    found = []
    for value in values:
        pattern, colon, rules = value.rpartition(":")
        if not colon or not pattern or not rules:
            raise click.BadParameter(f"{value!r}: write PATTERN:RULE", ctx, param)
        found += [(pattern, rule.strip()) for rule in rules.split(",") if rule.strip()]
    return tuple(found)


@click.command(context_settings=_CONTEXT, epilog=_EPILOG)
@click.argument("paths", metavar="PATH...", nargs=-1, type=click.Path())
@click.option(
    "--select",
    multiple=True,
    metavar="RULE",
    callback=_rule_list,
    help="Use only these rules: ids, prefixes or names, separated by commas.",
)
@click.option(
    "--ignore", multiple=True, metavar="RULE", callback=_rule_list, help="Leave these rules out."
)
@click.option(
    "--extend-select",
    multiple=True,
    metavar="RULE",
    callback=_rule_list,
    help="Use these rules as well as those selected.",
)
@click.option(
    "--per-file-ignores",
    multiple=True,
    metavar="PATTERN:RULE",
    callback=_pattern_list,
    help="Leave rules out in the files that a pattern matches.",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="PATTERN",
    help="Leave out files and folders, in the manner of .gitignore.",
)
@click.option(
    "--force-exclude",
    is_flag=True,
    default=None,
    help="Leave them out even where they are named, as pre-commit does.",
)
@click.option(
    "--fail-on",
    type=click.Choice(LEVELS),
    help="Lowest severity that makes the exit code 1.  [default: warning]",
)
@click.option("--exit-zero", is_flag=True, help="Exit with 0 whatever was found.")
@click.option(
    "--strict",
    is_flag=True,
    default=None,
    help="Exit with 2 when anything at all could not be judged.",
)
@click.option(
    "--stage",
    type=click.Choice(STAGES),
    help="What the weights are, where the tool should not decide.  [default: auto]",
)
@click.option(
    "--model",
    metavar="FILE.py:NAME",
    help="Judge this model class as declared or, with a checkpoint, beside it.",
)
@click.option("--activation", metavar="NAME", help="The activation between the layers.")
@click.option("--input-shape", type=_Shape(), help="Shape of one input, channels first.")
@click.option("--seed", type=click.IntRange(0), help="Seed of the random inputs.  [default: 0]")
@click.option("--samples", type=click.IntRange(1), help="Number of inputs.  [default: 256]")
@click.option("--no-probe", is_flag=True, help="Skip the training steps on the replica.")
@click.option("--output-format", type=click.Choice(tuple(FORMATS)), help="[default: text]")
@click.option(
    "--output-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the report there instead of to standard output.",
)
@click.option(
    "--rules",
    "rule_folders",
    multiple=True,
    metavar="DIR",
    type=_FOLDER,
    help="Folder of rule pages merged over the built-in ones.",
)
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="A pyproject.toml to read instead of the nearest.",
)
@click.option("--fix", is_flag=True, help="Put right in source what is safe to.")
@click.option(
    "--unsafe-fixes",
    is_flag=True,
    help="With --fix or --diff: also what changes the numbers a network starts from.",
)
@click.option("--diff", is_flag=True, help="Show what --fix would change; write nothing.")
@click.option(
    "--baseline",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Leave out the findings that this file holds.",
)
@click.option(
    "--write-baseline",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write all findings to this file and exit with 0.",
)
@click.option("--statistics", is_flag=True, help="Print how often each rule was broken.")
@click.option(
    "--report-unused-ignores",
    is_flag=True,
    default=None,
    help="Report comments that ignore findings and match none.",
)
@click.option(
    "--stdin-filename",
    type=click.Path(path_type=Path),
    help="The name of the source on standard input (the path -).",
)
@click.option("--jobs", type=click.IntRange(1), help="Number of processes that read source.")
@click.option("--no-cache", is_flag=True, help="Read every file anew and keep nothing.")
@click.option(
    "--cache-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for what unchanged files came to.  [default: .initaudit_cache]",
)
@click.option("-q", "--quiet", is_flag=True, help="Print only findings and the closing line.")
@click.option("-v", "--verbose", is_flag=True, help="Print every layer and every place.")
@click.version_option(VERSION, prog_name="initaudit")
def audit(paths: tuple[str, ...], config_path: Path | None, **given: Any) -> int:
    """Audit the weights that networks start from, in source and in checkpoints.

    A PATH is a Python file, a notebook, a checkpoint, a folder that holds such, or - for source
    on standard input.

    Exits with 0 when nothing was found, 1 for findings, 2 when an input could not be judged.
    """
    if not paths and not given["model"]:
        raise click.UsageError("name a file or a folder: initaudit src/ model.safetensors")
    if "" in paths:
        raise click.UsageError("a PATH is empty: was it meant to come from a variable?")
    from initaudit.running import run

    settings = _settings(config_path, given)
    named = tuple(map(Path, paths))
    target = given["output_file"]
    _refuse_overwriting(target, named)
    known = _baseline(settings.baseline, given["write_baseline"])
    stdin = _stdin(named, given["stdin_filename"])
    _refuse_fixing(named, given)
    start = time.monotonic()
    count = 0
    try:
        with terminal.Watcher.on_terminal() as watcher:
            judge = partial(run, named, settings.options, watcher, stdin)
            if given["fix"] and not given["diff"]:
                from initaudit.fixing import fixed

                report, count = fixed(lambda: known(judge()), unsafe=given["unsafe_fixes"])
            else:
                report = judge()
    except OptionsError as error:
        raise click.UsageError("\n".join(error.mistakes)) from None
    if given["write_baseline"] is not None:
        return _keep(report, given["write_baseline"])
    if not given["fix"] or given["diff"]:
        report = known(report)
    if given["diff"]:
        return _diff(report, settings, given, stdin)
    if settings.format != "text" and any(f.fix for f in report.findings):
        from initaudit.fixing import with_fixes

        report = with_fixes(report, _given(stdin))
    report = replace(report, fixed=count)
    if settings.format == "text" and given["verbose"]:
        report = replace(report, seconds=time.monotonic() - start)
    style = terminal.style(
        to_file=target is not None, verbose=given["verbose"], quiet=given["quiet"]
    )
    style = replace(style, statistics=given["statistics"])
    _write(FORMATS[settings.format](report, style), target)
    return _exit_code(report, settings, exit_zero=given["exit_zero"])


def _refuse_fixing(paths: Sequence[Path], given: Mapping[str, Any]) -> None:
    if given["unsafe_fixes"] and not (given["fix"] or given["diff"]):
        raise click.UsageError("--unsafe-fixes goes with --fix or --diff")
    if given["fix"] and given["write_baseline"] is not None:
        raise click.UsageError("--write-baseline keeps what --fix would change: use one of them")
    if given["fix"] and not given["diff"] and Path("-") in paths:
        raise click.UsageError("--fix cannot write to standard input: --diff shows the change")


def _given(stdin: tuple[str, bytes] | None) -> Mapping[str, bytes]:
    return {} if stdin is None else {stdin[0]: stdin[1]}


def _diff(
    report: Report,
    settings: _Settings,
    given: Mapping[str, Any],
    stdin: tuple[str, bytes] | None,
) -> int:
    """Print what fixes would change, and on standard error how much."""
    from initaudit.fixing import planned, shown

    plans = planned(report, unsafe=given["unsafe_fixes"], given=_given(stdin))
    _write(shown(plans), given["output_file"])
    number = sum(plan.count for plan in plans)
    left = len(report.findings) - number
    files = f"{len(plans):,} file{'' if len(plans) == 1 else 's'}"
    click.echo(f"{number:,} would be fixed in {files}, {left:,} would be left.", err=True)
    return _exit_code(report, settings, exit_zero=given["exit_zero"])


def _stdin(paths: Sequence[Path], name: Path | None) -> tuple[str, bytes] | None:
    if Path("-") not in paths:
        return None
    return str(name or "-"), b"" if sys.stdin is None else sys.stdin.buffer.read()


def _baseline(path: Path | None, written: Path | None) -> Callable[[Report], Report]:
    """Return the function that leaves out what the baseline holds; read before the work."""
    if path is None or written is not None:
        return lambda report: report
    from initaudit.baseline import BaselineError, read, without

    try:
        known = read(path)
    except BaselineError as error:
        raise click.UsageError(str(error)) from None
    return lambda report: without(report, known, path)


def _keep(report: Report, path: Path) -> int:
    """Write the baseline and say so."""
    from initaudit.baseline import written

    _write(written(report, path), path)
    number = len(report.findings)
    sys.stderr.write(f"{path}: {number:,} finding{'' if number == 1 else 's'} written\n")
    for entry in report.unread:
        sys.stderr.write(f"{entry.site.path}: not read: {entry.reason}\n")
    return FAILED if report.failed else CLEAN


@click.command(context_settings=_CONTEXT)
@click.argument("rule")
@click.option("--rules", "rule_folders", multiple=True, type=_FOLDER)
def explain(rule: str, rule_folders: tuple[Path, ...]) -> int:
    """Print the page of a rule by id or name, or what net.py:Net.fc.weight starts from and why."""
    known = _load(rule_folders)
    if ".py:" in rule:
        return _explain_parameter(rule, rule_folders)
    found = [r for r in known.values() if rule.lower() in (r.id.lower(), r.name)]
    if not found:
        raise click.UsageError(f"{rule!r} is no rule: `initaudit rules` lists them")
    page = found[0]
    head = f"{page.severity.name.lower()}, {page.confidence.name.lower()} confidence"
    limits = ", ".join(f"{k} = {v:g}" for k, v in page.limits.items())
    _write(f"{page.markdown}\nSeverity: {head}. Limits: {limits or 'none'}.\n")
    return CLEAN


def _explain_parameter(text: str, folders: tuple[Path, ...]) -> int:
    from initaudit.declaring import explained

    try:
        _write(explained(text, Options(rules=folders)))
    except OptionsError as error:
        raise click.UsageError("\n".join(error.mistakes)) from None
    return CLEAN


@click.command(context_settings=_CONTEXT)
@click.option("--rules", "rule_folders", multiple=True, type=_FOLDER)
def rules(rule_folders: tuple[Path, ...]) -> int:
    """List the rules."""
    known = _load(rule_folders)
    widest = max(len(r.name) for r in known.values())
    lines = [
        f"{r.id}  {r.name:<{widest}}  {r.severity.name.lower():<7}  {_sentence(r.summary)}"
        for r in known.values()
    ]
    _write("\n".join(lines) + "\n")
    return CLEAN


_COMMANDS: Mapping[str, click.Command] = {"explain": explain, "rules": rules}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    command: click.Command = audit
    name = "initaudit"
    if words and words[0] in _COMMANDS:
        name = f"initaudit {words[0]}"
        command = _COMMANDS[words.pop(0)]
    elif words[:1] == ["lab"]:
        from initaudit.lab.command import lab

        name, command = f"initaudit {words.pop(0)}", lab
    sys.exit(_run(command, words, name))


def _run(command: click.Command, words: list[str], name: str) -> int:
    try:
        return int(command.main(words, prog_name=name, standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        return FAILED
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except Exception as error:  # no traceback reaches a user
        click.echo(f"Error: {unexpected(error)}", err=True)
        return FAILED


@dataclass(frozen=True, slots=True)
class _Settings:
    options: Options
    format: str
    fail_on: Severity
    strict: bool
    baseline: Path | None


def _settings(config_path: Path | None, given: Mapping[str, Any]) -> _Settings:
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
    )
    level = Severity[values.get("fail_on", "warning").upper()]
    baseline = values.get("baseline")
    return _Settings(
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


def _load(folders: Sequence[Path]) -> Mapping[str, Any]:
    try:
        return load(folders)
    except RulebookError as error:
        raise click.UsageError(str(error)) from None


def _sentence(summary: str) -> str:
    return " ".join(summary.split()).split(". ")[0].rstrip(".") + "."


def _write(text: str, target: Path | None = None) -> None:
    try:
        if target is None:
            terminal.write(text)
        else:
            target.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        where = "standard output" if target is None else target
        raise click.ClickException(f"{where}: cannot be written: {error.strerror}") from None


def _refuse_overwriting(target: Path | None, paths: Sequence[Path]) -> None:
    """Refuse a report over an input: a named file, a shard of it or a file of a named folder."""
    if target is None or not target.exists():
        return
    from initaudit.checkpoint import reading, settings
    from initaudit.inputs import SOURCES

    kinds = (*reading.FORMATS, *reading.REFUSED, settings.FILE, *SOURCES)
    stored = target.name.lower().endswith(kinds)
    if stored or any(path.exists() and path.samefile(target) for path in paths):
        raise click.UsageError(
            f"{target}: is a checkpoint, source or an input; the report may not replace it"
        )


def _exit_code(report: Report, settings: _Settings, *, exit_zero: bool) -> int:
    if report.failed or (settings.strict and report.unread):
        return FAILED
    found = report.worst is not None and report.worst >= settings.fail_on
    found |= bool(report.unused) and settings.fail_on <= Severity.WARNING
    return FOUND if found and not exit_zero else CLEAN
