"""Names of layers: the module path that the graph tells, unique in the network."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from initaudit.checkpoint.graphs.steps import Step

_ROLES = re.compile(
    r"[./](weight|bias|kernel|gamma|beta|running_mean|running_var|embedding|scale"
    r"|(weight|bias)_(ih|hh)_l\d+(_reverse)?)$"
)
_HOLDERS = frozenset(
    {"linear", "conv", "conv_transpose", "embedding", "lstm", "gru", "rnn", "table", "constant",
     "layer_norm", "rms_norm", "group_norm", "batch_norm"}
)  # fmt: skip
_GENERATED = re.compile(r"^(onnx::|val_|_?inner_|\(|\d+$|t_?\d*$|.*_output_\d+$)")


def generated(array: str) -> bool:
    """Return whether an exporter made up the name of an array."""
    return bool(_GENERATED.match(array))


def module_of(array: str) -> str:
    """Return the module that the name of an array tells, empty where it tells none."""
    if _GENERATED.match(array):
        return ""
    found = _ROLES.search(array)
    return array[: found.start()].replace("/", ".") if found else ""


def path_of(node: str) -> str:
    """Return the module path in a node's name, such as ``/encoder/layer.0/query/MatMul``.

    A segment that repeats the one before it, as in ``/features/features.0/Conv``, replaces it.
    """
    if not node.startswith("/"):
        return ""
    kept: list[str] = []
    for segment in node.strip("/").split("/")[:-1]:
        if kept and segment.startswith(f"{kept[-1]}."):
            kept.pop()
        kept.append(segment)
    return ".".join(kept)


def named(steps: Mapping[int, Step]) -> dict[int, str]:
    """Return a unique name for each step.

    A module's name goes to the step with its weight, else to the last of the module's steps, whose
    output is the module's; a module with others inside gives its name to none.
    """
    scopes = {number: _scope(step) for number, step in steps.items()}
    inner = {scope.rpartition(".")[0] for scope in _ancestors(scopes.values())}
    owner = _owners(steps, scopes)
    taken: set[str] = set()
    names: dict[int, str] = {}
    for number, step in steps.items():
        scope = scopes[number]
        if step.op == "input":
            wanted = step.stem or "input"
        elif scope and owner.get(scope) == number and scope not in inner:
            wanted = scope
        else:
            what = _part(step, scope) or str(step.attributes.get("function") or step.op)
            wanted = f"{scope}.{what}" if scope else what
        name, again = wanted, 1
        while name in taken or (name in scopes.values() and owner.get(name) != number):
            again += 1
            name = f"{wanted}_{again}"
        taken.add(name)
        names[number] = name
    return names


def _owners(steps: Mapping[int, Step], scopes: Mapping[int, str]) -> dict[str, int]:
    """Return the step of each module whose output is the module's.

    That is the first with its weight; the last of all where there is none, or where several
    weights that are not the same stand in one module. Numbers that the graph writes in place are
    what the module reads, never what it gives.
    """
    last: dict[str, int] = {}
    holders: dict[str, list[int]] = {}
    for number, step in steps.items():
        scope = scopes[number]
        if step.op == "constant" and step.part("value") is not None:
            continue
        last[scope] = number
        if step.op in _HOLDERS and step.parts:
            holders.setdefault(scope, []).append(number)
    for scope, numbers in holders.items():
        keys = {tuple(part.key for part in steps[n].parts) for n in numbers}
        # An embedding that scales its rows gives out what it scaled.
        scaled = steps[numbers[0]].op == "embedding" and steps[last[scope]].op == "scale"
        if len(keys) == 1 and not scaled:
            last[scope] = numbers[0]
    return last


def _part(step: Step, scope: str) -> str:
    """Return what the name of a weight says beyond its module: ``in_proj`` of in_proj_weight."""
    for part in step.parts:
        for name in (part.alias, part.key):
            if scope and name.startswith(f"{scope}."):
                found = re.fullmatch(r"(\w+?)_(weight|bias)", name[len(scope) + 1 :])
                if found:
                    return found[1]
    return ""


def _ancestors(scopes: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for scope in scopes:
        while scope and scope not in found:
            found.add(scope)
            scope = scope.rpartition(".")[0]
    return found


def _scope(step: Step) -> str:
    """Return the module of a step: that of its node, else that of its weight."""
    if step.op == "constant":
        weight = step.part("weight")
        if weight is not None and not _GENERATED.match(weight.alias or weight.key):
            return weight.alias or weight.key
    parts = sorted(step.parts, key=lambda part: not part.role.startswith("weight"))
    told = [module for p in parts for n in (p.alias, p.key) if (module := module_of(n))]
    if step.scope:
        return next((m for m in told if m.startswith(f"{step.scope}.")), step.scope)
    return told[0] if told else ""
