"""Many source files: read, looked up in the cache, checked, in processes where that pays."""

from __future__ import annotations

import gc
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from initaudit import catalogue
from initaudit.catalogue import Catalogue
from initaudit.network import Site, Unread
from initaudit.rulebook import Rule
from initaudit.source.cache import Cache, digest, key, written
from initaudit.source.linting import Checked, check_bytes
from initaudit.source.packed import Packed

# A process costs a quarter of a second to start; below this many files it does not pay.
MANY = 200
_CHUNK = 16
_ROUND = 1024

Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Source:
    """One file to check: ``path`` is how it is shown, ``content`` what is not read from a file.

    An ``always`` file is parsed whatever it holds, so that a fault of its syntax is reported.
    """

    path: str
    always: bool = False
    content: bytes | None = None


@dataclass(frozen=True)
class Work:
    """What all files have in common: the rules, and the folders that add to the catalogue."""

    rules: Mapping[str, Rule]
    folders: tuple[Path, ...] = ()

    @cached_property
    def catalogue(self) -> Catalogue:
        """The catalogue, read when the first file needs it.

        Raises:
            CatalogueError: for a folder's file that cannot be used.
        """
        return catalogue.load(self.folders)


def check_files(
    sources: Sequence[Source],
    work: Work,
    *,
    cache: Path | None = None,
    jobs: int | None = None,
    progress: Progress = lambda share: None,
) -> list[Checked]:
    """Return what each file came to, in the order given.

    Unchanged files are taken from the folder ``cache``. ``jobs`` processes share the others;
    None means as many as there are processors where that pays, and one under pre-commit.
    """
    with _uncollected():
        return _made(sources, work, cache, jobs, progress)


def _made(
    sources: Sequence[Source],
    work: Work,
    cache: Path | None,
    jobs: int | None,
    progress: Progress,
) -> list[Checked]:
    made: dict[int, Checked] = {}
    left = list(range(len(sources)))
    known = None
    if cache is not None:
        known = Cache.open(cache, key(work.rules, work.folders))
        left = [i for i in left if not _known(sources[i], known, made, i)]
    packed = Packed()
    files = sum(sources[i].content is None for i in left)
    processes = min(_processes(len(left)) if jobs is None else jobs, files)
    results = _checked(sources, left, work, processes, keep=known is not None)
    for done, (i, mark, checked, line) in enumerate(results):
        if processes > 1:
            made[i] = checked
        else:
            packed.put(i, checked)
        if known is not None and mark:
            known.put(sources[i].path, mark, line, always=sources[i].always)
        progress(done / len(left))
        _collected(done + 1)
    if known is not None:
        known.save()
    made.update(packed.all())
    return [made[i] for i in range(len(sources))]


def _known(source: Source, cache: Cache, made: dict[int, Checked], i: int) -> bool:
    content = None if source.content is not None else _content(source)
    if not isinstance(content, bytes):
        return False
    found = cache.get(source.path, digest(source.path, content), always=source.always)
    if found is not None:
        made[i] = found
    return found is not None


_Result = tuple[int, str, Checked, str]


def _checked(
    sources: Sequence[Source], left: list[int], work: Work, processes: int, *, keep: bool
) -> Iterator[_Result]:
    if processes > 1:
        files = [i for i in left if sources[i].content is None]
        yield from _in_processes(sources, files, work, processes, keep=keep)
        left = [i for i in left if sources[i].content is not None]
    for i in left:
        yield (i, *_one(sources[i], work, keep=keep))


def _processes(files: int) -> int:
    if files <= MANY or os.environ.get("PRE_COMMIT") == "1":
        return 1
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _one(source: Source, work: Work, *, keep: bool) -> tuple[str, Checked, str]:
    """Return a file's digest, what it came to, and that as a line for the cache if it is to be."""
    content = _content(source)
    if not isinstance(content, bytes):
        return "", Checked(source.path, unread=(content,)), ""
    checked = check_bytes(
        content, source.path, work.rules, lambda: work.catalogue, always=source.always
    )
    if not keep or source.content is not None:
        return "", checked, ""
    return digest(source.path, content), checked, written(checked)


def _content(source: Source) -> bytes | Unread:
    if source.content is not None:
        return source.content
    try:
        # Asked before it is opened: opening a pipe waits for a writer.
        if not stat.S_ISREG(os.stat(source.path).st_mode):
            return Unread(Site(source.path), "is no regular file")
        with open(source.path, "rb") as file:
            return file.read()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return Unread(Site(source.path), f"cannot be read: {reason}")
    except MemoryError:
        return Unread(Site(source.path), "needs more memory than there is")


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the collector from walking syntax trees, which hold next to no cycles, as they grow."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _collected(done: int) -> None:
    """Collect the few cycles of many files at once: it takes as long as checking ten files."""
    if done % _ROUND == 0:
        gc.collect()


@dataclass(slots=True)
class _Worker:
    work: Work | None = None
    keep: bool = False
    done: int = 0


_WORKER = _Worker()


def _start(work: Work, keep: bool) -> None:  # noqa: FBT001  (a pool has no keywords)
    _WORKER.work, _WORKER.keep = work, keep
    gc.disable()


def _chunk(sources: Sequence[Source]) -> list[tuple[str, Checked, str]]:
    assert _WORKER.work is not None  # noqa: S101
    made = []
    for source in sources:
        made.append(_one(source, _WORKER.work, keep=_WORKER.keep))
        _WORKER.done += 1
        _collected(_WORKER.done)
    return made


def _alone() -> bool:
    """Return whether this process surely has one thread, so that a copy of it lacks nothing."""
    try:
        return len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return False


def _in_processes(
    sources: Sequence[Source], files: list[int], work: Work, jobs: int, *, keep: bool
) -> Iterator[_Result]:
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    import initaudit.source.checks  # noqa: F401  (copies of this process need not import it again)

    chunks = [files[i : i + _CHUNK] for i in range(0, len(files), _CHUNK)]
    done = 0
    context = get_context("fork" if _alone() else "spawn")
    # Without the catalogue, which a new process reads faster than it is sent.
    shared = Work(work.rules, work.folders)
    pool = ProcessPoolExecutor(jobs, context, _start, (shared, keep))
    try:
        with pool:
            for made in pool.map(_chunk, [[sources[i] for i in chunk] for chunk in chunks]):
                for i, one in zip(chunks[done], made, strict=True):
                    yield (i, *one)
                done += 1
    except BrokenProcessPool:
        # What a worker died of may be one file: the rest is still to be checked, here.
        for chunk in chunks[done:]:
            for i in chunk:
                yield (i, *_one(sources[i], work, keep=keep))
