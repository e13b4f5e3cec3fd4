"""Rows of an embedding that stand for padding, and are filled with the rest."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from initaudit.claims import Hit, Limits, check
from initaudit.network import Interval, Site
from initaudit.rulebook import Severity
from initaudit.source.draws import Draw
from initaudit.source.file import File
from initaudit.source.module import Function, arguments, defaults
from initaudit.source.sweeps import loop_variable, over
from initaudit.source.targets import has_subscript, narrowed_to

_PARAMETERS = frozenset({"parameters", "named_parameters"})
_CLEARS = re.compile(
    r"padding_idx|pad_idx|pad_token|padding_row|super\(\)|_init_weights\(|\bpad\b", re.IGNORECASE
)
_AXES = re.compile(
    r"\w+\.(dim\(\)|ndim|ndimension\(\)) (> 1|>= 2)|len\(\w+\.(shape|size\(\))\) (> 1|>= 2)"
    r"|\w+\.requires_grad"
)
_FIRST = re.compile(r"\.weight(\.data)?\[0\]")
_FILLS = frozenset({"zeros", "empty", "data", "unknown"})
_EMBEDDING = "torch.nn.Embedding"
_Statements = list[ast.Assign | ast.AnnAssign]


@check("IA407", "draw")
def padding_row_overwritten(subject: File, limits: Limits) -> Iterator[Hit]:
    """An initialiser over a whole embedding that has a padding row, which stays as drawn."""
    if "padding_idx" not in subject.module.text:
        return
    padded = _padded(subject)
    if not padded:
        return
    for draw in subject.draws:
        if draw.callee.form not in {"inplace", "method"} or draw.target is None:
            continue
        if has_subscript(draw.target) or draw.function is None or _is_zero(draw):
            continue
        direct = _direct(subject, draw, padded)
        tables = direct or _swept(subject, draw, padded)
        if not tables or _cleared(subject, draw, draw.function):
            continue
        yield Hit(
            subject.site(draw.node),
            {
                "callee": draw.callee.name,
                "target": ast.unparse(draw.target),
                "table": _callee(tables[0]),
                "line": tables[0].lineno,
                "zeroed": ".".join(draw.path[:-1]),
                "row": _row_is(subject, direct),
            },
            severity=Severity.NOTE if subject.is_test else None,
            fix="zero-the-row" if draw.role == "weight" else None,
            related=_sites(subject, tables),
        )


def _is_zero(draw: Draw) -> bool:
    # A constant leaves the row as all others are, on purpose or not: it is not noise.
    return draw.callee.law in _FILLS or draw.weights.law in {"zeros", "constant"}


def _padded(file: File) -> list[ast.Assign | ast.AnnAssign]:
    """Return the assignments that make an embedding with a padding row."""
    made = {call for call in file.module.calls_that_may_be("Embedding") if _has_row(file, call)}
    return [
        statement
        for statement in (file.module.assigns if made else ())
        if statement.value in made and _is_embedding(file, statement.value)
    ]


def _is_embedding(file: File, value: ast.expr | None) -> bool:
    spec = None if value is None else file.layer(value)
    return spec is not None and spec.name == _EMBEDDING


def _row_is(file: File, tables: _Statements) -> str:
    """Return whether the row is surely a number: ``weight[None]`` would be the whole table."""
    rows = [_row(t.value) for t in tables if isinstance(t.value, ast.Call)]
    if not rows:
        return "unknown"
    return "known" if all(isinstance(file.fold(row), Interval) for row in rows) else "optional"


def _row(call: ast.Call) -> ast.expr | None:
    """Return the argument for the row that an embedding keeps for padding."""
    given = next((k.value for k in call.keywords if k.arg == "padding_idx"), None)
    plain = not any(isinstance(a, ast.Starred) for a in call.args)
    return call.args[2] if given is None and len(call.args) > 2 and plain else given


def _has_row(file: File, call: ast.Call) -> bool:
    """Return whether an embedding is surely given a row for padding."""
    given = _row(call)
    if given is None or file.fold(given) is None:
        return False
    function = file.module.function(call)
    if isinstance(given, ast.Name) and function is not None:
        return given.id not in _optional(function)
    return True


def _optional(function: Function) -> set[str]:
    """Return the parameters of a function that default to None."""
    given = defaults(function).items()
    return {name for name, d in given if isinstance(d, ast.Constant) and d.value is None}


def _direct(file: File, draw: Draw, padded: _Statements) -> _Statements:
    """``self.table.weight`` or ``table.weight`` of one that this class or function makes."""
    if len(draw.path) < 2 or draw.role != "weight":
        return []
    found = []
    for statement in padded:
        if not any(ast.unparse(t).split(".") == list(draw.path[:-1]) for t in _targets(statement)):
            continue
        if draw.path[0] == "self":
            same = file.module.class_of(statement) is draw.owner
        else:
            same = file.module.function(statement) is draw.function
        if same:
            found.append(statement)
    return found


def _swept(file: File, draw: Draw, padded: _Statements) -> _Statements:
    """A pass over all embeddings, or over all parameters, of a network that has such a table."""
    if len(draw.path) == 2 and draw.role == "weight":
        kinds = narrowed_to(file, draw.node, draw.path[0])
        specs = [file.catalogue.layer(kind) for kind in kinds]
        wide = any(spec is not None and spec.name == _EMBEDDING for spec in specs)
        handed = draw.path[0] in _arguments(draw) or any(
            isinstance(a, ast.For) and loop_variable(a) == draw.path[0]
            for a in file.module.around(draw.node)
        )
        return padded if wide and handed and _only_kinds(file, draw) else []
    if len(draw.path) == 3 and draw.role == "weight":
        kinds = narrowed_to(file, draw.node, draw.path[0])
        return [
            s for s in padded
            for made in [file.module.class_of(s)]
            if made is not None and kinds == (made.name,)
            and any(ast.unparse(t) == f"self.{draw.path[1]}" for t in _targets(s))
        ]  # fmt: skip
    if len(draw.path) != 1:
        return []
    for around in file.module.around(draw.node):
        if isinstance(around, ast.For) and loop_variable(around) == draw.path[0]:
            if over(around, _PARAMETERS) != ("self",) or not _only_axes(file, draw, around):
                return []
            return [s for s in padded if _reaches(file, draw.owner, file.module.class_of(s))]
        if isinstance(around, ast.FunctionDef | ast.AsyncFunctionDef):
            break
    return []


def _arguments(draw: Draw) -> set[str]:
    return set() if draw.function is None else {a.arg for a in arguments(draw.function)}


def _only_kinds(file: File, draw: Draw) -> bool:
    """Return whether a branch is taken for every embedding that comes by."""
    one = next((w for held in file.writes.values() for w in held if w.draw is draw), None)
    return one is not None and one.certain


def _only_axes(file: File, draw: Draw, loop: ast.For) -> bool:
    child: ast.AST = draw.node
    for around in file.module.around(draw.node):
        if around is loop:
            return True
        if isinstance(around, ast.If):
            text = ast.unparse(around.test)
            if child not in around.body or not _AXES.fullmatch(text):
                return False
        elif not isinstance(around, ast.Expr | ast.Call | ast.With | ast.Assign):
            return False
        child = around
    return False


def _reaches(file: File, owner: ast.ClassDef | None, made: ast.ClassDef | None) -> bool:
    """Return whether a class makes, through others of the file, objects of another."""
    seen: set[ast.ClassDef] = set()
    left = [made]
    while left:
        one = left.pop()
        if one is None or one in seen:
            continue
        if one is owner:
            return True
        seen.add(one)
        left += list(file.makers.get(one.name, ()))
    return False


def _cleared(file: File, draw: Draw, function: Function) -> bool:
    """Return whether the row is zeroed afterwards, as far as the rest of the function tells."""
    rest = file.module.lines[draw.node.end_lineno or 0 : function.end_lineno]
    names = {ast.unparse(draw.target) if draw.target else ""}
    return any(
        _CLEARS.search(line) or _FIRST.search(line) or any(f"{n}[" in line for n in names)
        for line in rest
    )


def _targets(statement: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return statement.targets if isinstance(statement, ast.Assign) else [statement.target]


def _sites(file: File, tables: _Statements) -> tuple[Site, ...]:
    return tuple(file.site(table.value) for table in tables[:4] if table.value is not None)


def _callee(statement: ast.Assign | ast.AnnAssign) -> str:
    value = statement.value
    return ast.unparse(value.func) if isinstance(value, ast.Call) else "table"
