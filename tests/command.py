"""The command line run inside the test's process, and files for it to read."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from initaudit.cli import main
from initaudit.finding import Finding, Report
from initaudit.network import Site, Unread
from initaudit.rulebook import Confidence, Severity
from tests.nets import Arrays, he, mlp

ROOT = Path(__file__).parent.parent
FIXTURES = ROOT / "fixtures" / "checkpoints"


@dataclass(frozen=True, slots=True)
class Ran:
    """What one run printed and the code it ended with."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> Any:
        """The JSON that was printed."""
        return json.loads(self.out)

    @property
    def unread(self) -> dict[str, list[str]]:
        """The reasons by path, from JSON."""
        found: dict[str, list[str]] = {}
        for entry in self.report["unread"]:
            found.setdefault(entry["path"], []).append(entry["reason"])
        return found


def run(capsys: pytest.CaptureFixture[str], *words: object) -> Ran:
    """Run the command line in this process."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    out, err = capsys.readouterr()
    code = ended.value.code
    assert isinstance(code, int)
    return Ran(code, out, err)


def process(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user's shell does."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    return subprocess.run(
        [sys.executable, "-m", "initaudit", *map(str, words)],
        env=environment, capture_output=True, text=True, timeout=120, check=False, **options,
    )  # fmt: skip


def framed(header: str | bytes, data: bytes = b"") -> bytes:
    """Return a safetensors file of a header as it stands and data."""
    text = header if isinstance(header, bytes) else header.encode()
    return struct.pack("<Q", len(text)) + text + data


def stored(path: Path, tensors: Mapping[str, tuple[str, tuple[int, ...], bytes]]) -> Path:
    """Write tensors given as dtype, shape and bytes."""
    entries, data = {}, b""
    for name, (dtype, shape, content) in tensors.items():
        span = [len(data), len(data) + len(content)]
        entries[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": span}
        data += content
    path.write_bytes(framed(json.dumps(entries), data))
    return path


def saved(path: Path, arrays: Arrays) -> Path:
    """Write arrays as safetensors."""
    save_file({name: np.ascontiguousarray(a) for name, a in arrays.items()}, path)
    return path


def good(path: Path, seed: int = 0) -> Path:
    """Write a small healthy network."""
    return saved(path, mlp(np.random.default_rng(seed), [16, 24, 24, 4], he))


def finding(severity: Severity) -> Finding:
    """Return a finding of a severity."""
    return Finding(
        "IA103", "too-small", severity, Confidence.HIGH, Site("m"), {}, "Small.", "Draw."
    )


def reporting(
    monkeypatch: pytest.MonkeyPatch, worst: Severity | None, *, unread: bool, failed: bool
) -> None:
    """Let every run of the command line have this outcome."""
    report = Report(
        findings=() if worst is None else (finding(worst),),
        unread=(Unread(Site("lost"), "is lost"),) if unread else (),
        files=1,
        failed=failed,
    )
    outcome: Callable[..., Report] = lambda *_: report  # noqa: E731
    monkeypatch.setattr("initaudit.running.run", outcome)
