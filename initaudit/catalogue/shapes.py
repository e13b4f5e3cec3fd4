"""The weights that a layer's constructor makes: which, and of what shape."""

from __future__ import annotations

from collections.abc import Mapping

from initaudit.catalogue.calls import argument
from initaudit.catalogue.entries import LayerSpec, LayerWeight, Unknown, Value
from initaudit.network import Interval


def shape(
    spec: LayerSpec, weight: LayerWeight, bound: Mapping[str, Value]
) -> tuple[int | None, ...] | None:
    """Return a weight's shape; an axis of unknown size is None.

    None where even the rank is not known. Groups divide an axis of a kernel, never a bias.
    """
    axes: list[int | None] = []
    grouped = len(weight.shape) > 1
    for role in weight.shape:
        if role == "kernel":
            window = _window(spec, bound)
            if window is None:
                return None
            axes += window
        else:
            axes.append(
                role if isinstance(role, int) else _axis(spec, role, bound, grouped=grouped)
            )
    return tuple(axes)


def present(spec: LayerSpec, weight: LayerWeight, bound: Mapping[str, Value]) -> bool | None:
    """Return whether a call makes this weight; None where its arguments do not tell."""
    states = [_on(spec, name, bound) for name in weight.switches]
    if False in states:
        return False
    return None if None in states else True


def _on(spec: LayerSpec, name: str, bound: Mapping[str, Value]) -> bool | None:
    """Return whether a switch is on; None is off unless it is what stands for "as usual"."""
    match argument(spec.parameters, bound, name):
        case Unknown():
            return None
        case None:
            return any(p.name == name and p.default is None for p in spec.parameters)
        case Interval(lo, hi):
            return lo != 0.0 if lo == hi else None
        case found:
            return found is not False


def _axis(spec: LayerSpec, role: str, bound: Mapping[str, Value], *, grouped: bool) -> int | None:
    parameter = {"inputs": spec.inputs, "outputs": spec.outputs, "gates": spec.outputs}.get(
        role, role
    )
    size = _whole(argument(spec.parameters, bound, parameter))
    if size is None:
        return None
    if role == "gates":
        return size * spec.gates
    if grouped and spec.groups is not None and role == spec.grouped:
        groups = _whole(argument(spec.parameters, bound, spec.groups))
        return size // groups if groups else None
    return size


def _window(spec: LayerSpec, bound: Mapping[str, Value]) -> list[int | None] | None:
    given = argument(spec.parameters, bound, spec.kernel)
    if isinstance(given, tuple):
        return [_whole(v) for v in given] if spec.dims in (None, len(given)) else None
    return None if spec.dims is None else [_whole(given)] * spec.dims


def _whole(value: Value) -> int | None:
    """Return the positive integer that a value is, if it is one."""
    if isinstance(value, tuple) and len(value) == 1:
        value = value[0]
    if isinstance(value, Interval) and value.lo == value.hi and value.lo > 0:
        return int(value.lo) if float(value.lo).is_integer() else None
    return None
