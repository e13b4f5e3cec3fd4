"""Layers that are made at the wrong time, or once where several were meant."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from initaudit.catalogue import LayerSpec
from initaudit.claims import Doubt, Hit, Limits, check
from initaudit.rulebook import Severity
from initaudit.source.classes import Class
from initaudit.source.draws import dotted
from initaudit.source.file import File
from initaudit.source.fold import point
from initaudit.source.module import Function, arguments
from initaudit.source.parents import walk
from initaudit.source.traits import (
    called,
    local_class,
    method_of,
    parametric,
    reaches_container,
)

# Flax's compact methods and haiku make layers in the call by design: their parameters are kept.
_FORWARD = {
    "torch": "forward", "paddle": "forward", "keras": "call", "mlx": "__call__",
    "nnx": "__call__", "equinox": "__call__",
}  # fmt: skip
_BUILDING = re.compile(r"is_initiali|initiali[sz]ed|built|hasattr|lazy|cache", re.IGNORECASE)
_SHARING = re.compile(r"shar|(?:^|[_.\s])tie|tied|tying|recurr|reus|same", re.IGNORECASE)

# What is made there is trained there.
_TRAINING = re.compile(r"\.parameters\(\)|\boptim\w*\.|\.backward\(\)")


# The graph of TensorFlow 1 is built once, whatever builds it, and its variables are collected.
_GRAPH = re.compile(
    r"\b(?:tf|compat\.v1)\.(?:layers|placeholder|get_variable|variable_scope|Session|contrib)\b"
)


@check("IA404", "draw")
def layer_in_forward(subject: File, limits: Limits) -> Iterator[Hit]:
    """A layer or parameter that every forward pass makes anew, so that it is never trained."""
    if not any(function.name in _FORWARD.values() for function in subject.module.functions):
        return
    for call in _candidates(subject):
        found = _forward(subject, call)
        if found is None:
            continue
        owner, method = found
        made = _made(subject, call, owner)
        if made is None or _kept(subject, call, owner, method):
            continue
        spec = subject.layer(call)
        mild = subject.is_test or (spec is not None and (spec.norm or spec.op == "activation"))
        yield Hit(
            subject.site(call),
            {"made": made, "owner": owner.name, "method": method.name},
            severity=Severity.NOTE if mild else None,
            related=(subject.site(method),) if method.lineno != call.lineno else (),
        )


def _candidates(file: File) -> list[ast.Call]:
    """Return the calls that may make a layer in a forward pass, as far as is cheap to tell."""
    found = []
    enclosing, forward = file.module.enclosing, frozenset(_FORWARD.values())
    for word, calls in file.module.calls_by_word.items():
        if not word[:1].isupper():
            continue
        for call in calls:
            function = enclosing[call][0]
            if function is None:
                continue
            method = isinstance(enclosing[function][2], ast.ClassDef)
            if method and function.name not in forward:
                continue
            if file.layer(call) is not None or local_class(file, call.func) is not None:
                found.append(call)
    return sorted(found, key=lambda call: (call.lineno, call.col_offset))


def _forward(file: File, call: ast.Call) -> tuple[Class, Function] | None:
    """Return the module class and its forward method around a call."""
    found = method_of(file, call)
    if found is None:
        return None
    owner, method = found
    if owner.framework is None or _FORWARD.get(owner.framework) != method.name:
        return None
    first = arguments(method)[:1]
    if not first or first[0].arg != "self" or any("compact" in b for b in _decorators(method)):
        return None
    return owner, method


def _decorators(method: Function) -> list[str]:
    return [ast.unparse(d) for d in method.decorator_list]


def _made(file: File, call: ast.Call, owner: Class) -> str | None:
    """Return what a call makes: a parameter, or a layer with weights."""
    spec = file.layer(call)
    if spec is not None and spec.op == "variable":
        return "parameter" if spec.name.endswith("Parameter") and not _is_frozen(call) else None
    if spec is not None and _framework(spec) != owner.framework:
        return None
    if spec is not None and (spec.op in {"container", "wrapper"} or _is_call_of_method(call)):
        return None
    return ast.unparse(call.func) if parametric(file, call) else None


def _framework(spec: LayerSpec) -> str:
    return "nnx" if spec.name.startswith("flax.nnx.") else spec.framework


def _is_frozen(call: ast.Call) -> bool:
    given = [k.value for k in call.keywords if k.arg == "requires_grad"] + call.args[1:2]
    return any(not (isinstance(v, ast.Constant) and v.value is True) for v in given)


def _is_call_of_method(call: ast.Call) -> bool:
    return dotted(call.func)[:1] == ("self",)


def _kept(file: File, call: ast.Call, owner: Class, method: Function) -> bool:
    """Return whether the layer is made once only, or filled from elsewhere."""
    if _TRAINING.search(file.module.written(method.body)):
        return True
    if owner.framework == "keras" and _GRAPH.search(file.module.text):
        return True
    names = _results(file, call)
    on_self = [n for n in names if n[:1] == ("self",) and len(n) > 1]
    around = [
        a
        for a in file.module.around(call)
        if isinstance(a, ast.If | ast.Try | ast.IfExp | ast.While)
    ]
    tests = [a.test for a in around if isinstance(a, ast.If | ast.IfExp | ast.While)]
    if any(_BUILDING.search(ast.unparse(test)) for test in tests):
        return True
    if any(_asks_for_none(test) for test in tests):
        return True
    if on_self and (around or _left_before(call, method)):
        return True
    return any(_written(file, name, method) for name in names if name[:1] != ("self",))


def _results(file: File, call: ast.Call) -> list[tuple[str, ...]]:
    """Return what the call's value is assigned to, moved to a device or not."""
    held: ast.AST = call
    for around in file.module.around(call):
        if isinstance(around, ast.Assign) and around.value is held:
            return [dotted(target) for target in around.targets if dotted(target)]
        moved = isinstance(around, ast.Attribute) or (
            isinstance(around, ast.Call) and isinstance(around.func, ast.Attribute)
        )
        if not moved or (isinstance(around, ast.Call) and around.func is not held):
            return []
        held = around
    return []


def _asks_for_none(test: ast.expr) -> bool:
    """Return whether a test asks for something that is not there yet."""
    for node in walk(test):
        if isinstance(node, ast.Compare):
            missing = any(isinstance(o, ast.Is | ast.NotIn) for o in node.ops)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            missing = isinstance(node.operand, ast.Attribute)
        else:
            continue
        if missing:
            return True
    return False


def _left_before(call: ast.Call, method: Function) -> bool:
    """Return whether the method may have returned before the call, as where it is built once."""
    return any(
        isinstance(node, ast.Return) and node.lineno < call.lineno
        for statement in method.body
        if isinstance(statement, ast.If)
        for node in walk(statement)
    )


def _written(file: File, name: tuple[str, ...], method: Function) -> bool:
    """Return whether the method itself fills the weights of a local layer, or keeps it."""
    for node in walk(method):
        if isinstance(node, ast.Assign):
            parts = [t for t in node.targets if isinstance(t, ast.Attribute | ast.Subscript)]
            if dotted(node.value) == name and any(dotted(t)[:1] == ("self",) for t in parts):
                return True
            if any(dotted(t)[: len(name)] == name for t in parts):
                return True
        elif isinstance(node, ast.Call):
            words = called(node)
            in_place = words[-1:] == ("load_state_dict",) or (words and words[-1].endswith("_"))
            if in_place and words[: len(name)] == name and len(words) > len(name):
                return True
            filling = words and (words[-1].endswith("_") or _FILLING.search(words[-1]))
            if filling and any(dotted(a)[: len(name)] == name for a in node.args):
                return True
    return False


_FILLING = re.compile(r"init|setattr|add_module|register|load|copy")


@check("IA405", "draw")
def repeated_module_instance(subject: File, limits: Limits) -> Iterator[Hit]:
    """One layer put into a container several times: the places share their weights."""
    for operation in subject.module.operations:
        if isinstance(operation.op, ast.Mult):
            yield from _multiplied(subject, operation)
    for comprehension in subject.module.comprehensions:
        yield from _comprehended(subject, comprehension)


def _multiplied(file: File, operation: ast.BinOp) -> Iterator[Hit]:
    """``[Layer()] * n``, written out or by a name."""
    for listed, times in (
        (operation.left, operation.right), (operation.right, operation.left),
    ):  # fmt: skip
        if not isinstance(listed, ast.List | ast.Tuple) or not listed.elts:
            continue
        if point(file.fold(times)) in {0.0, 1.0}:
            continue
        made = [e for e in listed.elts if parametric(file, _value(file, e))]
        doubts = () if made else _of_another_file(file, listed.elts)
        if not (made or doubts) or _shared_on_purpose(file, operation, listed.elts):
            continue
        held = reaches_container(file, operation)
        if held is None and (doubts or not _tracked_list(file, operation)):
            continue
        if _replaced(file, operation, held):
            continue
        written_out = all(isinstance(e, ast.Call) for e in listed.elts)
        yield Hit(
            file.site(operation),
            {"layer": _callee(file, (made or listed.elts)[0]), "times": ast.unparse(times)},
            severity=Severity.NOTE if file.is_test else None,
            related=() if held is None or held.lineno == operation.lineno else (file.site(held),),
            doubts=doubts,
            fix="comprehension" if written_out and listed is operation.left else None,
        )


def _of_another_file(file: File, elements: list[ast.expr]) -> tuple[Doubt, ...]:
    """Return what to ask of a list of one module whose weights another file of the run makes."""
    if len(elements) != 1:
        return ()
    value = _value(file, elements[0])
    if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Name):
        return ()
    name = value.func.id
    own = file.class_named(name) is not None or name in file.module.names.imports
    known = not own or not name[:1].isupper() or file.layer(value) is not None
    return () if known else (("weightless", name),)


def _replaced(file: File, operation: ast.BinOp, held: ast.Call | None) -> bool:
    """Return whether the places are assigned one by one later, as where the list was a stand-in."""
    owner = file.module.class_of(operation)
    own = [file.module.statement(node) for node in (operation, held) if node is not None]
    names = {
        dotted(t) for node in own for t in getattr(node, "targets", [])
        if not isinstance(t, ast.Subscript)
    }  # fmt: skip
    return any(
        isinstance(target, ast.Subscript) and dotted(target) in names
        for one in file.module.assigns
        if isinstance(one, ast.Assign) and file.module.class_of(one) is owner
        for target in one.targets
    )


def _comprehended(file: File, comprehension: ast.ListComp) -> Iterator[Hit]:
    """``[layer for _ in range(n)]``: the name is bound outside, to one layer."""
    element = comprehension.elt
    if not isinstance(element, ast.Name) or len(comprehension.generators) != 1:
        return
    loop = comprehension.generators[0]
    bound = {n.id for n in walk(loop.target) if isinstance(n, ast.Name)}
    counted = (
        isinstance(loop.iter, ast.Call)
        and isinstance(loop.iter.func, ast.Name)
        and loop.iter.func.id == "range"
        and point(file.fold(loop.iter.args[-1] if loop.iter.args else None)) != 1.0
    )
    if element.id in bound or not counted or not parametric(file, _value(file, element)):
        return
    held = reaches_container(file, comprehension)
    if held is None or _shared_on_purpose(file, comprehension, [element]):
        return
    yield Hit(
        file.site(comprehension),
        {"layer": _callee(file, element), "times": ast.unparse(loop.iter.args[-1])},  # type: ignore[attr-defined]
        severity=Severity.NOTE if file.is_test else None,
        related=() if held.lineno == comprehension.lineno else (file.site(held),),
    )


def _value(file: File, expr: ast.expr) -> ast.expr:
    """Return what a local name is assigned, once, in the same function; else the expression."""
    if not isinstance(expr, ast.Name):
        return expr
    function = file.module.function(expr)
    if function is not None and any(a.arg == expr.id for a in arguments(function)):
        return expr
    found = [
        one.value
        for one in file.module.assigns_by_function.get(function, ())
        if isinstance(one.value, ast.expr)
        and any(dotted(t) == (expr.id,) for t in
                (one.targets if isinstance(one, ast.Assign) else [one.target]))
    ]  # fmt: skip
    return found[0] if len(found) == 1 else expr


def _callee(file: File, expr: ast.expr) -> str:
    value = _value(file, expr)
    return ast.unparse(value.func) if isinstance(value, ast.Call) else ast.unparse(value)


def _shared_on_purpose(file: File, node: ast.AST, elements: list[ast.expr]) -> bool:
    """Return whether a name around says that the weights are to be shared."""
    words = [n.id for e in elements for n in [e] if isinstance(n, ast.Name)]
    places = [getattr(node, "lineno", 0), *(_value(file, e).lineno for e in elements)]
    words += [line for at in places for line in file.module.lines[max(at - 3, 0) : at]
              if line.lstrip().startswith("#")]  # fmt: skip
    for around in file.module.around(node):
        if isinstance(around, ast.If | ast.IfExp):
            words.append(ast.unparse(around.test))
        elif isinstance(around, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            words.append(around.name)
        elif isinstance(around, ast.Assign):
            words += [ast.unparse(target) for target in around.targets]
    return any(_SHARING.search(word) for word in words)


def _tracked_list(file: File, operation: ast.BinOp) -> bool:
    """Return whether ``self.name = [..] * n`` is a list that the framework looks into."""
    statement = file.module.parents.get(operation)
    owner = file.class_of(operation)
    return (
        owner is not None
        and owner.framework in {"keras", "mlx", "nnx", "equinox", "torch", "paddle"}
        and isinstance(statement, ast.Assign)
        and any(dotted(t)[:1] == ("self",) and len(dotted(t)) == 2 for t in statement.targets)
    )
