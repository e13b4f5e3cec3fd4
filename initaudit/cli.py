"""The command line: parse, call, print, exit."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from initaudit.config import LEVELS, Config, ConfigError
from initaudit.config import find as find_config
from initaudit.config import read as read_config
from initaudit.finding import Report
from initaudit.options import STAGES, Options, OptionsError
from initaudit.report import FORMATS, Style
from initaudit.rulebook import RulebookError, Severity, load
from initaudit.version import VERSION

CLEAN, FOUND, FAILED, INTERRUPTED = 0, 1, 2, 130
_CONTEXT = {"help_option_names": ["-h", "--help"]}
_PIPE_WIDTH = 100
_EPILOG = "Other commands: `initaudit explain RULE` and `initaudit rules`."


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


@click.command(context_settings=_CONTEXT, epilog=_EPILOG)
@click.argument("paths", metavar="PATH...", nargs=-1, type=click.Path(path_type=Path))
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
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of rule pages merged over the built-in ones.",
)
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="A pyproject.toml to read instead of the nearest.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print only findings and the closing line.")
@click.option("-v", "--verbose", is_flag=True, help="Print every layer and every place.")
@click.version_option(VERSION, prog_name="initaudit")
def audit(paths: tuple[Path, ...], config_path: Path | None, **given: Any) -> int:
    """Audit the weights that networks start from: checkpoint files, or folders that hold them.

    Exits with 0 when nothing was found, 1 for findings, 2 when an input could not be judged.
    """
    if not paths:
        raise click.UsageError("name a checkpoint or a folder: initaudit model.safetensors")
    from initaudit.auditing import audit_paths

    settings = _settings(config_path, given)
    target = given["output_file"]
    _refuse_overwriting(target, paths)
    start = time.monotonic()
    try:
        with _Watcher.on_terminal() as watcher:
            report = audit_paths(paths, settings.options, watcher)
    except OptionsError as error:
        raise click.UsageError("\n".join(error.mistakes)) from None
    if settings.format == "text" and given["verbose"]:
        report = replace(report, seconds=time.monotonic() - start)
    _write(FORMATS[settings.format](report, _style(target, given)), target)
    return _exit_code(report, settings, exit_zero=given["exit_zero"])


@click.command(context_settings=_CONTEXT)
@click.argument("rule")
@click.option("--rules", "rule_folders", multiple=True, type=click.Path(path_type=Path))
def explain(rule: str, rule_folders: tuple[Path, ...]) -> int:
    """Print the page of a rule, by id or by name."""
    known = _load(rule_folders)
    found = [r for r in known.values() if rule.lower() in (r.id.lower(), r.name)]
    if not found:
        raise click.UsageError(f"{rule!r} is no rule: `initaudit rules` lists them")
    page = found[0]
    head = f"{page.severity.name.lower()}, {page.confidence.name.lower()} confidence"
    limits = ", ".join(f"{k} = {v:g}" for k, v in page.limits.items())
    _write(f"{page.markdown}\nSeverity: {head}. Limits: {limits or 'none'}.\n", None)
    return CLEAN


@click.command(context_settings=_CONTEXT)
@click.option("--rules", "rule_folders", multiple=True, type=click.Path(path_type=Path))
def rules(rule_folders: tuple[Path, ...]) -> int:
    """List the rules."""
    known = _load(rule_folders)
    widest = max(len(r.name) for r in known.values())
    lines = [
        f"{r.id}  {r.name:<{widest}}  {r.severity.name.lower():<7}  {_sentence(r.summary)}"
        for r in known.values()
    ]
    _write("\n".join(lines) + "\n", None)
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
    sys.exit(_run(command, words, name))


def _run(command: click.Command, words: list[str], name: str) -> int:
    try:
        return int(command.main(words, prog_name=name, standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        return FAILED
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of the pipe has left: what remains to be flushed must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLEAN


@dataclass(frozen=True, slots=True)
class _Settings:
    options: Options
    format: str
    fail_on: Severity
    strict: bool


def _settings(config_path: Path | None, given: Mapping[str, Any]) -> _Settings:
    config = _config(config_path)
    values = dict(config.values)
    for key in ("stage", "activation", "input_shape", "seed", "samples", "output_format",
                "fail_on", "strict"):  # fmt: skip
        if given[key] is not None:
            values[key] = given[key]
    for key in ("select", "ignore"):
        if given[key]:
            values[key] = given[key]
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
    )
    level = Severity[values.get("fail_on", "warning").upper()]
    return _Settings(options, values.get("output_format", "text"), level, bool(
        values.get("strict", False)
    ))  # fmt: skip


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


def _style(target: Path | None, given: Mapping[str, Any]) -> Style:
    terminal = target is None and sys.stdout.isatty()
    colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    encoding = (sys.stdout.encoding or "ascii").lower() if target is None else "utf-8"
    width = _columns() if terminal or "COLUMNS" in os.environ else _PIPE_WIDTH
    return Style(
        width=width,
        colour=colour,
        verbose=given["verbose"],
        quiet=given["quiet"],
        ascii=not encoding.startswith("utf"),
    )


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size((_PIPE_WIDTH, 25)).columns


def _write(text: str, target: Path | None) -> None:
    if target is None:
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise click.UsageError(f"{target}: cannot be written: {error.strerror}") from None


def _refuse_overwriting(target: Path | None, paths: Sequence[Path]) -> None:
    if target is None or not target.exists():
        return
    if any(path.exists() and path.samefile(target) for path in paths):
        raise click.UsageError(f"{target}: is an input; the report may not replace it")


def _exit_code(report: Report, settings: _Settings, *, exit_zero: bool) -> int:
    if report.failed or (settings.strict and report.unread):
        return FAILED
    found = report.worst is not None and report.worst >= settings.fail_on
    return FOUND if found and not exit_zero else CLEAN


class _Watcher(AbstractContextManager["_Watcher"]):
    """A progress bar on standard error, from the first second on and only for a person."""

    DELAY = 1.0

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._start = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    @classmethod
    def on_terminal(cls) -> _Watcher:
        """Return a watcher that shows a bar only where standard error is a terminal."""
        return cls(shown=sys.stderr.isatty() and os.environ.get("TERM") != "dumb")

    def __call__(self, what: str, share: float) -> None:
        """Say what is being done and how far it is."""
        if not self._shown or time.monotonic() - self._start < self.DELAY:
            return
        if self._bar is None:
            self._bar = _bar()
            self._bar.start()
            self._task = self._bar.add_task(what, total=1.0)
        self._bar.update(self._task, description=what, completed=share)

    def __exit__(self, *details: object) -> None:
        if self._bar is not None:
            self._bar.stop()


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, no_color=bool(os.environ.get("NO_COLOR")))
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True)
