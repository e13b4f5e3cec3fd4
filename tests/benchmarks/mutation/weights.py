"""Wrong laws: values, spreads and arguments of an initialiser, at a layer or for all of a kind."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.benchmarks.mutation.edit import Edit, Mutant, Source
from tests.benchmarks.mutation.nets import Layer, Net, branches, consecutive, nets, spot

# kind, rules that may find it, what is written with {init} and {w}; where it may be put.
_BRANCHES = (
    ("zeros for every layer", "IA101", "{init}.zeros_({w})"),
    ("constant for every layer", "IA102", "{init}.constant_({w}, 0.01)"),
    ("constant for every layer", "IA102", "{w}.data.fill_(0.1)"),
    ("uniform_ by default", "IA105", "{init}.uniform_({w})"),
    ("normal_ by default", "IA104", "{init}.normal_({w})"),
    ("std 1e-4", "IA103", "{init}.normal_({w}, std=1e-4)"),
    ("std 1e-4", "IA103", "{w}.data.normal_(0, 0.0001)"),
    ("std passed as mean", "IA401", "{init}.normal_({w}, 0.02)"),
    ("std passed as mean", "IA401", "{init}.trunc_normal_({w}, 0.02)"),
    ("std passed as mean", "IA401", "{w}.data.normal_(0.02)"),
    ("bounds reversed", "IA418", "{init}.uniform_({w}, 0.05, -0.05)"),
    ("kaiming a as gain", "IA417", '{init}.kaiming_normal_({w}, a={init}.calculate_gain("relu"))'),
    ("kaiming a as gain", "IA417", "{init}.kaiming_uniform_({w}, a=2.0)"),
    ("result discarded", "IA424", "{init}.xavier_uniform_({w}.clone())"),
    ("result discarded", "IA424", "{init}.normal_({w}.detach().clone(), std=0.02)"),
    ("xavier on a bias", "IA419", "{init}.xavier_uniform_({b})"),
)


def generic(source: Source) -> Iterator[Mutant]:
    """Yield the file with a wrong law in the branch that fills every layer of some kinds."""
    if not source.torch or sum(len(n.layers) for n in nets(source)) < 2:
        return
    for branch in branches(source):
        bias = f"{branch.target.removesuffix('.weight')}.bias"
        for kind, rules, form in _BRANCHES:
            written = form.format(init=source.init, w=branch.target, b=bias)
            if "{b}" in form:
                edits = _on_bias(source, branch.function, bias, written)
            else:
                edits = [source.replace(branch.call, written)]
            made = source.mutant(kind, rules, edits) if edits else None
            if made is not None:
                yield made


def _on_bias(source: Source, function: ast.FunctionDef, bias: str, written: str) -> list[Edit]:
    """Return the edits that put a fan-based initialiser where the function zeroes a bias."""
    for call in ast.walk(function):
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("zeros_"):
            test = next((a for a in source.around(call) if isinstance(a, ast.If)), None)
            outer = None if test is None else source.parents.get(test)
            tests = ast.unparse(test.test) if test is not None else ""
            # What an `elif` stands behind is what its objects are not.
            if isinstance(outer, ast.If) and test in outer.body:
                tests += ast.unparse(outer.test)
            if [ast.unparse(a) for a in call.args] == [bias] and "nn.Linear" in tests:
                return [source.replace(call, written)]
    return []


_SINGLE = (
    ("uniform_ by default", "IA105", "{init}.uniform_({w})"),
    ("normal_ by default", "IA104", "{init}.normal_({w})"),
    ("std 1e-4", "IA103", "{init}.normal_({w}, mean=0.0, std=1e-4)"),
    ("std passed as mean", "IA401", "{init}.normal_({w}, 0.02)"),
    ("std passed as mean", "IA401", "{w}.data.normal_(0.01)"),
    ("bounds reversed", "IA418", "{init}.uniform_({w}, 0.1, -0.1)"),
    ("kaiming a as gain", "IA417", '{init}.kaiming_uniform_({w}, a={init}.calculate_gain("relu"))'),
    ("result discarded", "IA424", "{init}.orthogonal_({w}.clone())"),
    ("xavier on a bias", "IA419", "{init}.xavier_uniform_({b})"),
)


def single(source: Source) -> Iterator[Mutant]:
    """Yield the file with a wrong law for one hidden layer, of those that feed another."""
    if not source.torch:
        return
    for net in nets(source):
        place = spot(source, net)
        if place is None:
            continue
        for layer, _ in consecutive(net):
            for kind, rules, form in _SINGLE:
                if "{b}" in form and not layer.bias:
                    continue
                owner = f"{place.owner}.{layer.name}"
                line = form.format(init=source.init, w=f"{owner}.weight", b=f"{owner}.bias")
                made = source.mutant(kind, rules, place.edits(source, [line]))
                if made is not None:
                    yield made


_PAIRS = (
    ("zeros in two hidden layers", "IA101", "{init}.zeros_({w})"),
    ("zeros in two hidden layers", "IA101", "{w}.data.zero_()"),
    ("zeros in two hidden layers", "IA101", "{init}.constant_({w}, 0)"),
    ("constant in two hidden layers", "IA102", "{init}.constant_({w}, 0.01)"),
    ("constant in two hidden layers", "IA102", "{init}.ones_({w})"),
    ("constant in two hidden layers", "IA102", "{w}.data.fill_(0.05)"),
)


def paired(source: Source) -> Iterator[Mutant]:
    """Yield the file with two hidden layers, one behind the other, set to one value."""
    if not source.torch:
        return
    for net in nets(source):
        place = spot(source, net)
        if place is None:
            continue
        ungated = consecutive(net, gated=False)
        for first, second in consecutive(net):
            for kind, rules, form in _PAIRS:
                if rules == "IA102" and (first, second) not in ungated:
                    continue
                lines = []
                for layer in (first, second):
                    owner = f"{place.owner}.{layer.name}"
                    lines.append(form.format(init=source.init, w=f"{owner}.weight"))
                    if layer.bias:
                        lines.append(f"{source.init}.zeros_({owner}.bias)")
                made = source.mutant(kind, rules, place.edits(source, lines))
                if made is not None:
                    yield made


def low_rank(source: Source) -> Iterator[Mutant]:
    """Yield the file with both factors of an adapter at zero: its own, or one added to a layer."""
    if not source.torch:
        return
    for call in ast.walk(source.tree):
        if not isinstance(call, ast.Call) or not call.args:
            continue
        written, target = ast.unparse(call.func), ast.unparse(call.args[0])
        if written.endswith("kaiming_uniform_") and "lora_A[" in target:
            zero = source.replace(call, f"nn.init.zeros_({target})")
            made = source.mutant("LoRA A and B both zero", "IA101", [zero])
            if made is not None:
                yield made
    for net in nets(source) if source.tensors else ():
        for layer in net.layers.values():
            made = _adapter(source, net, layer)
            if made is not None:
                yield made


def _adapter(source: Source, net: Net, layer: Layer) -> Mutant | None:
    use = use_of(net, layer)
    fan_in, fan_out = layer.size(0, "in_features"), layer.size(1, "out_features")
    if layer.kind != "Linear" or use is None or fan_in is None or fan_out is None:
        return None
    if not isinstance(use.args[0], ast.Name):
        return None
    x = source.written(use.args[0])
    return source.mutant(
        "LoRA A and B both zero",
        "IA101",
        [
            *source.after(
                layer.statement,
                [
                    f"self.lora_A = nn.Parameter(torch.zeros({source.written(fan_in)}, 8))",
                    f"self.lora_B = nn.Parameter(torch.zeros(8, {source.written(fan_out)}))",
                ],
            ),
            source.replace(
                use, f"({source.written(use)} + {x} @ self.lora_A @ self.lora_B)", fault=False
            ),
        ],
    )


def use_of(net: Net, layer: Layer) -> ast.Call | None:
    """Return the call of a layer in the forward pass, with one argument."""
    for call in ast.walk(net.forward):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == f"self.{layer.name}":
            plain = len(call.args) == 1 and not call.keywords
            return call if plain and not isinstance(call.args[0], ast.Starred) else None
    return None
