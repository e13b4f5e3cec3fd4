"""One call that fills the weights of many layers: in a callback, or in a loop over modules."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from initaudit.catalogue import LayerSpec
from initaudit.source.draws import Draw, dotted
from initaudit.source.file import File
from initaudit.source.later import chained
from initaudit.source.module import Function, arguments
from initaudit.source.parents import walk
from initaudit.source.sized import one_output
from initaudit.source.start import WEIGHTED
from initaudit.source.targets import narrowed_to
from initaudit.source.traits import last_word

_OPTION = re.compile(r"scheme|init|mode|method|kind|type")
_ALIKE = re.compile(r"zero|const|one|same", re.IGNORECASE)
_DISPATCHED = frozenset({"_init_weights", "init_weights", "_init_weight", "init_weight"})
_WEIGHTS = frozenset({"weight", "kernel", "w"})


@dataclass(frozen=True)
class Bulk:
    """A draw of the weights of every layer of some kinds, of which the file builds ``count``.

    Of these ``wide`` may have more than one unit.
    ``random_bias`` says that their biases are left as the layers draw them, at random.
    """

    draw: Draw
    kinds: tuple[str, ...]
    count: int
    wide: int
    random_bias: bool = False


def bulk_draws(file: File) -> list[Bulk]:
    """Return the draws that surely reach the weight of every linear layer or convolution.

    A test beside `isinstance` (a name, a flag) makes it another rule's business; of two writes to
    one target in a branch the last one counts.
    """
    return file.once(_bulk_draws)


def _bulk_draws(file: File) -> list[Bulk]:
    found: list[Bulk] = []
    for draw in file.draws:
        if len(draw.path) != 2 or draw.path[1] not in _WEIGHTS or draw.function is None:
            continue
        name = draw.path[0]
        if not _handed(file, draw.function, draw.node, name):
            continue
        kinds = narrowed_to(file, draw.node, name)
        if not kinds or not _plain_tests(file, draw.node, name):
            continue
        specs = [spec for kind in kinds if (spec := file.catalogue.layer(kind)) is not None]
        specs = [spec for spec in specs if spec.op in WEIGHTED]
        if not specs or chained(file, draw) or _written_later(file, draw):
            continue
        if _given_one(file, draw.function, name):
            continue
        count, wide = _built(file, specs)
        found.append(Bulk(draw, kinds, count, wide, _random_bias(file, draw, specs)))
    return found


def _given_one(file: File, function: Function, name: str) -> bool:
    """Return whether a function is handed single layers, not every module in turn.

    ``self._zero_init(self.last)``, where nothing applies it. A method that nothing in its file
    applies or calls may be for a part alone, unless a framework calls it by its name.
    """
    if not any(a.arg == name for a in arguments(function)):
        return False
    if re.search(rf"apply\w*\([^\n]*\b{function.name}\b", file.module.text):
        return False
    calls = file.module.calls_by_word.get(function.name, ())
    if calls:
        return all(call.args and len(dotted(call.args[0])) > 1 for call in calls)
    owner = file.class_of(function.body[0])
    return owner is not None and function.name not in _DISPATCHED


def _handed(file: File, function: Function, node: ast.AST, name: str) -> bool:
    """Return whether a name is the function's parameter or runs over modules in a loop."""
    if any(a.arg == name for a in arguments(function)):
        return name != "self"
    for around in file.module.around(node):
        if isinstance(around, ast.For):
            targets = {n.id for n in walk(around.target) if isinstance(n, ast.Name)}
            calls = [n for n in walk(around.iter) if isinstance(n, ast.Attribute)]
            if name in targets:
                return any(c.attr in {"modules", "named_modules", "children"} for c in calls)
    return False


def _plain_tests(file: File, node: ast.AST, name: str) -> bool:
    """Return whether nothing but `isinstance` tests of the name, or of its parts, guard a node."""
    child = node
    for around in file.module.around(node):
        if isinstance(around, ast.FunctionDef | ast.AsyncFunctionDef):
            return True
        if isinstance(around, ast.If) and child is not around.test:
            chosen = _of_an_option(around.test, child in around.body)
            if not chosen and not _about(around.test, name):
                return False
        if isinstance(around, ast.While | ast.Try | ast.IfExp):
            return False
        child = around
    return True


def _of_an_option(test: ast.expr, holds: bool) -> bool:  # noqa: FBT001
    """Return whether a test asks which way of initialising is chosen, and zeros are not it."""
    match test:
        case ast.Compare(
            left=ast.Name(id=option) | ast.Attribute(attr=option),
            ops=[ast.Eq()],
            comparators=[ast.Constant(value=str(value))],
        ):
            named = _OPTION.search(option) is not None and "name" not in option
            return named and not (holds and _ALIKE.search(value))
    return False


def _about(test: ast.expr, name: str) -> bool:
    if isinstance(test, ast.BoolOp):
        return all(_about(value, name) for value in test.values)
    if isinstance(test, ast.Call) and isinstance(test.func, ast.Name):
        first = test.args[0] if test.args else None
        return test.func.id in {"isinstance", "hasattr"} and _is(first, name)
    # m.weight is not None
    return isinstance(test, ast.Compare) and any(isinstance(o, ast.IsNot) for o in test.ops)


def _is(expr: ast.expr | None, name: str) -> bool:
    return isinstance(expr, ast.Name) and expr.id == name


def _written_later(file: File, draw: Draw) -> bool:
    block = file.module.parents.get(file.module.statement(draw.node))
    return any(
        other is not draw
        and other.path == draw.path
        and other.node.lineno > draw.node.lineno
        and file.module.parents.get(file.module.statement(other.node)) is block
        for other in file.draws
    )


def _random_bias(file: File, draw: Draw, specs: list[LayerSpec]) -> bool:
    """Return whether layers draw their biases at random and nothing beside a draw sets them."""
    drawn = (
        w.default.law not in {"zeros", "constant"}
        for spec in specs
        for w in spec.weights.values()
        if w.role == "bias"
    )
    return any(drawn) and not any(
        other.function is draw.function
        and other.path == (draw.path[0], "bias")
        and other.weights.law in {"zeros", "constant"}
        for other in file.draws
    )


def _built(file: File, specs: list[LayerSpec]) -> tuple[int, int]:
    """Return how many layers of some kinds the file builds, and those not surely of one unit.

    One in a loop counts as two. Those of other files are known by their name: ``ConvBlock`` and
    ``Linear`` of a project.
    """
    total = wide = 0
    for call in _constructions(file):
        spec = file.layer(call)
        if any(_is_kind(last_word(call), spec, kind) for kind in specs):
            count = 2 if any(_repeats(a) for a in file.module.around(call)) else 1
            total += count
            wide += 0 if spec is not None and one_output(file, spec, call) else count
    return total, wide


def _constructions(file: File) -> Iterator[ast.Call]:
    """Yield the calls that may make layers: of capitalised names, and of others for these."""
    aliases, imports = file.module.names.aliases, file.module.names.imports
    for word, calls in file.module.calls_by_word.items():
        named = word[:1].isupper() or "Linear" in word or "Conv" in word
        if named or word in aliases or word in imports:
            yield from calls


def _is_kind(word: str, spec: LayerSpec | None, kind: LayerSpec) -> bool:
    """Return whether a layer is of a kind; one that is not known, by its name: ``ConvBlock``."""
    if spec is not None:
        return spec.op == kind.op and kind.dims in (None, spec.dims)
    if kind.op == "linear":
        return "Linear" in word
    window = re.search(r"(\d)d", word, re.IGNORECASE)
    return (
        "Conv" in word
        and ("Transpose" in word) == (kind.op == "conv_transpose")
        and (window is None or kind.dims in (None, int(window[1])))
    )


def _repeats(node: ast.AST) -> bool:
    return isinstance(node, ast.For | ast.ListComp | ast.GeneratorExp)


def parameter_loop(file: File, draw: Draw, methods: Collection[str]) -> ast.For | None:
    """Return the innermost loop around a draw if it runs over what one of some methods gives."""
    loop = next((a for a in file.module.around(draw.node) if isinstance(a, ast.For)), None)
    over = loop.iter if loop is not None and isinstance(loop.iter, ast.Call) else None
    named = over is not None and isinstance(over.func, ast.Attribute) and over.func.attr
    return loop if named in methods else None


def over_parameters(file: File) -> Iterator[Draw]:
    """Yield draws that fill every parameter of a module, or every one of two axes or more."""
    for draw in file.draws:
        if len(draw.path) != 1 or draw.function is None or "init" not in draw.function.name:
            continue
        loop = parameter_loop(file, draw, {"parameters"})
        if loop is None or not _is(loop.target, draw.path[0]):
            continue
        tests = [a for a in file.module.around(draw.node) if isinstance(a, ast.If)]
        if all("dim()" in ast.unparse(t.test) and not t.orelse for t in tests):
            yield draw
