"""Which weights are factors of a product that nothing rescales."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

from initaudit.source import initial
from initaudit.source.file import File
from initaudit.source.flow import flow
from initaudit.source.label import label
from initaudit.source.parents import walk
from initaudit.source.start import Start

# What stands wherever `flow` finds a product.
_PRODUCT = re.compile(r"@|dot|matmul|mm\b|mm\(|linear|einsum")
# What makes the outcome of a product, or one of its sides, as long as a unit.
_UNIT_LENGTH = re.compile(r"normali[sz]e|l2_?norm")
_ROOTS = frozenset({"math.sqrt", "np.sqrt", "torch.sqrt", "sqrt", "jnp.sqrt", "tf.sqrt", "float"})


def operands(file: File, bodies: list[list[ast.stmt]], starts: Mapping[str, Start]) -> set[str]:
    """Return the labels that are factors of a product whose result nothing rescales."""

    def kind(name: str) -> str:
        return "weight" if initial.short(name) in starts else "unknown"

    found: set[str] = set()
    names = {one.partition("[")[0].rpartition(".")[2] for one in starts}
    for body in bodies:
        text = file.module.written(body)
        if not _multiplies(text, names):
            continue
        for name, node in flow(file, body, kind).operands.items():
            if not _rescaled(file, node):
                found.add(initial.short(name))
    return found


def _multiplies(text: str, names: set[str]) -> bool:
    """Return whether a text may hold a product with one of some names: following it costs more."""
    held = [name for name in names if name in text or name.startswith("@")]
    called = any(f"{name}(" in text for name in held)
    return bool(held) and (called or _PRODUCT.search(text) is not None)


def _rescaled(file: File, product: ast.expr) -> bool:
    """Return whether a product, or the name it is given, is scaled or one side is normalised."""
    parent = file.module.parents.get(product)
    if isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Mult | ast.Div):
        other = parent.right if parent.left is product else parent.left
        # act(gate(x)) * (x @ W) is another signal, not a scale.
        return not (isinstance(other, ast.Call) and label(other.func) not in _ROOTS)
    function = file.module.function(product)
    within = file.module.tree if function is None else function
    if _UNIT_LENGTH.search(ast.unparse(within)):
        return True
    if not isinstance(parent, ast.Assign) or not isinstance(parent.targets[0], ast.Name):
        return False
    name = parent.targets[0].id
    after = [n for n in walk(within) if isinstance(n, ast.Name) and n.id == name]
    after = sorted((n for n in after if n.lineno > product.lineno), key=lambda n: n.lineno)
    for node in after:
        factor = file.module.parents.get(node)
        if isinstance(factor, ast.BinOp | ast.AugAssign) and isinstance(
            factor.op, ast.Mult | ast.Div
        ):
            return True
        if isinstance(node.ctx, ast.Store):
            # What the name is given in the same line may still be scaled there.
            return any(n.lineno == node.lineno and _scaled(file, n) for n in after)
    return False


def _scaled(file: File, node: ast.expr) -> bool:
    around = file.module.parents.get(node)
    return isinstance(around, ast.BinOp) and isinstance(around.op, ast.Mult | ast.Div)
