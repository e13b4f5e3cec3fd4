"""Print how the replica of every example agrees with PyTorch: ``python -m tests.architectures``."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from tests.architectures.compare import GRADIENT, STD, Comparison, compare, rebuilt, table
from tests.architectures.example import Example
from tests.architectures.hooks import observe
from tests.architectures.library import hush
from tests.architectures.zoo import EXAMPLES


def live(example: Example, *, seed: int = 0) -> Comparison:
    """Build, save, rebuild and compare one example."""
    with tempfile.TemporaryDirectory() as folder:
        example.save(example.build(), Path(folder))
        network, arrays = rebuilt(Path(folder))
        return compare(example.name, network, arrays, example.feed(seed), observe(example))


def details(comparison: Comparison, *, missing: bool) -> None:
    """Print what stands out of limits and, on request, the names that one side lacks."""
    for rows, limit in ((comparison.forward, STD), (comparison.backward, GRADIENT)):
        for row in rows:
            if row.error >= limit:
                print(f"  {row.name}: {row.ours:.6g}, PyTorch {row.theirs:.6g} ({row.error:.1e})")
    for layer, reason in comparison.stopped.items():
        print(f"  stopped: {layer}: {reason}")
    if missing:
        for title, names in (
            ("module without a layer", comparison.lacking),
            ("weight without a gradient", comparison.without),
            ("layer without a module", comparison.beyond),
        ):
            for name in names:
                print(f"  {title}: {name}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.architectures", description=__doc__)
    parser.add_argument("--only", action="append", metavar="NAME", choices=list(EXAMPLES))
    parser.add_argument("--missing", action="store_true", help="list names that one side lacks")
    parser.add_argument("--list", action="store_true", help="list the examples")
    options = parser.parse_args()
    hush()
    if options.list:
        for example in EXAMPLES.values():
            print(f"{example.name:<20} {example.family:<14} {example.notes}".rstrip())
        return
    names = options.only or [e.name for e in EXAMPLES.values() if e.parity]
    comparisons = [live(EXAMPLES[name]) for name in names]
    print(table(comparisons))
    if options.only or options.missing:
        for comparison in comparisons:
            print(comparison.name)
            details(comparison, missing=options.missing)


if __name__ == "__main__":
    main()
