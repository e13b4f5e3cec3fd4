"""How many of the lint's findings in released packages are real.

Run ``python tests/benchmarks/source_precision.py [--corpus DIR] [--list]``. ``DIR`` has one folder
per package with its unpacked wheel; without it the packages are downloaded with pip into a folder
that is removed afterwards. Nothing is imported from them. Each package is linted by itself, and
each finding at warning or above is looked up in ``labels/source_findings.tsv``, where a reader of
the source has judged it: real, contested (a fact that the authors may want) or false. Prints real
and total and every finding without a label, and exits 1 below 95 real ones of 100.

A line number moves with the version; findings of another version than the labelled one are looked
up by path and rule.
"""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from initaudit import rulebook
from initaudit.catalogue import load
from initaudit.finding import Finding
from initaudit.rulebook import Severity
from initaudit.source.linting import check_bytes, settle
from tests.benchmarks.source_mutants import FILES, downloaded

LABELS = Path(__file__).parent / "labels" / "source_findings.tsv"
LEAST = 0.95


@dataclass(frozen=True, slots=True)
class Label:
    """What a reader judged one finding to be."""

    package: str
    version: str
    path: str
    line: int
    rule: str
    label: str
    why: str


@dataclass(frozen=True, slots=True)
class Judged:
    """A finding with its label, if it has one."""

    package: str
    version: str
    finding: Finding
    label: Label | None


def labels() -> list[Label]:
    """Return the judged findings."""
    with LABELS.open(encoding="utf-8", newline="") as held:
        rows = csv.DictReader(held, delimiter="\t")
        return [Label(**{**row, "line": int(row["line"])}) for row in rows]  # type: ignore[arg-type]


def findings(folder: Path) -> list[Finding]:
    """Return what the lint finds in one package at warning or above; paths are within it."""
    rules, catalogue = rulebook.load(), load()
    rules = {key: rule for key, rule in rules.items() if rule.enabled}
    checked = [
        check_bytes(path.read_bytes(), path.relative_to(folder).as_posix(), rules, catalogue)
        for path in sorted(folder.rglob("*.py"))
    ]
    return [f for f in settle(checked, rules) if f.severity >= Severity.WARNING]


def version(folder: Path) -> str:
    """Return the version that a wheel's metadata folder is named by."""
    name = next((p.name for p in sorted(folder.glob("*.dist-info"))), "")
    return name.removesuffix(".dist-info").partition("-")[2]


def judged(corpus: Path, known: Sequence[Label]) -> Iterator[Judged]:
    """Yield the findings in all packages with their labels."""
    for package in FILES:
        own = [label for label in known if label.package == package]
        here = version(corpus / package)
        for finding in findings(corpus / package):
            yield Judged(package, here, finding, _label(own, here, finding))


def _label(known: Sequence[Label], here: str, finding: Finding) -> Label | None:
    near = [k for k in known if k.path == finding.site.path and k.rule == finding.rule]
    exact = [k for k in near if k.line == finding.site.line]
    other = [k for k in near if k.version != here]
    return (exact or other or [None])[0]  # type: ignore[list-item]


def summary(found: Sequence[Judged]) -> Mapping[str, int]:
    """Return how many findings have each label; those without one count as "unlabelled"."""
    return Counter("unlabelled" if one.label is None else one.label.label for one in found)


def main() -> int:
    """Print the counts and what has no label, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--list", action="store_true", help="print every finding with its label")
    options = parser.parse_args()
    known = labels()
    if options.corpus is not None:
        found = list(judged(options.corpus, known))
    else:
        with tempfile.TemporaryDirectory() as folder:
            found = list(judged(downloaded(Path(folder)), known))
    counts = summary(found)
    for one in found:
        if options.list or one.label is None:
            place = f"{one.package} {one.version} {one.finding.site.path}:{one.finding.site.line}"
            said = "unlabelled" if one.label is None else f"{one.label.label}: {one.label.why}"
            print(f"{place} {one.finding.rule} {said}")
    by_rule = Counter(one.finding.rule for one in found)
    print(", ".join(f"{rule} {n}" for rule, n in sorted(by_rule.items())))
    print(", ".join(f"{n} {label}" for label, n in sorted(counts.items())))
    real = counts.get("real", 0)
    print(f"{real} of {len(found)} findings are real")
    return 0 if found and real >= LEAST * len(found) else 1


if __name__ == "__main__":
    sys.exit(main())
