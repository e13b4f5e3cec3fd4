"""Wrong structure: what is a parameter, when and on what an initialiser runs, what is made once."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tests.benchmarks.mutation.edit import Mutant, Source
from tests.benchmarks.mutation.nets import nets
from tests.benchmarks.mutation.weights import use_of

_RAW = (
    ("torch.rand as a matrix", "IA105", "nn.Parameter(torch.rand({i}, {o}))"),
    ("unscaled torch.randn", "IA104", "nn.Parameter(torch.randn({i}, {o}))"),
    ("tensor with requires_grad", "IA409", "torch.randn({i}, {o}, requires_grad=True)"),
    ("tensor with requires_grad", "IA409", "(torch.randn({i}, {o}) * 0.02).requires_grad_()"),
    ("parameter never filled", "IA410", "nn.Parameter(torch.empty({i}, {o}))"),
)
_PRODUCTS = ("{x} @ {w}", "torch.matmul({x}, {w})", "F.linear({x}, {w}.t())")


def raw(source: Source) -> Iterator[Mutant]:
    """Yield the file with one linear layer written as a matrix of its own."""
    if not source.torch or not source.tensors:
        return
    functional = re.search(r"import torch\.nn\.functional as F", source.text) is not None
    for net in nets(source):
        for number, layer in enumerate(net.layers.values()):
            use = use_of(net, layer)
            fans = layer.size(0, "in_features"), layer.size(1, "out_features")
            if layer.kind != "Linear" or use is None or None in fans:
                continue
            i, o = (source.written(fan) for fan in fans if fan is not None)
            name = f"self.{layer.name}_weight" if number % 2 else f"self.{layer.name}"
            product = _PRODUCTS[number % (3 if functional else 2)]
            called = product.format(x=source.written(use.args[0]), w=name)
            for kind, rules, form in _RAW:
                made = source.mutant(
                    kind,
                    rules,
                    [
                        source.replace(layer.statement, f"{name} = {form.format(i=i, o=o)}"),
                        source.replace(use, f"({called})", fault=False),
                    ],
                )
                if made is not None:
                    yield made


def uncalled(source: Source) -> Iterator[Mutant]:
    """Yield the file with a class that does not call its initialising method any more."""
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.ClassDef) or not node.bases:
            continue
        if [ast.unparse(b) for b in node.bases] != ["nn.Module"]:
            continue
        for method in node.body:
            if not isinstance(method, ast.FunctionDef) or not re.fullmatch(
                r"_*(?:init|reset|initialize)_(?:weights|parameters)", method.name
            ):
                continue
            calls = [
                s for s in ast.walk(node)
                if isinstance(s, ast.Expr)
                and re.fullmatch(
                    rf"self\.(?:apply\(self\.)?{method.name}\(?[\w=\"', ]*\)", ast.unparse(s)
                )
            ]  # fmt: skip
            mentions = len(re.findall(rf"\b{method.name}\b", source.text))
            if len(calls) == 1 and mentions == 2 and _writes(node, method):
                gone = source.replace(calls[0], "pass", fault=False)
                made = source.mutant("init never applied", "IA408", [gone, source.here(method)])
                if made is not None:
                    yield made


def _writes(node: ast.ClassDef, method: ast.FunctionDef) -> bool:
    """Return whether a method, or one that it hands on, fills weights by itself.

    Where it only calls ``reset_parameters`` of the layers, which they have called already, it is
    as well if nobody calls it.
    """
    own = {m.name: m for m in node.body if isinstance(m, ast.FunctionDef)}
    left, seen = [method], set[str]()
    while left:
        text = ast.unparse(left.pop())
        if re.search(r"(?:normal|uniform|zeros|ones|constant|fill|orthogonal|zero|copy)_\(", text):
            return True
        named = set(re.findall(r"self\.(\w+)", text)) & set(own) - seen
        seen |= named
        left += [own[name] for name in sorted(named)]
    return False


def either(source: Source) -> Iterator[Mutant]:
    """Yield the file with ``isinstance(m, A or B)`` in place of a tuple."""
    for call in ast.walk(source.tree):
        if not isinstance(call, ast.Call) or ast.unparse(call.func) != "isinstance":
            continue
        kinds = call.args[1] if len(call.args) == 2 else None
        if not isinstance(kinds, ast.Tuple) or len(kinds.elts) < 2:
            continue
        if not any(
            isinstance(a, ast.FunctionDef) and "init" in a.name for a in source.around(call)
        ):
            continue
        if not any(ast.unparse(kind).startswith(("nn.", "torch.nn.")) for kind in kinds.elts):
            continue
        joined = " or ".join(source.written(kind) for kind in kinds.elts)
        made = source.mutant("isinstance of A or B", "IA403", [source.replace(kinds, joined)])
        if made is not None:
            yield made


def wrapped(source: Source) -> Iterator[Mutant]:
    """Yield the file with a layer under weight_norm, and an initialiser behind it."""
    if not source.torch:
        return
    for net in nets(source):
        for layer in net.layers.values():
            wrapping = f"weight_norm({source.written(layer.call)})"
            lines = [f"self.{layer.name}.weight.data.normal_(0, 0.01)"]
            made = source.mutant(
                "init after weight_norm",
                "IA402",
                [
                    *source.imports("from torch.nn.utils import weight_norm", "weight_norm"),
                    source.replace(layer.call, wrapping, fault=False),
                    *source.after(net.init.body[-1], lines),
                ],
            )
            if made is not None:
                yield made


def repeated(source: Source) -> Iterator[Mutant]:
    """Yield the file with ``[Layer(..)] * n`` in place of a comprehension."""
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.ListComp) or len(node.generators) != 1:
            continue
        one, around = node.generators[0], source.parents.get(node)
        if not isinstance(around, ast.Call) or not isinstance(node.elt, ast.Call):
            continue
        counted = isinstance(one.iter, ast.Call) and ast.unparse(one.iter.func) == "range"
        if ast.unparse(around.func) != "nn.ModuleList" or not counted or one.ifs:
            continue
        number = one.iter.args  # type: ignore[attr-defined]
        used = {n.id for n in ast.walk(node.elt) if isinstance(n, ast.Name)}
        if len(number) != 1 or not isinstance(one.target, ast.Name) or one.target.id in used:
            continue
        made_of = ast.unparse(node.elt.func)
        own = {c.name for c in ast.walk(source.tree) if isinstance(c, ast.ClassDef)}
        if made_of not in own and made_of not in {"nn.Linear", "nn.Conv2d", "nn.Conv1d"}:
            continue
        written = f"[{source.written(node.elt)}] * {_factor(source.written(number[0]))}"
        made = source.mutant("[Layer()] * n", "IA405", [source.replace(node, written)])
        if made is not None:
            yield made


def _factor(written: str) -> str:
    return written if re.fullmatch(r"[\w.]+(?:\(.*\))?", written) else f"({written})"


def in_forward(source: Source) -> Iterator[Mutant]:
    """Yield the file with a linear layer made in the forward pass."""
    if not source.torch:
        return
    for net in nets(source):
        for layer in net.layers.values():
            use = use_of(net, layer)
            fan_out = layer.size(1, "out_features")
            if layer.kind != "Linear" or use is None or fan_out is None:
                continue
            if not isinstance(use.args[0], ast.Name):
                continue
            x = source.written(use.args[0])
            known = re.fullmatch(r"self\.\w+|\d+", source.written(fan_out)) is not None
            size = source.written(fan_out) if known else f"{x}.shape[-1]"
            written = f"nn.Linear({x}.shape[-1], {size})({x})"
            made = source.mutant("layer made in forward", "IA404", [source.replace(use, written)])
            if made is not None:
                yield made


def padding(source: Source) -> Iterator[Mutant]:
    """Yield the file with the row of padding drawn like all others."""
    if not source.torch or "padding_idx=" not in source.text:
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.If) and re.fullmatch(
            r"\w+\.padding_idx is not None", ast.unparse(node.test)
        ):
            block = source.parents.get(node)
            body = block.body if isinstance(block, ast.If) else []
            if "nn.Embedding" in (ast.unparse(block.test) if isinstance(block, ast.If) else ""):
                fills = [s for s in body if "normal_(" in ast.unparse(s)]
                if len(fills) == 1 and len(body) > 1 and not node.orelse:
                    edits = [source.replace(node, "pass", fault=False), source.here(fills[0])]
                    made = source.mutant("padding row overwritten", "IA407", edits)
                    if made is not None:
                        yield made
        elif not source.passes and isinstance(node, ast.Assign):
            target, value = ast.unparse(node.targets[0]), ast.unparse(node.value)
            if re.match(r"nn\.Embedding\(.*padding_idx=(?!None)", value) and "self." in target:
                lines = [f"nn.init.normal_({target}.weight, mean=0.0, std=0.02)"]
                made = source.mutant("padding row overwritten", "IA407", source.after(node, lines))
                if made is not None:
                    yield made


def stacked(source: Source) -> Iterator[Mutant]:
    """Yield the file with xavier_uniform_ over a stack of matrices that is drawn otherwise."""
    stacks = set(
        re.findall(
            r"self\.(\w+) = nn\.Parameter\(\s*torch\.\w+\((?!1,)[^(),]+,[^(),]+,[^(),]+\)",
            source.text,
        )
    )
    for call in ast.walk(source.tree):
        if not isinstance(call, ast.Call) or not call.args:
            continue
        name = ast.unparse(call.func)
        target = ast.unparse(call.args[0]).removesuffix(".data")
        if not re.fullmatch(r"\w+\.(\w+)", target) or not name.endswith("normal_"):
            continue
        if re.fullmatch(r"\w+\.\w*(?:proj|weights|experts)\w*", target) is None:
            continue
        if target.rpartition(".")[2] in stacks and "xavier" not in name:
            written = f"{source.init}.xavier_uniform_({target})"
            made = source.mutant("fans of a stack", "IA411", [source.replace(call, written)])
            if made is not None:
                yield made
