"""Attention that is written out as products and a softmax, folded back into one layer."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from initaudit.checkpoint.graphs.fuse import Steps
from initaudit.checkpoint.graphs.masks import plain_mask
from initaudit.checkpoint.graphs.steps import Step
from initaudit.checkpoint.graphs.values import Known
from initaudit.network import Attribute

_SWAP = (0, 1, 3, 2)
_JOIN = (0, 2, 1, 3)


@dataclass(slots=True)
class _Scores:
    """Scores as q k^T times a factor, plus what is added to them."""

    q: int
    k: int
    factor: float
    added: list[int] = field(default_factory=list)


def attention(steps: Steps, number: int) -> bool:
    """softmax(c q k^T + bias) v, over arrays (N, heads, T, width)."""
    step = steps[number]
    if step.op != "matmul" or step.shape is None or len(step.shape) != 4:
        return False
    weights, values = step.inputs
    soft = steps[weights]
    if soft.op != "softmax" or soft.attributes.get("axis") != 3:
        return False
    scores = _scores(steps, soft.inputs[0])
    if scores is None or len(scores.added) > 1:
        return False
    shapes = [steps[i].shape for i in (scores.q, scores.k, values)]
    if any(s is None or len(s) != 4 or s[1] != step.shape[1] for s in shapes):
        return False
    heads, width = step.shape[1], (shapes[0] or (0, 0, 0, 1))[3]
    attributes: dict[str, Attribute] = {"heads": heads, "kv_heads": heads, "causal": False}
    if not math.isclose(scores.factor * math.sqrt(width), 1.0, rel_tol=1e-5):
        attributes["scale"] = scores.factor
    inputs = [_joined(steps, i) for i in (scores.q, scores.k, values)]
    for bias in scores.added:
        mask, causal = _mask(steps, bias)
        attributes["causal"] = causal
        inputs += [] if mask is None else [mask]
    n, _, length, wide = step.shape
    made = _new(steps, "attention", inputs, (n, length, heads * wide), attributes, step)
    apart = _new(
        steps, "reshape", [made], (n, length, heads, wide),
        {"shape": (-1, length, heads, wide)}, step,
    )  # fmt: skip
    step.op, step.inputs, step.attributes = "transpose", [apart], {"perm": _JOIN}
    return True


def _scores(steps: Steps, number: int) -> _Scores | None:
    """Return the parts of scores, None where they are none."""
    number, factor = steps.times(number)
    step = steps[number]
    if step.op == "matmul":
        q, first = steps.times(step.inputs[0])
        k, second = steps.times(step.inputs[1])
        return _Scores(q, _turned(steps, k), factor * first * second)
    if step.op != "add" or len(step.inputs) != 2 or factor != 1.0:
        return None
    for inner, bias in (step.inputs, step.inputs[::-1]):
        shape = steps[bias].shape
        found = _scores(steps, inner) if shape is not None and len(shape) == 4 else None
        if found is not None:
            found.added.append(bias)
            return found
    return None


def _turned(steps: Steps, number: int) -> int:
    """Return keys of shape (N, heads, S, width) from their transpose."""
    step = steps[number]
    if step.op == "transpose" and step.attributes.get("perm") == _SWAP:
        return step.inputs[0]
    shape = step.shape
    if shape is None or len(shape) != 4:
        return number
    turned = (shape[0], shape[1], shape[3], shape[2])
    return _new(steps, "transpose", [number], turned, {"perm": _SWAP}, step)


def _joined(steps: Steps, number: int) -> int:
    """Return (N, heads, T, width) as (N, T, heads x width)."""
    step = steps[number]
    n, heads, length, width = step.shape or (0, 0, 0, 0)
    turned = _new(
        steps, "transpose", [number], (n, length, heads, width), {"perm": _JOIN}, step
    )  # fmt: skip
    flat = (-1, length, heads * width)
    return _new(steps, "reshape", [turned], (n, *flat[1:]), {"shape": flat}, step)


def _mask(steps: Steps, number: int) -> tuple[int | None, bool]:
    """Return what is added to the scores, None where it hides nothing or only what is later."""
    step = steps[number]
    while step.op == "reshape":
        step = steps[step.inputs[0]]
    part = step.part("value") if step.op == "constant" else None
    array = None if part is None else steps.builder.computed.get(part.key)
    if array is None:
        return number, False
    left, causal = plain_mask(Known(np.asarray(array)), causal=False)
    return (None if left is None else number), causal


def shared_heads(steps: Steps, number: int) -> bool:
    """Keys and values that are repeated for groups of heads: the repetition is left out."""
    step = steps[number]
    heads = step.attributes.get("heads")
    if step.op != "attention" or step.attributes.get("kv_heads") != heads:
        return False
    found = [_single(steps, i) for i in step.inputs[1:3]]
    shapes = [steps[i].shape for i in found if i is not None]
    if len(shapes) < 2 or not isinstance(heads, int):
        return False
    groups = {shape[1] for shape in shapes if shape is not None}
    if len(groups) != 1 or heads % min(groups):
        return False
    step.attributes["kv_heads"] = groups.pop()
    step.inputs = [
        step.inputs[0],
        *(_joined(steps, i) for i in found if i is not None),
        *step.inputs[3:],
    ]
    return True


def _single(steps: Steps, number: int) -> int | None:
    """Return (N, groups, S, width) of which (N, S, heads x width) repeats every group."""
    turned = steps.input_of(number, "reshape")
    if turned is None or steps[turned].attributes.get("perm") != _JOIN:
        return None
    merged = steps.input_of(turned, "transpose")
    spread = None if merged is None else steps.input_of(merged, "reshape")
    narrow = None if spread is None else steps.input_of(spread, "expand")
    if merged is None or spread is None or narrow is None:
        return None
    small, wide, whole = (steps[i].shape for i in (narrow, spread, merged))
    if small is None or wide is None or whole is None or len(wide) != 5 or len(whole) != 4:
        return None
    n, groups, one, length, width = small
    if one != 1 or wide[2] * groups != whole[1] or whole[2:] != (length, width):
        return None
    return _new(
        steps, "reshape", [narrow], (n, groups, length, width),
        {"shape": (-1, groups, length, width)}, steps[narrow],
    )  # fmt: skip


def _new(
    steps: Steps,
    op: str,
    inputs: list[int],
    shape: tuple[int, ...],
    attributes: dict[str, Attribute],
    like: Step,
) -> int:
    builder = steps.builder
    number = builder.next
    builder.next += 1
    builder.steps[number] = Step(op, inputs, [], attributes, shape, like.scope, like.stem)
    return number
