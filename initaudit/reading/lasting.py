"""Layers that store (in, out) matrices and see channels last: Keras, Flax linen and nnx."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from initaudit.catalogue import LayerSpec, LayerWeight, present
from initaudit.checkpoint.graphs import modules as made_of
from initaudit.checkpoint.graphs.values import Signal
from initaudit.network import Interval, Weights
from initaudit.reading import building, convolving, evaluating, recipes, tensors
from initaudit.reading.state import State
from initaudit.reading.values import Event, External, Module, Parameter, StopError, Unknown

FRAMEWORKS = ("keras", "flax")
PLAIN = frozenset(
    {"MaxPooling1D", "MaxPooling2D", "AveragePooling1D", "AveragePooling2D", "MaxPool1D",
     "MaxPool2D", "AvgPool2D", "GlobalAveragePooling1D", "GlobalAveragePooling2D", "Add",
     "Concatenate", "Multiply", "Rescaling"}
)  # fmt: skip
"""Keras layers without weights that the catalogue has no entry for."""

_FLAT = {"swish": "silu", "hard_sigmoid": "hardsigmoid", "hard_swish": "hardswish",
         "hard_silu": "hardswish"}  # fmt: skip


def forward(state: State, module: Module, args: tuple[Any, ...]) -> Any:
    """Return what a layer gives, its weights made at the first call.

    Raises:
        StopError: the layer is not followed.
    """
    x = args[0] if args else None
    spec = module.spec
    if isinstance(x, list | tuple):
        return _merged(state, module, list(x))
    if not isinstance(x, Signal):
        return Unknown(f"{module.title} is given no tensor")
    if spec is None:
        return _plain(state, module, x)
    if spec.op in {"lstm", "gru", "rnn"} and spec.framework == "keras":
        from initaudit.reading import sequenced

        return sequenced.forward(state, module, spec, x)
    if spec.weights:
        make(state, module, spec, tensors.shape(x)[-1] if spec.op != "embedding" else 0)
    match spec.op:
        case "linear":
            made = _linear(state, module, x)
        case "conv":
            made = convolving.conv(state, module, spec, x)
        case "depthwise_conv":
            made = convolving.conv(state, module, spec, x, single=True)
        case "batch_norm" | "layer_norm" | "rms_norm":
            made = _norm(state, module, spec, x)
        case "embedding":
            table = next(iter(module.params.values()))
            made = tensors.aten(state, "embedding", (table, x), ("weight", "input"))
        case "activation":
            made = _activation(state, module, x)
        case "softmax":
            made = tensors.method(state, x, "softmax", (-1,), {})
        case "dropout" | "identity" | "input":
            made = x
        case "flatten":
            made = tensors.method(state, x, "flatten", (1, -1), {})
        case "reshape":
            shape = (tensors.shape(x)[0], *evaluating.plain(module, "target_shape"))
            made = tensors.method(state, x, "reshape", shape, {})
        case _:
            raise StopError(f"{module.title} is not followed", state.at)
    if spec.activation is None or spec.op == "activation":
        return made
    return activated(state, made, module.attrs.get("_activation"))


def activated(state: State, x: Any, name: Any) -> Any:
    """Return an activation by its name in Keras, or by its function."""
    if name is None or name == "linear":
        return x
    if isinstance(name, External):
        approximate = {"approximate": "tanh"} if name.name.startswith(("jax", "flax")) else {}
        last = name.name.rpartition(".")[2]
        keywords = approximate if last == "gelu" else {}
        return tensors.method(state, x, _FLAT.get(last, last), (), keywords)
    if not isinstance(name, str):
        raise StopError("an activation is not known", state.at)
    if name == "softmax":
        return tensors.method(state, x, "softmax", (-1,), {})
    slope = (0.2,) if name == "leaky_relu" else ()
    return tensors.method(state, x, _FLAT.get(name, name), slope, {})


def _activation(state: State, module: Module, x: Signal) -> Any:
    spec = module.spec
    function = None if spec is None else spec.attributes.get("function")
    if function is None:
        return activated(state, x, module.attrs.get("_activation"))
    if function == "leaky_relu":
        return tensors.method(state, x, "leaky_relu", (evaluating.plain(module, "negative_slope"),),
                              {})  # fmt: skip
    return tensors.method(state, x, str(function), (), {})


def make(state: State, module: Module, spec: LayerSpec, width: int) -> None:
    """Make the weights of a layer for the width of what it reads, unless it has them."""
    if module.attrs.get("_made"):
        return
    module.attrs["_made"] = True
    framework = spec.framework if spec.framework in FRAMEWORKS else "flax"
    for name, weight in spec.weights.items():
        if present(spec, weight, module.bound) is False:
            continue
        shape = _shape(module, spec, weight, width)
        full = f"{module.path}.{name}" if module.path else name
        parameter = Parameter(shape, [], module.site, weight.role, full)
        value = module.attrs.get(f"_{weight.keyword}")
        chosen = recipes.told(state, framework, value)
        if value is not None and chosen is None:
            raise StopError(f"the {weight.keyword} of {module.title} is not known", module.site)
        if chosen is None:
            chosen = recipes.Recipe("the default", weight.default)
            text = f"the default of {module.title}"
        else:
            text = f"{weight.keyword}={chosen.name} of {module.title}"
        if weight.default.fan == "out" and value is None:
            parameter.chain.append(_of_table(chosen, parameter, text))
        else:
            parameter.chain.append(recipes.event(chosen, parameter, text))
        module.params[name] = parameter
        state.made.append(parameter)
    if spec.op == "batch_norm" and framework == "keras":
        _statistics(module, width)


def _statistics(module: Module, width: int) -> None:
    for name, law, number in (("moving_mean", "zeros", 0.0), ("moving_variance", "constant", 1.0)):
        weights = Weights(law, Interval.point(number), Interval.point(0.0))
        full = f"{module.path}.{name}" if module.path else name
        held = Parameter((width,), [], module.site, name, full, buffer=True, trained=False)
        held.chain.append(recipes.event(recipes.Recipe(law, weights), held, "the default"))
        module.params[name] = held


def _of_table(chosen: recipes.Recipe, parameter: Parameter, text: str) -> Event:
    made = recipes.event(chosen, parameter, text)
    return replace(made, text=text)


def _shape(module: Module, spec: LayerSpec, weight: LayerWeight, width: int) -> tuple[int, ...]:
    found: list[int] = []
    outputs = evaluating.plain(module, spec.outputs) if spec.outputs else width
    if spec.op == "depthwise_conv" and isinstance(outputs, int):
        outputs *= evaluating.plain(module, "depth_multiplier")
    groups = evaluating.plain(module, spec.groups) if spec.groups else 1
    if not isinstance(outputs, int) or not isinstance(groups, int):
        raise StopError(f"the size of {module.title} is not known", module.site)
    for role in weight.shape:
        match role:
            case int():
                found.append(role)
            case "inputs":
                held = evaluating.plain(module, spec.inputs) if spec.inputs else width
                if not isinstance(held, int):
                    raise StopError(f"the inputs of {module.title} are not known", module.site)
                found.append(held // groups)
            case "outputs":
                found.append(outputs)
            case "gates":
                found.append(outputs * spec.gates)
            case "depth_multiplier":
                found.append(evaluating.plain(module, "depth_multiplier"))
            case "kernel":
                found += _window(module, spec)
            case _:
                raise StopError(f"the weights of {module.title} are not followed", module.site)
    return tuple(found)


def _window(module: Module, spec: LayerSpec) -> list[int]:
    size = evaluating.plain(module, spec.kernel or "")
    if isinstance(size, int):
        return [size] * (spec.dims or 1)
    if isinstance(size, tuple) and all(isinstance(n, int) for n in size):
        return list(size)
    raise StopError(f"the window of {module.title} is not known", module.site)


def _linear(state: State, module: Module, x: Signal) -> Any:
    kernel, bias = module.params["kernel"], module.params.get("bias")
    if bias is None:
        return tensors.aten(state, "matmul", (x, kernel), ("input", "other"))
    return tensors.aten(state, "addmm", (bias, x, kernel), ("input", "mat1", "mat2"))


def _norm(state: State, module: Module, spec: LayerSpec, x: Signal) -> Any:
    tape = state.tape
    assert tape is not None  # noqa: S101
    by_role = {p.role: p for p in module.params.values() if p is not None and not p.buffer}
    given = {role: tape.weight(p) for role, p in by_role.items()}
    eps = evaluating.plain(module, "epsilon")
    more = {"axis": len(x.known) - 1} if spec.op == "batch_norm" else {}
    before = tape.builder.next
    made = made_of.norm(tape.builder, spec.op, x, given, float(eps), **more)
    for number in range(before, tape.builder.next):
        tape.sites[number] = state.at
    return made


def _plain(state: State, module: Module, x: Signal) -> Any:
    title = module.title
    if title.startswith("Global"):
        return tensors.method(state, x, "mean", (tuple(range(1, len(x.known) - 1)),), {})
    if "Pool" in title:
        size, step = module.attrs.get("pool_size", 2), module.attrs.get("strides")
        if str(module.attrs.get("padding", "valid")).lower() != "valid":
            raise StopError(f"{title} with a border is not followed", state.at)
        return pooled(state, x, "max_pool" if title.startswith("Max") else "avg_pool", size, step)
    if title == "Rescaling":
        scale, offset = module.attrs.get("scale", 1.0), module.attrs.get("offset", 0.0)
        scaled = evaluating.binary(state, "Mult", x, scale)
        return evaluating.binary(state, "Add", scaled, offset) if offset else scaled
    raise StopError(f"{title} is not followed", state.at)


def pooled(state: State, x: Signal, op: str, size: Any, step: Any) -> Any:
    """Return a pool over an image with its channels last."""
    rank = len(x.known)
    dims = rank - 2
    window = (size,) * dims if isinstance(size, int) else tuple(size)
    stride = window if step is None else (step,) * dims if isinstance(step, int) else tuple(step)
    moved = tensors.method(state, x, "permute", (0, rank - 1, *range(1, rank - 1)), {})
    made = tensors.method(state, moved, f"{op}{dims}d", (window, stride), {})
    return tensors.method(state, made, "permute", (0, *range(2, rank), 1), {})


def _merged(state: State, module: Module, values: list[Any]) -> Any:
    match module.title:
        case "Add" | "Multiply":
            made = values[0]
            for other in values[1:]:
                made = evaluating.binary(state, module.title.replace("iply", ""), made, other)
            return made
        case "Concatenate":
            return tensors.aten(state, "cat", (tuple(values), -1), ("tensors", "dim"))
        case _:
            raise StopError(f"{module.title} of several tensors is not followed", state.at)


def snake(name: str) -> str:
    """Return ``conv2d`` for ``Conv2D``, ``batch_normalization`` for ``BatchNormalization``."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def settings(module: Module, named: Mapping[str, Any]) -> None:
    """Keep what a layer was given that is neither number nor word: initialisers, activations."""
    module.attrs.update({f"_{name}": value for name, value in named.items()})


__all__ = ["FRAMEWORKS", "PLAIN", "activated", "building", "forward", "pooled", "snake"]
