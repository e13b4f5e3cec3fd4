"""What an audit may be told, and the mistakes in that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from initaudit.nearest import meant
from initaudit.rulebook import Rule, RulebookError, chosen, load, unmatched, with_limits

STAGES = ("auto", "init", "trained")
FEWEST_SAMPLES = 16
MOST_SAMPLES = 65_536

Progress = Callable[[str, float], None]
"""Called with what is being done and the share of it that is done."""


def quiet(what: str, share: float) -> None:
    """Report no progress."""


class OptionsError(ValueError):
    """Options that cannot be used: ``mistakes`` are one line each."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = tuple(mistakes)


@dataclass(frozen=True, slots=True)
class Options:
    """What an audit is told.

    ``activation`` replaces what a ``config.json`` says; ``input_shape`` is that of one sample,
    channels first. ``select`` and ``ignore`` are rule ids, prefixes or names; ``limits`` replaces
    thresholds by rule and name; ``rules`` are folders of pages merged over the built-in ones.
    ``samples`` random inputs are drawn from ``seed``; ``probe`` is a few training steps on the
    replica. ``threads`` read the file.

    For source: ``extend_select`` adds to what is selected; ``per_file_ignores`` maps patterns in
    the manner of .gitignore, against paths below ``base``, to rules; ``exclude`` are such patterns
    of what is left out of folders, and with ``force_exclude`` of files that are named too.
    ``cache`` is a folder for what unchanged files came to, None for none; ``jobs`` the number of
    processes, None for what pays. ``strict`` parses files that hold nothing to judge, so that
    faults of their syntax are reported; ``unused_ignores`` reports comments that match nothing.

    ``suggest`` also measures what a faulty network would hold under the suggested initialisers.
    ``model`` is ``FILE.py:NAME``: the class whose weights are judged as declared or, beside a
    checkpoint, as stored.
    """

    stage: str = "auto"
    activation: str | None = None
    input_shape: tuple[int, ...] | None = None
    seed: int = 0
    samples: int = 256
    probe: bool = True
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    limits: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    rules: tuple[Path, ...] = ()
    threads: int = 1
    extend_select: tuple[str, ...] = ()
    per_file_ignores: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    force_exclude: bool = False
    base: Path | None = None
    cache: Path | None = None
    jobs: int | None = None
    strict: bool = False
    unused_ignores: bool = False
    model: str | None = None
    suggest: bool = False


def rules_for(options: Options) -> Mapping[str, Rule]:
    """Return the rules that are on, with their limits.

    Raises:
        OptionsError: with everything in the options that is wrong.
    """
    every = every_rule(options)
    on = chosen(every, options.select, options.ignore)
    if options.extend_select:
        on |= chosen(every, options.extend_select, options.ignore)
    return {key: rule for key, rule in every.items() if key in on}


def every_rule(options: Options) -> Mapping[str, Rule]:
    """Return all rules, on or off, with their limits.

    Raises:
        OptionsError: with everything in the options that is wrong.
    """
    mistakes = _values(options)
    mistakes += [f"rules: there is no folder {f}" for f in options.rules if not f.is_dir()]
    try:
        rules = load(options.rules)
    except RulebookError as error:
        raise OptionsError([*mistakes, str(error)]) from None
    for key, patterns in (
        ("select", options.select),
        ("extend-select", options.extend_select),
        ("ignore", options.ignore),
    ):
        for pattern in unmatched(rules, patterns):
            mistakes.append(f"{key}: {_no_rule(pattern, rules)}")
    for glob, names in options.per_file_ignores.items():
        for pattern in unmatched(rules, names):
            mistakes.append(f"per-file-ignores: {glob!r}: {_no_rule(pattern, rules)}")
    mistakes += limit_mistakes(rules, options.limits)
    if mistakes:
        raise OptionsError(mistakes)
    return with_limits(rules, options.limits)


def limit_mistakes(
    rules: Mapping[str, Rule], limits: Mapping[str, Mapping[str, float]]
) -> list[str]:
    """Return what is wrong with replaced limits, one line each."""
    mistakes = []
    for key, values in limits.items():
        if key not in rules:
            mistakes.append(f"limits.{key}: there is no such rule")
            continue
        known = rules[key].limits
        for name, value in values.items():
            where = f"limits.{key}.{name}"
            if name not in known:
                mistakes.append(f"{where}: {key} has the limits {', '.join(sorted(known))}")
            elif isinstance(value, bool) or not isinstance(value, int | float):
                mistakes.append(f"{where}: must be a number")
            elif not 0 < value < float("inf"):
                mistakes.append(f"{where}: must be above zero and finite")
    return mistakes


def _no_rule(name: str, rules: Mapping[str, Rule]) -> str:
    words = [word for rule in rules.values() for word in (rule.id, rule.name)]
    hints = (meant(name, words, 3), "`initaudit rules` lists them")
    return f"{name!r} names no rule: {' '.join(filter(None, hints))}"


def _activation(name: str) -> list[str]:
    # Imported here, for it needs NumPy, which a run over source alone does not.
    from initaudit.signal import ACTIVATIONS

    if name in ACTIVATIONS:
        return []
    hint = meant(name, ACTIVATIONS) or f"use one of {', '.join(sorted(ACTIVATIONS))}"
    return [f"activation {name!r} is not known: {hint}"]


def _values(options: Options) -> list[str]:
    mistakes = []
    if options.stage not in STAGES:
        mistakes.append(f"stage {options.stage!r}: must be one of {', '.join(STAGES)}")
    if options.activation is not None:
        mistakes += _activation(options.activation)
    if not FEWEST_SAMPLES <= options.samples <= MOST_SAMPLES:
        mistakes.append(
            f"samples {options.samples}: must lie between {FEWEST_SAMPLES} and {MOST_SAMPLES:,}"
        )
    if options.seed < 0:
        mistakes.append(f"seed {options.seed}: must not be negative")
    if options.jobs is not None and options.jobs < 1:
        mistakes.append(f"jobs {options.jobs}: must be above zero")
    shape = options.input_shape
    if shape is not None and (not shape or any(extent < 1 for extent in shape)):
        mistakes.append("input shape: must be whole numbers above zero, such as 3,224,224")
    return mistakes
