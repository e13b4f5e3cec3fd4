"""One source file that faults are put into, and the edits that do it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

_PASS = re.compile(
    r"def \w*(?:init_weights|reset_parameters|initialize\w*|weights_init)\b|\bpost_init\("
    r"|\.apply\(|\.(?:modules|named_modules)\(\)"
)


@dataclass(frozen=True, slots=True)
class Edit:
    """Replaces ``[start, end)`` by ``text``; ``fault`` says that a finding belongs there."""

    start: int
    end: int
    text: str
    fault: bool = False


@dataclass(frozen=True, slots=True)
class Mutant:
    """A file with one wrong initialiser: where it is wrong, and which rules may say so."""

    kind: str
    text: str
    lines: frozenset[int]
    rules: frozenset[str]

    @property
    def shown(self) -> str:
        """The lines at fault."""
        rows = self.text.split("\n")
        return "\n".join(f"{n}: {rows[n - 1].strip()}" for n in sorted(self.lines))


@dataclass
class Source:
    """A parsed file with what the operators ask about it."""

    path: str
    text: str
    tree: ast.Module = field(init=False)
    parents: dict[ast.AST, ast.AST] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.tree = ast.parse(self.text)
        for node in ast.walk(self.tree):
            for child in ast.iter_child_nodes(node):
                self.parents[child] = node

    @cached_property
    def _starts(self) -> list[int]:
        starts = [0]
        for line in self.text.split("\n"):
            starts.append(starts[-1] + len(line) + 1)
        return starts

    @cached_property
    def _rows(self) -> list[str]:
        return self.text.split("\n")

    def _offset(self, line: int, column: int) -> int:
        row = self._rows[line - 1]
        return self._starts[line - 1] + len(row.encode()[:column].decode())

    def start(self, node: ast.expr | ast.stmt) -> int:
        """Return where a node begins, in characters."""
        return self._offset(node.lineno, node.col_offset)

    def end(self, node: ast.expr | ast.stmt) -> int:
        """Return where a node ends, in characters."""
        return self._offset(node.end_lineno or node.lineno, node.end_col_offset or 0)

    def written(self, node: ast.expr | ast.stmt) -> str:
        """Return a node as it is written."""
        return self.text[self.start(node) : self.end(node)]

    def indent(self, node: ast.stmt) -> str:
        """Return the white space in front of a statement."""
        row = self._rows[node.lineno - 1]
        return row[: len(row) - len(row.lstrip())]

    def replace(self, node: ast.expr | ast.stmt, text: str, *, fault: bool = True) -> Edit:
        """Return the edit that writes ``text`` in a node's place."""
        return Edit(self.start(node), self.end(node), text, fault)

    def after(self, node: ast.stmt, lines: Sequence[str], *, fault: bool = True) -> list[Edit]:
        """Return the edits that put statements after one, as deep as it is."""
        at = self._starts[node.end_lineno or node.lineno]
        indent = self.indent(node)
        if at > len(self.text):
            return [Edit(len(self.text), len(self.text), "\n")]
        return [Edit(at, at, f"{indent}{line}\n", fault) for line in lines]

    def here(self, node: ast.expr | ast.stmt) -> Edit:
        """Return the edit that changes nothing and says that a node is at fault."""
        return Edit(self.start(node), self.start(node), "", fault=True)

    def imports(self, statement: str, word: str) -> list[Edit]:
        """Return the edit that imports a name, none where the file does."""
        if re.search(rf"^(?:from .*)?import .*\b{word}\b", self.text, re.MULTILINE):
            return []
        tops = [n for n in self.tree.body if isinstance(n, ast.Import | ast.ImportFrom)]
        if not tops:
            return []
        return self.after(tops[-1], [statement], fault=False)

    def mutant(self, kind: str, rules: str, edits: Sequence[Edit]) -> Mutant | None:
        """Return the edited file; None where it is no Python any more."""
        parts: list[str] = []
        lines: set[int] = set()
        at, row = 0, 1
        for edit in sorted(edits, key=lambda e: (e.start, e.end)):
            if edit.start < at:
                return None
            kept = self.text[at : edit.start]
            parts += [kept, edit.text]
            row += kept.count("\n")
            if edit.fault:
                lead = len(edit.text) - len(edit.text.lstrip(", \n"))
                lines.add(row + edit.text.count("\n", 0, lead))
            row += edit.text.count("\n")
            at = edit.end
        text = "".join(parts) + self.text[at:]
        try:
            compile(text, self.path, "exec", dont_inherit=True)
        except SyntaxError:
            return None
        return Mutant(kind, text, frozenset(lines), frozenset(rules.split()))

    @cached_property
    def passes(self) -> bool:
        """Whether anything in the file fills the weights of whole modules."""
        return _PASS.search(self.text) is not None

    @cached_property
    def init(self) -> str:
        """How the file names torch's initialisers."""
        own = r"import initialization as init$|^from torch\.nn import init$"
        return "init" if re.search(own, self.text, re.MULTILINE) else "nn.init"

    @cached_property
    def torch(self) -> bool:
        """Whether ``nn`` is torch's in the file."""
        found = r"^(?:import torch\.nn as nn|from torch import (?:\w+, )*nn\b.*)$"
        return re.search(found, self.text, re.MULTILINE) is not None

    @cached_property
    def tensors(self) -> bool:
        """Whether the file imports torch under its own name."""
        return re.search(r"^import torch$", self.text, re.MULTILINE) is not None

    def around(self, node: ast.AST) -> Iterator[ast.AST]:
        """Yield what is around a node, innermost first."""
        parent = self.parents.get(node)
        while parent is not None:
            yield parent
            parent = self.parents.get(parent)

    def within(self, root: ast.AST) -> Iterator[ast.AST]:
        """Yield the nodes under one, in source order."""
        for child in ast.iter_child_nodes(root):
            yield child
            yield from self.within(child)

    def indent_of(self, node: ast.expr) -> str:
        """Return the white space in front of the line that an expression ends in."""
        row = self._rows[(node.end_lineno or node.lineno) - 1]
        return row[: len(row) - len(row.lstrip())]
