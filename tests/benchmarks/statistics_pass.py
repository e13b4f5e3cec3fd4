"""What the statistics pass costs, beside a plain read of the same file and beside ``sft stat``.

Run ``python tests/benchmarks/statistics_pass.py [--gib 2] [--memory 0.2 2 4] [--pairs 7]``. Files
of GPT-like shapes, N(0, 0.02), are written to a temporary folder. Everything is CPU time of a whole
process, start and imports included. ``dd`` of the warm file to null and the pass take turns, and
the least of each is compared: what else runs on a machine only ever adds. Exits 1 when a target is
missed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LEAST_OF_DD = {"F32": 0.30, "BF16": 0.18, "F16": 0.18}
MOST_OF_SFT = 0.15
MOST_MEMORY = 64.0

_WIDTH = 2048
_DRAWN = 1 << 22
_PROGRAM = """
import sys
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
from initaudit.checkpoint.reading import read_checkpoint
from initaudit.checkpoint.statistics import measure_all
before = peak()
tensors, unread = measure_all(read_checkpoint(sys.argv[1]).arrays, lambda name, shape: 0)
assert tensors and not unread, unread
print(peak() - before)
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What a process printed and how many seconds of CPU it took."""

    printed: str
    seconds: float


def shapes(elements: int) -> Iterator[tuple[int, ...]]:
    """Yield a vocabulary table and as many transformer blocks as fit."""
    width = _WIDTH
    left = elements
    block = [
        (width,), (width,), (3 * width, width), (3 * width,), (width, width), (width,),
        (width,), (width,), (4 * width, width), (4 * width,), (width, 4 * width), (width,),
    ]  # fmt: skip
    table = (min(50_257, elements // width), width)
    yield table
    left -= table[0] * table[1]
    while left >= width * width:
        for shape in block:
            size = int(np.prod(shape))
            if size <= left:
                yield shape
                left -= size


def stored(values: NDArray[np.float32], dtype: str) -> bytes:
    """Return numbers as a file stores them."""
    if dtype == "BF16":
        return ((values.view(np.uint32) + 0x8000) >> 16).astype(np.uint16).tobytes()
    return values.astype(np.float16 if dtype == "F16" else np.float32).tobytes()


def write(path: Path, dtype: str, size: int) -> None:
    """Write a safetensors file of about ``size`` bytes, a few MiB in memory at a time."""
    width = 4 if dtype == "F32" else 2
    header: dict[str, dict[str, object]] = {}
    end = 0
    every = list(shapes(size // width))
    for place, shape in enumerate(every):
        begin, end = end, end + int(np.prod(shape)) * width
        header[f"layers.{place}.weight"] = {
            "dtype": dtype, "shape": list(shape), "data_offsets": [begin, end],
        }  # fmt: skip
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for shape in every:
            count = int(np.prod(shape))
            for start in range(0, count, _DRAWN):
                drawn = rng.standard_normal(min(_DRAWN, count - start), np.float32)
                file.write(stored(drawn * np.float32(0.02) + np.float32(len(shape) == 1), dtype))


def run(command: Sequence[str]) -> Run:
    """Run a process to its end."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(
        [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
    )}  # fmt: skip
    before = os.times()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    after = os.times()
    user = after.children_user - before.children_user
    return Run(done.stdout.decode(), user + after.children_system - before.children_system)


def read(path: Path, block: str) -> float:
    """Return the seconds of CPU that ``dd`` takes to read a file."""
    return run(["dd", f"if={path}", "of=/dev/null", f"bs={block}", "status=none"]).seconds


def audit(path: Path) -> Run:
    """Run the statistics pass over a file."""
    return run([sys.executable, "-c", _PROGRAM, str(path)])


def held(what: str, found: float, limit: float, within: Callable[[float, float], bool]) -> bool:
    """Print a figure beside its target, and return whether it is met."""
    good = within(found, limit)
    print(f"{what:<58}{found:8.3f}  target {limit:<6g}{'met' if good else 'MISSED'}")
    return good


def at_least(found: float, limit: float) -> bool:
    """Whether a figure reaches a target."""
    return found >= limit


def at_most(found: float, limit: float) -> bool:
    """Whether a figure stays below a target."""
    return found <= limit


def compare(folder: Path, dtype: str, size: int, pairs: int) -> Iterator[bool]:
    """Yield whether each target of processor time is met for one dtype."""
    path = folder / "speed.safetensors"
    write(path, dtype, size)
    read(path, "1M")
    turns = [(read(path, "1M"), read(path, "128K"), audit(path).seconds) for _ in range(pairs)]
    plain, finer, ours = (min(seconds) for seconds in zip(*turns, strict=True))
    what = f"{dtype} bytes per CPU second, share of dd bs=1M"
    yield held(what, plain / ours, LEAST_OF_DD[dtype], at_least)
    each = " ".join(f"{one / other:.2f}" for one, _, other in turns)
    speeds = [f"{path.stat().st_size / 1e9 / seconds:.2f}" for seconds in (plain, finer, ours)]
    print("  GB per CPU second: dd bs=1M {}, dd bs=128K {}, the pass {}".format(*speeds))
    print(f"  share turn by turn: {each}; of the least with bs=128K: {finer / ours:.3f}")
    sft = shutil.which("sft") or shutil.which("sft", path=str(Path(sys.executable).parent))
    if sft is None:
        print("sft is not installed: not compared with it")
    else:
        theirs = run([sft, "stat", "--json", str(path)]).seconds
        yield held(f"{dtype} CPU, share of sft stat", ours / theirs, MOST_OF_SFT, at_most)
    path.unlink()


def memory(folder: Path, size: int) -> bool:
    """Return whether the peak stays within the target for one size of file."""
    path = folder / "memory.safetensors"
    write(path, "BF16", size)
    beyond = float(audit(path).printed) / 1024
    path.unlink()
    what = f"BF16 peak memory beyond the imports at {size / 2**30:.1f} GiB, MiB"
    return held(what, beyond, MOST_MEMORY, at_most)


def main() -> int:
    """Print the figures; return 1 when a target is missed."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--gib", type=float, default=2.0, help="size of the files that are timed")
    options.add_argument("--memory", type=float, nargs="*", default=[0.2, 2.0, 4.0])
    options.add_argument("--pairs", type=int, default=7)
    options.add_argument("--dtypes", nargs="*", default=list(LEAST_OF_DD), choices=LEAST_OF_DD)
    options.add_argument("--folder", help="where to write the files; a temporary folder by default")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        met = [
            good
            for dtype in given.dtypes
            for good in compare(folder, dtype, int(given.gib * 2**30), given.pairs)
        ]
        met += [memory(folder, int(size * 2**30)) for size in given.memory]
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
