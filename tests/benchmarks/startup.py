"""How long ``initaudit --help`` and ``import initaudit`` take beyond the interpreter's own start.

Run ``python -m tests.benchmarks.startup [--tools DIR]``. The median of several fresh processes
each; ``ruff --help`` (from DIR or the path) and ``pip --version`` stand beside it. Exits 1 where
one takes more than 150 ms beyond ``python -c pass``.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

MOST = 0.150
RUNS = 11


def median(command: list[str]) -> float:
    """Return the median wall time of a command in seconds, the first run left out."""
    seconds = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.startup")
    parser.add_argument("--tools", type=Path, help="folder that holds ruff")
    options = parser.parse_args()
    ruff = shutil.which("ruff", path=str(options.tools)) if options.tools else shutil.which("ruff")
    python = sys.executable
    bare = median([python, "-c", "pass"])
    print(f"{'python -c pass':<22} {bare * 1000:6.0f} ms")
    others = {"pip --version": [python, "-m", "pip", "--version"]}
    if ruff:
        others["ruff --help"] = [ruff, "--help"]
    beside = {name: median(command) for name, command in others.items()}
    for name, seconds in beside.items():
        print(f"{name:<22} {seconds * 1000:6.0f} ms")
    late = False
    for name, command in (
        ("initaudit --help", [python, "-m", "initaudit", "--help"]),
        ("import initaudit", [python, "-c", "import initaudit"]),
    ):
        seconds = median(command)
        ratios = ", ".join(f"{seconds / other:.1f}x {what}" for what, other in beside.items())
        print(
            f"{name:<22} {seconds * 1000:6.0f} ms, {1000 * (seconds - bare):.0f} beyond; {ratios}"
        )
        late |= seconds - bare > MOST
    raise SystemExit(late)


if __name__ == "__main__":
    main()
