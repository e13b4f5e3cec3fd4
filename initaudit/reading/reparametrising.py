"""Weights that torch computes from other parameters: weight norm and spectral norm.

Weight norm (Salimans and Kingma 2016) stores g and v for w = g v / |v|, g = |v| at its start.
Spectral norm (Miyato et al. 2018) divides by u W v, u and v the first singular vectors that a
power iteration found. The weight itself is computed before each call: filling it changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from initaudit.checkpoint.graphs.values import Known
from initaudit.reading import tensors
from initaudit.reading.state import State
from initaudit.reading.values import EMPTY, Drawn, Event, Module, Parameter, StopError, Unknown

_OPS = frozenset({"linear", "conv", "conv_transpose", "embedding"})
_ROUNDS = 15
_SETTING = "_reparametrised"
_LEGACY = ("{}_g", "{}_v")


@dataclass(frozen=True, slots=True)
class Computed:
    """How a weight is computed: ``names`` are its parts, in a child ``parametrizations.NAME``
    where ``inner``. ``axis`` is the one that keeps its extent, None for none.
    """

    kind: Literal["weight_norm", "spectral_norm"]
    names: tuple[str, ...]
    axis: int | None
    inner: bool


def weight_norm(
    state: State, args: tuple[Any, ...], keywords: Mapping[str, Any], *, inner: bool
) -> Any:
    """Follow ``weight_norm(module, name, dim)``; ``inner`` is the one of parametrizations.

    Raises:
        StopError: the module's forward pass with it is not followed.
    """
    given = dict(zip(("module", "name", "dim"), args, strict=False)) | dict(keywords)
    module, name, axis = given.get("module"), given.get("name", "weight"), given.get("dim", 0)
    held = _taken(state, module, name, axis)
    if not isinstance(module, Module) or held is None:
        return module
    axis = None if axis in {None, -1} else axis % len(held.shape)
    shape = tuple(n if i == axis else 1 for i, n in enumerate(held.shape))
    event = Event(EMPTY, f"the norm of {name}, by weight_norm", state.at or module.site,
                  lambda random, old: length(np.asarray(old), axis),
                  source=tuple(held.chain))  # fmt: skip
    gain = Parameter(shape if axis is not None else (), [event], event.site, "gain")
    state.made.append(gain)
    names = ("original0", "original1") if inner else tuple(n.format(name) for n in _LEGACY)
    holder = _holder(module, name) if inner else module
    holder.params.update(zip(names, (gain, held), strict=True))
    _note(module, name, Computed("weight_norm", names, axis, inner), held)
    return module


def spectral_norm(state: State, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
    """Follow ``torch.nn.utils.parametrizations.spectral_norm``.

    Raises:
        StopError: the module's forward pass with it is not followed.
    """
    names = ("module", "name", "n_power_iterations", "eps", "dim")
    given = dict(zip(names, args, strict=False)) | dict(keywords)
    module, name, axis = given.get("module"), given.get("name", "weight"), given.get("dim")
    held = _taken(state, module, name, axis)
    if not isinstance(module, Module) or held is None:
        return module
    transposed = module.spec is not None and module.spec.op == "conv_transpose"
    axis = (1 if transposed else 0) if axis is None else axis % len(held.shape)
    holder = _holder(module, name)
    holder.params["original"] = held
    vectors = holder.children["0"] = Module("torch.nn.Module", module.site)
    sizes = (held.shape[axis], int(np.prod(held.shape)) // held.shape[axis])
    for number, (own, size) in enumerate(zip(("_u", "_v"), sizes, strict=True)):
        event = Event(EMPTY, "a singular vector, by spectral_norm", state.at or module.site,
                      _vector(axis, number), source=tuple(held.chain))  # fmt: skip
        vectors.params[own] = Parameter(
            (size,), [event], event.site, own, buffer=True, trained=False
        )
    _note(module, name, Computed("spectral_norm", ("original",), axis, inner=True), held)
    return module


def undone(state: State, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
    """Follow ``remove_weight_norm`` and ``remove_parametrizations`` of what was not touched since.

    Raises:
        StopError: its parts were filled since then.
    """
    module = args[0] if args else keywords.get("module")
    name = args[1] if len(args) > 1 else keywords.get("tensor_name", keywords.get("name", "weight"))
    how = module.attrs.get(_SETTING, {}).get(name) if isinstance(module, Module) else None
    if not isinstance(module, Module) or how is None:
        state.doubt("a parametrization is removed that is not followed")
        return module
    holder = _found(module, name, how)
    parts = [holder.params.get(n) for n in how.names]
    source = parts[0].chain[0].source if parts[0] is not None else ()
    direction = parts[-1]
    untouched = (
        how.kind == "weight_norm"
        and parts[0] is not None
        and direction is not None
        and len(parts[0].chain) == 1
        and tuple(direction.chain) == source
    )
    if not untouched:
        raise StopError("a parametrization is removed after its parts were filled", state.at)
    for one in how.names:
        holder.params.pop(one, None)
    if how.inner:
        module.children.pop("parametrizations", None)
    module.attrs.pop(name, None)
    module.attrs[_SETTING] = {k: v for k, v in module.attrs[_SETTING].items() if k != name}
    module.params[name] = direction
    return module


def effective(state: State, module: Module, name: str) -> Any:
    """Return what a layer's parameter is in a forward pass, computed where torch computes it.

    Raises:
        StopError: it was put in the place of one that is computed.
    """
    how = module.attrs.get(_SETTING, {}).get(name)
    if how is None:
        return module.params.get(name)
    if name in module.params:
        raise StopError(f"the {name} that a norm computes is set anew", module.site)
    holder = _found(module, name, how)
    if how.kind == "weight_norm":
        gain, direction = (holder.params[n] for n in how.names)
        axis = -1 if how.axis is None else how.axis
        return tensors.aten(state, "_weight_norm", (direction, gain, axis), ("v", "g", "dim"))
    vectors = holder.children["0"]
    assert vectors is not None and state.tape is not None  # noqa: S101, PT018
    w, u, v = (
        np.asarray(tensors.numbers_of(state, p), np.float32)
        for p in (holder.params["original"], vectors.params["_u"], vectors.params["_v"])
    )
    return Known((w / (u @ _matrix(w, how.axis or 0) @ v)).astype(np.float32))


def length(array: NDArray[Any], axis: int | None) -> NDArray[Any]:
    """Return the norm of each slice along an axis, in an array that broadcasts; of all for None."""
    others = tuple(i for i in range(array.ndim) if i != axis)
    kept = axis is not None
    total = np.square(array).sum(axis=others if kept else None, keepdims=kept)
    return np.asarray(np.sqrt(total))


def plain(module: Module) -> bool:
    """Return whether no parameter of a module is computed from others."""
    return not module.attrs.get(_SETTING)


def _taken(state: State, module: Any, name: Any, axis: Any) -> Parameter | None:
    """Take the parameter from its module, None where there is no module to take it from."""
    if isinstance(module, Unknown):
        return None
    held = module.params.get(name) if isinstance(module, Module) else None
    known = isinstance(name, str) and (axis is None or isinstance(axis, int))
    op = module.spec.op if isinstance(module, Module) and module.spec is not None else ""
    if not isinstance(held, Parameter) or not known or op not in _OPS or held.open:
        title = module.title if isinstance(module, Module) else "what is not known"
        raise StopError(f"a norm of the {name} of {title} is not followed", state.at)
    module.params.pop(name)
    return held


def _note(module: Module, name: str, how: Computed, held: Parameter) -> None:
    module.attrs[_SETTING] = {**module.attrs.get(_SETTING, {}), name: how}
    module.attrs[name] = Drawn(held.shape, EMPTY, None)


def _holder(module: Module, name: str) -> Module:
    outer = module.children.get("parametrizations")
    if outer is None:
        outer = module.children["parametrizations"] = Module("torch.nn.Module", module.site)
    inner = outer.children[name] = Module("torch.nn.Module", module.site)
    return inner


def _found(module: Module, name: str, how: Computed) -> Module:
    outer = module.children.get("parametrizations") if how.inner else None
    inner = None if outer is None else outer.children.get(name)
    if how.inner and inner is None:
        raise StopError(f"what computes the {name} of {module.title} was taken away", module.site)
    return inner or module


def _matrix(array: NDArray[Any], axis: int) -> NDArray[Any]:
    return np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1)


def _vector(axis: int, number: int) -> Any:
    def draw(random: np.random.Generator, old: NDArray[Any] | None) -> NDArray[Any]:
        matrix = _matrix(np.asarray(old, np.float64), axis)
        u = np.random.default_rng(0).standard_normal(len(matrix))
        v = np.zeros(matrix.shape[1])
        for _ in range(_ROUNDS):
            v = _unit(matrix.T @ u)
            u = _unit(matrix @ v)
        return (u, v)[number].astype(np.float32)

    return draw


def _unit(vector: NDArray[Any]) -> NDArray[Any]:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)
