"""What later calls leave of the weights that a class makes: the last one, where it surely runs."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache

from initaudit.source.classes import CONSTRUCTORS, Class
from initaudit.source.draws import Draw
from initaudit.source.file import File
from initaudit.source.label import label
from initaudit.source.module import Function
from initaudit.source.order import runs_after
from initaudit.source.start import Start, implicit
from initaudit.source.sweeps import Write
from initaudit.source.targets import narrowed_to

_writes = cache(re.compile(r"init|norm_?$|_$").search)
_HANDING = re.compile(r"apply|modules\(|children\(|parameters\(|super\(|post_init")
_OWN_CALL = re.compile(r"\bself\.(\w+)\(")
_PASSING = frozenset({"apply", "post_init", "init_weights", "reset_parameters"})


def rewritten(file: File, owner: Class, starts: Mapping[str, Start]) -> dict[str, Start]:
    """Return the weights of a class as the calls that fill them leave them."""
    if not starts:
        return {}
    own = list(_own(file, owner))
    handed = [(words, draw) for words, draw in file.once(handed_draws).get(owner.name, ())]
    passes = [
        call
        for call in file.module.calls_by_class.get(owner.node, ())
        if isinstance(call.func, ast.Attribute) and call.func.attr in _PASSING
    ]
    writers = _writers(file, owner)
    found: dict[str, Start] = {}
    for key, start in starts.items():
        writes = [draw for words, draw in own if _fills(words, start)]
        branch = [draw for words, draw in handed if _fills(words, start)]
        known = [draw.node for draw in writes]
        touched = _touched(start, writers, known)
        reaching = [call for call in passes if _reaches(file, owner, call, start)]
        if branch:
            found[key] = _left(start, branch[-1], sure=_plainly(file, branch[-1]))
        elif writes:
            last = writes[-1]
            sure = (
                not touched
                and not chained(file, last)
                and _certain(file, last)
                and all(runs_after(file, call, last.node) for call in reaching)
                and not _swept(file, owner, start)
            )
            found[key] = _left(start, last, sure=sure)
        else:
            found[key] = replace(start, weights=None) if reaching or touched else start
        found[key] = _with_bias(found[key], [*own, *handed])
    return found


def handed_draws(file: File) -> dict[str, list[tuple[str, Draw]]]:
    """Return what branches for a class of the file fill of its objects, by the class's name.

    ``isinstance(module, MLP)`` and ``init.zeros_(module.fc1.weight)`` come to
    ``self.fc1.weight`` of MLP.
    """
    found: dict[str, list[tuple[str, Draw]]] = {}
    for draw in file.draws:
        if len(draw.path) < 2 or draw.path[0] == "self" or draw.target is None:
            continue
        words = label(draw.target)
        if words is None or draw.function is None:
            continue
        for kind in narrowed_to(file, draw.node, draw.path[0]):
            if "." not in kind:
                own = f"self.{words.partition('.')[2]}"
                found.setdefault(kind, []).append((own, draw))
    return found


def handed_to(file: File, owner: Class) -> Iterator[Draw]:
    """Yield what branches for a class, or for an ancestor in the file, fill of its objects."""
    handed = file.once(handed_draws)
    for one in owner.lineage() if handed else ():
        for _, draw in handed.get(one.name, ()):
            yield draw


def chained(file: File, draw: Draw) -> bool:
    """Return whether another method changes what was drawn: ``w.normal_().mul_(0.1)``."""
    return isinstance(file.module.parents.get(draw.node), ast.Attribute)


def _own(file: File, owner: Class) -> Iterator[tuple[str, Draw]]:
    """Yield the draws in a class with the label that each fills, loops over a few layers told."""
    for draw in file.draws_by_class.get(owner.node, ()):
        words = None if draw.target is None else label(draw.target)
        if words is None:
            continue
        yield words, draw
        first, _, rest = words.partition(".")
        for around in file.module.around(draw.node):
            if not isinstance(around, ast.For) or not isinstance(around.target, ast.Name):
                continue
            if around.target.id == first and isinstance(around.iter, ast.Tuple | ast.List):
                for one in around.iter.elts:
                    member = label(one)
                    if member is not None:
                        yield (f"{member}.{rest}" if rest else member), draw


def _fills(words: str, start: Start) -> bool:
    return words in {start.label, f"{start.label}.weight", f"{start.label}.kernel"}


def _left(start: Start, last: Draw, *, sure: bool) -> Start:
    return replace(
        start,
        node=last.node,
        weights=last.weights if sure else None,
        implicit=implicit(last),
        by_default=False,
    )


def _with_bias(start: Start, draws: list[tuple[str, Draw]]) -> Start:
    """Return a start whose bias is not random any more where a call sets it to one value."""
    if not start.random_bias:
        return start
    filled = [d for words, d in draws if words == f"{start.label}.bias"]
    alike = bool(filled) and filled[-1].weights.law in {"zeros", "constant"}
    return replace(start, random_bias=not alike)


def _certain(file: File, draw: Draw) -> bool:
    """Return whether a call runs whenever its constructor or init method does."""
    child: ast.AST = draw.node
    for around in file.module.around(draw.node):
        if isinstance(around, ast.FunctionDef | ast.AsyncFunctionDef):
            return around.name in CONSTRUCTORS or "init" in around.name or "reset" in around.name
        if isinstance(around, ast.For) and isinstance(around.iter, ast.Tuple | ast.List):
            child = around
            continue
        if isinstance(around, ast.If) and _of_presence(around.test) and child in around.body:
            child = around
            continue
        if isinstance(around, ast.If | ast.For | ast.While | ast.Try | ast.IfExp):
            return False
        child = around
    return False


def _of_presence(test: ast.expr) -> bool:
    """Return whether a test asks no more than whether something is there: ``x is not None``."""
    return isinstance(test, ast.Compare) and all(isinstance(o, ast.IsNot) for o in test.ops)


def _plainly(file: File, draw: Draw) -> bool:
    """Return whether nothing but tests of the object's class, or of presence, guard a branch."""
    if chained(file, draw):
        return False
    child: ast.AST = draw.node
    for around in file.module.around(draw.node):
        if isinstance(around, ast.FunctionDef | ast.AsyncFunctionDef):
            return "init" in around.name or "reset" in around.name
        if isinstance(around, ast.If) and child is not around.test:
            if child in around.body and not _of_class(around.test):
                return False
            if child in around.orelse and not _of_class(around.test):
                return False
        if isinstance(around, ast.While | ast.Try | ast.IfExp):
            return False
        child = around
    return False


def _of_class(test: ast.expr) -> bool:
    if isinstance(test, ast.BoolOp):
        return all(_of_class(value) for value in test.values)
    if isinstance(test, ast.Call) and isinstance(test.func, ast.Name):
        return test.func.id in {"isinstance", "hasattr"}
    return _of_presence(test)


def _reaches(file: File, owner: Class, call: ast.Call, start: Start) -> bool:
    """Return whether a call that initialises a class's parts may fill a weight."""
    if not isinstance(call.func, ast.Attribute):
        return True
    method = file.method(owner, call.func.attr)
    own = isinstance(call.func.value, ast.Name) and call.func.value.id == "self"
    if method is None or not own:
        # What `apply` hands on fills layers; a bare parameter is the affair of its class's branch.
        return start.op != "" or call.func.attr not in {"apply", "post_init"}
    name = start.label.partition("[")[0].rpartition(".")[2]
    seen: set[Function] = set()
    left = [method]
    while left:
        one = left.pop()
        seen.add(one)
        text = file.module.written(one.body)
        if name in text or _HANDING.search(text):
            return True
        for called in _OWN_CALL.findall(text):
            inner = file.method(owner, called)
            if inner is None and "init" in called:
                return True
            left += [] if inner is None or inner in seen else [inner]
    return False


def _swept(file: File, owner: Class, start: Start) -> bool:
    """Return whether code that others hand all their parts to fills such layers again."""
    for by, write in file.once(_passing_on):
        if by is not None and (by is owner or not file.once(_parts)(by, owner)):
            continue
        specs = [file.catalogue.layer(kind) for kind in write.kinds]
        if any(spec is not None and spec.op == start.op for spec in specs):
            return True
    return False


def _passing_on(file: File) -> list[tuple[Class | None, Write]]:
    """Return what passes write to weights, with the class whose parts they are handed.

    None is any class: the pass stands outside of them, or a framework's base class runs it.
    """
    found = [(file.class_of(s.node), w) for s in file.sweeps for w in s.writes]
    for holder, writes in file.writes.items():
        if not isinstance(holder, ast.For) and holder.name == "_init_weights":
            closed = (one := file.class_of(holder)) is not None and one.closed
            found += [(None, write) for write in writes if not closed]
    return [(by, write) for by, write in found if write.role == "weight"]


def _parts(file: File) -> Callable[[Class, Class], bool]:
    """Return what tells whether a class makes another one, or makes what does."""

    def makes(whole: Class, part: Class) -> bool:
        seen: set[str] = set()
        left = [part.name]
        while left:
            name = left.pop()
            if name in seen:
                continue
            seen.add(name)
            makers = file.makers.get(name, set())
            if any(m is not None and file.classes[m] is whole for m in makers):
                return True
            left += [m.name for m in makers if m is not None]
        return False

    return makes


def _writers(file: File, owner: Class) -> Mapping[str, list[ast.AST]]:
    """Return, by label, what in a class may write it: calls by their name, and assignments."""
    found: dict[str, list[ast.AST]] = {}
    for call in file.module.calls_by_class.get(owner.node, ()):
        if isinstance(call.func, ast.Attribute):
            name = call.func.attr
            writes = name.endswith("_") and not name.startswith("_") and name != "requires_grad_"
            if writes and (target := label(call.func.value)) is not None:
                found.setdefault(target, []).append(call)
        elif isinstance(call.func, ast.Name):
            name = call.func.id
        else:
            continue
        if _writes(name):
            for argument in call.args:
                if (target := label(argument)) is not None:
                    found.setdefault(target, []).append(call)
    for attribute, given in file.module.assigned.attributes.get(owner.node, {}).items():
        if len(given) > 1:
            values = (value for _, value, _ in given)
            found.setdefault(f"self.{attribute}", []).extend(values)
    return found


def _touched(start: Start, writers: Mapping[str, list[ast.AST]], known: list[ast.Call]) -> bool:
    """Return whether anything that is not understood may write the weight, by its name."""
    forms = (start.label, f"{start.label}.weight", f"{start.label}.weight.data")
    return any(node not in known for form in forms for node in writers.get(form, ()))
