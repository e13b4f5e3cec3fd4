"""How many wrong initialisers, put into the source of real models, the lint finds.

Run ``python tests/benchmarks/source_mutants.py [--corpus DIR] [--seed 0] [--missed]``. ``DIR`` has
one folder per package with its unpacked wheel; without it the packages are downloaded with pip
into a folder that is removed afterwards. Nothing is imported from them. In 30 of their model files,
drawn with the seed, one initialiser at a time is made wrong, and the lint must find it in the right
line by a rule for that fault which says nothing there before. Prints found and total per kind, and
exits 1 below 90 of 100.
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from initaudit import rulebook
from initaudit.catalogue import Catalogue, load
from initaudit.finding import Finding
from initaudit.rulebook import Rule, Severity
from initaudit.source.linting import Checked, check_bytes, settle
from tests.benchmarks.mutation.edit import Mutant, Source
from tests.benchmarks.mutation.operators import mutants

# How many files of each package, 30 in all; what one lacks the next one gives.
FILES = {
    "flax": 1, "peft": 2, "keras": 3, "torchvision": 3, "diffusers": 5, "timm": 6,
    "transformers": 10,
}  # fmt: skip
PER_FILE = 5
LEAST = 0.9
_LAYER = re.compile(
    r"\bnn\.(?:Linear|Conv\dd|Dense|Conv)\(|\bnnx\.(?:Linear|Conv)\(|\blayers\.(?:Dense|Conv2D)\("
    r"|\b(?:Linear|Dense)\("
)
_NOT_MODELS = re.compile(r"test|convert_|__init__|setup")


@dataclass
class Package:
    """The files of one package, and what the project's other files say, read when asked for."""

    root: Path
    rules: Mapping[str, Rule]
    catalogue: Catalogue
    _checked: dict[Path, Checked] = field(default_factory=dict)

    @property
    def models(self) -> list[Path]:
        """Files that make two layers or more."""
        return [
            path
            for path in sorted(self.root.rglob("*.py"))
            if not _NOT_MODELS.search(path.name)
            and len(_LAYER.findall(path.read_text("utf-8", "replace"))) > 1
        ]

    def findings(self, path: Path, text: str) -> list[Finding]:
        """Return what the lint says of one file, its neighbours as they are."""
        one = check_bytes(text.encode(), str(path), self.rules, self.catalogue)
        asks = any(claim.hit.doubts for claim in one.claims)
        return settle([one, *(self._others(path) if asks else ())], self.rules)

    def _others(self, path: Path) -> Iterator[Checked]:
        for other in sorted(self.root.rglob("*.py")):
            if other not in self._checked:
                content = other.read_bytes()
                self._checked[other] = check_bytes(content, str(other), {}, self.catalogue)
            if other != path:
                yield self._checked[other]


@dataclass(frozen=True)
class Tried:
    """A mutant, and whether it was found."""

    path: Path
    mutant: Mutant
    found: bool
    instead: tuple[Finding, ...]


def chosen(package: Package, number: int, rng: random.Random, seen: Counter[str]) -> Iterator[
    tuple[Path, Mutant]
]:  # fmt: skip
    """Yield mutants of some of a package's files, kinds that are rare so far first."""
    models = package.models
    rng.shuffle(models)
    left = number
    for path in models:
        if not left:
            return
        by_kind: dict[str, list[Mutant]] = {}
        for one in mutants(Source(str(path), path.read_text("utf-8"))):
            by_kind.setdefault(one.kind, []).append(one)
        if not by_kind:
            continue
        left -= 1
        kinds = sorted(by_kind)
        rng.shuffle(kinds)
        for kind in sorted(kinds, key=lambda k: seen[k])[:PER_FILE]:
            seen[kind] += 1
            yield path, rng.choice(by_kind[kind])


def tried(package: Package, path: Path, mutant: Mutant, before: list[Finding]) -> Tried | None:
    """Return how a mutant fares; None where the file has the same finding without it."""
    said = {(f.rule, f.excerpts[:1]) for f in before}
    after = package.findings(path, mutant.text)
    new = [f for f in after if (f.rule, f.excerpts[:1]) not in said]
    right = [
        f
        for f in new
        if f.rule in mutant.rules and f.site.line in mutant.lines and f.severity >= Severity.WARNING
    ]
    if {f.rule for f in before} & mutant.rules and not right:
        return None
    return Tried(path, mutant, bool(right), tuple(f for f in new if f not in right))


def downloaded(into: Path) -> Path:
    """Return a folder with the packages' wheels unpacked, as pip downloads them."""
    wheels = into / "wheels"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "-q"]
    subprocess.run([*command, "-d", str(wheels), *FILES], check=True)
    for wheel in wheels.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(into / wheel.name.partition("-")[0])
    return into


def measure(corpus: Path, seed: int) -> list[Tried]:
    """Return how all mutants of a seed fare."""
    rng = random.Random(seed)  # noqa: S311
    rules, catalogue = rulebook.load(), load()
    seen: Counter[str] = Counter()
    results: list[Tried] = []
    taken: set[Path] = set()
    wanted = 0
    for name, number in FILES.items():
        wanted += number
        package = Package(corpus / name, rules, catalogue)

        @cache
        def before(path: Path, package: Package = package) -> list[Finding]:
            return package.findings(path, path.read_text("utf-8"))

        for path, mutant in chosen(package, wanted - len(taken), rng, seen):
            taken.add(path)
            one = tried(package, path, mutant, before(path))
            if one is not None:
                results.append(one)
    return results


def main() -> int:
    """Print the table and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--missed", action="store_true", help="print each mutant not found")
    options = parser.parse_args()
    if options.corpus is not None:
        results = measure(options.corpus, options.seed)
    else:
        with tempfile.TemporaryDirectory() as folder:
            results = measure(downloaded(Path(folder)), options.seed)
    total = Counter(t.mutant.kind for t in results)
    found = Counter(t.mutant.kind for t in results if t.found)
    for kind in sorted(total):
        print(f"{kind:32} {found[kind]:3} of {total[kind]:3}")
    files = len({t.path for t in results})
    print(f"{found.total()} of {total.total()} found in the right line, in {files} files")
    for one in results if options.missed else ():
        if not one.found:
            print(f"\n{one.mutant.kind}: {one.path}\n{one.mutant.shown}")
        for extra in one.instead:
            print(f"    {one.path.name}:{extra.site.line} {extra.rule} as well, {one.mutant.kind}")
    return 0 if total and found.total() >= LEAST * total.total() else 1


if __name__ == "__main__":
    sys.exit(main())
