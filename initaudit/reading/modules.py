"""What modules do: their forward pass, and the methods that a framework gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from initaudit.checkpoint.graphs.values import Signal
from initaudit.reading import (
    building,
    calling,
    containers,
    evaluating,
    following,
    functional,
    layers,
    objects,
    registering,
    transformer,
)
from initaudit.reading.python import PLAIN
from initaudit.reading.state import State
from initaudit.reading.values import (
    Bound,
    External,
    Function,
    Module,
    Namespace,
    Object,
    Parameter,
    Partial,
    StopError,
    Unknown,
    UserClass,
    Vague,
)

METHODS = frozenset(
    {"apply", "modules", "named_modules", "children", "named_children", "parameters",
     "named_parameters", "buffers", "named_buffers", "register_buffer", "register_parameter",
     "add_module", "register_module", "train", "eval", "to", "cuda", "cpu", "half", "float",
     "double", "requires_grad_", "zero_grad", "state_dict", "load_state_dict", "get_submodule",
     "get_parameter", "append", "extend", "insert", "keys", "values", "items", "forward",
     "reset_parameters", "__init__", "__len__", "_get_name", "type", "weight", "bias",
     "register_forward_hook", "register_forward_pre_hook", "get", "update", "pop"}
)  # fmt: skip
"""Names of methods that a module has without defining them."""


def forward(
    state: State, module: Module, args: tuple[Any, ...], keywords: Mapping[str, Any]
) -> Any:
    """Return what calling a module gives."""
    tape = state.tape
    if tape is None:
        return Unknown(f"what {module.title} gives while the model is built")
    kept, scope = state.module, tape.builder.scope
    state.module = module
    tape.builder.scope = module.path
    try:
        return _forward(state, module, args, keywords)
    finally:
        state.module = kept
        tape.builder.scope = scope


def _forward(
    state: State, module: Module, args: tuple[Any, ...], keywords: Mapping[str, Any]
) -> Any:
    own = module.attrs.get("_function")
    if isinstance(own, Function):
        return following.run(state, own, args, keywords)
    if module.cls is not None:
        found = objects.forward_of(state, module.cls)
        if found is not None:
            _set_up(state, module)
            return following.run(state, found, args, keywords, module)
    if module.kind in {"keras.Model", "keras.Sequential"} and "_outputs" in module.attrs:
        return functional.run(state, module, args)
    if module.kind in SEQUENTIAL:
        value = args[0] if args else None
        for child in module.children.values():
            if child is not None:
                value = forward(state, child, (value,), {})
        return value
    return layers.forward(state, module, args, keywords)


SEQUENTIAL = frozenset(
    {"torch.nn.Sequential", "keras.Sequential", "flax.linen.Sequential", "flax.nnx.Sequential"}
)


def _set_up(state: State, module: Module) -> None:
    """Begin a call of a Flax module: its counts start anew, its setup() runs once."""
    module.attrs["_counts"] = {}
    if module.kind != "flax.linen.Module" or module.cls is None or module.attrs.get("_ready"):
        return
    module.attrs["_ready"] = True
    setup = objects.of_class(state, module.cls, "setup")
    if isinstance(setup, Function):
        module.attrs["_setup"] = True
        following.run(state, setup, (), {}, module)
        module.attrs.pop("_setup")
        for path, inner in module.named_modules(module.path):
            inner.path = path


def is_a(state: State, value: Any, kind: Any) -> bool | None:
    """Return whether a value is of a type; None where that is not known."""
    if isinstance(kind, tuple | list):
        found = [is_a(state, value, k) for k in kind]
        return True if True in found else None if None in found else False
    if isinstance(kind, Unknown):
        return None
    if isinstance(value, Module):
        return _module_is(state, value, kind)
    if isinstance(value, Object):
        if isinstance(kind, UserClass):
            return any(one.node is kind.node for one in objects.lineage(state, value.cls))
        return False
    name = kind.name if isinstance(kind, External) else ""
    if isinstance(value, evaluating.TENSORS):
        parameter = isinstance(value, Parameter) and not value.buffer
        if name.endswith("Parameter"):
            return parameter
        return name.endswith("Tensor") if name else False
    word = name.rpartition(".")[2]
    if word == "type":
        return _is_class(state, value)
    if word in {"FunctionType", "LambdaType", "MethodType", "Callable"}:
        return isinstance(value, Function | Bound) or (
            word == "Callable" and isinstance(value, Partial | UserClass | External)
        )
    if word == "partial":
        return isinstance(value, Partial)
    if word in _KINDS:
        return isinstance(value, _KINDS[word])
    if isinstance(value, PLAIN):
        return False
    if isinstance(value, Function | Bound | Partial | UserClass | Namespace):
        return False
    return None


_KINDS: Mapping[str, Any] = {
    "int": int, "float": (float, Vague), "str": str, "bool": bool, "list": list, "tuple": tuple,
    "dict": dict, "set": set, "Iterable": (list, tuple, dict, str, set, range),
    "Sequence": (list, tuple, str, range), "Mapping": dict, "MutableMapping": dict,
    "OrderedDict": dict, "Number": (int, float), "Size": tuple, "Integral": int,
    "Real": (int, float), "List": list, "Tuple": tuple, "Dict": dict, "ListConfig": (),
}  # fmt: skip


def _is_class(state: State, value: Any) -> bool | None:
    """Return whether a value is a class; None for one from outside that no catalogue knows."""
    if isinstance(value, External):
        return True if state.catalogue.layer(value.name) is not None else None
    return isinstance(value, UserClass)


def _module_is(state: State, module: Module, kind: Any) -> bool | None:
    if isinstance(kind, UserClass):
        if module.cls is None:
            return False
        return any(one.node is kind.node for one in objects.lineage(state, module.cls))
    if not isinstance(kind, External):
        return False
    name = state.catalogue.canonical(kind.name)
    if name in {"torch.nn.Module", module.kind}:
        return True
    above = {
        "torch.nn.modules.batchnorm._BatchNorm": "BatchNorm", "torch.nn._BatchNorm": "BatchNorm",
        "torch.nn.modules.conv._ConvNd": "Conv", "torch.nn._ConvNd": "Conv",
    }  # fmt: skip
    if name in above:
        return module.kind.startswith(f"torch.nn.{above[name]}")
    return False if name.startswith("torch.nn.") or "." in name else None


def inherited(
    state: State, module: Module, name: str, args: tuple[Any, ...], keywords: Mapping[str, Any]
) -> Any:
    """Return what ``super().method(...)`` gives where the framework defines it."""
    if name == "__init__":
        building.begin(state, module, args, keywords)
        return None
    if name == "forward":
        if module.kind == "torch.nn.Sequential":
            value = args[0] if args else None
            for child in module.children.values():
                if child is not None:
                    value = forward(state, child, (value,), {})
            return value
        return layers.forward(state, module, args, keywords)
    if name in {"__setattr__"} and len(args) == 2 and isinstance(args[0], str):
        module.put(args[0], args[1])
        return None
    return method(state, module, name, args, keywords)


def method(
    state: State, module: Module, name: str, args: tuple[Any, ...], keywords: Mapping[str, Any]
) -> Any:
    """Return what a method gives that the framework defines."""
    match name:
        case "apply":
            return _apply(state, module, args)
        case "modules":
            return list(module.modules())
        case "named_modules":
            return list(module.named_modules())
        case "children":
            return [c for c in module.children.values() if c is not None]
        case "named_children":
            return [(k, c) for k, c in module.children.items() if c is not None]
        case "parameters":
            return [p for _, p in module.named_parameters() if not p.buffer]
        case "named_parameters":
            return [(k, p) for k, p in module.named_parameters() if not p.buffer]
        case "buffers" | "named_buffers":
            found = [(k, p) for k, p in module.named_parameters() if p.buffer]
            return found if name == "named_buffers" else [p for _, p in found]
        case "register_buffer":
            return registering.buffer(state, module, args, keywords)
        case "register_parameter":
            wanted, value = (*args, *keywords.values(), None, None)[:2]
            if isinstance(wanted, str):
                module.params[wanted] = value if isinstance(value, Parameter) else None
            return None
        case "add_module" | "register_module":
            wanted, value = (*args, *keywords.values(), None, None)[:2]
            if isinstance(value, Unknown) or not isinstance(wanted, str):
                raise StopError("a module is added that is not known", state.at)
            module.children[wanted] = value if isinstance(value, Module) else None
            return None
        case "train" | "eval" | "to" | "cuda" | "cpu" | "half" | "float" | "double" | "type":
            return module
        case "requires_grad_":
            return module
        case "reset_parameters" | "_reset_parameters":
            registering.reset(state, module)
            return None
        case "get_submodule" if args and isinstance(args[0], str):
            return dict(module.named_modules()).get(args[0], Unknown("there is no such module"))
        case "forward":
            return forward(state, module, args, keywords)
        case "add" if module.kind == "keras.Sequential" and args:
            functional.add(module, args[0])
            return None
        case "compile" | "summary" | "build" | "fit":
            return None
        case "append" | "extend" | "insert" | "keys" | "values" | "items" | "get" | "update":
            return containers.method(state, module, name, args)
        case "load_state_dict":
            state.doubt("weights are loaded while the model is built")
            return None
        case "__len__":
            return len(module.children)
        case "generate_square_subsequent_mask":
            return transformer.causal_mask(args, keywords)
        case _:
            if name in METHODS:
                return None
            return Unknown(f"{module.title}.{name} is not known")


def _apply(state: State, module: Module, args: tuple[Any, ...]) -> Any:
    """Call a function on all modules, those within a module before it."""
    function = args[0] if args else None
    if function is None or isinstance(function, Unknown):
        state.doubt("what apply() is given is not known")
        return module
    for child in module.children.values():
        if child is not None:
            _apply(state, child, args)
    calling.apply(state, function, (module,), {}, None)  # type: ignore[arg-type]
    return module


def signals(value: Any) -> list[Signal]:
    """Return the signals in what a forward pass returns."""
    match value:
        case Signal():
            return [value]
        case list() | tuple():
            return [s for item in value for s in signals(item)]
        case dict():
            return [s for item in value.values() for s in signals(item)]
        case Object() | Namespace():
            return [s for item in value.attrs.values() for s in signals(item)]
        case _:
            return []
