"""``initaudit PATH...``: the audit."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from initaudit import terminal
from initaudit.arguments import Choice, Shape, Target
from initaudit.commands import NAMES
from initaudit.commands.common import (
    CLEAN,
    CONTEXT,
    FAILED,
    FOLDER,
    FOUND,
    refuse_overwriting,
    write,
)
from initaudit.commands.settings import Settings, settings_of
from initaudit.config import LEVELS
from initaudit.finding import Report
from initaudit.options import STAGES, OptionsError
from initaudit.report import FORMATS
from initaudit.rulebook import Severity
from initaudit.version import VERSION

_EPILOG = (
    "Other commands: `initaudit explain RULE`, `initaudit rules`, `initaudit compare A B`, "
    "`initaudit lab` and `initaudit completion SHELL`; each has a --help."
)


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


def completed(ctx: Any, param: Any, incomplete: str) -> list[CompletionItem]:
    """Return what a PATH may be completed to: the first word also to a command."""
    first = not ctx.params.get("paths")
    commands = [name for name in NAMES if first and name.startswith(incomplete)]
    return [*map(CompletionItem, commands), CompletionItem(incomplete, type="file")]


@click.command(context_settings=CONTEXT, epilog=_EPILOG)
@click.argument("paths", metavar="PATH...", nargs=-1, type=click.Path(), shell_complete=completed)
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
    type=Choice(LEVELS),
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
    type=Choice(STAGES),
    help="What the weights are, where the tool should not decide.  [default: auto]",
)
@click.option(
    "--model",
    metavar="FILE.py:NAME",
    help="Judge this model class as declared or, with a checkpoint, beside it.",
)
@click.option("--activation", metavar="NAME", help="The activation between the layers.")
@click.option("--input-shape", type=Shape(), help="Shape of one input, channels first.")
@click.option("--seed", type=click.IntRange(0), help="Seed of the random inputs.  [default: 0]")
@click.option("--samples", type=click.IntRange(1), help="Number of inputs.  [default: 256]")
@click.option("--no-probe", is_flag=True, help="Skip the training steps on the replica.")
@click.option("--output-format", type=Choice(tuple(FORMATS)), help="[default: text]")
@click.option(
    "--output-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the report there instead of to standard output.",
)
@click.option(
    "--also",
    multiple=True,
    type=Target(),
    help="Write the same report to a file in another format as well.",
)
@click.option(
    "--rules",
    "rule_folders",
    multiple=True,
    metavar="DIR",
    type=FOLDER,
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

    settings = settings_of(config_path, given)
    named = tuple(map(Path, paths))
    target = given["output_file"]
    _refuse_targets(given, named)
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
    wanted = [(settings.format, target), *given["also"]]
    if any(form != "text" for form, _ in wanted) and any(f.fix for f in report.findings):
        from initaudit.fixing import with_fixes

        report = with_fixes(report, _given(stdin))
    report = replace(report, fixed=count)
    seconds = time.monotonic() - start
    for form, file in wanted:
        timed = form == "text" and given["verbose"]
        style = terminal.style(
            to_file=file is not None, verbose=given["verbose"], quiet=given["quiet"]
        )
        style = replace(style, statistics=given["statistics"])
        write(FORMATS[form](replace(report, seconds=seconds) if timed else report, style), file)
    return _exit_code(report, settings, exit_zero=given["exit_zero"])


def _refuse_targets(given: Mapping[str, Any], paths: Sequence[Path]) -> None:
    files = [file for file in (given["output_file"], *(f for _, f in given["also"])) if file]
    for file in files:
        refuse_overwriting(file, paths)
    places = [file.resolve() for file in files]
    for i, file in enumerate(files):
        if places[i] in places[:i]:
            raise click.UsageError(f"{file}: two reports cannot be written to one file")
    if given["also"] and (given["diff"] or given["write_baseline"] is not None):
        raise click.UsageError("--also goes with a report: not with --diff or --write-baseline")


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
    settings: Settings,
    given: Mapping[str, Any],
    stdin: tuple[str, bytes] | None,
) -> int:
    """Print what fixes would change, and on standard error how much."""
    from initaudit.fixing import planned, shown

    plans = planned(report, unsafe=given["unsafe_fixes"], given=_given(stdin))
    write(shown(plans), given["output_file"])
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

    write(written(report, path), path)
    number = len(report.findings)
    sys.stderr.write(f"{path}: {number:,} finding{'' if number == 1 else 's'} written\n")
    for entry in report.unread:
        sys.stderr.write(f"{entry.site.path}: not read: {entry.reason}\n")
    return FAILED if report.failed else CLEAN


def _exit_code(report: Report, settings: Settings, *, exit_zero: bool) -> int:
    if report.failed or (settings.strict and report.unread):
        return FAILED
    found = report.worst is not None and report.worst >= settings.fail_on
    found |= bool(report.unused) and settings.fail_on <= Severity.WARNING
    return FOUND if found and not exit_zero else CLEAN
