"""Which axis of a weight holds its output units, where one module alone does not tell.

A kernel of Keras or Flax is (in, out) and a torch weight (out, in): the name tells. Where it does
not (``W1``, ``l1.w``) these are asked in turn, and the answer is an assumption unless the first
gives it:

1. a bias beside the weight, of the length of one of its axes only;
2. the other weights named in the same way, whose biases tell;
3. the widths: the one reading under which the weights form a chain;
4. (in, out), as ``x @ W1 + b1`` is written by hand.

A torch convolution is (out, in, ...) and a transposed one (in, out, ...): asked are the name, the
bias, a norm behind it, and the other convolutions of the container.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from math import prod

from initaudit.checkpoint import trunk
from initaudit.checkpoint.groups import grouped, out_axis
from initaudit.checkpoint.positional import number
from initaudit.checkpoint.units import (
    KERAS_TRANSPOSED,
    NORMS,
    Layout,
    Unit,
    convolved,
    oriented,
    read,
)
from initaudit.network import Tensor


def out_axes(
    named: Iterable[tuple[str, tuple[int, ...]]],
) -> Callable[[str, tuple[int, ...]], int]:
    """Return a function that tells the axis of output units of each of these stored arrays.

    ``named`` are the names and shapes of all arrays of a checkpoint: nothing is measured yet.
    The function agrees with the layout of the layers that `topology.build` makes of them, and
    answers by `groups.out_axis` for any other name.
    """
    stubs = [
        Tensor(name, "F32", shape, prod(shape), None, None, None, None, 0, 0, 0, 0)
        for name, shape in named
    ]
    units, _ = resolved([read(group) for group in grouped(stubs)])
    axes: dict[str, int] = {}
    for unit in units:
        for tensor in unit.group.parts.values():
            if len(tensor.shape) < 2:
                continue
            last = len(tensor.shape) - 1
            if unit.op == "linear" or (unit.dims and unit.op == "conv"):
                axes[tensor.name] = 0 if unit.layout == "oi" else last
            elif unit.op == "conv_transpose":
                swapped = unit.layout == "oi" or unit.reason == KERAS_TRANSPOSED
                axes[tensor.name] = 1 if unit.layout == "oi" else last - swapped

    def axis(name: str, shape: tuple[int, ...]) -> int:
        found = axes.get(name)
        return out_axis(name, shape) if found is None else found

    return axis


def resolved(units: Sequence[Unit]) -> tuple[list[Unit], list[str]]:
    """Settle what one module alone does not tell: (in, out) and transposed kernels."""
    settled, notes = _orientations(_like_their_namesakes(units))
    by_name = {unit.name: unit for unit in settled}
    norms_of: dict[tuple[str, ...], list[Unit]] = {}
    kernels_of: dict[tuple[str, ...], list[str]] = {}
    for unit in settled:
        if unit.op in NORMS:
            norms_of.setdefault(_after(unit), []).append(unit)
        if unit.dims:
            kernels_of.setdefault(unit.path[:-1], []).append(unit.name)
    for unit in settled:
        if unit.op == "conv" and not unit.decided and unit.layout == "oi":
            first, second = unit.weight.shape[:2]
            near = norms_of.get(_slot(unit), [])
            beside = kernels_of[unit.path[:-1]]
            if first != second and any(norm.width == second for norm in near):
                by_name[unit.name] = convolved(unit, transposed=True, decided=True)
            elif any(norm.width == first for norm in near) or len(beside) < 2:
                by_name[unit.name] = convolved(unit, transposed=False, decided=True)
    sure = {
        parent: {by_name[name].op for name in names if by_name[name].decided}
        for parent, names in kernels_of.items()
    }
    for unit in list(by_name.values()):
        if unit.op == "conv" and not unit.decided:
            transposed = sure[unit.path[:-1]] == {"conv_transpose"}
            by_name[unit.name] = convolved(unit, transposed=transposed, decided=True)
    result = list(by_name.values())
    return result, notes


def _like_their_namesakes(units: Sequence[Unit]) -> list[Unit]:
    """Read square matrices of GPT-2's Conv1D as (in, out), as the others of that name are."""
    layouts: dict[str, set[Layout]] = {}
    square: list[Unit] = []
    for unit in units:
        if unit.op == "linear" and unit.group.style == "torch" and "bias" in unit.group.parts:
            if unit.fan == unit.width:
                square.append(unit)
            else:
                layouts.setdefault(unit.path[-1], set()).add(unit.layout)
    turned = {unit.name for unit in square if layouts.get(unit.path[-1]) == {"io"}}
    return [oriented(unit, "io") if unit.name in turned else unit for unit in units]


def _slot(unit: Unit) -> tuple[str, ...]:
    """Return where the norm of a convolution is looked for: conv1 has bn1, ``3`` has ``4``."""
    *parents, last = unit.path
    place = number(last)
    return (*parents, "" if place is None else str(place + 1), *re.findall(r"\d+", last))


def _after(norm: Unit) -> tuple[str, ...]:
    *parents, last = norm.path
    place = number(last)
    if place is not None:
        return (*parents, last, str(place - 1))
    return (*parents, "", *re.findall(r"\d+", last))


def _orientations(units: Sequence[Unit]) -> tuple[list[Unit], list[str]]:
    """Read hand-written matrices as (in, out) or (out, in): by biases, then by the chain."""
    matrices = [u for u in units if u.op == "linear" and u.group.style == "numpy"]
    open_ = [unit for unit in matrices if not unit.decided]
    if not open_:
        return list(units), []
    asked = {unit.name for unit in open_}
    votes = {unit.layout for unit in matrices if unit.decided}
    names = ", ".join(unit.name for unit in open_)
    if len(votes) == 1:
        layout = votes.pop()
        note = f"{names} read as {_AXES[layout]}, as the biases of the other layers tell"
    else:
        layouts: tuple[Layout, ...] = ("io", "oi")
        ways = {
            layout: trunk.find([oriented(u, layout) if u.name in asked else u for u in matrices])
            for layout in layouts
        }
        fitting = [layout for layout in layouts if (way := ways[layout]) and way.by == "names"]
        fitting = fitting or [layout for layout in layouts if ways[layout]]
        layout = fitting[0] if fitting else "io"
        why = "the way in which their widths meet" if len(fitting) == 1 else "a guess"
        note = f"{names} read as {_AXES[layout]}: {why}"
    return [oriented(u, layout) if u.name in asked else u for u in units], [note]


_AXES = {"io": "(in, out)", "oi": "(out, in)"}
