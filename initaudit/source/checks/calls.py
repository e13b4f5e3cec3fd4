"""Calls that do not reach the weights: not made, made too early, thrown away, or refused."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from initaudit.claims import Hit, Limits, check
from initaudit.rulebook import Severity
from initaudit.source.draws import Draw, dotted
from initaudit.source.file import File
from initaudit.source.module import Function, arguments
from initaudit.source.targets import has_subscript, target_layer
from initaudit.source.words import Form

# Functions of torch.nn.init that need two axes, with the fewest that they take.
_AXES = {
    "xavier_uniform_": 2, "xavier_normal_": 2, "kaiming_uniform_": 2, "kaiming_normal_": 2,
    "orthogonal_": 2, "sparse_": 2, "eye_": 2, "dirac_": 3,
}  # fmt: skip
_COPIES = frozenset({"clone", "repeat", "deepcopy", "new_empty", "new_zeros", "new_ones"})
# These return the tensor itself where there is nothing to convert or move.
_MOVES = frozenset({"cpu", "cuda", "to", "float", "half", "double", "bfloat16", "type"})
# These return a tensor that they are given, and share the memory of an array.
_SHARED = frozenset({"torch.as_tensor", "torch.asarray", "torch.from_numpy"})
_VIEWS = frozenset({"detach", "view", "t", "transpose", "unsqueeze", "squeeze", "flatten"})
_METHOD = re.compile(r"_?(init|initiali[sz]e|reset)_(weights|parameters|params)|post_init")

_HANDED = Form("_init", r"[\s\\]*=")


@check("IA406", "draw")
def init_called_or_never(subject: File, limits: Limits) -> Iterator[Hit]:
    """A function handed on as its result, named without a call, or made where one is wanted."""
    for call in subject.module.calls_by_word.get("apply", ()):
        if isinstance(call.func, ast.Attribute):
            yield from _applied(subject, call)
    if _HANDED.found(subject.module.text):
        for call in subject.module.calls:
            yield from _uncalled(subject, call)
    for statement in subject.module.statements:
        if isinstance(statement.value, ast.Attribute | ast.Name):
            yield from _bare(subject, statement)


@check("IA419", "draw")
def fan_init_on_bias(subject: File, limits: Limits) -> Iterator[Hit]:
    """A fan-based initialiser on a bias: one axis has no fans, so torch raises an error."""
    for draw in subject.draws:
        function = draw.callee.name.rpartition(".")[2]
        if draw.callee.framework != "torch" or draw.callee.form != "inplace":
            continue
        if function.rstrip("_") + "_" not in _AXES or draw.target is None:
            continue
        if draw.role != "bias" or has_subscript(draw.target) or _caught(subject, draw.node):
            continue
        layer = target_layer(subject, draw)
        spec = None if layer is None else layer.weights.get("bias")
        if layer is None or spec is None or len(spec.shape) != 1:
            continue
        yield Hit(
            subject.site(draw.node),
            {
                "callee": draw.callee.name,
                "target": ast.unparse(draw.target),
                "layer": layer.name,
                "axes": _AXES[function.rstrip("_") + "_"],
            },
            severity=Severity.NOTE if subject.is_test else None,
        )


@check("IA424", "draw")
def init_result_discarded(subject: File, limits: Limits) -> Iterator[Hit]:
    """An initialiser that fills a copy which nothing keeps."""
    for draw in subject.draws:
        if draw.callee.form != "inplace" or draw.target is None:
            continue
        copied = _copied(subject, draw.target) if _is_statement(subject, draw.node) else None
        if copied is None or _caught(subject, draw.node):
            continue
        how, certain = copied
        mild = Severity.NOTE if subject.is_test else Severity.WARNING
        yield Hit(
            subject.site(draw.node),
            {"target": ast.unparse(draw.target), "how": how, "callee": draw.callee.name},
            severity=None if certain and not subject.is_test else mild,
        )
    if "clone" in subject.module.text:
        for statement in subject.module.statements:
            yield from _filled_copy(subject, statement)


@check("IA426", "draw")
def deprecated_init_name(subject: File, limits: Limits) -> Iterator[Hit]:
    """An initialiser's old name."""
    for draw in subject.draws:
        if draw.callee.deprecated is None or _own_module(subject, draw):
            continue
        yield Hit(
            subject.site(draw.node.func),
            {"callee": draw.callee.name, "now": draw.callee.deprecated},
            fix="current-name",
        )


def _applied(file: File, call: ast.Call) -> Iterator[Hit]:
    """``module.apply(f())`` where f returns nothing."""
    if len(call.args) != 1 or call.keywords or not isinstance(call.args[0], ast.Call):
        return
    made = call.args[0]
    function = _function(file, made.func)
    if function is None or not _returns_nothing(function):
        return
    wanted = arguments(function)
    takes_module = len(wanted) - (wanted[:1] != [] and wanted[0].arg in {"self", "cls"}) == 1
    yield Hit(
        file.site(made),
        {
            "written": ast.unparse(made),
            "what": "calls the function at once and hands `apply` its result, None",
            "instead": f"`{ast.unparse(made.func)}`, without the brackets",
        },
        related=(file.site(function),),
        fix="pass-the-function" if takes_module and not (made.args or made.keywords) else None,
    )


def _bare(file: File, statement: ast.Expr) -> Iterator[Hit]:
    """``self.init_weights`` as a statement."""
    named = statement.value
    words = dotted(named)
    if not words or not _METHOD.fullmatch(words[-1]):
        return
    function = _function(file, named)
    if function is not None and function.decorator_list:
        return
    yield Hit(
        file.site(statement),
        {
            "written": ast.unparse(named),
            "what": "names the function and does not call it",
            "instead": f"`{ast.unparse(named)}()`",
        },
        related=() if function is None else (file.site(function),),
    )


def _uncalled(file: File, call: ast.Call) -> Iterator[Hit]:
    """``Dense(kernel_init=xavier_uniform)``: the maker of an initialiser in its place."""
    if not call.keywords or not any((k.arg or "").endswith("_init") for k in call.keywords):
        return
    layer = file.layer(call)
    # Keras takes a class for its object; JAX's layers call what they are given with a key.
    if layer is None or layer.framework not in {"flax", "haiku", "equinox"}:
        return
    for keyword in call.keywords:
        if not isinstance(keyword.value, ast.Name | ast.Attribute):
            continue
        if keyword.arg not in layer.keywords:
            continue
        for name in file.module.names.candidates(keyword.value):
            callee = file.catalogue.initialiser(name)
            if callee is None or callee.form != "object":
                continue
            if {"key", "shape"} & {p.name for p in callee.parameters}:
                continue
            yield Hit(
                file.site(keyword.value),
                {
                    "written": ast.unparse(keyword.value),
                    "what": "makes an initialiser and is none itself",
                    "instead": f"`{ast.unparse(keyword.value)}()`",
                },
            )


def _function(file: File, expr: ast.expr) -> Function | None:
    """Return the function of the file that a name or ``self.name`` stands for."""
    module = file.module
    if isinstance(expr, ast.Name):
        found = [f for f in module.functions if f.name == expr.id and _visible(file, f, expr)]
        return found[0] if len(found) == 1 and expr.id not in module.names.imports else None
    if isinstance(expr, ast.Attribute) and isinstance(expr.value, ast.Name):
        owner = file.class_of(expr)
        if expr.value.id != "self" or owner is None:
            return None
        return next((c.methods[expr.attr] for c in owner.lineage() if expr.attr in c.methods), None)
    return None


def _visible(file: File, function: Function, expr: ast.expr) -> bool:
    scope = file.module.scope(function)
    return not isinstance(scope, ast.ClassDef) and (
        scope is file.module.tree or scope in file.module.around(expr)
    )


def _returns_nothing(function: Function) -> bool:
    """Return whether a function gives back None: nothing it returns, yields or stands for."""
    if function.decorator_list or isinstance(function, ast.AsyncFunctionDef):
        return False
    left: list[ast.AST] = list(function.body)
    while left:
        node = left.pop()
        none = isinstance(node, ast.Return) and _is_none(node.value)
        if isinstance(node, ast.Return | ast.Yield | ast.YieldFrom | ast.Raise) and not none:
            return False
        if not isinstance(node, ast.FunctionDef | ast.Lambda | ast.ClassDef):
            left += ast.iter_child_nodes(node)
    return True


def _is_none(value: ast.expr | None) -> bool:
    return value is None or (isinstance(value, ast.Constant) and value.value is None)


def _caught(file: File, node: ast.AST) -> bool:
    """Return whether an error there is expected: caught, asked for, or kept off by a test."""
    for around in file.module.around(node):
        if isinstance(around, ast.FunctionDef | ast.AsyncFunctionDef):
            return False
        if isinstance(around, ast.Try) and around.handlers:
            return True
        if isinstance(around, ast.With) and any(
            "raises" in ast.unparse(item.context_expr).lower() for item in around.items
        ):
            return True
        if isinstance(around, ast.If) and re.search(
            r"\b(n?dim|ndimension|shape|size|len)\b", ast.unparse(around.test)
        ):
            return True
    return False


def _is_statement(file: File, call: ast.Call) -> bool:
    return isinstance(file.module.parents.get(call), ast.Expr)


def _copied(file: File, target: ast.expr) -> tuple[str, bool] | None:
    """Return how a target comes to be a copy, and whether it surely is one."""
    while isinstance(target, ast.Attribute) and target.attr in {"data", "T"}:
        target = target.value
    if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.List | ast.Compare):
        return "an index by a list or a mask copies", True
    if not isinstance(target, ast.Call):
        return None
    for name in file.module.names.candidates(target.func):
        callee = file.catalogue.initialiser(name)
        if callee is not None and callee.form == "factory" and callee.name not in _SHARED:
            return "a new tensor", True
        if name == "copy.deepcopy":
            return "`deepcopy` copies", True
    if isinstance(target.func, ast.Attribute) and file.qualified(target.func) is None:
        return _method_copied(file, target.func)
    return None


def _method_copied(file: File, method: ast.Attribute) -> tuple[str, bool] | None:
    if method.attr in _COPIES:
        return f"`{method.attr}` copies", True
    if method.attr in _MOVES:
        return f"`{method.attr}` copies where it has something to change", False
    return _copied(file, method.value) if method.attr in _VIEWS else None


def _filled_copy(file: File, statement: ast.Expr) -> Iterator[Hit]:
    """``w.clone().normal_()`` as a statement."""
    call = statement.value
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return
    made = call.func.value
    if file.catalogue.method(call.func.attr) is None or not isinstance(made, ast.Call):
        return
    if not isinstance(made.func, ast.Attribute) or made.func.attr != "clone":
        return
    yield Hit(
        file.site(call),
        {"target": ast.unparse(made), "how": "`clone` copies", "callee": call.func.attr},
        severity=Severity.NOTE if file.is_test else None,
    )


def _own_module(file: File, draw: Draw) -> bool:
    """Return whether the name comes from a module of the project, whose names are its own."""
    root = draw.node.func
    while isinstance(root, ast.Attribute):
        root = root.value
    name = root.id if isinstance(root, ast.Name) else ""
    return any(
        isinstance(node, ast.ImportFrom) and node.level > 0
        and any((alias.asname or alias.name) in {name, "*"} for alias in node.names)
        for node in file.module.imports
    )  # fmt: skip
