"""Weights that are loaded, and then drawn anew."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from initaudit.claims import Hit, Limits, check
from initaudit.rulebook import Severity
from initaudit.source.draws import dotted
from initaudit.source.file import File
from initaudit.source.sweeps import Sweep, Write, governs

_WEIGHTED = frozenset({"linear", "conv", "conv_transpose"})
_METHODS = ("load_state_dict", "from_pretrained")
_LOADING = ("load_state_dict(", "from_pretrained(", "pretrained=True", "weights=")
# What has no weights, by the endings that the hub's classes have.
_WEIGHTLESS = re.compile(r"(?:Tokenizer(?:Fast)?|Config|Processor|Extractor|Scheduler)$")
_VISION = re.compile(r"^(torchvision\.models\.|timm\.)")


@check("IA413", "draw")
def pretrained_then_reinit(subject: File, limits: Limits) -> Iterator[Hit]:
    """Weights that are loaded and then drawn anew by a pass over the object that holds them."""
    loads = [*_loads(subject)] if subject.sweeps else []
    for sweep in subject.sweeps if loads else ():
        for load, held, vision in loads:
            if subject.module.function(load) is not subject.module.function(sweep.node):
                continue
            if held[: len(sweep.root)] != sweep.root or load.lineno >= sweep.node.lineno:
                continue
            write = _redraws(subject, sweep, vision=vision)
            if write is None or (_another(load, held, sweep) and not _of_all_kinds(subject, sweep)):
                continue
            if not governs(subject, sweep.node, load) or _passed_over(load, sweep):
                continue
            if _replaced(subject, held, load, sweep.node):
                continue
            yield Hit(
                subject.site(sweep.node),
                {
                    "held": ".".join(held),
                    "line": load.lineno,
                    "writer": write.draw.callee.name,
                    "there": write.draw.node.lineno,
                },
                severity=Severity.NOTE if subject.is_test else None,
                related=(subject.site(load), subject.site(write.draw.node)),
            )
            break
    yield from _restored(subject)


def _loads(file: File) -> Iterator[tuple[ast.Call, tuple[str, ...], bool]]:
    """Yield each call that loads weights, what holds them, and whether it is a vision model."""
    if not any(word in file.module.text for word in _LOADING):
        return
    module = file.module
    visual = not module.names.packages.isdisjoint({"torchvision", "timm"})
    calls = (
        module.calls
        if visual
        else [c for word in _METHODS for c in module.calls_by_word.get(word, ())]
    )
    for call in sorted(calls, key=lambda c: (c.lineno, c.col_offset)):
        method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        name = file.qualified(call.func) or ""
        if method == "load_state_dict" and isinstance(call.func, ast.Attribute):
            yield call, dotted(call.func.value), False
            continue
        vision = _VISION.search(name) is not None
        loaded = method == "from_pretrained" and not _is_weightless(call)
        loaded = loaded or (vision and _asks_for_weights(call))
        statement = file.module.parents.get(call) if loaded else None
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            yield call, dotted(statement.targets[0]), vision


def _is_weightless(call: ast.Call) -> bool:
    """Return whether ``X.from_pretrained`` loads words or settings, not weights."""
    return _WEIGHTLESS.search((dotted(call.func)[-2:] or ("",))[0]) is not None


def _passed_over(load: ast.Call, sweep: Sweep) -> bool:
    """Return whether a pass leaves what was loaded: ``post_init`` does what is marked as such."""
    methods = [
        node.func.attr
        for node in (load, sweep.node)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]
    return methods == ["from_pretrained", "post_init"]


def _asks_for_weights(call: ast.Call) -> bool:
    for keyword in call.keywords:
        value = keyword.value
        if keyword.arg == "pretrained":
            return isinstance(value, ast.Constant) and value.value is True
        if keyword.arg == "weights":
            return isinstance(value, ast.Attribute) or (
                isinstance(value, ast.Constant) and isinstance(value.value, str)
            )
    return False


def _redraws(file: File, sweep: Sweep, *, vision: bool) -> Write | None:
    """Return what a pass surely draws anew of convolutions or linear layers."""
    for write in sweep.writes:
        specs = [file.catalogue.layer(kind) for kind in write.kinds]
        ops = {spec.op for spec in specs if spec is not None} & _WEIGHTED
        reaches = "conv" in ops if vision else bool(ops or not write.kinds)
        if write.certain and write.role == "weight" and reaches:
            return write
    return None


def _another(load: ast.Call, held: tuple[str, ...], sweep: Sweep) -> bool:
    """Return whether a state is loaded into a part, of which it is not known what it holds."""
    method = load.func.attr if isinstance(load.func, ast.Attribute) else ""
    return method == "load_state_dict" and len(held) > len(sweep.root)


def _of_all_kinds(file: File, sweep: Sweep) -> bool:
    """Return whether a pass draws linear layers and convolutions anew: any network has one."""
    specs = [file.catalogue.layer(kind) for write in sweep.writes for kind in write.kinds]
    ops = {spec.op for spec in specs if spec is not None}
    return {"linear", "conv"} <= ops or any(not write.kinds for write in sweep.writes)


def _replaced(
    file: File, held: tuple[str, ...], load: ast.Call, later: ast.expr | ast.stmt
) -> bool:
    """Return whether what was loaded is another object, or is loaded again, by the later line."""
    function = file.module.function(load)
    for one in file.module.assigns:
        if file.module.function(one) is function and load.lineno < one.lineno < later.lineno:
            targets = one.targets if isinstance(one, ast.Assign) else [one.target]
            if any(dotted(t) and dotted(t) == held[: len(dotted(t))] for t in targets):
                return True
    return any(
        isinstance(call.func, ast.Attribute) and call.func.attr in {"load_state_dict", "copy_"}
        and file.module.function(call) is function and call.lineno > later.lineno
        for call in file.module.calls
    )  # fmt: skip


_ALL = frozenset(
    {"tensorflow.global_variables_initializer", "tensorflow.initialize_all_variables",
     "tensorflow.compat.v1.global_variables_initializer"}
)  # fmt: skip
_SAVERS = frozenset({"tensorflow.train.Saver", "tensorflow.compat.v1.train.Saver"})


def _restored(file: File) -> Iterator[Hit]:
    """``saver.restore(..)`` and then the initialiser of all variables, run over it."""
    if "variables_initializer" not in file.module.text and "all_variables" not in file.module.text:
        return
    restores = [c for c in file.module.calls if _restores(file, c)]
    for call in file.module.calls:
        if not isinstance(call.func, ast.Attribute) or call.func.attr != "run" or not call.args:
            continue
        if not _initialises_all(file, call.args[0]):
            continue
        for load in restores:
            same = file.module.function(load) is file.module.function(call)
            if same and load.lineno < call.lineno and governs(file, call, load):
                yield Hit(
                    file.site(call),
                    {
                        "held": "the session's variables",
                        "line": load.lineno,
                        "writer": ast.unparse(call.args[0]),
                        "there": call.lineno,
                    },
                    severity=Severity.NOTE if file.is_test else None,
                    related=(file.site(load),),
                )
                break


def _restores(file: File, call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "restore":
        return False
    made = [
        a.value for a in file.module.assigns
        if file.module.function(a) in {None, file.module.function(call)} and any(
            dotted(t) == dotted(call.func.value)
            for t in (a.targets if isinstance(a, ast.Assign) else [a.target])
        )
    ]  # fmt: skip
    # A saver of some variables leaves the others to be initialised.
    return len(made) == 1 and isinstance(made[0], ast.Call) and (
        file.qualified(made[0].func) in _SAVERS and not made[0].args
    )  # fmt: skip


def _initialises_all(file: File, expr: ast.expr) -> bool:
    if isinstance(expr, ast.Name):
        expr = file.module.names.aliases.get(expr.id, expr)
    return isinstance(expr, ast.Call) and file.qualified(expr.func) in _ALL
