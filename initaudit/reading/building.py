"""Objects in the making: the project's classes, and a framework's layers with their parameters."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Set
from typing import Any

from initaudit.catalogue import UNKNOWN, LayerSpec, LayerWeight, Value, bind, present
from initaudit.catalogue import shape as shape_of
from initaudit.network import Interval, Site, Weights
from initaudit.reading import containers, drawing, evaluating, objects, python
from initaudit.reading.state import State
from initaudit.reading.values import (
    Event,
    Module,
    Namespace,
    Object,
    Open,
    Parameter,
    StopError,
    UnfitError,
    Unknown,
    Vague,
)

_ONE = frozenset({"stride", "padding", "dilation", "groups", "output_padding", "num_groups"})
_ZERO_ONE = Weights("constant", Interval.point(1.0), Interval.point(0.0))
_ZEROS = Weights("zeros", Interval.point(0.0), Interval.point(0.0))


def layer(
    state: State,
    full: str,
    spec: LayerSpec | None,
    args: tuple[Any, ...],
    keywords: Mapping[str, Any],
) -> Any:
    """Return a framework's layer, its parameters as they start."""
    if spec is not None and spec.op in {"buffer", "wrapper", "variable"}:
        return Unknown(f"{full} is not followed")
    made = Module(full, state.at or Site(""), None, spec)
    title = keywords.get("name")
    begin(state, made, args, keywords)
    return adopted(state, made, title)


def adopted(state: State, made: Module, name: Any = None) -> Module:
    """Return a module made within a Flax module's call, under the name that Flax gives it.

    The same call made again, for another input, means the module that was made before.
    """
    parent = state.module
    compact = parent is not None and parent.kind == "flax.linen.Module"
    if parent is None or not compact or state.tape is None or parent.attrs.get("_setup"):
        return made
    counts = parent.attrs.setdefault("_counts", {})
    if not isinstance(name, str):
        number = counts.get(made.title, 0)
        counts[made.title] = number + 1
        name = f"{made.title}_{number}"
    held = parent.children.get(name)
    if held is not None:
        return held
    made.path = f"{parent.path}.{name}" if parent.path else name
    parent.children[name] = made
    return made


def begin(state: State, made: Module, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> None:
    """Do what the framework's own constructor does."""
    kind = made.kind
    if kind in objects.CONTAINERS:
        containers.fill(state, made, args, keywords)
    elif made.spec is not None and made.spec.op != "module":
        _weights(state, made, args, keywords)


def _weights(
    state: State, made: Module, args: tuple[Any, ...], keywords: Mapping[str, Any]
) -> None:
    spec = made.spec
    assert spec is not None  # noqa: S101
    named = dict(zip((p.name for p in spec.parameters if p.kind == "plain"), args, strict=False))
    named.update(keywords)
    told = {name: _told(state, spec, name, value) for name, value in named.items()}
    bound = bind(spec.parameters, (), {k: folded(v) for k, v in told.items()})
    if bound is None:
        raise UnfitError(f"{spec.name} is called with arguments that do not fit", state.at)
    made.bound = bound
    made.attrs.update({f"_{k}": v for k, v in told.items() if isinstance(v, Module)})
    own = spec.framework == "torch" and "Cell" not in spec.name
    if own and spec.op in {"lstm", "gru", "rnn"}:
        _recurrent(state, made, spec, {name for name, v in told.items() if python.tainted(v)})
        return
    if spec.op == "transformer":
        from initaudit.reading import transformer

        transformer.make(state, made, spec, named)
        return
    if spec.framework in {"keras", "flax"}:
        made.attrs.update({f"_{name}": value for name, value in named.items()})
        if made.kind.startswith("flax.nnx"):
            from initaudit.reading import lasting

            lasting.make(state, made, spec, 0)
        return
    open_ = {
        name: getattr(value, "key", "") for name, value in told.items() if python.tainted(value)
    }
    for name, weight in spec.weights.items():
        there = present(spec, weight, bound)
        if there is None:
            state.doubt(f"whether there is a {name} of {spec.name} is not known")
        if there is False:
            _nested_put(made, name, None)
            continue
        extents = shape_of(spec, weight, bound)
        if extents is None:
            raise StopError(f"the shape of the {name} of {spec.name} is not known", state.at)
        shape = _opened(spec, weight, extents, open_)
        _nested_put(made, name, start(state, made, spec, weight, shape))
    if spec.name == "torch.nn.MultiheadAttention":
        from initaudit.reading import attending

        attending.separate(state, made, spec)
    if spec.op == "batch_norm" and evaluating.plain(made, "track_running_stats") is not False:
        _statistics(state, made)


def _nested_put(made: Module, name: str, parameter: Parameter | None) -> None:
    """Put a parameter where its dotted name says: ``out_proj.weight`` belongs to a module."""
    head, dot, rest = name.partition(".")
    if not dot:
        made.params[name] = parameter
        return
    inner = made.children.get(head)
    if inner is None:
        inner = made.children[head] = Module("torch.nn.Module", made.site)
    inner.params[rest] = parameter


def _told(state: State, spec: LayerSpec, name: str, value: Any) -> Any:
    """Return an argument with a number in the place of one that the source leaves open."""
    sizes = {spec.inputs, spec.outputs, spec.kernel} | {"num_heads", "kernel_size"}
    if isinstance(value, Unknown):
        if name in _ONE:
            return Open(1)
        if name == spec.kernel or name == "kernel_size":
            return Open(1)
        return state.witness(value) if name in sizes else value
    if isinstance(value, tuple | list) and any(isinstance(v, Unknown) for v in value):
        return tuple(_told(state, spec, name, v) for v in value)
    if isinstance(value, Vague) and float(value).is_integer() and name in sizes:
        return Open(int(value))
    return value


def _opened(
    spec: LayerSpec, weight: LayerWeight, extents: tuple[int | None, ...], open_: Mapping[str, str]
) -> tuple[int, ...]:
    """Return a shape whose extents are marked where the source leaves them open."""
    roles: list[str | int] = []
    kernel = len(extents) - len(weight.shape) + 1
    for role in weight.shape:
        roles += [role] * (kernel if role == "kernel" else 1)
    names = {"inputs": spec.inputs, "outputs": spec.outputs, "gates": spec.outputs,
             "kernel": spec.kernel}  # fmt: skip
    found: list[int] = []
    for role, extent in zip(roles, extents, strict=True):
        name = names.get(str(role), str(role))
        if extent is None:
            found.append(Open(64))
        else:
            key = open_.get(name or "", "") if role != "gates" or spec.gates == 1 else ""
            found.append(Open.of(extent, key) if name in open_ else extent)
    return tuple(found)


def start(
    state: State, made: Module, spec: LayerSpec, weight: LayerWeight, shape: tuple[int, ...]
) -> Parameter:
    """Return a parameter as the layer's constructor leaves it."""
    parameter = Parameter(shape, [], state.at or made.site, weight.role)
    parameter.chain.append(default(made, spec, weight, parameter))
    state.made.append(parameter)
    return parameter


def default(made: Module, spec: LayerSpec, weight: LayerWeight, parameter: Parameter) -> Event:
    """Return the initialisation that a layer's constructor gives a parameter."""
    fans = drawing.fans_of(parameter.shape)
    own = made.params.get("weight")
    borrowed = len(parameter.shape) < 2 and own is not None and own is not parameter
    if borrowed and own is not None:
        fans = drawing.fans_of(own.shape)
    if weight.default.fan == "out":
        size = evaluating.plain(made, spec.outputs or "")
        fans = (fans[0], size if isinstance(size, int) else fans[1])
    weights = weight.default
    if "init" in made.bound and weight.keyword == "init":
        value = made.bound["init"]
        if isinstance(value, Interval):
            weights = Weights("constant", value, Interval.point(0.0))
    drawn = drawing.draw(weights, parameter.shape, fans)
    title = spec.name.rpartition(".")[2]
    std = drawing.deviation(weights, fans)
    if borrowed and own is not None and own.open and weights.fan != "none":
        std = None
    return Event(weights, f"the default of {title}", parameter.site, drawn, std=std)


def _statistics(state: State, made: Module) -> None:
    size = evaluating.plain(made, "num_features")
    width = size if isinstance(size, int) else 64
    known = made.params.get("weight")
    if known is not None:
        width = known.shape[0]
    for name, weights, shape, dtype in (
        ("running_mean", _ZEROS, (width,), "F32"),
        ("running_var", _ZERO_ONE, (width,), "F32"),
        ("num_batches_tracked", _ZEROS, (), "I64"),
    ):
        drawn = drawing.draw(weights, shape, (1, 1))
        event = Event(weights, "the default of BatchNorm", made.site, drawn)
        made.params[name] = Parameter(
            shape, [event], made.site, name, buffer=True, trained=False, dtype=dtype
        )


def _recurrent(state: State, made: Module, spec: LayerSpec, left: Set[str]) -> None:
    """Make the weights of all layers and directions of an LSTM, a GRU or an RNN.

    ``left`` are the arguments that the source leaves open.
    """
    said = [evaluating.plain(made, n) for n in ("input_size", "hidden_size", "num_layers")]
    if not all(isinstance(n, int) for n in said):
        raise StopError(f"the sizes of {spec.name} are not known", state.at)
    inputs, hidden, layers = said
    inputs = Open(inputs) if "input_size" in left else inputs
    hidden = Open(hidden) if "hidden_size" in left else hidden
    twice = evaluating.plain(made, "bidirectional") is True
    biased = evaluating.plain(made, "bias") is not False
    if evaluating.plain(made, "proj_size") not in {0, None} and "LSTM" in spec.name:
        raise StopError("an LSTM with projections is not followed", state.at)
    for number in range(min(layers, 64)):
        for suffix in ("", "_reverse")[: 2 if twice else 1]:
            width = inputs if number == 0 else _times(2 if twice else 1, hidden)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                if name.startswith("bias") and not biased:
                    continue
                weight = spec.weights[f"{name}_l0"]
                shape: tuple[int, ...] = (_times(spec.gates, hidden),)
                if name.startswith("weight"):
                    shape += (width if name == "weight_ih" else hidden,)
                full = f"{name}_l{number}{suffix}"
                made.params[full] = start(state, made, spec, weight, shape)


def _times(number: int, size: int) -> int:
    return Open(number * size) if isinstance(size, Open) else number * size


def folded(value: Any) -> Value:
    """Return a Python value as the catalogue takes it."""
    match value:
        case bool() | None | str():
            return value
        case int() | float():
            try:
                return Interval.point(float(value))
            except (ValueError, OverflowError):
                return UNKNOWN
        case tuple() | list():
            return tuple(folded(v) for v in value)
        case _:
            return UNKNOWN


def copied(value: Any) -> Any:
    """Return a deep copy of a module, its parameters separate ones."""
    if isinstance(value, Module):
        made = copy.copy(value)
        made.attrs = dict(value.attrs)
        made.params = {k: None if p is None else _twin(p) for k, p in value.params.items()}
        made.children = {k: copied(c) for k, c in value.children.items()}
        return made
    if isinstance(value, list | tuple):
        return type(value)(copied(v) for v in value)
    if isinstance(value, dict):
        return {k: copied(v) for k, v in value.items()}
    if isinstance(value, Namespace | Object):
        made_ = copy.copy(value)
        made_.attrs = dict(value.attrs)
        return made_
    return value


def _twin(parameter: Parameter) -> Parameter:
    twin = copy.copy(parameter)
    twin.chain = list(parameter.chain)
    return twin


__all__ = ["begin", "copied", "default", "folded", "layer", "start"]
