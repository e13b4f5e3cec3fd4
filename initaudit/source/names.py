"""What the names of a file stand for: an import map, aliases and partials, without scopes' cost."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

# Modules that projects use to hand on torch.nn.init under relative imports (transformers,
# mmengine forks); a file of that name which the project itself fills otherwise is rare.
_REEXPORTS = frozenset({"init", "initialization"})


@dataclass(frozen=True, slots=True)
class Partial:
    """A callee with arguments already bound, as `functools.partial` makes it."""

    callee: ast.expr
    args: tuple[ast.expr, ...]
    keywords: tuple[ast.keyword, ...]


@dataclass(slots=True)
class Names:
    """Aliases of one file.

    ``imports`` maps a local name to a qualified one, the last import winning; ``stars`` are the
    modules imported whole; ``aliases`` maps a name assigned exactly once to its value;
    ``defined`` are names of functions and classes of the file, which stand for themselves.
    """

    imports: dict[str, str] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    aliases: dict[str, ast.expr] = field(default_factory=dict)
    defined: set[str] = field(default_factory=set)
    _known: dict[ast.Attribute, str | None] = field(default_factory=dict)

    def qualified(self, expr: ast.expr, depth: int = 0) -> str | None:
        """Return the qualified name of an expression such as ``nn.init.normal_``, if it has one.

        A name from a star import is returned under each such module by `candidates` only.
        """
        if isinstance(expr, ast.Name):
            return self._name(expr.id, depth)
        if isinstance(expr, ast.Attribute):
            if expr not in self._known:
                owner = self.qualified(expr.value, depth)
                self._known[expr] = None if owner is None else f"{owner}.{expr.attr}"
            return self._known[expr]
        if isinstance(expr, ast.Call) and depth < 4 and len(expr.args) >= 2:
            # getattr with a literal, and functools.partial of a resolvable callee.
            callee = self.qualified(expr.func, depth + 1)
            second = expr.args[1]
            if (
                callee == "getattr"
                and isinstance(second, ast.Constant)
                and isinstance(second.value, str)
            ):
                owner = self.qualified(expr.args[0], depth + 1)
                return None if owner is None else f"{owner}.{second.value}"
        return None

    def candidates(self, expr: ast.expr) -> tuple[str, ...]:
        """Return the qualified names that an expression may have, star imports included."""
        found = self.qualified(expr)
        if found is not None:
            return (found,)
        if isinstance(expr, ast.Name) and expr.id not in self.defined:
            return tuple(f"{module}.{expr.id}" for module in self.stars)
        return ()

    @property
    def packages(self) -> frozenset[str]:
        """The top-level packages that are imported, or something of them."""
        return frozenset(name.partition(".")[0] for name in (*self.imports.values(), *self.stars))

    def stands(self, name: str, words: Collection[str]) -> bool:
        """Return whether a local name may stand for another that ends in one of some words."""
        imported = self.imports.get(name)
        return name in self.aliases or (
            imported is not None and imported.rpartition(".")[2] in words
        )

    def _name(self, name: str, depth: int) -> str | None:
        if name in self.defined:
            return None
        if name in self.imports:
            return self.imports[name]
        value = self.aliases.get(name)
        if value is not None and depth < 4 and not isinstance(value, ast.Constant):
            return self.qualified(value, depth + 1)
        return name if name in _BUILTINS else None


_BUILTINS = frozenset({"getattr", "isinstance", "super", "len", "range", "list", "hasattr"})


def read_names(
    imports: Iterable[ast.Import | ast.ImportFrom],
    assigned: Mapping[str, ast.expr],
    defined: Iterable[str],
) -> Names:
    """Return the import map of a file.

    ``assigned`` holds the value of each bare name that is given just one anywhere in the file;
    where it is never imported it is an alias for that.
    """
    names = Names(defined=set(defined))
    for node in imports:
        if isinstance(node, ast.Import):
            for alias in node.names:
                local = alias.asname or alias.name.split(".")[0]
                names.imports[local] = alias.name if alias.asname else local
        else:
            _import_from(node, names)
    for name, value in assigned.items():
        if name not in names.imports:
            names.aliases[name] = value
    return names


def _import_from(node: ast.ImportFrom, names: Names) -> None:
    module = "." * node.level + (node.module or "")
    for alias in node.names:
        if alias.name == "*":
            names.stars.append(_home(module) or module)
            continue
        local = alias.asname or alias.name
        if node.level and alias.name in _REEXPORTS:
            names.imports[local] = "torch.nn.init"
        else:
            names.imports[local] = f"{_home(module) or module}.{alias.name}"
        names.defined.discard(local)


def _home(module: str) -> str | None:
    """Return ``torch.nn.init`` for a relative module that hands it on."""
    last = module.rpartition(".")[2]
    return "torch.nn.init" if module.startswith(".") and last in _REEXPORTS else None
