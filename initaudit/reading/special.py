"""Calls of Python and torch that look at values, or do nothing to what is read."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

from initaudit.reading import (
    building,
    calling,
    evaluating,
    filling,
    modules,
    objects,
    reparametrising,
    tensors,
    transformer,
)
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
    StopError,
    Unknown,
    UserClass,
)

Args = tuple[Any, ...]
Keywords = dict[str, Any]


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
    return [calling.apply(state, args[0], row, {}, node) for row in rows]


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
    return calling.apply(state, args[0], args[1:], {}, node) if args else None


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


def _weight_norm(state: State, args: Args, keywords: Keywords, node: ast.AST) -> Any:
    return reparametrising.weight_norm(state, args, keywords, inner=False)


def _parametrised(state: State, args: Args, keywords: Keywords, node: ast.AST) -> Any:
    return reparametrising.weight_norm(state, args, keywords, inner=True)


def _spectral_norm(state: State, args: Args, keywords: Keywords, node: ast.AST) -> Any:
    return reparametrising.spectral_norm(state, args, keywords)


def _undone(state: State, args: Args, keywords: Keywords, node: ast.AST) -> Any:
    return reparametrising.undone(state, args, keywords)


SPECIAL: Mapping[str, Callable[[State, Args, Keywords, ast.AST], Any]] = {
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
    "torch.nn.Transformer.generate_square_subsequent_mask": lambda s, a, k, n: (
        transformer.causal_mask(a, k)
    ),
    "torch.nn.utils.weight_norm": _weight_norm,
    "torch.nn.utils.weight_norm.weight_norm": _weight_norm,
    "torch.nn.utils.parametrizations.weight_norm": _parametrised,
    "torch.nn.utils.parametrizations.spectral_norm": _spectral_norm,
    "torch.nn.utils.remove_weight_norm": _undone,
    "torch.nn.utils.parametrize.remove_parametrizations": _undone,
    "torch.nn.init.calculate_gain": lambda s, a, k, n: filling.gain(s, a, k),
}
"""By qualified name; builtins by their own."""
