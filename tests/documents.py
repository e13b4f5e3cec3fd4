"""Documents that are run: files they show are written, commands are run, output is compared.

A fence whose first line is ```` ```python NAME ```` shows a file; one of ```` ```console ```` holds
commands after ``$`` and what they print.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_BAR = re.compile(r"[▏▎▍▌▋▊▉█]+")
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?")

# Sums come in another order on another processor, which three digits may show.
_CLOSE = 0.05


@dataclass(frozen=True, slots=True)
class Told:
    """One command, what a document says that it prints, and what it printed."""

    command: str
    expected: str
    printed: str


def ran(document: str, folder: Path) -> tuple[list[Told], str]:
    """Run a document in a folder; return what was told and the document with what was printed."""
    program = folder.parent / f"{folder.name}-bin"
    program.mkdir()
    root = Path(__file__).parent.parent
    for name, words in (
        ("initaudit", f"{sys.executable} -m initaudit"),
        ("python", sys.executable),
    ):
        (program / name).write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        (program / name).chmod(0o755)
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONIOENCODING": "utf-8"}
    environment["PATH"] = f"{program}{os.pathsep}{environment['PATH']}"
    told: list[Told] = []

    def run(fence: re.Match[str]) -> str:
        kind, name, body = fence[1], fence[2], fence[3]
        if kind == "python" and name:
            (folder / name).write_text(body, "utf-8")
        if kind != "console":
            return fence[0]
        made = ""
        for command, expected in _commands(body):
            done = subprocess.run(
                ["bash", "-c", command], cwd=folder, env=environment, stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT, text=True, encoding="utf-8", check=False,
            )  # fmt: skip
            told.append(Told(command, expected, done.stdout))
            made += f"$ {command}\n{done.stdout}"
        return f"```console\n{made}```"

    return told, _FENCE.sub(run, document)


def alike(expected: str, printed: str) -> bool:
    """Return whether two outputs agree: words exactly, numbers closely, bars of any length."""
    one, other = (_BAR.sub("", text).split() for text in (expected, printed))
    return len(one) == len(other) and all(map(_same, one, other))


def _same(one: str, other: str) -> bool:
    if _NUMBER.sub("#", one) != _NUMBER.sub("#", other):
        return False
    pairs = zip(_NUMBER.findall(one), _NUMBER.findall(other), strict=True)
    return all(_close(float(a.replace(",", "")), float(b.replace(",", ""))) for a, b in pairs)


def _close(a: float, b: float) -> bool:
    return abs(a - b) <= _CLOSE * max(abs(a), abs(b))


def _commands(body: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for line in body.splitlines(keepends=True):
        if line.startswith("$ "):
            found.append((line[2:].strip(), ""))
        else:
            command, output = found.pop()
            found.append((command, output + line))
    return found
