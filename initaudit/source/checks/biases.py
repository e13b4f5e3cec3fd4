"""What is judged mildly: random biases, fans of depthwise convolutions, order without effect."""

from __future__ import annotations

import ast
import math
import re
from collections import Counter
from collections.abc import Iterator

from initaudit.claims import Hit, Limits, check
from initaudit.source.draws import Draw, dotted
from initaudit.source.file import File, straight_line
from initaudit.source.fold import point
from initaudit.source.parents import walk
from initaudit.source.targets import has_subscript, is_bias, narrowed_to, target_layer

_RANDOM = frozenset({"normal", "truncated", "uniform"})
_WHOLE = frozenset(
    {"zeros", "constant", "uniform", "normal", "truncated", "orthogonal", "sparse", "identity"}
)
_OUTPUTS = re.compile(
    r"\bout_channels\b|\bout_planes\b|weight\.(?:data\.)?(?:size\(0\)|shape\[0\])"
)
_TABLE = re.compile(r"rel|pos|table|attn|attention|relative")


@check("IA422", "draw")
def random_bias(subject: File, limits: Limits) -> Iterator[Hit]:
    """Biases drawn with a spread as large as the signal's."""
    for draw in subject.draws:
        law, scale = draw.weights.law, draw.weights.scale
        if law not in _RANDOM or draw.weights.fan != "none" or not math.isfinite(scale.lo):
            continue
        std = math.sqrt(max(scale.lo, 0.0))
        if std < limits["std"] or not _fills_bias(subject, draw) or _refilled(subject, draw):
            continue
        yield Hit(
            subject.site(draw.node),
            {"std": std, "callee": draw.callee.name, "target": _name(subject, draw)},
        )


def _fills_bias(file: File, draw: Draw) -> bool:
    if draw.callee.form in {"inplace", "method"}:
        if draw.role != "bias" or draw.target is None or has_subscript(draw.target):
            return False
        layer = target_layer(file, draw)
        return layer is not None and "bias" in layer.weights
    if draw.callee.form != "factory":
        return False
    named = _assigned(file, draw)
    if named is None or not is_named_bias(named[-1]) or _TABLE.search(named[-1]):
        return False
    return _rank_one(draw) and _made_parameter(file, draw)


def is_named_bias(word: str) -> bool:
    """Return whether a name is one of a bias."""
    return re.fullmatch(r"b\d*|b_\w+|bias(es)?\d*|\w+_bias(es)?\d*|\w+_b\d*", word) is not None


def _assigned(file: File, draw: Draw) -> tuple[str, ...] | None:
    statement = file.module.statement(draw.node)
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return None
    return dotted(statement.targets[0]) or None


def _rank_one(draw: Draw) -> bool:
    """Return whether a factory is given a shape of one axis, of more than one element."""
    sizes = list(draw.node.args)
    if draw.callee.variadic and len(sizes) != 1:
        return False
    if not sizes:
        return False
    shape = sizes[0]
    if isinstance(shape, ast.List | ast.Tuple):
        if len(shape.elts) != 1:
            return False
        shape = shape.elts[0]
    elif not draw.callee.variadic:
        return False
    return not isinstance(shape, ast.Starred) and not (
        isinstance(shape, ast.Constant) and shape.value == 1
    )


def _made_parameter(file: File, draw: Draw) -> bool:
    """Return whether what a factory returns goes into a parameter or variable unchanged."""
    call = file.module.parents.get(draw.node)
    spec = file.layer(call) if isinstance(call, ast.Call) else None
    return spec is not None and spec.op == "variable"


def _refilled(file: File, draw: Draw) -> bool:
    path = draw.path or _assigned(file, draw) or ()
    return any(
        other is not draw
        and other.path[-len(path) :] == path
        and other.node.lineno > draw.node.lineno
        for other in file.draws
    )


def _name(file: File, draw: Draw) -> str:
    return ".".join(draw.path or _assigned(file, draw) or ("the bias",))


@check("IA425", "draw")
def depthwise_fan(subject: File, limits: Limits) -> Iterator[Hit]:
    """A fan of all outputs for convolutions of which some have as many groups as inputs."""
    if "groups=" not in subject.module.text:
        return
    wide = [(d, what) for d in subject.draws if (what := _wide_fan(subject, d)) is not None]
    depthwise = _depthwise(subject) if wide else None
    if depthwise is None:
        return
    for draw, what in wide:
        yield Hit(
            subject.site(draw.node),
            {"what": what, "line": depthwise.lineno},
            related=(subject.site(depthwise),),
        )


def _depthwise(file: File) -> ast.Call | None:
    """Return a convolution with as many groups as inputs, more than one."""
    return next((call for call in file.module.calls if _is_depthwise(file, call)), None)


def _is_depthwise(file: File, call: ast.Call) -> bool:
    groups = next((k.value for k in call.keywords if k.arg == "groups"), None)
    if groups is None or not call.args:
        return False
    spec = file.layer(call)
    if spec is None or spec.op != "conv" or spec.framework not in {"torch", "paddle"}:
        return False
    return point(file.fold(groups)) != 1 and ast.dump(groups) == ast.dump(call.args[0])


def _wide_fan(file: File, draw: Draw) -> str | None:
    """Return how the outputs of all groups are counted for one group's weights."""
    fan_out = draw.bound.get(draw.callee.numbers.get("mode", "")) == "fan_out"
    if draw.role == "weight" and len(draw.path) == 3 and draw.path[0] == "self" and fan_out:
        made = None if draw.owner is None else file.classes[draw.owner].only(draw.path[1])
        value = None if made is None else made.value
        direct = isinstance(value, ast.Call) and _is_depthwise(file, value)
        return 'mode="fan_out"' if direct else None
    if draw.role != "weight" or len(draw.path) != 2 or draw.path[0] == "self":
        return None
    specs = [file.catalogue.layer(k) for k in narrowed_to(file, draw.node, draw.path[0])]
    if not any(spec is not None and spec.op == "conv" for spec in specs):
        return None
    if fan_out:
        return 'mode="fan_out"'
    std = next((k.value for k in draw.node.keywords if k.arg == "std"), None)
    std = std or (draw.node.args[-1] if len(draw.node.args) > 1 else None)
    if draw.callee.law != "normal" or std is None or draw.function is None:
        return None
    names = {n.id for n in walk(std) if isinstance(n, ast.Name)}
    block = file.module.parents.get(file.module.statement(draw.node))
    lines = [
        ast.unparse(s) for s in getattr(block, "body", [])
        if isinstance(s, ast.Assign | ast.AugAssign) and s.lineno < draw.node.lineno
        and any(
            dotted(t)[:1] and dotted(t)[0] in names
            for t in (s.targets if isinstance(s, ast.Assign) else [s.target])
        )
    ]  # fmt: skip
    text = "\n".join([*lines, ast.unparse(std)])
    return "a fan of all `out_channels`" if _OUTPUTS.search(text) and "groups" not in text else None


@check("IA427", "draw")
def dead_double_init(subject: File, limits: Limits) -> Iterator[Hit]:
    """The same weights filled twice in one block: the first has no effect."""
    last: dict[tuple[ast.AST | None, str], Draw] = {}
    filling = [(draw, text) for draw in subject.draws if (text := _key(draw))]
    often = Counter(text for _, text in filling)
    for draw, text in filling:
        if often[text] < 2 or draw.callee.law not in _WHOLE:
            continue
        statement = subject.module.statement(draw.node)
        key = (subject.module.parents.get(statement), text)
        if not isinstance(statement, ast.Expr) or statement.value is not draw.node:
            continue
        first = last.get(key)
        last[key] = draw
        if first is None or not straight_line(subject, first.node, draw.node):
            continue
        if _used_between(subject, first, draw):
            continue
        yield Hit(
            subject.site(first.node),
            {
                "target": key[1],
                "callee": draw.callee.name,
                "line": draw.node.lineno,
                "hint": _hint(subject, first, draw),
            },
            related=(subject.site(draw.node),),
        )


def _key(draw: Draw) -> str:
    """Return the text of a target that is a plain chain of names and indices."""
    if draw.callee.form not in {"inplace", "method"} or draw.target is None or not draw.path:
        return ""
    if isinstance(draw.target, ast.Attribute) and isinstance(draw.target.value, ast.Name):
        return f"{draw.target.value.id}.{draw.target.attr}".replace(".data", "")
    if any(isinstance(n, ast.Call) for n in walk(draw.target)):
        return ""
    return ast.unparse(draw.target).replace(".data", "")


def _used_between(file: File, first: Draw, second: Draw) -> bool:
    """Return whether the target, or a name it is reached by, occurs from the one to the other."""
    lines = file.module.lines[first.node.end_lineno or 0 : second.node.lineno - 1]
    root = re.escape(first.path[0])
    between = "\n".join(lines)
    used = root if len(first.path) == 1 else re.escape(_key(first))
    if re.search(rf"\b{used}\b|\b{root}(?:\[\w+\])? *(?:,[^=\n]*)?= ", between):
        return True
    rest = [*second.node.args[1:], *(k.value for k in second.node.keywords)]
    if second.callee.form == "method":
        rest += second.node.args[:1]
    return any(_key(first) in ast.unparse(argument).replace(".data", "") for argument in rest)


def _hint(file: File, first: Draw, second: Draw) -> str:
    """Return a word on what was perhaps meant."""
    zero = second.weights.law in {"zeros", "constant"} and not is_bias(second)
    layer = target_layer(file, second) if zero and second.role == "weight" else None
    if zero and second.role == "weight" and (layer is None or "bias" in layer.weights):
        return " Perhaps the second is meant for the bias."
    return ""


@check("IA428", "draw")
def init_before_layer(subject: File, limits: Limits) -> Iterator[Hit]:
    """A pass over all layers, and layers made after it."""
    for sweep in subject.sweeps:
        function = subject.module.function(sweep.node)
        owner = subject.class_of(sweep.node)
        if sweep.root != ("self",) or owner is None or function is None:
            continue
        kinds = {
            spec.name
            for write in sweep.writes for kind in write.kinds
            if (spec := subject.catalogue.layer(kind)) is not None
        }  # fmt: skip
        for name, values in owner.attributes.items():
            for value in values:
                if value.function is not function or value.statement.lineno <= sweep.node.lineno:
                    continue
                spec = subject.layer(value.value)
                if (
                    spec is None
                    or spec.name not in kinds
                    or _filled_after(subject, name, value.statement)
                ):
                    continue
                yield Hit(
                    subject.site(value.statement),
                    {"attribute": f"self.{name}", "layer": spec.name, "line": sweep.node.lineno},
                    related=(subject.site(sweep.node),),
                )


def _filled_after(file: File, name: str, statement: ast.stmt) -> bool:
    """Return whether the layer is initialised by other code, or by a later pass."""
    function = file.module.function(statement)
    return any(name in draw.path[:-1] for draw in file.draws) or any(
        sweep.node.lineno > statement.lineno and file.module.function(sweep.node) is function
        for sweep in file.sweeps
    )
