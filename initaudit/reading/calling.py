"""Calls: of the project's functions and classes, and of what lies outside of it."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

from initaudit.checkpoint.graphs.values import Known
from initaudit.reading import (
    building,
    evaluating,
    following,
    functional,
    lasting,
    modules,
    objects,
    python,
    recipes,
    tensors,
)
from initaudit.reading.python import PLAIN
from initaudit.reading.state import State
from initaudit.reading.values import (
    Bound,
    External,
    Function,
    Method,
    Module,
    Namespace,
    Object,
    Partial,
    Scope,
    StopError,
    Super,
    Unknown,
    UserClass,
)

Args = tuple[Any, ...]
Keywords = dict[str, Any]


def expression(state: State, scope: Scope, expr: ast.Call) -> Any:
    """Return what a call in source gives."""
    if isinstance(expr.func, ast.Name) and expr.func.id == "super":
        return _super(state, scope, expr)
    if isinstance(expr.func, ast.Name) and expr.func.id == "locals":
        return dict(scope.names)
    callee = evaluating.evaluate(state, scope, expr.func)
    args: list[Any] = []
    for argument in expr.args:
        value = evaluating.evaluate(state, scope, argument)
        if isinstance(argument, ast.Starred):
            if isinstance(value, Unknown):
                return Unknown(f"its arguments are not known: {value.reason}")
            args += evaluating.iterate(state, value)
        else:
            args.append(value)
    keywords: Keywords = {}
    for keyword in expr.keywords:
        value = evaluating.evaluate(state, scope, keyword.value)
        if keyword.arg is not None:
            keywords[keyword.arg] = value
        elif isinstance(value, Mapping) and all(isinstance(k, str) for k in value):
            keywords.update(value)
        elif not isinstance(value, Unknown):
            return Unknown("its keyword arguments are not known")
    kept = state.at
    state.at = scope.unit.site(expr)
    state.text.append(ast.unparse(expr) if state.tape is None else "")
    try:
        return apply(state, callee, tuple(args), keywords, expr)
    finally:
        state.at = kept
        state.text.pop()


def _super(state: State, scope: Scope, expr: ast.Call) -> Any:
    owner, subject = scope.owner, scope.subject
    place: Scope | None = scope
    while place is not None and (owner is None or subject is None):
        owner, subject = place.owner, place.subject
        place = place.outer
    if expr.args:
        named = evaluating.evaluate(state, scope, expr.args[0])
        owner = named if isinstance(named, UserClass) else owner
    if owner is None or subject is None:
        return Unknown("super() is not followed here")
    return Super(owner, subject)


def apply(state: State, callee: Any, args: Args, keywords: Keywords, node: ast.AST) -> Any:
    """Return what a call of a value gives."""
    match callee:
        case Function():
            return following.run(state, callee, args, keywords)
        case Bound(function=function, subject=subject):
            return following.run(state, function, args, keywords, subject)
        case Partial(callee=inner, args=first, keywords=more):
            return apply(state, inner, (*first, *args), {**more, **keywords}, node)
        case UserClass():
            return building.construct(state, callee, args, keywords)
        case External(name=name):
            return _external(state, name, args, keywords, node)
        case Module() if functional.deferred(args):
            return functional.Deferred(callee, args, keywords)
        case Module():
            return modules.forward(state, callee, args, keywords)
        case Method(subject=subject, name=name):
            return _method(state, subject, name, args, keywords, node)
        case Object():
            called = objects.of_class(state, callee.cls, "__call__")
            if isinstance(called, Function):
                return following.run(state, called, args, keywords, callee)
            return Unknown(f"{callee.cls.name} is not called")
        case Unknown():
            return callee
        case _:
            return Unknown("what is called is not known")


def _method(
    state: State, subject: Any, name: str, args: Args, keywords: Keywords, node: ast.AST
) -> Any:
    match subject:
        case Module():
            return modules.method(state, subject, name, args, keywords)
        case Super(subject=Module() as module):
            return modules.inherited(state, module, name, args, keywords)
        case Super():
            return None
        case _ if isinstance(subject, evaluating.TENSORS):
            return tensors.method(state, subject, name, args, keywords)
        case _ if isinstance(subject, PLAIN):
            return python.method(subject, name, args, keywords)
        case _:
            return Unknown(f"the method {name} is not followed")


def _external(state: State, name: str, args: Args, keywords: Keywords, node: ast.AST) -> Any:
    special = _SPECIAL.get(name)
    if special is not None:
        return special(state, args, keywords, node)
    if name in python.FUNCTIONS and not any(isinstance(a, evaluating.TENSORS) for a in args):
        return _python(state, name, args, keywords)
    full = state.catalogue.canonical(name)
    if full == "torch.nn.Parameter":
        return tensors.parameter(state, args, keywords)
    if full == "torch.nn.Buffer":
        return tensors.buffer(state, args, keywords)
    if functional.deferred(args) and full not in {"keras.Sequential", "keras.Model"}:
        return functional.of_function(full, args, keywords)
    if full in {"keras.Input", "keras.layers.Input", "keras.layers.InputLayer"}:
        return functional.entering(args, keywords)
    if full == "keras.Model" and (args or keywords):
        return functional.model(state, args, keywords)
    if full == "keras.Sequential":
        return functional.sequential(state, args, keywords)
    if full.startswith("keras.layers.") and full.rpartition(".")[2] in lasting.PLAIN:
        return functional.plain_layer(state, full, args, keywords)
    spec = state.catalogue.layer(full)
    if spec is not None or full in objects.CONTAINERS:
        return building.layer(state, full, spec, args, keywords)
    initialiser = state.catalogue.initialiser(full)
    if initialiser is not None and initialiser.form == "object":
        return recipes.recipe(initialiser, args, keywords)
    if initialiser is not None and initialiser.form == "factory" and not full.startswith("torch."):
        made = recipes.factory(state, initialiser, args, keywords)
        if not isinstance(made, Unknown):
            return made
    if (returned := state.catalogue.returns(full)) is not None:
        return External(returned)
    if initialiser is not None:
        return tensors.initialise(state, initialiser, args, keywords)
    owner, _, last = full.rpartition(".")
    if owner in {"torch.nn.Module", *objects.CONTAINERS} and args and isinstance(args[0], Module):
        return modules.inherited(state, args[0], last, args[1:], keywords)
    return tensors.function(state, full, args, keywords)


def _python(state: State, name: str, args: Args, keywords: Keywords) -> Any:
    unknown = next((a for a in (*args, *keywords.values()) if isinstance(a, Unknown)), None)
    if unknown is not None:
        if name in {"int", "float", "max", "min", "abs", "round"} and unknown.key:
            return state.witness(unknown)
        return unknown
    if name == "len" and args and isinstance(args[0], Module):
        return len(args[0].children)
    if any(isinstance(a, Module) and a.kind in objects.CONTAINERS for a in args):
        args = tuple(
            evaluating.iterate(state, a)
            if isinstance(a, Module) and a.kind in objects.CONTAINERS else a
            for a in args
        )  # fmt: skip
    if name == "functools.reduce":
        return Unknown("functools.reduce is not followed")
    return python.call(name, args, keywords)


def _isinstance(state: State, args: Args, keywords: Keywords, node: ast.AST) -> Any:
    if len(args) != 2:
        return Unknown("isinstance is not followed here")
    value, kinds = args
    if isinstance(value, Unknown):
        return value
    found: list[bool | None] = [
        modules.is_a(state, value, kind)
        for kind in (kinds if isinstance(kinds, tuple | list) else (kinds,))
    ]
    if True in found:
        return True
    return Unknown("a type is not known") if None in found else False


def _getattr(state: State, args: Args, keywords: Keywords, node: ast.AST) -> Any:
    subject, wanted = (*args, None, None)[:2]
    if not isinstance(wanted, str):
        return Unknown("the name of an attribute is not known")
    found = evaluating.attribute_of(state, subject, wanted)
    absent = isinstance(found, Unknown) and not found.key
    absent |= isinstance(found, Method) and isinstance(subject, Module | Object)
    return args[2] if absent and len(args) > 2 else found


def _setattr(state: State, args: Args, keywords: Keywords, node: ast.AST) -> Any:
    if len(args) != 3 or not isinstance(args[1], str):
        state.doubt("an attribute is set by a name that is not known")
        return None
    evaluating.put(state, args[0], args[1], args[2])
    return None


def _hasattr(state: State, args: Args, keywords: Keywords, node: ast.AST) -> Any:
    subject, wanted = (*args, None, None)[:2]
    if not isinstance(wanted, str):
        return Unknown("the name of an attribute is not known")
    if isinstance(subject, External):
        state.notes[f"{subject.name} has {wanted}"] = None
        return True
    if isinstance(subject, Unknown):
        return Unknown(f"whether it has {wanted} is not known")
    found = evaluating.attribute_of(state, subject, wanted)
    if isinstance(found, Unknown):
        return Unknown(f"whether it has {wanted} is not known") if found.key else False
    if isinstance(found, Method):
        return wanted in modules.METHODS if isinstance(subject, Module) else False
    if isinstance(subject, Module) and found is None:
        return subject.spec is not None or wanted in {
            **subject.attrs,
            **subject.params,
            **subject.children,
        }
    return True


def _issubclass(state: State, args: Args, keywords: Keywords, node: ast.AST) -> Any:
    if len(args) != 2:
        return Unknown("issubclass is not followed here")
    one, kinds = args
    found = [_derives(state, one, k) for k in (kinds if isinstance(kinds, tuple) else (kinds,))]
    if True in found:
        return True
    return Unknown("a type is not known") if None in found else False


def _derives(state: State, one: Any, kind: Any) -> bool | None:
    if isinstance(one, UserClass):
        if isinstance(kind, UserClass):
            return any(c.node is kind.node for c in objects.lineage(state, one))
        if isinstance(kind, External):
            return objects.kind(state, one) is not None if kind.name == "torch.nn.Module" else None
    if isinstance(one, External) and isinstance(kind, External):
        names = [state.catalogue.canonical(x.name) for x in (one, kind)]
        return names[0] == names[1] or names[1] == "torch.nn.Module"
    if isinstance(one, External) and isinstance(kind, UserClass):
        return False
    return None


def _type(state: State, args: Args, keywords: Keywords, node: ast.AST) -> Any:
    if len(args) != 1:
        raise StopError("a class is made by type()", state.at)
    value = args[0]
    if isinstance(value, Module | Object):
        cls = value.cls
        return cls if cls is not None else External(getattr(value, "kind", "object"))
    return value if isinstance(value, Unknown) else External(type(value).__name__)


def _map(state: State, args: Args, keywords: Keywords, node: ast.AST) -> Any:
    if len(args) < 2 or any(isinstance(a, Unknown) for a in args):
        return Unknown("map is not followed here")
    rows = zip(*(evaluating.iterate(state, a) for a in args[1:]), strict=False)
    return [apply(state, args[0], row, {}, node) for row in rows]


def _partial(state: State, args: Args, keywords: Keywords, node: ast.AST) -> Any:
    return Partial(args[0], args[1:], dict(keywords)) if args else Unknown("partial of nothing")


def _deepcopy(state: State, args: Args, keywords: Keywords, node: ast.AST) -> Any:
    return building.copied(args[0]) if args else None


def _nothing(state: State, args: Args, keywords: Keywords, node: ast.AST) -> Any:
    return None


def _first(state: State, args: Args, keywords: Keywords, node: ast.AST) -> Any:
    return args[0] if args else None


def _meta(state: State, args: Args, keywords: Keywords, node: ast.AST) -> Any:
    raise StopError("code is made while it runs (eval or exec)", state.at)


def _checkpointed(state: State, args: Args, keywords: Keywords, node: ast.AST) -> Any:
    return apply(state, args[0], args[1:], {}, node) if args else None


def _namespace(state: State, args: Args, keywords: Keywords, node: ast.AST) -> Any:
    return Namespace(dict(keywords))


def _dir(state: State, args: Args, keywords: Keywords, node: ast.AST) -> Any:
    if len(args) == 1 and isinstance(args[0], External):
        return External(f"{args[0].name}.__dir__")
    return Unknown("dir() is not followed here")


def _environment(state: State, args: Args, keywords: Keywords, node: ast.AST) -> Any:
    state.notes["no environment variable is set"] = None
    return args[1] if len(args) > 1 else keywords.get("default")


def _callable(state: State, args: Args, keywords: Keywords, node: ast.AST) -> Any:
    value = args[0] if args else None
    if isinstance(value, Unknown | External):
        return Unknown("whether it can be called is not known")
    return isinstance(value, Function | Bound | Partial | UserClass | Module)


def _assert(state: State, args: Args, keywords: Keywords, node: ast.AST) -> Any:
    if args and evaluating.truth(args[0]) is False:
        raise StopError("it asserts something that does not hold", state.at)
    return None


def _numel(state: State, args: Args, keywords: Keywords, node: ast.AST) -> Any:
    return tensors.method(state, args[0], "numel", (), {}) if args else None


def _no(state: State, args: Args, keywords: Keywords, node: ast.AST) -> Any:
    return False


def _istensor(state: State, args: Args, keywords: Keywords, node: ast.AST) -> Any:
    value = args[0] if args else None
    return value if isinstance(value, Unknown) else isinstance(value, evaluating.TENSORS)


_SPECIAL: Mapping[str, Callable[[State, Args, Keywords, ast.AST], Any]] = {
    "isinstance": _isinstance,
    "issubclass": _issubclass,
    "getattr": _getattr,
    "setattr": _setattr,
    "hasattr": _hasattr,
    "type": _type,
    "map": _map,
    "print": _nothing,
    "callable": _callable,
    "dir": _dir,
    "os.environ.get": _environment,
    "os.getenv": _environment,
    "functools.partial": _partial,
    "copy.deepcopy": _deepcopy,
    "eval": _meta,
    "exec": _meta,
    "torch.utils.checkpoint.checkpoint": _checkpointed,
    "types.SimpleNamespace": _namespace,
    "torch.no_grad": _nothing,
    "torch.enable_grad": _nothing,
    "warnings.warn": _nothing,
    "torch.manual_seed": _nothing,
    "torch._assert": _assert,
    "typing.cast": lambda s, a, k, n: a[1],
    "torch.jit.is_scripting": _no,
    "torch.jit.is_tracing": _no,
    "torch.is_grad_enabled": _no,
    "torch.is_autocast_enabled": _no,
    "torch.compiler.is_compiling": _no,
    "torch.is_tensor": _istensor,
    "torch.jit.script": _first,
    "torch.compile": _first,
    "torch.nn.init.calculate_gain": lambda s, a, k, n: tensors.gain(s, a, k),
}


__all__ = ["Known", "apply", "expression"]
