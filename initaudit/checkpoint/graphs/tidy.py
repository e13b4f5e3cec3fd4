"""Steps without what moves numbers there and back, and without what nothing reads."""

from __future__ import annotations

from math import prod

from initaudit.checkpoint.graphs.fuse import Steps
from initaudit.checkpoint.graphs.steps import Step
from initaudit.network import whole_numbers


def tidy(steps: Steps) -> None:
    """Compose reshapes and transposes, drop those that change nothing, drop unread steps."""
    changed = True
    while changed:
        changed = False
        for number, step in list(steps.builder.steps.items()):
            rest = _shorter(steps, step)
            if rest is not None:
                _bypass(steps, number, rest)
                changed = True
            elif _composed(steps, step) or _swapped(steps, step):
                changed = True
    drop(steps)


def drop(steps: Steps) -> None:
    """Drop the steps that no output and no unknown operator rests on."""
    every = steps.builder.steps
    wanted = [n for n in every if n in steps.outputs]
    wanted += [n for n, step in every.items() if "operator" in step.attributes]
    if not steps.outputs:
        wanted = list(every)
    kept: set[int] = set()
    while wanted:
        number = wanted.pop()
        if number not in kept:
            kept.add(number)
            wanted += every[number].inputs
    for number in [n for n in every if n not in kept]:
        del every[number]
    steps.count()


def _bypass(steps: Steps, number: int, instead: int) -> None:
    """Let the readers of a step read another one."""
    for reader in set(steps.readers[number]):
        step = steps[reader]
        step.inputs = [instead if i == number else i for i in step.inputs]
        steps.readers[instead].append(reader)
    if number in steps.outputs:
        steps.outputs.discard(number)
        steps.outputs.add(instead)
    for i in steps[number].inputs:
        steps.readers[i] = [r for r in steps.readers[i] if r != number]
    del steps.builder.steps[number]


def _shorter(steps: Steps, step: Step) -> int | None:
    """Return the input of a step that changes nothing."""
    if step.op == "identity":
        return step.inputs[0]
    if step.op == "reshape" and steps[step.inputs[0]].shape == step.shape is not None:
        return step.inputs[0]
    perm = step.attributes.get("perm")
    if step.op == "transpose" and isinstance(perm, tuple) and perm == tuple(range(len(perm))):
        return step.inputs[0]
    return None


def _composed(steps: Steps, step: Step) -> bool:
    """Let a reshape of a reshape, or a transpose of a transpose, read what is before both."""
    if step.op not in {"reshape", "transpose"}:
        return False
    below = steps[step.inputs[0]]
    if below.op != step.op:
        return False
    if step.op == "transpose":
        first, second = below.attributes["perm"], step.attributes["perm"]
        if not whole_numbers(first) or not whole_numbers(second):
            return False
        step.attributes["perm"] = tuple(first[p] for p in second)
    step.inputs = list(below.inputs)
    steps.count()
    return True


def _swapped(steps: Steps, step: Step) -> bool:
    """See that merging leading axes, turning the last two and parting again is one transpose."""
    if step.op != "reshape" or step.shape is None or len(step.shape) < 3:
        return False
    turned = steps[step.inputs[0]]
    if turned.op != "transpose" or turned.attributes.get("perm") != (0, 2, 1):
        return False
    merged = steps[turned.inputs[0]]
    whole = steps[merged.inputs[0]].shape if merged.inputs else None
    if merged.op != "reshape" or whole is None or merged.shape is None:
        return False
    lead = len(whole) - 2
    if whole[lead:] != merged.shape[1:] or prod(whole[:lead]) != merged.shape[0]:
        return False
    if step.shape != (*whole[:lead], whole[-1], whole[-2]):
        return False
    step.op, step.inputs = "transpose", list(merged.inputs)
    step.attributes = {"perm": (*range(lead), lead + 1, lead)}
    steps.count()
    return True


def pooled(steps: Steps, number: int) -> bool:
    """See a mean over all places as a pool, and a reshape to one axis as flattening."""
    step = steps[number]
    shape = steps[step.inputs[0]].shape if len(step.inputs) == 1 else None
    if shape is None or step.shape is None or len(shape) < 3:
        return False
    places = tuple(range(2, len(shape)))
    if step.op == "reduce_mean" and len(shape) > 3 and step.attributes.get("axes") == places:
        step.op = "global_avg_pool"
        step.attributes = {"keepdims": bool(step.attributes.get("keepdims")), "axis": 1}
        return True
    if step.op == "reshape" and len(step.shape) == 2 and step.shape[0] == shape[0]:
        step.op, step.attributes = "flatten", {}
        return True
    return False
