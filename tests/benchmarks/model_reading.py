"""How much of a library's model classes is read from source, and what ends the paths.

    python -m tests.benchmarks.model_reading FOLDER [EVERY]

Every model class below a folder is built and followed; EVERY takes one in so many. "Whole" means
that the forward pass was followed to what it returns, "in part" that at least one layer with
weights was reached before it ended.
"""

from __future__ import annotations

import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from initaudit.catalogue import Catalogue, load
from initaudit.reading import choosing, model, passing
from initaudit.reading.state import State
from initaudit.reading.units import Files
from initaudit.reading.values import StopError, UserClass

SHOWN = 25


@dataclass(slots=True)
class Count:
    """What came of the classes so far; an example of each reason as file, class and line."""

    kinds: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    crashes: list[str] = field(default_factory=list)

    def ended(self, kind: str, reason: str, path: Path, cls: UserClass, line: int | None) -> None:
        """Note a class that is not read whole."""
        self.kinds[kind] += 1
        told = f"{kind}: {reason}"
        self.reasons[told] += 1
        self.examples.setdefault(told, f"{path.name}:{line or cls.node.lineno} {cls.name}")


def read(files: Files, catalogue: Catalogue, cls: UserClass, path: Path, count: Count) -> None:
    """Read one class and note what came of it."""
    try:
        made = model.read(files, catalogue, cls)
        if made.lazy:
            passing.grow(made, made.shape or (64,))
        reading = passing.follow(made, passing.declared(made, 0)[1])
        passing.planned(made, reading)[0].network(())
    except StopError as stop:
        line = None if stop.site is None else stop.site.line
        count.ended("not at all", stop.reason, path, cls, line)
        return
    except Exception:
        count.kinds["crash"] += 1
        last = traceback.format_exc().splitlines()[-3:]
        count.crashes.append(f"{path.name} {cls.name}: {' '.join(last)}")
        return
    if not reading.stopped:
        count.kinds["whole"] += 1
        return
    reason, site = reading.stopped[0]
    kind = "in part" if reading.placed else "not at all"
    count.ended(kind, reason, path, cls, None if site is None else site.line)


def main(folder: Path, every: int) -> None:
    """Print the table of a folder."""
    sys.setrecursionlimit(5000)
    files, catalogue, count = Files(), load(), Count()
    start, number = time.monotonic(), 0
    for path in sorted(folder.rglob("*.py")):
        unit = files.unit(path)
        if unit is None or not unit.classes:
            continue
        for cls in choosing.models(State(files, catalogue), unit):
            number += 1
            if number % every == 0:
                read(files, catalogue, cls, path, count)
    total = sum(count.kinds.values())
    print(f"{folder}: {total} of {number} classes in {time.monotonic() - start:.0f} s")
    for kind in ("whole", "in part", "not at all", "crash"):
        print(
            f"  {kind:<11}{count.kinds[kind]:>6}  {100 * count.kinds[kind] / max(total, 1):5.1f} %"
        )
    print("  reasons, most frequent first:")
    for reason, times in count.reasons.most_common(SHOWN):
        print(f"  {times:>5}  {reason[:110]}  ({count.examples[reason]})")
    for crash in count.crashes:
        print(f"  crash: {crash}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1)
