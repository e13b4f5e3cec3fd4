"""``initaudit lab``: parse, run, print."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from initaudit import terminal
from initaudit.arguments import Choice, Shape
from initaudit.lab import experiments
from initaudit.lab.initialisers import InitialiserError, start
from initaudit.lab.nets import Plain, opened
from initaudit.lab.results import Result
from initaudit.lab.settings import OPTIMISERS, Settings
from initaudit.lab.train import TrainError
from initaudit.signal import ACTIVATIONS

_CONTEXT = {"help_option_names": ["-h", "--help"]}
_SUFFIXES = (".html", ".svg", ".png", ".txt")
_LONGEST = 100_000


def _settings(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of an experiment."""
    for option in reversed((
        click.option("--depth", type=click.IntRange(1, 1000), help="Number of hidden layers."),
        click.option("--width", type=click.IntRange(1, 10_000), help="Units of a hidden layer."),
        click.option("--activation", type=Choice(sorted(ACTIVATIONS)), metavar="NAME"),
        click.option(
            "--init",
            "initialiser",
            metavar="INIT",
            callback=_initialiser,
            help="A number; he, xavier, lecun, orthogonal, default; or any framework's "
            "initialiser: he_normal, 'normal_(0, 0.02)'. With a factor: '4 x xavier'.",
        ),
        click.option("--steps", type=click.IntRange(1, _LONGEST), help="Steps of training."),
        click.option(
            "--lr", "rate", type=click.FloatRange(0, min_open=True), help="Learning rate."
        ),
        click.option("--optimiser", "--optimizer", type=Choice(OPTIMISERS)),
        click.option("--seed", type=click.IntRange(0), default=0, show_default=True),
    )):  # fmt: skip
        command = option(command)
    return _output(command)


def _output(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed((
        click.option(
            "--output-file",
            type=click.Path(path_type=Path, dir_okay=False),
            help="Write a page (.html), pictures (.svg, .png) or text (.txt) there.",
        ),
        click.option("-q", "--quiet", is_flag=True, help="Leave the pictures out of the text."),
    )):  # fmt: skip
        command = option(command)
    return command


def _initialiser(ctx: Any, param: Any, value: str | None) -> str | None:
    if value is not None:
        try:
            start(value)
        except InitialiserError as error:
            raise click.BadParameter(str(error), ctx, param) from None
    return value


@click.group(context_settings=_CONTEXT, invoke_without_command=True)
@click.option("--all", "every", is_flag=True, help="Run every experiment.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@_output
@click.pass_context
def lab(
    context: click.Context, *, every: bool, seed: int, output_file: Path | None, quiet: bool
) -> None:
    """Run the failures of initialisation, each with real numbers and the rule that names it.

    Without a command: list the experiments.
    """
    if context.invoked_subcommand is not None:
        if every:
            raise click.UsageError("--all runs every experiment: leave the command out")
        if seed or quiet or output_file is not None:
            raise click.UsageError(f"write the options behind {context.invoked_subcommand}")
        return
    if not every:
        if output_file is not None:
            raise click.UsageError("--output-file goes with --all or with an experiment")
        terminal.write(_listing())
        return
    _refuse(output_file)
    settings = Settings(seed=seed)
    with terminal.Watcher.on_terminal() as watcher:
        results = list(experiments.run_all(settings, watcher))
    write(results, output_file, quiet=quiet)


def _listing() -> str:
    titles = experiments.titles()
    widest = max(map(len, titles))
    lines = [f"  {name:<{widest}}  {title}" for name, title in titles.items()]
    return "\n".join(
        (
            "Experiments:",
            *lines,
            "",
            "Run one with `initaudit lab zero`, all with `initaudit lab --all --output-file "
            "lab.html`.",
            "On a network of your own: `initaudit lab replay FILE`, `initaudit lab sweep FILE`.",
            "",
        )
    )


def _experiment(name: str, title: str) -> click.Command:
    @_settings
    def run(output_file: Path | None, *, quiet: bool, **given: Any) -> None:
        _refuse(output_file)
        write([_run(lambda: experiments.run(name, Settings(**given)))], output_file, quiet=quiet)

    return click.command(name, help=f"{title}.", context_settings=_CONTEXT)(run)


def _run(work: Callable[[], Result]) -> Result:
    try:
        return work()
    except (InitialiserError, TrainError) as error:
        raise click.ClickException(str(error)) from None


def _refuse(target: Path | None) -> None:
    if target is not None and target.suffix.lower() not in _SUFFIXES:
        raise click.UsageError(f"{target}: the name must end in one of {', '.join(_SUFFIXES)}")


def write(results: Sequence[Result], target: Path | None, *, quiet: bool) -> None:
    """Print results, or write them as what the name of the file asks for."""
    kind = None if target is None else target.suffix.lower()
    made: str | bytes
    if kind == ".html":
        from initaudit.lab.page import page

        made = page(results)
    elif kind == ".svg":
        from initaudit.lab.svg import sheet

        made = sheet([drawn for result in results for drawn in result.pictures])
    elif kind == ".png":
        made = _png(results, target)
    else:
        from initaudit.lab.text import render

        made = render(
            results, terminal.style(to_file=target is not None, verbose=False, quiet=quiet)
        )
    if target is None:
        terminal.write(str(made))
        return
    try:
        target.write_bytes(made.encode("utf-8") if isinstance(made, str) else made)
    except OSError as error:
        raise click.ClickException(f"{target}: cannot be written: {error.strerror}") from None


def _png(results: Sequence[Result], target: Path | None) -> bytes:
    from initaudit.lab.png import PngError, png

    try:
        return png([drawn for result in results for drawn in result.pictures])
    except PngError as error:
        raise click.UsageError(f"{target}: {error}") from None


for _name, _title in experiments.titles().items():
    lab.add_command(_experiment(_name, _title))


def _own(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what a network of one's own is told by."""
    shape = click.option("--input-shape", type=Shape(), help="Shape of one input, channels first.")
    return shape(command)


@lab.command(context_settings=_CONTEXT)
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@_own
@_settings
def replay(
    path: Path,
    input_shape: tuple[int, ...] | None,
    output_file: Path | None,
    *,
    quiet: bool,
    **given: Any,
) -> None:
    """Train the replica of a checkpoint, or of net.py:Net as declared, and watch it."""
    from initaudit.lab.replay import replay as played

    for name in ("depth", "width", "initialiser"):
        if given[name] is not None:
            option = "--init" if name == "initialiser" else f"--{name}"
            raise click.UsageError(f"{option} has no place here: the checkpoint tells it")
    _refuse(output_file)
    with terminal.Watcher.on_terminal() as watcher:
        result = _run(
            lambda: played(
                path, Settings(**given), input_shape, lambda s: watcher(f"training {path.name}", s)
            )
        )
    write([result], output_file, quiet=quiet)


@lab.command(context_settings=_CONTEXT)
@click.argument(
    "path", metavar="[FILE | net.py:Net]", required=False, type=click.Path(path_type=Path)
)
@click.option("--widths", type=Shape(), metavar="784,256,10", help="A plain network, without FILE.")
@_own
@_settings
def sweep(
    path: Path | None,
    widths: tuple[int, ...] | None,
    input_shape: tuple[int, ...] | None,
    output_file: Path | None,
    *,
    quiet: bool,
    **given: Any,
) -> None:
    """Try every sensible initialiser on a network and rank them by what was measured."""
    from initaudit.lab.replay import Subject, subject
    from initaudit.lab.sweep import sweep as swept

    settings = Settings(**given)
    if (path is None) == (widths is None):
        raise click.UsageError("name a checkpoint, or --widths 784,256,10 for a plain network")
    _refuse(output_file)

    def work(progress: Callable[[float], None]) -> Result:
        if path is not None:
            one = subject(path, settings, input_shape)
            return swept(one, path.name, settings, progress)
        net = Plain(widths or (), settings.activation or "relu", ("he",), settings.seed)
        arrays = net.arrays()
        one = Subject(opened(arrays, net.activation), arrays)
        label = f"{'-'.join(map(str, net.widths))}, {net.activation}"
        return swept(one, label, settings, progress)

    if widths is not None and len(widths) < 2:
        raise click.UsageError("--widths: at least inputs and outputs, as in 784,256,10")
    with terminal.Watcher.on_terminal() as watcher:
        result = _run(lambda: work(lambda s: watcher("trying initialisers", s)))
    write([result], output_file, quiet=quiet)
