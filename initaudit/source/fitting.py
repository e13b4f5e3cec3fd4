"""Which initialiser fits a layer, by the activation that its output goes through."""

from __future__ import annotations

import ast
import re

from initaudit.source.classes import Class
from initaudit.source.draws import read_draw
from initaudit.source.file import File

_RECTIFIERS = frozenset(
    {"relu", "relu6", "leaky_relu", "prelu", "elu", "gelu", "silu", "mish", "hardswish", "swish"}
)
_EVEN = frozenset({"tanh", "sigmoid", "hardtanh", "softsign", "hardsigmoid", "identity"})


def fitting(file: File, node: ast.expr, label: str) -> str | None:
    """Return the function of torch.nn.init that fits in place of ``uniform_(w)``.

    ``label`` names the layer of the class (``fc1``, ``net[0]``). None where the
    call says more than the tensor, or the activation behind the layer is not known.
    """
    owner = file.class_of(node)
    if owner is None or not isinstance(node, ast.Call) or len(node.args) != 1 or node.keywords:
        return None
    draw = read_draw(file.module, file.catalogue, node)
    if draw is None or draw.callee.name != "torch.nn.init.uniform_":
        return None
    function = _behind(file, owner, label)
    if function in _RECTIFIERS:
        return "kaiming_uniform_"
    return "xavier_uniform_" if function in _EVEN else None


def _behind(file: File, owner: Class, label: str) -> str | None:
    """Return the activation that a layer's output goes through at once, the same everywhere."""
    inside = re.fullmatch(r"(\w+)\[(\d+)\]", label)
    if inside:
        made = owner.only(inside[1])
        parts = made.value.args if made is not None and isinstance(made.value, ast.Call) else []
        index = int(inside[2]) + 1
        return _of_layer(file, parts[index]) if index < len(parts) else None
    found = {
        _around(file, owner, call)
        for call in file.module.calls
        if file.module.class_of(call) is owner.node and ast.unparse(call.func) == f"self.{label}"
    }
    return found.pop() if len(found) == 1 else None


def _around(file: File, owner: Class, call: ast.Call) -> str | None:
    parent = file.module.parents.get(call)
    if isinstance(parent, ast.Call) and parent.args[:1] == [call]:
        return _function(file, owner, parent)
    if not isinstance(parent, ast.Assign) or not isinstance(parent.targets[0], ast.Name):
        return None
    block = getattr(file.module.parents.get(parent), "body", [])
    at = block.index(parent) + 1 if parent in block else len(block)
    following = block[at] if at < len(block) else None
    value = following.value if isinstance(following, ast.Assign | ast.Return) else None
    if not isinstance(value, ast.Call) or not value.args:
        return None
    first = value.args[0]
    held = isinstance(first, ast.Name) and first.id == parent.targets[0].id
    return _function(file, owner, value) if held else None


def _function(file: File, owner: Class, call: ast.Call) -> str | None:
    name = file.qualified(call.func)
    if name is not None and name.startswith("torch."):
        return name.rpartition(".")[2]
    if isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "self":
        made = owner.only(call.func.attr)
        return None if made is None else _of_layer(file, made.value)
    return None


def _of_layer(file: File, value: ast.expr) -> str | None:
    spec = file.layer(value)
    if spec is None or spec.op != "activation":
        return None
    return str(spec.attributes.get("function", "")) or None
