"""The paths of a command line as sources and checkpoints: folders walked, .gitignore respected."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from pathspec import GitIgnoreSpec

from initaudit.network import Site, Unread

SOURCES = (".py", ".ipynb")
STDIN = Path("-")

# Folders that hold other people's code or what a tool wrote.
_SKIPPED = frozenset(
    {"__pycache__", "node_modules", "site-packages", "venv", "env", "build", "dist",
     "__pypackages__"}
)  # fmt: skip
_STORED = (".safetensors", ".npz", ".safetensors.index.json", ".onnx", ".pt2")
Within = Callable[[Path, list[str]], list[Path]]


@dataclass(frozen=True, slots=True)
class Input:
    """One file to judge; ``named`` says whether the command line named it, or it alone."""

    path: Path
    named: bool


@dataclass(slots=True)
class Inputs:
    """What the paths come to, in the order given and sorted within a folder.

    ``empty`` are folders that hold neither sources nor checkpoints; ``closed`` says that a folder
    that was named cannot be entered.
    """

    sources: list[Input] = field(default_factory=list)
    checkpoints: list[Input] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    empty: list[Path] = field(default_factory=list)
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Exclude:
    """Patterns in the manner of .gitignore, against paths below ``base``.

    With ``force`` they leave out files that are named, too.
    """

    patterns: tuple[str, ...] = ()
    base: Path | None = None
    force: bool = False

    def __call__(self, path: str, *, folder: bool = False) -> bool:
        """Return whether a path is left out."""
        return bool(self.patterns) and matches(self.patterns, path, self.base, folder=folder)


def expand(
    paths: Sequence[Path],
    within: Callable[[], Within],
    exclude: Exclude = Exclude(),
) -> Inputs:
    """Return the files that the paths name or hold, each once.

    ``within`` gives the function that picks the checkpoints out of a folder's files; it is only
    asked for where a name looks like one.
    """
    found = Inputs()
    for path in paths:
        if _is_folder(path):
            _walk(path, within, exclude, found)
        elif path != STDIN and exclude.force and exclude(str(path)):
            continue
        elif path == STDIN or path.suffix in SOURCES:
            found.sources.append(Input(path, named=True))
        else:
            found.checkpoints.append(Input(path, named=True))
    found.sources = _once(found.sources)
    found.checkpoints = _once(found.checkpoints)
    return found


def matches(
    patterns: Iterable[str], path: str, base: Path | None = None, *, folder: bool = False
) -> bool:
    """Return whether a path below ``base`` (the working folder by default) matches a pattern."""
    full = os.path.abspath(path)
    relative = os.path.relpath(full, base)
    if relative.startswith(".."):
        relative = full.lstrip(os.sep)
    return _compiled(tuple(patterns)).match_file(relative + ("/" if folder else ""))


@cache
def _compiled(patterns: tuple[str, ...]) -> GitIgnoreSpec:
    return GitIgnoreSpec.from_lines(patterns)


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def _once(inputs: Sequence[Input]) -> list[Input]:
    made: dict[str, Input] = {}
    for one in inputs:
        key = "-" if one.path == STDIN else os.path.abspath(one.path)
        known = made.get(key)
        made[key] = one if known is None else replace(known, named=known.named or one.named)
    return list(made.values())


def _walk(root: Path, within: Callable[[], Within], exclude: Exclude, found: Inputs) -> None:
    sources: list[Path] = []
    checkpoints: list[Path] = []
    unread: list[Unread] = []
    for folder, files, ignored in _folders(root, exclude, unread):
        sources += [
            Path(folder, name)
            for name in files
            if name.endswith(SOURCES)
            and not ignored(name)
            and not exclude(os.path.join(folder, name))
        ]
        if any(name.lower().endswith(_STORED) for name in files):
            checkpoints += [
                path
                for path in within()(Path(folder), files)
                if not exclude(str(path))
            ]  # fmt: skip
    found.sources += [Input(path, named=False) for path in sources]
    named = len(checkpoints) == 1 and not sources
    found.checkpoints += [Input(path, named=named) for path in sorted(checkpoints)]
    found.unread += unread
    found.closed |= any(entry.site.path == str(root) for entry in unread)
    if not sources and not checkpoints and not unread:
        found.empty.append(root)


def _folders(
    root: Path, exclude: Exclude, unread: list[Unread]
) -> Iterator[tuple[str, list[str], Ignored]]:
    """Yield each folder with its files, sorted; links to folders are not followed."""

    def failed(error: OSError) -> None:
        reason = f"cannot be entered: {error.strerror}"
        unread.append(Unread(Site(str(error.filename)), reason))

    below: dict[str, Ignored] = {}
    for here, folders, files in os.walk(root, onerror=failed):
        parent = below.get(os.path.dirname(here)) if here != str(root) else None
        ignored = Ignored.above(here) if parent is None else parent.below(here)
        below[here] = ignored
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in _SKIPPED
            and not ignored(name, folder=True)
            and not exclude(os.path.join(here, name), folder=True)
        )
        yield here, sorted(files), ignored


@dataclass(frozen=True, slots=True)
class Ignored:
    """The .gitignore files that speak of a folder; the nearest one that matches decides.

    Each is a pattern file with the folder's path below it. Outside of a repository there are none.
    """

    specs: tuple[tuple[GitIgnoreSpec, str], ...] = ()
    inside: bool = False

    @classmethod
    def above(cls, folder: str) -> Ignored:
        """Return those between the repository's top and a folder."""
        full = os.path.abspath(folder)
        chain = [full]
        while os.path.dirname(chain[-1]) != chain[-1]:
            chain.append(os.path.dirname(chain[-1]))
        top = next((i for i, p in enumerate(chain) if os.path.lexists(f"{p}/.git")), None)
        if top is None:
            return cls()
        made = cls(_specs(chain[top], ""), inside=True)
        for path in reversed(chain[:top]):
            made = made.below(path)
        return made

    def below(self, folder: str) -> Ignored:
        """Return those of a folder right in this one."""
        if not self.inside:
            return Ignored.above(folder) if os.path.lexists(f"{folder}/.git") else self
        name = os.path.basename(folder)
        moved = tuple((spec, f"{path}{name}/") for spec, path in self.specs)
        return Ignored((*moved, *_specs(folder, "")), inside=True)

    def __call__(self, name: str, *, folder: bool = False) -> bool:
        """Return whether a file or folder in this folder is ignored."""
        for spec, path in reversed(self.specs):
            result = spec.check_file(f"{path}{name}{'/' if folder else ''}")
            if result.include is not None:
                return result.include
        return False


def _specs(folder: str, path: str) -> tuple[tuple[GitIgnoreSpec, str], ...]:
    try:
        with open(f"{folder}/.gitignore", encoding="utf-8", errors="replace") as file:
            return ((GitIgnoreSpec.from_lines(file.read().splitlines()), path),)
    except OSError:
        return ()
