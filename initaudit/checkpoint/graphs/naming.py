"""Names of layers: the module path that the graph tells, unique in the network."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from initaudit.checkpoint.graphs.steps import Step

_ROLES = re.compile(
    r"[./](weight|bias|kernel|gamma|beta|running_mean|running_var|embedding|scale"
    r"|(weight|bias)_(ih|hh)_l\d+(_reverse)?)$"
)
_LEAVES = frozenset(
    {"activation", "softmax", "dropout", "max_pool", "avg_pool", "global_avg_pool", "flatten",
     "adaptive_avg_pool", "upsample", "layer_norm", "rms_norm", "group_norm", "batch_norm"}
)  # fmt: skip
_GENERATED = re.compile(r"^(onnx::|val_|_?inner_|\(|\d+$|t_?\d*$)")


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
    """Return a unique name for each step."""
    scopes = {number: _scope(step) for number, step in steps.items()}
    count = Counter(scopes.values())
    inner = {scope.rpartition(".")[0] for scope in _ancestors(scopes.values())}
    first: dict[str, int] = {}
    for number, step in steps.items():
        if step.parts and step.op != "constant":
            first.setdefault(scopes[number], number)
    taken: set[str] = set()
    names: dict[int, str] = {}
    for number, step in steps.items():
        scope = scopes[number]
        owns = first.get(scope) == number
        leaf = step.op in _LEAVES and count[scope] == 1 and scope not in inner
        if step.op == "input":
            wanted = step.stem or "input"
        elif scope and (owns or leaf):
            wanted = scope
        else:
            what = str(step.attributes.get("function") or step.op)
            wanted = f"{scope}.{what}" if scope else what
        name, again = wanted, 1
        while name in taken or (name in first and first[name] != number):
            again += 1
            name = f"{wanted}_{again}"
        taken.add(name)
        names[number] = name
    return names


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
    if step.scope:
        return step.scope
    parts = sorted(step.parts, key=lambda part: not part.role.startswith("weight"))
    for part in parts:
        for name in (part.alias, part.key):
            if module := module_of(name):
                return module
    return ""
