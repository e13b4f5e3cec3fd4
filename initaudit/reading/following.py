"""Statements of a function, followed one by one."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from initaudit.checkpoint.graphs.values import Known, Signal
from initaudit.reading import assigning, evaluating, filling, names, skipping, windows
from initaudit.reading.state import DEPTH, State
from initaudit.reading.values import (
    HELD,
    EndlessError,
    Function,
    Module,
    Scope,
    StopError,
    UnfitError,
    Unknown,
)
from initaudit.reading.windows import Window


class _Return(Exception):  # noqa: N818  (no error: it carries what a function returns)
    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


class _Break(Exception):  # noqa: N818
    pass


class _Continue(Exception):  # noqa: N818
    pass


def run(
    state: State,
    function: Function,
    args: Sequence[Any],
    keywords: Mapping[str, Any],
    subject: Any = None,
) -> Any:
    """Return what a call of a function of the project gives.

    Raises:
        StopError: the path ends in it.
    """
    node = function.node
    if state.depth >= DEPTH:
        reason = f"calls are nested more than {DEPTH} deep: {function.name} calls itself?"
        raise EndlessError(reason, state.at)
    scope = Scope(function.unit, {}, function.outer, function.owner, subject)
    if subject is not None and not _static(function):
        args = (subject, *args)
    _bind(state, scope, function, args, keywords)
    if isinstance(node, ast.Lambda):
        return evaluating.evaluate(state, scope, node.body)
    if _yields(node):
        return Unknown(f"{function.name} is a generator")
    if isinstance(node, ast.AsyncFunctionDef):
        return Unknown(f"{function.name} is asynchronous")
    state.depth += 1
    try:
        block(state, scope, node.body)
    except _Return as made:
        return made.value
    except (_Break, _Continue):
        return None
    finally:
        state.depth -= 1
    return None


def _try(state: State, scope: Scope, statement: ast.Try) -> None:
    """Follow a try; a layer's refusal of its arguments is the one error that is caught."""
    try:
        block(state, scope, statement.body)
    except UnfitError as error:
        handler = next((h for h in statement.handlers if _catches(h)), None)
        if handler is None:
            raise
        if handler.name:
            scope.names[handler.name] = Unknown(error.reason)
        block(state, scope, handler.body)
    else:
        block(state, scope, statement.orelse)
    block(state, scope, statement.finalbody)


_TYPE_ERRORS = frozenset({"TypeError", "Exception", "BaseException"})


def _catches(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(k is None or (isinstance(k, ast.Name) and k.id in _TYPE_ERRORS) for k in kinds)


@lru_cache(maxsize=4096)
def _yields(node: ast.AST) -> bool:
    return any(isinstance(x, ast.Yield | ast.YieldFrom) for x in ast.walk(node))


def _static(function: Function) -> bool:
    return not isinstance(function.node, ast.Lambda) and any(
        isinstance(d, ast.Name) and d.id == "staticmethod" for d in function.node.decorator_list
    )


def _bind(
    state: State,
    scope: Scope,
    function: Function,
    args: Sequence[Any],
    keywords: Mapping[str, Any],
) -> None:
    given = function.node.args
    plain = [*given.posonlyargs, *given.args]
    left = dict(keywords)
    for parameter, value in zip(plain, args, strict=False):
        scope.names[parameter.arg] = value
    if given.vararg is not None:
        scope.names[given.vararg.arg] = tuple(args[len(plain) :])
    elif len(args) > len(plain):
        raise StopError(f"{function.name} is given {len(args)} arguments", state.at)
    for parameter in (*plain, *given.kwonlyargs):
        if parameter.arg in left:
            scope.names[parameter.arg] = left.pop(parameter.arg)
    for name, default in defaults(function.node):
        if name not in scope.names:
            outer = function.outer or Scope(function.unit)
            scope.names[name] = evaluating.evaluate(state, outer, default)
    for parameter in (*plain, *given.kwonlyargs):
        if parameter.arg not in scope.names:
            reason = f"the argument {parameter.arg} of {function.name} is not given"
            scope.names[parameter.arg] = Unknown(reason)
    if given.kwarg is not None:
        scope.names[given.kwarg.arg] = left


def defaults(
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda,
) -> Iterator[tuple[str, ast.expr]]:
    """Yield (parameter, default) of a function."""
    plain = [*node.args.posonlyargs, *node.args.args]
    behind = node.args.defaults
    for parameter, default in zip(plain[len(plain) - len(behind) :], behind, strict=True):
        yield parameter.arg, default
    for parameter, only in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        if only is not None:
            yield parameter.arg, only


def block(state: State, scope: Scope, body: Sequence[ast.stmt]) -> None:
    """Follow statements in order."""
    for statement in body:
        state.spend(scope.unit, statement)
        state.at = scope.unit.site(statement)
        if state.tape is not None and state.module is not None:
            state.tape.builder.scope = state.module.path
        _statement(state, scope, statement)


def _statement(state: State, scope: Scope, statement: ast.stmt) -> None:
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=target, attr=name)) as call) if (
            name.endswith("_") and not name.endswith("__")
        ):
            _in_place(state, scope, target, call)
        case ast.Expr(value=value):
            evaluating.evaluate(state, scope, value)
        case ast.Assign(targets=targets, value=value):
            held = evaluating.evaluate(state, scope, value)
            for target in targets:
                assigning.assign(state, scope, target, held)
        case ast.AnnAssign(target=target, value=value) if value is not None:
            assigning.assign(state, scope, target, evaluating.evaluate(state, scope, value))
        case ast.AugAssign():
            _augmented(state, scope, statement)
        case ast.Return(value=value):
            raise _Return(None if value is None else evaluating.evaluate(state, scope, value))
        case ast.If(test=test, body=body, orelse=orelse):
            _if(state, scope, evaluating.evaluate(state, scope, test), body, orelse)
        case ast.For():
            _for(state, scope, statement)
        case ast.While():
            _while(state, scope, statement)
        case ast.With(items=items, body=body):
            _with(state, scope, items)
            block(state, scope, body)
        case ast.Try():
            _try(state, scope, statement)
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            scope.names[statement.name] = Function(statement, scope.unit, scope, scope.owner)
        case ast.Break():
            raise _Break
        case ast.Continue():
            raise _Continue
        case ast.Raise():
            raise StopError("it raises an error here", state.at)
        case ast.Assert(test=test):
            if evaluating.truth(evaluating.evaluate(state, scope, test)) is False:
                raise StopError(f"it asserts that {ast.unparse(test)}", state.at)
        case ast.Import() | ast.ImportFrom():
            _import(state, scope, statement)
        case ast.Match():
            skipping.skip(state, scope, [statement], "a match statement is not followed")
        case ast.Delete(targets=targets):
            for target in targets:
                if isinstance(target, ast.Attribute):
                    holder = evaluating.evaluate(state, scope, target.value)
                    if isinstance(holder, Module):
                        for held in (holder.children, holder.params, holder.attrs):
                            held.pop(target.attr, None)
        case ast.ClassDef():
            scope.names[statement.name] = Unknown("a class within a function is not followed")
        case _:
            pass


def _in_place(state: State, scope: Scope, target: ast.expr, call: ast.Call) -> None:
    """Follow a method that changes its tensor: the name holds what it became."""
    made = evaluating.evaluate(state, scope, call)
    if isinstance(made, Signal) and isinstance(target, ast.Name | ast.Attribute):
        assigning.assign(state, scope, target, made)


def _import(state: State, scope: Scope, statement: ast.Import | ast.ImportFrom) -> None:

    for alias in statement.names:
        wanted = alias.asname or alias.name.partition(".")[0]
        if isinstance(statement, ast.ImportFrom):
            wanted = alias.asname or alias.name
            scope.names[wanted] = names.imported_from(state, scope.unit, statement, wanted)
        else:
            scope.names[wanted] = names.imported(state, scope.unit, statement, wanted)


def _augmented(state: State, scope: Scope, statement: ast.AugAssign) -> None:
    target = statement.target
    load = ast.copy_location(_loaded(target), target)
    left = evaluating.evaluate(state, scope, load)
    right = evaluating.evaluate(state, scope, statement.value)
    if isinstance(left, list) and isinstance(right, list | tuple):
        left.extend(right)
        return
    made = evaluating.binary(state, type(statement.op).__name__, left, right)
    if isinstance(left, Window):
        windows.touched(state, left)
        return
    if isinstance(left, HELD) and state.tape is None:
        filling.changed(state, left, type(statement.op).__name__, right)
        return
    if state.tape is not None:
        state.tape.change(left, made)
    assigning.assign(state, scope, target, made)


def _loaded(target: ast.expr) -> ast.expr:
    match target:
        case ast.Name(id=name):
            return ast.Name(name, ast.Load())
        case ast.Attribute(value=value, attr=attr):
            return ast.Attribute(value, attr, ast.Load())
        case ast.Subscript(value=value, slice=index):
            return ast.Subscript(value, index, ast.Load())
        case _:
            return target


def _if(
    state: State,
    scope: Scope,
    condition: Any,
    body: Sequence[ast.stmt],
    orelse: Sequence[ast.stmt],
) -> None:
    told = evaluating.truth(condition)
    if told is not None:
        block(state, scope, body if told else orelse)
        return
    if isinstance(condition, Known | Signal):
        reason = "a branch depends on the numbers in a tensor"
    else:
        reason = f"a branch is not decided: {getattr(condition, 'reason', '')}".rstrip(": ")
    if skipping.only_raises(body):
        block(state, scope, orelse)
    elif orelse and skipping.only_raises(orelse):
        block(state, scope, body)
    else:
        skipping.skip(state, scope, [*body, *orelse], reason)


def _for(state: State, scope: Scope, statement: ast.For) -> None:
    source = evaluating.evaluate(state, scope, statement.iter)
    if isinstance(source, Unknown):
        if state.tape is not None:
            raise StopError(f"a loop over what is not known: {source.reason}", state.at)
        skipping.skip(state, scope, skipping.without_jumps(statement.body), source.reason)
        return
    try:
        for item in evaluating.iterate(state, source):
            assigning.assign(state, scope, statement.target, item)
            try:
                block(state, scope, statement.body)
            except _Continue:
                continue
    except _Break:
        return
    block(state, scope, statement.orelse)


def _while(state: State, scope: Scope, statement: ast.While) -> None:
    while True:
        state.spend(scope.unit, statement)
        told = evaluating.truth(evaluating.evaluate(state, scope, statement.test))
        if told is None:
            raise StopError("a loop whose end is not known", scope.unit.site(statement))
        if not told:
            return
        try:
            block(state, scope, statement.body)
        except _Continue:
            continue
        except _Break:
            return


def _with(state: State, scope: Scope, items: Sequence[ast.withitem]) -> None:
    for item in items:
        value = evaluating.evaluate(state, scope, item.context_expr)
        if item.optional_vars is not None:
            assigning.assign(state, scope, item.optional_vars, value)
