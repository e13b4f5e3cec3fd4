"""How much of a library's model classes is read from source, and what ends the paths.

    python -m tests.benchmarks.model_reading FOLDER... [--every N]

Every model class below a folder is built, followed and judged by arithmetic; N takes one in so
many. A name such as ``torch.testing`` means where that package is installed; ``torch!`` stands for
the folders of torch that hold models as examples and as tests, apart from its own layers. "Whole"
means that the forward pass was followed to what it returns, "in part" that at least one layer with
weights was reached before it ended. A last line counts only the classes that declare a parameter,
as far as is known.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from initaudit.catalogue import Catalogue, load
from initaudit.reading import choosing, model, passing
from initaudit.reading.powers import powers
from initaudit.reading.predicting import predict
from initaudit.reading.state import State
from initaudit.reading.units import Files
from initaudit.reading.values import StopError, UserClass

SHOWN = 25
EXAMPLES = {"torch!": ("torch.testing", "torch._export.db.examples")}
"""Where a package keeps model classes that are no layers of its own."""


@dataclass(slots=True)
class Count:
    """What came of the classes so far; an example of each reason as file, class and line."""

    kinds: Counter[str] = field(default_factory=Counter)
    bare: Counter[str] = field(default_factory=Counter)
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
    before, made = count.kinds.copy(), None
    try:
        made = model.read(files, catalogue, cls)
        if made.lazy:
            passing.grow(made, made.shape or (64,))
        reading = passing.follow(made, passing.declared(made, 0)[1])
        network = passing.planned(made, reading)[0].network(())
        shapes = passing.shapes(reading)
        powers(network, made.parameters, shapes)
        predict(network, made.parameters, shapes)
        if not reading.stopped:
            count.kinds["whole"] += 1
        else:
            reason, site = reading.stopped[0]
            kind = "in part" if reading.placed else "not at all"
            count.ended(kind, reason, path, cls, None if site is None else site.line)
    except StopError as stop:
        line = None if stop.site is None else stop.site.line
        count.ended("not at all", stop.reason, path, cls, line)
    except Exception:
        count.kinds["crash"] += 1
        last = traceback.format_exc().splitlines()[-3:]
        count.crashes.append(f"{path.name} {cls.name}: {' '.join(last)}")
    if made is not None and all(p.buffer for p in made.parameters.values()):
        count.bare += count.kinds - before


def folders(named: str) -> list[Path]:
    """Return the folders that an argument means."""
    if named in EXAMPLES:
        return [folder for one in EXAMPLES[named] for folder in folders(one)]
    if Path(named).is_dir():
        return [Path(named)]
    top, *rest = named.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{named} is no folder and no installed package")
    return [Path(spec.origin).parent.joinpath(*rest)]


def main(named: list[str], every: int) -> None:
    """Print the table of some folders."""
    sys.setrecursionlimit(5000)
    files, catalogue, count = Files(), load(), Count()
    start, number = time.monotonic(), 0
    for path in (p for name in named for f in folders(name) for p in sorted(f.rglob("*.py"))):
        unit = files.unit(path)
        if unit is None or not unit.classes:
            continue
        for cls in choosing.models(State(files, catalogue), unit):
            number += 1
            if number % every == 0:
                read(files, catalogue, cls, path, count)
    total, seconds = sum(count.kinds.values()), time.monotonic() - start
    print(f"{' '.join(named)}: {total} of {number} classes in {seconds:.0f} s")
    for kind in ("whole", "in part", "not at all", "crash"):
        share = 100 * count.kinds[kind] / max(total, 1)
        print(f"  {kind:<11}{count.kinds[kind]:>6}  {share:5.1f} %")
    held = count.kinds - count.bare
    most = max(sum(held.values()), 1)
    read_ = held["whole"] + held["in part"]
    print(
        f"  of {most} that declare parameters: {held['whole']} whole, {held['in part']} in part "
        f"({100 * read_ / most:.1f} %)"
    )
    print("  reasons, most frequent first:")
    for reason, times in count.reasons.most_common(SHOWN):
        print(f"  {times:>5}  {reason[:110]}  ({count.examples[reason]})")
    for crash in count.crashes:
        print(f"  crash: {crash}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="model_reading")
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--every", type=int, default=1)
    given = parser.parse_args()
    main(given.folders, given.every)
