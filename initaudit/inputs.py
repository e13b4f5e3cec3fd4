"""The paths of a command line as sources and checkpoints: folders walked, .gitignore respected."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pathspec import GitIgnoreSpec

from initaudit.network import Site, Unread

SOURCES = (".py", ".ipynb")
STDIN = Path("-")

# Folders that hold other people's code or what a tool wrote.
_SKIPPED = frozenset(
    {
        "__pycache__",
        "node_modules",
        "site-packages",
        "venv",
        "env",
        "build",
        "dist",
        "__pypackages__",
    }
)
Within = Callable[[Path, list[str]], list[Path]]


@dataclass(frozen=True, slots=True)
class Input:
    """One file to judge; ``named`` says whether the command line named it, or it alone."""

    path: Path
    named: bool


@dataclass(slots=True)
class Inputs:
    """What the paths come to, in the order given and sorted within a folder."""

    sources: list[Input] = field(default_factory=list)
    checkpoints: list[Input] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)


def expand(
    paths: Sequence[Path], within: Callable[[], Within], exclude: Sequence[str] = ()
) -> Inputs:
    """Return the files that the paths name or hold.

    ``within`` gives the function that picks the checkpoints out of a folder's files; it is only
    asked for where a name looks like one. ``exclude`` are patterns in the manner of .gitignore,
    against paths below each folder; a file that is named is never excluded. A folder that
    holds neither sources nor checkpoints is listed as unread.
    """
    found = Inputs()
    for path in paths:
        if path == STDIN or (path.suffix in SOURCES and not _is_folder(path)):
            found.sources.append(Input(path, named=True))
        elif _is_folder(path):
            _walk(path, within, GitIgnoreSpec.from_lines(exclude), found)
        else:
            found.checkpoints.append(Input(path, named=True))
    return found


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def _walk(root: Path, within: Callable[[], Within], exclude: GitIgnoreSpec, found: Inputs) -> None:
    sources: list[Path] = []
    checkpoints: list[Path] = []
    unread: list[Unread] = []
    for folder, files in _folders(root, exclude, unread):
        ignored = Ignored.above(folder)
        sources += [
            folder / name
            for name in files
            if name.endswith(SOURCES) and not ignored(folder / name)
            and not exclude.match_file(os.path.relpath(folder / name, root))
        ]  # fmt: skip
        if any(map(_like_checkpoint, files)):
            checkpoints += within()(folder, files)
    found.sources += [Input(path, named=False) for path in sources]
    named = len(checkpoints) == 1 and not sources
    found.checkpoints += [Input(path, named=named) for path in checkpoints]
    found.unread += unread
    if not sources and not checkpoints and not unread:
        reason = "holds no checkpoint and no Python source that could be judged"
        found.unread.append(Unread(Site(str(root)), reason))


def _like_checkpoint(name: str) -> bool:
    return name.lower().endswith((".safetensors", ".npz", ".safetensors.index.json"))


def _folders(
    root: Path, exclude: GitIgnoreSpec, unread: list[Unread]
) -> Iterator[tuple[Path, list[str]]]:
    """Yield each folder with its files, sorted; links to folders are not followed."""

    def failed(error: OSError) -> None:
        reason = f"cannot be entered: {error.strerror}"
        unread.append(Unread(Site(str(error.filename)), reason))

    for here, folders, files in os.walk(root, onerror=failed):
        folder = Path(here)
        ignored = Ignored.above(folder)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in _SKIPPED
            and not ignored(folder / name, folder=True)
            and not exclude.match_file(os.path.relpath(folder / name, root) + "/")
        )
        yield folder, sorted(files)


@dataclass(frozen=True, slots=True)
class Ignored:
    """The .gitignore files above a place, the nearest last; the last match decides."""

    specs: tuple[tuple[Path, GitIgnoreSpec], ...]

    @classmethod
    def above(cls, folder: Path) -> Ignored:
        """Return those between the repository's top and a folder; none outside a repository."""
        chain = [folder.absolute(), *folder.absolute().parents]
        top = next((i for i, p in enumerate(chain) if (p / ".git").exists()), None)
        if top is None:
            return cls(())
        return cls(tuple(x for p in reversed(chain[: top + 1]) if (x := _spec(p)) is not None))

    def __call__(self, path: Path, *, folder: bool = False) -> bool:
        """Return whether the path is ignored."""
        full = path.absolute()
        for base, spec in reversed(self.specs):
            relative = full.relative_to(base).as_posix() + ("/" if folder else "")
            result = spec.check_file(relative)
            if result.include is not None:
                return result.include
        return False


_READ: dict[Path, tuple[Path, GitIgnoreSpec] | None] = {}


def _spec(folder: Path) -> tuple[Path, GitIgnoreSpec] | None:
    if folder not in _READ:
        try:
            text = (folder / ".gitignore").read_text(encoding="utf-8", errors="replace")
            _READ[folder] = (folder, GitIgnoreSpec.from_lines(text.splitlines()))
        except OSError:
            _READ[folder] = None
    return _READ[folder]


def matches(patterns: Iterable[str], path: Path) -> bool:
    """Return whether a path matches one of some patterns in the manner of .gitignore."""
    return GitIgnoreSpec.from_lines(patterns).match_file(path.as_posix().lstrip("/"))
