"""Norms that exporters write out, and the scales and offsets behind them."""

from __future__ import annotations

from collections.abc import Iterator

from initaudit.checkpoint.graphs.fuse import Steps, become
from initaudit.checkpoint.graphs.steps import Part, Step


def norm(steps: Steps, number: int) -> bool:
    """Layer norm and RMS norm: x over the root of its mean square, the mean taken off or not."""
    step = steps[number]
    for x, below in _quotients(steps, step):
        found = _mean_square(steps, below)
        if found is None or found[0] != x:
            continue
        eps = found[1]
        centred = _centred(steps, x)
        if centred is not None:
            return become(step, "layer_norm", centred, eps=eps)
        return become(step, "rms_norm", x, eps=eps)
    return False


def _quotients(steps: Steps, step: Step) -> Iterator[tuple[int, int]]:
    """Yield x and s of a step that is x / sqrt(s), written in any way."""
    if len(step.inputs) != 2:
        return
    first, second = step.inputs
    if step.op == "divide":
        root = _root(steps, second)
        if root is not None:
            yield first, root
    elif step.op == "multiply":
        for x, scale in ((first, second), (second, first)):
            inverse = steps.input_of(scale, "reciprocal")
            root = None if inverse is None else _root(steps, inverse)
            if root is None:
                root = steps.power_of(scale, -0.5)
            if root is not None:
                yield x, root


def _root(steps: Steps, number: int) -> int | None:
    inner = steps.input_of(number, "sqrt")
    return inner if inner is not None else steps.power_of(number, 0.5)


def _mean_square(steps: Steps, number: int) -> tuple[int, float] | None:
    """Return x and eps of a step that is the mean of x^2 over the last axis, plus eps."""
    total = steps.sum_with(number)
    if total is None:
        return None
    mean = _last_mean(steps, total[0])
    x = None if mean is None else steps.power_of(mean, 2.0)
    return None if x is None else (x, total[1])


def _last_mean(steps: Steps, number: int) -> int | None:
    step = steps[number]
    if step.op != "reduce_mean" or not step.attributes.get("keepdims") or step.shape is None:
        return None
    last = step.attributes.get("axes") == (len(step.shape) - 1,)
    return step.inputs[0] if last else None


def _centred(steps: Steps, number: int) -> int | None:
    """Return x of a step that is x minus its mean over the last axis."""
    step = steps[number]
    if step.op != "subtract":
        return None
    x, mean = step.inputs
    return x if _last_mean(steps, mean) == x else None


def affine(steps: Steps, number: int) -> bool:
    """A stored scale or offset right behind a norm, or an offset behind a matrix product."""
    step = steps[number]
    if step.op not in {"scale", "bias"} or not step.parts or len(step.inputs) != 1:
        return False
    below = steps[step.inputs[0]]
    role = "weight" if step.op == "scale" else "bias"
    fits = below.op in {"layer_norm", "rms_norm"} or (below.op == "linear" and role == "bias")
    if not fits or below.part(role) is not None or step.attributes.get("factor", 1.0) != 1.0:
        return False
    last = -1 if step.shape is None else len(step.shape) - 1
    if step.attributes.get("axis") not in {-1, last}:
        return False
    if role == "weight" and below.part("bias") is not None:
        return False
    if steps.only(step.inputs[0]) is not step or len(step.parts[0].shape) != 1:
        return False
    kept = step.parts[0]
    step.op, step.inputs = below.op, below.inputs
    step.parts = [*below.parts, Part(role, kept.key, kept.shape, kept.alias)]
    step.attributes = below.attributes
    if below.op == "linear":
        step.scope, step.stem = below.scope or step.scope, below.stem
    return True


def grouped(steps: Steps, number: int) -> bool:
    """Group norm written as a norm over (N, groups, rest) between two reshapes, with an affine."""
    step = steps[number]
    scaled = steps.input_of(number, "bias")
    back = None if scaled is None else steps.input_of(scaled, "scale")
    inner = None if back is None else steps.input_of(back, "reshape")
    first = None if inner is None else steps.input_of(inner, "group_norm")
    x = None if first is None else steps.input_of(first, "reshape")
    if scaled is None or back is None or inner is None or x is None:
        return False
    below, weight = steps[inner], steps[scaled].part("weight")
    shape = steps[x].shape
    same = steps[back].shape == shape is not None and step.shape == shape
    bias = step.part("weight")
    if below.parts or weight is None or bias is None or not same:
        return False
    groups, eps = below.attributes.get("groups"), below.attributes.get("eps", 1e-5)
    step.op, step.inputs = "group_norm", [x]
    step.parts = [weight, Part("bias", bias.key, bias.shape, bias.alias)]
    step.attributes = {"groups": groups, "eps": eps}
    return True
