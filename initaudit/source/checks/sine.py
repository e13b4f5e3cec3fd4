"""Hidden layers under a scaled sine that start as wide as under any other activation."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from dataclasses import dataclass

from initaudit.claims import Hit, Limits, check
from initaudit.network import Weights
from initaudit.rulebook import Severity
from initaudit.source.classes import Class
from initaudit.source.draws import read_draw
from initaudit.source.file import File, straight_line
from initaudit.source.fold import point
from initaudit.source.parents import walk
from initaudit.source.sines import Given, Sine, activations, bound, scale, scale_of, sines
from initaudit.source.sized import told

# Narrower inputs may be coordinates, whose layer starts wide in SIREN too.
_WIDE = 16
_SPREAD = frozenset({"uniform", "normal", "truncated"})


@dataclass(frozen=True)
class _Layer:
    """A hidden layer under a sine: where it is made, how it starts, what scales its output."""

    made: ast.Call
    weights: Weights
    scale: float
    sine: ast.expr
    owner: Class | None


@check("IA430", "draw")
def sine_without_siren_init(subject: File, limits: Limits) -> Iterator[Hit]:
    """A hidden layer whose phase, under a scaled sine, is spread over whole turns."""
    if "sin(" not in subject.module.text:
        return
    told: set[ast.Call] = set()
    for one in (*_of_calls(subject), *_of_rows(subject)):
        gain = _gain(one.weights)
        if gain is None or one.made in told or _says_more(subject, one.owner):
            continue
        # The output of a sine over many turns has a power of 1/2.
        phase = abs(one.scale) * gain * math.sqrt(0.5)
        if phase <= limits["phase"]:
            continue
        told.add(one.made)
        name = "" if one.owner is None else one.owner.name
        yield Hit(
            subject.site(one.made),
            {"layer": ast.unparse(one.made), "omega": abs(one.scale), "phase": phase},
            severity=Severity.NOTE if subject.is_test else None,
            related=(subject.site(one.sine),),
            doubts=(("tested", name), ("derived", name), ("filled", name, "call")) if name else (),
        )


def _gain(weights: Weights) -> float | None:
    """Return the root of fan_in times the variance, for a layer as wide as what it is given."""
    known = weights.scale.lo == weights.scale.hi and weights.mean.lo == weights.mean.hi == 0
    if weights.law not in _SPREAD or weights.fan == "none" or not known:
        return None
    return math.sqrt(weights.scale.lo)


def _of_calls(file: File) -> Iterator[_Layer]:
    """Yield the hidden layers that are called under a sine."""
    found = sines(file)
    nodes = {one.node for one in found}
    for one in found:
        for made, weights in _made(file, one):
            looped = one.layer is not None and isinstance(one.layer.func, ast.Name)
            factors = _scales(file, one, made, chained=looped or _is_chained(file, one, nodes))
            if factors:
                yield _Layer(made, weights, min(factors, key=abs), one.node, one.held)


def _made(file: File, sine: Sine) -> Iterator[tuple[ast.Call, Weights]]:
    """Yield the layers that a sine's layer may be, with what their weights start from."""
    func = sine.layer.func if sine.layer is not None else None
    if isinstance(func, ast.Call):
        yield from _default(file, func)
    elif isinstance(func, ast.Attribute) and sine.held is not None:
        start = file.starts(sine.held).get(ast.unparse(func))
        if start is not None and start.op == "linear" and isinstance(start.node, ast.Call):
            made = sine.held.only(func.attr)
            node = made.value if made is not None else start.node
            if start.weights is not None and isinstance(node, ast.Call):
                yield node, start.weights
    elif isinstance(func, ast.Name) and sine.held is not None:
        yield from _of_list(file, func.id, sine)


def _of_list(file: File, name: str, sine: Sine) -> Iterator[tuple[ast.Call, Weights]]:
    """Yield the square layers of ``for layer in self.layers: x = sin(30 * layer(x))``."""
    for around in file.module.around(sine.node):
        if not isinstance(around, ast.For) or not isinstance(around.target, ast.Name):
            continue
        over = around.iter.value if isinstance(around.iter, ast.Subscript) else around.iter
        if around.target.id != name or not isinstance(over, ast.Attribute) or sine.held is None:
            continue
        listed = sine.held.only(over.attr)
        for call in () if listed is None else walk(listed.value):
            if isinstance(call, ast.Call) and _is_square(file, call, {}):
                yield from _default(file, call)


def _default(file: File, call: ast.Call) -> Iterator[tuple[ast.Call, Weights]]:
    spec = file.layer(call)
    main = None if spec is None else spec.weights.get("weight") or spec.weights.get("kernel")
    if spec is None or main is None or spec.op != "linear":
        return
    if not any("init" in (k.arg or "init") for k in call.keywords):
        yield call, main.default


def _is_chained(file: File, sine: Sine, nodes: set[ast.Call]) -> bool:
    """Return whether what the layer is given is itself such a sine."""
    inner = sine.inner
    if isinstance(inner, ast.Call):
        return inner in nodes
    if not isinstance(inner, ast.Name):
        return False
    here = file.module.statement(sine.node)
    values = [
        one
        for one in file.module.assigns_by_scope.get(file.module.scope(sine.node), ())
        if isinstance(one, ast.Assign)
        and any(isinstance(t, ast.Name) and t.id == inner.id for t in one.targets)
        and one.lineno < (sine.layer or here).lineno
    ]
    return bool(values) and values[-1].value in nodes and straight_line(file, values[-1], here)


def _scales(file: File, sine: Sine, made: ast.Call, *, chained: bool) -> list[float]:
    """Return what scales a hidden layer, over the constructions of its class; none if unknown."""
    owner: Class | None = sine.held
    found: list[float] = []
    calls = [] if owner is None else file.module.calls_by_word.get(owner.name, [])
    stacked = len(calls) > 1 or any(_is_repeated(file, call) for call in calls)
    for call in calls:
        if owner is None:
            break
        given = bound(owner, call)
        factor = None if given is None else scale(file, sine.factors, owner, given)
        if given is None or factor is None:
            return []
        if chained or (stacked and _is_square(file, made, given)):
            found.append(factor)
    if not calls and chained:
        factor = scale(file, sine.factors, owner, {})
        found += [] if factor is None else [factor]
    return found


def _is_repeated(file: File, node: ast.AST) -> bool:
    return any(
        isinstance(around, ast.For | ast.ListComp | ast.GeneratorExp)
        for around in file.module.around(node)
    )


def _is_square(file: File, made: ast.Call, given: Given) -> bool:
    """Return whether a layer has as many outputs as inputs, or wide inputs: it is a hidden one."""
    spec = file.layer(made)
    if spec is None or spec.inputs is None or spec.outputs is None:
        return False
    sizes = told(spec, made)
    first, second = sizes.get(spec.inputs), sizes.get(spec.outputs)
    if first is None or second is None:
        return False
    first, second = (given.get(s.id, s) if isinstance(s, ast.Name) else s for s in (first, second))
    width = point(file.fold(first))
    if width is not None:
        return width >= _WIDE
    return ast.dump(first) == ast.dump(second)


def _of_rows(file: File) -> Iterator[_Layer]:
    """Yield the hidden layers that stand before an object of a sine's class in a row of layers."""
    if not file.once(activations):
        return
    for row in file.module.calls:
        spec = file.layer(row) if row.args else None
        if spec is None or not spec.name.endswith("Sequential"):
            continue
        parts = row.args[0].elts if isinstance(row.args[0], ast.List) else row.args
        scales = [scale_of(file, part) for part in parts]
        deep = _is_repeated(file, row) or sum(one is not None for one in scales) > 1
        for i, (part, factor) in enumerate(zip(parts, scales[1:], strict=False)):
            if factor is None or not isinstance(part, ast.Call):
                continue
            follows = i > 0 and scales[i - 1] is not None
            hidden = follows or (deep and _is_square(file, part, {}))
            for made, weights in _default(file, part) if hidden else ():
                yield _Layer(made, weights, factor, parts[i + 1], file.class_of(row))


def _says_more(file: File, owner: Class | None) -> bool:
    """Return whether anything else in the file may say how such a layer starts."""
    if owner is not None and not owner.closed and owner.framework not in {"flax", "keras"}:
        return True
    known = set()
    for draw in file.draws:
        if draw.callee.form not in {"inplace", "method"} or draw.target is None:
            continue
        known |= {id(n) for n in walk(draw.target)}
        of_owner = owner is not None and draw.owner is owner.node and draw.path[:1] == ("self",)
        if draw.role != "bias" and not of_owner:
            return True
    if any(id(n) not in known for w in ("weight", "kernel") for n in file.mentions.get(w, ())):
        return True
    text = file.module.text
    if "torch" in text and ".apply(" in text:
        return True
    return any(
        "init" in word.lower() and word not in {"__init__", "init"} and _is_foreign(file, calls)
        for word, calls in file.module.calls_by_word.items()
    )


def _is_foreign(file: File, calls: list[ast.Call]) -> bool:
    return any(read_draw(file.module, file.catalogue, call) is None for call in calls)
