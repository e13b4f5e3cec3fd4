"""All mutation operators: each takes a file and yields it with one fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.benchmarks.mutation import functional, structure, weights
from tests.benchmarks.mutation.edit import Mutant, Source

Operator = Callable[[Source], Iterator[Mutant]]

OPERATORS: tuple[Operator, ...] = (
    weights.generic,
    weights.single,
    weights.paired,
    weights.low_rank,
    structure.raw,
    structure.uncalled,
    structure.either,
    structure.wrapped,
    structure.repeated,
    structure.in_forward,
    structure.padding,
    structure.stacked,
    functional.keras,
    functional.flax,
    functional.keys,
)


def mutants(source: Source) -> Iterator[Mutant]:
    """Yield every mutant of a file."""
    for operator in OPERATORS:
        yield from operator(source)
