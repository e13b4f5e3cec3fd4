"""What a torch class says without the lint's help: its layers, their order, where to fill them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.benchmarks.mutation.edit import Edit, Source

KINDS = frozenset({"Linear", "Conv1d", "Conv2d", "Conv3d"})
_THROUGH = re.compile(r"act|relu|gelu|silu|drop|norm|bn\d*|ln\d*|nonlin|tanh", re.IGNORECASE)
_RESHAPING = frozenset(
    {"view", "reshape", "transpose", "permute", "flatten", "contiguous", "to", "float", "squeeze"}
)
_SETTING_UP = re.compile(r"_*(?:init|reset|initialize)_?(?:weights?|parameters|params)")


@dataclass(frozen=True)
class Layer:
    """``self.name = nn.Kind(..)`` in a constructor."""

    name: str
    kind: str
    call: ast.Call
    statement: ast.Assign

    def size(self, position: int, keyword: str) -> ast.expr | None:
        """Return one of its two sizes."""
        if len(self.call.args) > position:
            return self.call.args[position]
        return next((k.value for k in self.call.keywords if k.arg == keyword), None)

    @property
    def bias(self) -> bool:
        """Whether it surely has a bias."""
        given = next((k.value for k in self.call.keywords if k.arg == "bias"), None)
        if given is None:
            return len(self.call.args) < 3 if self.kind == "Linear" else True
        return isinstance(given, ast.Constant) and given.value is True


@dataclass(frozen=True)
class Net:
    """A module class with its constructor and forward pass."""

    node: ast.ClassDef
    init: ast.FunctionDef
    forward: ast.FunctionDef
    layers: dict[str, Layer]

    @property
    def plain(self) -> bool:
        """Whether it derives from torch's Module and nothing else."""
        return [ast.unparse(b) for b in self.node.bases] in (["nn.Module"], ["torch.nn.Module"])


def nets(source: Source) -> list[Net]:
    """Return the module classes of a file that make linear or convolution layers."""
    found = []
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.ClassDef):
            continue
        methods = {m.name: m for m in node.body if isinstance(m, ast.FunctionDef)}
        init, forward = methods.get("__init__"), methods.get("forward")
        if init is None or forward is None:
            continue
        layers = dict(_layers(node, init))
        if layers:
            found.append(Net(node, init, forward, layers))
    return found


def _layers(node: ast.ClassDef, init: ast.FunctionDef) -> Iterator[tuple[str, Layer]]:
    everywhere = ast.unparse(node)
    for statement in init.body:
        if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
            continue
        target, value = statement.targets[0], statement.value
        if not (isinstance(target, ast.Attribute) and isinstance(value, ast.Call)):
            continue
        kind = ast.unparse(value.func).rpartition(".")
        if kind[0] not in {"nn", "torch.nn"} or kind[2] not in KINDS:
            continue
        # Made once, used once, and not by its weight: what is done to it is the whole story.
        uses = re.findall(rf"self\.{target.attr}\b(.?)", everywhere)
        if len(uses) == 2 and uses.count("(") == 1:
            yield target.attr, Layer(target.attr, kind[2], value, statement)


@dataclass
class _Values:
    """The layers whose output each name holds, and how often each such value has been read."""

    held: dict[str, frozenset[str]] = field(default_factory=dict)
    reads: dict[str, int] = field(default_factory=dict)
    pairs: list[tuple[str, str]] = field(default_factory=list)
    gates: set[str] = field(default_factory=set)
    shared: set[str] = field(default_factory=set)


def consecutive(net: Net, *, gated: bool = True) -> list[tuple[Layer, Layer]]:
    """Return pairs of layers of which the first one's output reaches only the second.

    Between them stand elementwise functions and norms, and products where they may be ``gated``
    as in SwiGLU: no sum, no other reader.
    """
    values = _Values()
    for statement in net.forward.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                held = _held(net, value, values)
                values.held[name], values.reads[name] = held, 0
            case ast.Return(value=value) | ast.Expr(value=value) if value is not None:
                _held(net, value, values)
            case _:
                for inner in ast.walk(statement):
                    if isinstance(inner, ast.Name):
                        values.shared |= values.held.pop(inner.id, frozenset())
    return [
        (net.layers[a], net.layers[b])
        for a, b in values.pairs
        if a not in values.shared and a != b
        and (a not in values.gates or (gated and net.layers[b].kind == "Linear"))
    ]  # fmt: skip


def _held(net: Net, expr: ast.expr, values: _Values) -> frozenset[str]:
    if isinstance(expr, ast.Name):
        held = values.held.get(expr.id, frozenset())
        values.reads[expr.id] = values.reads.get(expr.id, 0) + 1
        if values.reads[expr.id] > 1:
            values.shared |= held
        return held
    if isinstance(expr, ast.BinOp) and isinstance(expr.op, ast.Mult):
        both = _held(net, expr.left, values) | _held(net, expr.right, values)
        values.gates |= both
        return both
    if isinstance(expr, ast.Call):
        return _called(net, expr, values)
    for child in ast.iter_child_nodes(expr):
        if isinstance(child, ast.expr):
            values.shared |= _held(net, child, values)
    return frozenset()


def _called(net: Net, call: ast.Call, values: _Values) -> frozenset[str]:
    func = ast.unparse(call.func)
    through = (
        re.fullmatch(r"self\.\w+|F\.\w+|torch\.\w+|nn\.functional\.\w+", func) is not None
        and _THROUGH.search(func.rpartition(".")[2]) is not None
    )
    own = {m.name for m in net.node.body if isinstance(m, ast.FunctionDef)}
    through = through and func.removeprefix("self.") not in own
    layer = net.layers.get(func.removeprefix("self.")) if func.startswith("self.") else None
    if isinstance(call.func, ast.Attribute) and call.func.attr in _RESHAPING:
        return _held(net, call.func.value, values)
    if (layer is not None or through) and call.args:
        held = _held(net, call.args[0], values)
        if layer is None:
            return held
        values.pairs += [(one, layer.name) for one in sorted(held)]
        return frozenset({layer.name})
    for argument in (*call.args, *(k.value for k in call.keywords)):
        values.shared |= _held(net, argument, values)
    if isinstance(call.func, ast.Attribute):
        values.shared |= _held(net, call.func.value, values)
    return frozenset()


@dataclass(frozen=True)
class Spot:
    """A place where a layer's weights can be written so that it counts, and the layer's owner."""

    owner: str
    after: ast.stmt
    test: str | None = None

    def edits(self, source: Source, lines: list[str]) -> list[Edit]:
        """Return the edits that write ``lines`` here."""
        if self.test is None:
            return source.after(self.after, lines)
        head = source.after(self.after, [f"if {self.test}:"], fault=False)
        inner = source.after(self.after, [f"    {line}" for line in lines])
        return [*head, *inner]


def spot(source: Source, net: Net) -> Spot | None:
    """Return where a person would initialise the layers of a class.

    That is the end of the constructor where nothing later fills whole modules, and otherwise a
    branch for the class at the end of the function that does.
    """
    last = net.init.body[-1]
    if not source.passes:
        return Spot("self", last) if _plain_end(last) else None
    handlers = [
        f for f in ast.walk(source.tree)
        if isinstance(f, ast.FunctionDef) and f.name == "_init_weights"
        and [a.arg for a in f.args.args][:1] == ["self"] and len(f.args.args) == 2
    ]  # fmt: skip
    if len(handlers) != 1 or "post_init" not in source.text:
        return None
    handler = handlers[0]
    owner = handler.args.args[1].arg
    if not isinstance(handler.body[-1], ast.If):
        return None
    return Spot(owner, handler.body[-1], f"isinstance({owner}, {net.node.name})")


def _plain_end(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Assign | ast.AnnAssign | ast.Expr)


@dataclass(frozen=True)
class Branch:
    """A call that fills the weights of all linear or convolution layers a pass comes by."""

    call: ast.Call
    target: str
    test: ast.Call
    function: ast.FunctionDef


_FILLS = re.compile(r"(?:^|\.)(?:trunc_|xavier_|kaiming_)?(?:normal|uniform)_$|^trunc_normal_$")


def branches(source: Source) -> list[Branch]:
    """Return the generic fills of a file."""
    found = []
    for call in ast.walk(source.tree):
        if not isinstance(call, ast.Call) or not _FILLS.search(ast.unparse(call.func)):
            continue
        if not isinstance(source.parents.get(call), ast.Expr):
            continue
        owner = call.args[0] if call.args else None
        if ast.unparse(call.func).endswith((".data.normal_", ".weight.normal_")):
            owner = call.func.value  # type: ignore[attr-defined]
        written = "" if owner is None else ast.unparse(owner).removesuffix(".data")
        if not re.fullmatch(r"(?!self)\w+\.weight", written):
            continue
        around = [a for a in source.around(call) if isinstance(a, ast.If | ast.FunctionDef)]
        if not isinstance(around[0], ast.If) or not isinstance(around[-1], ast.FunctionDef):
            continue
        test = around[0].test
        if not isinstance(test, ast.Call) or ast.unparse(test.func) != "isinstance":
            continue
        kinds = set(re.findall(r"nn\.(\w+)", ast.unparse(test)))
        inside = source.parents.get(source.parents[call]) is around[0]
        function = next(a for a in around if isinstance(a, ast.FunctionDef))
        if kinds & KINDS and not kinds & {"Embedding", "LayerNorm"} and inside:
            found.append(Branch(call, written, test, function))
    return found
