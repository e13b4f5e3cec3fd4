"""How far the spread that arithmetic predicts lies from that of the realised network.

    python -m tests.benchmarks.predicted_spread [SEEDS]

Over the model classes of fixtures/models whose constructor needs no argument: for each layer with
weights, the root of the predicted second moment beside that of the replica, its mean over SEEDS
seeds. A layer counts as told where arithmetic gives one number (an interval under 1 % wide).
"""

from __future__ import annotations

import math
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from initaudit.checkpoint import reading as stored_reading
from initaudit.graph import WEIGHTED
from initaudit.network import Interval
from initaudit.reading import passing
from initaudit.reading.powers import powers
from initaudit.replica.run import run
from tests.declared import classes, followed, read

NARROW = 1.01


@dataclass(frozen=True, slots=True)
class Pair:
    """A layer's predicted second moment and the realised one."""

    layer: str
    predicted: Interval
    realised: float

    @property
    def told(self) -> bool:
        """Whether arithmetic gives one number."""
        return 0.0 < self.predicted.hi <= self.predicted.lo * NARROW

    @property
    def held(self) -> bool:
        """Whether the interval, a fifth wider in std at each end, holds what was realised."""
        return self.predicted.lo / 1.25**2 <= self.realised <= self.predicted.hi * 1.25**2

    @property
    def ratio(self) -> float:
        """Predicted over realised standard deviation."""
        return math.sqrt(self.predicted.hi / self.realised) if self.realised else math.inf


def pairs(path: Path, name: str, seeds: int) -> Iterator[Pair]:
    """Yield what a fixture's layers with weights are predicted and realised to hold."""
    made, entry = read(path, name), followed(path, name).entries[0]
    reading = passing.follow(made, passing.declared(made, 0)[1], entry.shape)
    plan, _ = passing.planned(made, reading)
    network = plan.network(())
    told = powers(network, made.parameters, passing.shapes(reading))
    sums: dict[str, list[float]] = {}
    for seed in range(seeds):
        realised, _ = passing.declared(made, seed)
        arrays = {
            key: stored_reading.array(realised.stored(key, made.path)) for key in made.parameters
        } | dict(plan.computed)
        trace = run(network, arrays.__getitem__, samples=128, seed=seed, batch_statistics=True)
        for key, signal in trace.signals.items():
            sums.setdefault(key, []).append(signal.second_moment or 0.0)
    for layer in network.layers:
        if layer.op in WEIGHTED and layer.name in sums:
            yield Pair(layer.name, told[layer.name].q, statistics.fmean(sums[layer.name]))


def main(seeds: int) -> None:
    """Print the table."""
    print(f"{'model':<34} {'layers':>6} {'told':>5} {'held':>5}  predicted / realised std")
    every: list[Pair] = []
    for path, name in classes("torch_*.py"):
        found = list(pairs(path, name, seeds))
        every += found
        ratios = [p.ratio for p in found if p.told]
        span = f"{min(ratios):.3f} to {max(ratios):.3f}" if ratios else "-"
        held = sum(p.held for p in found)
        told = sum(p.told for p in found)
        print(f"{path.stem + '.' + name:<34} {len(found):>6} {told:>5} {held:>5}  {span}")
        for pair in found:
            if not pair.held:
                low, high = pair.predicted.lo, pair.predicted.hi
                print(f"    {pair.layer}: [{low:.3g}, {high:.3g}] against {pair.realised:.3g}")
    ratios = sorted(abs(math.log(p.ratio)) for p in every if p.told)
    within = sum(r <= math.log(1.25) for r in ratios)
    print(
        f"{len(every)} layers: {len(ratios)} told as one number, of which {within} within a fifth "
        f"(median {100 * math.expm1(statistics.median(ratios)):.1f} %, worst "
        f"{100 * math.expm1(ratios[-1]):.1f} %); {sum(p.held for p in every)} held by the interval"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
