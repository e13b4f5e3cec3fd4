"""The settings that an architecture's file speaks of: every one has to be there."""

from __future__ import annotations

from collections.abc import Iterator

from initaudit.architecture.entries import Architecture, Nested, Setting, Step, Value

GIVEN = frozenset({"class", "model_type", "prefix", "prefixed", "ordinal", "next"})
"""The settings that are there without being listed."""


def unknown(architecture: Architecture) -> str | None:
    """Return the first setting that is spoken of but nowhere given a value, None if all are."""
    blocks = architecture.blocks.values()
    settings = (*architecture.settings, *(s for b in blocks for s in b.settings))
    steps = (*architecture.steps, *(s for b in blocks for s in b.steps))
    known = GIVEN | {s.name for s in settings}
    for step in steps:
        if isinstance(step, Nested):
            known |= step.settings.keys() | step.first.keys()
    return next(
        (name for name in _spoken(architecture, settings, steps) if name not in known), None
    )


def _spoken(
    architecture: Architecture, settings: tuple[Setting, ...], steps: tuple[Step | Nested, ...]
) -> Iterator[str]:
    for expected in (architecture.expect, *(b.expect for b in architecture.blocks.values())):
        yield from expected
        for value in expected.values():
            yield from _named(value)
    yield from (pair.weights.like for pair in architecture.agree if pair.weights.like)
    for given in architecture.inputs:
        yield from given.when
        yield from _named(given.shape)
        yield from _named(given.tokens)
    for setting in settings:
        alone = (setting.like, setting.case, setting.divides, setting.root, setting.length)
        yield from (x for x in (*alone, *setting.staged, *setting.among) if x)
        yield from _named(setting.default)
        for value in setting.cases.values():
            yield from _named(value)
        for operands in setting.derived.values():
            yield from (x for x in operands if isinstance(x, str))
    for step in steps:
        yield from step.when
        if isinstance(step, Step):
            yield from step.given
            values: tuple[Value, ...] = tuple(step.attributes.values())
        else:
            values = (*step.settings.values(), *step.first.values())
        for value in values:
            yield from _named(value)


def _named(value: Value | None) -> Iterator[str]:
    for word in value if isinstance(value, tuple) else (value,):
        if isinstance(word, str) and word.startswith("$"):
            yield word[1:]
