"""The catalogue: qualified names to what they do, read file by file as they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from initaudit.catalogue import reading
from initaudit.catalogue.entries import Initialiser, LayerSpec
from initaudit.catalogue.reading import Framework, Head
from initaudit.catalogue.tables import CatalogueError
from initaudit.rulebook import rules_folder

# A chain of other names longer than this is a circle.
_CHAIN = 8


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Initialisers and layers by name.

    ``files`` are in order: where two hold one name, the later one counts. A file is read whole
    when a name of one of its packages, or its framework, is asked for.
    """

    files: tuple[Head, ...]
    _read: dict[Path, Framework] = field(default_factory=dict, compare=False, repr=False)
    _canonical: dict[str, str] = field(default_factory=dict, compare=False, repr=False)
    _initialisers: dict[str, Initialiser | None] = field(
        default_factory=dict, compare=False, repr=False
    )
    _layers: dict[str, LayerSpec | None] = field(default_factory=dict, compare=False, repr=False)
    _words: dict[tuple[str, frozenset[str]], frozenset[str]] = field(
        default_factory=dict, compare=False, repr=False
    )

    @property
    def frameworks(self) -> tuple[str, ...]:
        """Names of the frameworks described."""
        return tuple(dict.fromkeys(file.framework for file in self.files))

    @property
    def packages(self) -> frozenset[str]:
        """Top-level packages that a name can begin with."""
        return frozenset(package for file in self.files for package in file.packages)

    def initialiser(self, qualified: str) -> Initialiser | None:
        """Return the initialiser of that name, or of a name that it stands for."""
        if qualified not in self._initialisers:
            name = self.canonical(qualified)
            self._initialisers[qualified] = next(
                (f.initialisers[name] for f in self._of_package(name) if name in f.initialisers),
                None,
            )
        return self._initialisers[qualified]

    def layer(self, qualified: str) -> LayerSpec | None:
        """Return the layer of that name, or of a name that it stands for."""
        if qualified not in self._layers:
            name = self.canonical(qualified)
            self._layers[qualified] = next(
                (f.layers[name] for f in self._of_package(name) if name in f.layers), None
            )
        return self._layers[qualified]

    def method(self, name: str, framework: str = "torch") -> Initialiser | None:
        """Return the method of a tensor that fills it."""
        return next((f.methods[name] for f in self._of(framework) if name in f.methods), None)

    def words_of_initialisers(self, packages: frozenset[str]) -> frozenset[str]:
        """Return the last words of all names of initialisers in some packages, and methods.

        A call whose callee ends in none of them is no initialiser; that is cheap to ask.
        """
        key = ("initialisers", packages)
        if key not in self._words:
            named = (
                (*read.initialisers, *read.names, *read.methods)
                for read in (*self._in_packages(packages), *self._of("torch"))
            )
            self._words[key] = _last_words(named)
        return self._words[key]

    def words_of_layers(self, packages: frozenset[str]) -> frozenset[str]:
        """Return the last words of all names of layers in some packages."""
        key = ("layers", packages)
        if key not in self._words:
            named = ((*read.layers, *read.names) for read in self._in_packages(packages))
            self._words[key] = _last_words(named)
        return self._words[key]

    def string(self, framework: str, text: str) -> Initialiser | None:
        """Return the initialiser that a framework takes a string for."""
        for found in self._of(framework):
            if text in found.strings:
                return self.initialiser(found.strings[text])
        return None

    def returns(self, qualified: str) -> str | None:
        """Return the class that a call makes, if its methods are initialisers."""
        name = self.canonical(qualified)
        return next((f.returns[name] for f in self._of_package(name) if name in f.returns), None)

    def canonical(self, qualified: str) -> str:
        """Return the name that the catalogue holds a thing under; the name itself if none."""
        if qualified not in self._canonical:
            self._canonical[qualified] = self._resolve(qualified)
        return self._canonical[qualified]

    def _resolve(self, name: str) -> str:
        for _ in range(_CHAIN):
            if any(name in f.initialisers or name in f.layers for f in self._of_package(name)):
                return name
            other = next(
                (o for f in self._of_package(name) if (o := _other_name(f, name)) is not None), None
            )
            if other is None:
                return name
            name = other
        raise CatalogueError(f"names go round in a circle: {name}")

    def _of_package(self, name: str) -> Iterable[Framework]:
        package = name.partition(".")[0]
        return (self._framework(f) for f in reversed(self.files) if package in f.packages)

    def _in_packages(self, packages: frozenset[str]) -> Iterable[Framework]:
        return (self._framework(f) for f in self.files if not packages.isdisjoint(f.packages))

    def _of(self, framework: str) -> Iterable[Framework]:
        return (self._framework(f) for f in reversed(self.files) if framework == f.framework)

    def _framework(self, file: Head) -> Framework:
        if file.path not in self._read:
            self._read[file.path] = reading.framework(file)
        return self._read[file.path]


def frameworks_folder() -> Path:
    """Return the folder of the built-in files."""
    return rules_folder() / "frameworks"


def load(folders: Iterable[Path] = ()) -> Catalogue:
    """Return the catalogue of the built-in files and those in ``frameworks/`` of other folders.

    Only the first lines of each built-in file are parsed; the files of ``folders`` are read
    whole, so that their faults show at once.

    Raises:
        CatalogueError: for a file that cannot be used.
    """
    built_in = tuple(reading.head(p) for p in sorted(frameworks_folder().glob("*.toml")))
    own = tuple(
        reading.head(p)
        for folder in folders
        for p in sorted((folder / "frameworks").glob("*.toml"))
    )
    return Catalogue((*built_in, *own), {file.path: reading.framework(file) for file in own})


def _last_words(names: Iterable[Iterable[str]]) -> frozenset[str]:
    return frozenset(name.rpartition(".")[2] for some in names for name in some)


def _other_name(found: Framework, name: str) -> str | None:
    """Return the name that a file gives for another: an exact one, else by its module."""
    if name in found.names:
        return found.names[name]
    module, dot, rest = name.rpartition(".")
    while dot:
        if module in found.modules:
            return f"{found.modules[module]}.{rest}"
        module, dot, more = module.rpartition(".")
        rest = f"{more}.{rest}"
    return None


def all_entries(catalogue: Catalogue) -> Mapping[str, Framework]:
    """Return everything by framework file, each read and so checked."""
    return {file.path.name: catalogue._framework(file) for file in catalogue.files}
