"""What unchanged files came to, kept in one file of JSON lines between runs.

A line is the digest of a file's name and bytes, its name, and what `linting` made of it. The
first line is a key over everything else that the result depends on. Nothing in it is executed,
and what cannot be read is left out as if it had never been there.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from initaudit.catalogue import frameworks_folder
from initaudit.claims import Doubt, Hit
from initaudit.finding import Fact
from initaudit.network import Site, Unread
from initaudit.rulebook import Confidence, Rule, Severity
from initaudit.source.linting import Checked, Claim
from initaudit.source.outline import Outline
from initaudit.source.plain import NotPlainError, Read, Write, reader, writer
from initaudit.source.suppress import Ignore
from initaudit.version import VERSION

NAME = ".initaudit_cache"
_FILE = "lint.jsonl"
_TAG = """\
Signature: 8a477f597d28d172789f06886806bc55
# This folder is a cache of initaudit: https://bford.info/cachedir/
"""


@dataclass(frozen=True, slots=True)
class _Claim:
    """A claim as it is kept: all of it but a layer, which source does not have."""

    rule: str
    site: Site
    facts: Mapping[str, Fact]
    severity: Severity | None
    confidence: Confidence | None
    margin: float | None
    related: tuple[Site, ...]
    doubts: tuple[Doubt, ...]
    fix: str | None
    symbol: str
    excerpts: tuple[str, ...]
    ignored: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Kept:
    claims: tuple[_Claim, ...]
    outline: Outline | None
    unread: tuple[Unread, ...]
    ignores: tuple[Ignore, ...]


def digest(path: str, content: bytes) -> str:
    """Return what a file is known by: its bytes, and its name, which some rules ask for."""
    made = hashlib.blake2b(content, digest_size=16)
    made.update(b"\0" + os.fsencode(path))
    return made.hexdigest()


def key(rules: Mapping[str, Rule], folders: Iterable[Path] = ()) -> str:
    """Return a digest of all that a result depends on besides the file.

    That is the version, Python's grammar, the limits, the frameworks' descriptions and, for who
    works on the rules, the age of this package's own files.
    """
    made = hashlib.blake2b(digest_size=16)
    parts = [VERSION, str(sys.version_info[:2]), str(sorted(_fields()))]
    parts += [f"{rule.id} {rule.name} {sorted(rule.limits.items())}" for rule in rules.values()]
    for folder in (frameworks_folder(), *(folder / "frameworks" for folder in folders)):
        parts += [_content(path) for path in sorted(folder.glob("*.toml"))]
    package = Path(__file__).parent.parent
    for path in sorted((*package.glob("source/**/*.py"), *package.glob("catalogue/*.py"),
                        *package.glob("*.py"))):  # fmt: skip
        seen = path.stat()
        parts.append(f"{path.name} {seen.st_size} {seen.st_mtime_ns}")
    made.update("\0".join(parts).encode("utf-8", "surrogatepass"))
    return made.hexdigest()


def _fields() -> tuple[str, ...]:
    return tuple(name for kind in (_Claim, _Kept, Outline, Ignore) for name in kind.__slots__)


def _content(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


def written(checked: Checked) -> str:
    """Return what a file came to as one line of JSON."""
    kept = _Kept(
        tuple(_kept(claim) for claim in checked.claims),
        checked.outline,
        checked.unread,
        checked.ignores,
    )
    return json.dumps(_codec()[0](kept), separators=(",", ":"))


def read(line: str | bytes, path: str) -> Checked | None:
    """Return what a line says; None where it says nothing that could have been written."""
    try:
        kept = _codec()[1](json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return None
    if any(not 0 <= i < len(kept.ignores) for claim in kept.claims for i in claim.ignored):
        return None
    claims = tuple(_claim(claim) for claim in kept.claims)
    return Checked(path, claims, kept.outline, kept.unread, kept.ignores)


@cache
def _codec() -> tuple[Write, Read]:
    return writer(_Kept), reader(_Kept)


def _kept(claim: Claim) -> _Claim:
    hit = claim.hit
    if hit.layer is not None:
        raise NotPlainError(f"{claim.rule}: a claim on source has no layer")
    return _Claim(
        claim.rule, hit.site, hit.facts, hit.severity, hit.confidence, hit.margin, hit.related,
        hit.doubts, hit.fix, claim.symbol, claim.excerpts, claim.ignored,
    )  # fmt: skip


def _claim(kept: _Claim) -> Claim:
    hit = Hit(
        kept.site, kept.facts, None, kept.severity, kept.confidence, kept.margin, kept.related,
        kept.doubts, kept.fix,
    )  # fmt: skip
    return Claim(kept.rule, hit, kept.symbol, kept.excerpts, kept.ignored)


@dataclass(slots=True)
class Cache:
    """The lines of one cache; those asked for are kept, and those whose file is still there."""

    folder: Path
    key: str
    _lines: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    _used: set[str] = field(default_factory=set)
    _changed: bool = False

    @classmethod
    def open(cls, folder: Path, key: str) -> Cache:
        """Return the cache in a folder; an empty one where there is none that can be used."""
        made = cls(folder, key)
        try:
            first, _, rest = (folder / _FILE).read_bytes().partition(b"\n")
        except OSError:
            return made
        if first != key.encode():
            return made
        for line in rest.split(b"\n"):
            parts = line.split(b"\t", 2)
            if len(parts) == 3:
                made._lines[parts[1].decode("ascii", "replace")] = (
                    parts[0].decode("ascii", "replace"), parts[2],
                )  # fmt: skip
        return made

    def get(self, path: str, digest: str, *, always: bool = False) -> Checked | None:
        """Return what a file came to, if that is known of just these bytes."""
        name = _name(path, always=always)
        known, line = self._lines.get(name, ("", b""))
        if known != digest:
            return None
        found = read(line, path)
        if found is not None:
            self._used.add(name)
        return found

    def put(self, path: str, digest: str, line: str, *, always: bool = False) -> None:
        """Keep what a file came to, as `written` gives it."""
        name = _name(path, always=always)
        self._lines[name] = (digest, line.encode("ascii"))
        self._used.add(name)
        self._changed = True

    def save(self) -> None:
        """Write the lines, all at once or not at all; where that is not allowed nothing is said."""
        if not self._changed:
            return
        lines = [self.key.encode()]
        for name, (known, line) in self._lines.items():
            if name in self._used or os.path.exists(json.loads(name)[0]):
                lines.append(b"\t".join((known.encode(), name.encode(), line)))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            _once(self.folder / ".gitignore", "*\n")
            _once(self.folder / "CACHEDIR.TAG", _TAG)
            handle, made = tempfile.mkstemp(dir=self.folder)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(b"\n".join(lines) + b"\n")
                os.replace(made, self.folder / _FILE)
            except OSError:
                os.unlink(made)
        except OSError:
            return


def _name(path: str, *, always: bool) -> str:
    """Return what a file is listed under: one that is always parsed may come to more."""
    return json.dumps([path, always])


def _once(path: Path, text: str) -> None:
    if not path.exists():
        path.write_text(text, encoding="utf-8")
