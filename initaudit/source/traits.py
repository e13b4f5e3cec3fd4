"""What source says of modules: which have weights, where they go, who initialises them again."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

from initaudit.source.classes import CONSTRUCTORS, Class
from initaudit.source.draws import dotted
from initaudit.source.file import File
from initaudit.source.module import Function, Module, arguments
from initaudit.source.parents import walk
from initaudit.source.targets import narrowed_to

_passes_on = cache(
    re.compile(r"init|reset_param|apply$|^from_pretrained$|^load_state_dict$").search
)
_PARAMETERS = frozenset({"parameters", "named_parameters"})
_EVERY = _PARAMETERS | {"modules", "named_modules", "children"}
_FILLING = re.compile(
    r"init(?!iali[sz]ed)|normal|uniform|xavier|kaiming|glorot|reset_|fill_|zero_|ones_"
)
BOTH = frozenset({"call", "every"})
_DEPTH = 4


def parametric(file: File, expr: ast.expr, depth: int = 0) -> bool:
    """Return whether an expression constructs a module that surely has weights of its own."""
    if not isinstance(expr, ast.Call) or depth > _DEPTH:
        return False
    spec = file.layer(expr)
    if spec is not None:
        if spec.op == "container":
            return any(parametric(file, part, depth + 1) for part in _parts(expr))
        # Options such as affine=False leave a layer without the weights that it can have.
        turned_off = any(
            isinstance(k.value, ast.Constant)
            and k.value.value is False
            and "affine" in (k.arg or "")
            for k in expr.keywords
        )
        return (bool(spec.weights) or spec.op == "transformer") and not turned_off
    owner = local_class(file, expr.func)
    return owner is not None and has_weights(file, owner, depth + 1)


def has_weights(file: File, owner: Class, depth: int = 0) -> bool:
    """Return whether a class of the file makes weights in its constructors."""
    if owner.framework is None or depth > _DEPTH:
        return False
    for one in owner.lineage():
        for values in one.attributes.values():
            for value in values:
                made_here = value.function is None or value.function.name in CONSTRUCTORS
                if made_here and parametric(file, value.value, depth + 1):
                    return True
    return False


def local_class(file: File, expr: ast.expr) -> Class | None:
    """Return the class of the file that a bare name stands for, if exactly one has it."""
    if not isinstance(expr, ast.Name):
        return None
    return file.class_named(expr.id)


def _parts(call: ast.Call) -> Iterator[ast.expr]:
    for argument in call.args:
        value = argument.value if isinstance(argument, ast.Starred) else argument
        if isinstance(value, ast.List | ast.Tuple):
            yield from value.elts
        elif isinstance(value, ast.ListComp):
            yield value.elt
        else:
            yield value


def method_of(file: File, node: ast.AST) -> tuple[Class, Function] | None:
    """Return the class and the method of it that a node stands in, nested functions included."""
    function = file.module.function(node)
    while function is not None:
        outer, _, scope = file.module.enclosing[function]
        if isinstance(scope, ast.ClassDef):
            return file.classes[scope], function
        function = outer
    return None


def reaches_container(file: File, node: ast.expr, depth: int = 0) -> ast.Call | None:
    """Return the call that makes modules of what ``node`` holds, a list or one of its members.

    Followed are stars, sums and lists around the node, and one local name that the list is
    assigned, added or appended to.
    """
    module = file.module
    held: ast.AST = node
    for around in module.around(node):
        if isinstance(around, ast.Call):
            if held in around.args and (_is_container(file, around) or _fills_itself(file, around)):
                return around
            if isinstance(around.func, ast.Attribute) and around.func.attr in {"extend", "append"}:
                return _container_of(file, around.func.value, around, depth)
            return None
        if isinstance(around, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = around.targets if isinstance(around, ast.Assign) else [around.target]
            found = (_container_of(file, target, around, depth) for target in targets)
            return next((call for call in found if call is not None), None)
        if not isinstance(around, ast.Starred | ast.BinOp | ast.List | ast.Tuple | ast.ListComp):
            return None
        held = around
    return None


def _is_container(file: File, call: ast.Call) -> bool:
    spec = file.layer(call)
    return spec is not None and spec.op == "container"


def _container_of(file: File, target: ast.expr, place: ast.AST, depth: int) -> ast.Call | None:
    """Return the container made of a local list, or that ``self.name`` is assigned."""
    words = dotted(target)
    if len(words) == 2 and words[0] == "self":
        owner = file.class_of(place)
        made = None if owner is None else owner.only(words[1])
        value = None if made is None else made.value
        return value if isinstance(value, ast.Call) and _is_container(file, value) else None
    if len(words) != 1:
        return None
    return _by_name(file, words[0], place, depth)


def _by_name(file: File, name: str, place: ast.AST, depth: int) -> ast.Call | None:
    """Return the container that a local list is handed to, or that a local name holds."""
    function = file.module.function(place)
    for call in file.module.calls:
        if file.module.function(call) is not function:
            continue
        if not (_is_container(file, call) or _fills_itself(file, call)):
            continue
        given = (a.value if isinstance(a, ast.Starred) else a for a in call.args)
        if any(isinstance(value, ast.Name) and value.id == name for value in given):
            return call
    for one in file.module.assigns:
        if file.module.function(one) is function and isinstance(one.value, ast.Call):
            names = one.targets if isinstance(one, ast.Assign) else [one.target]
            if _is_container(file, one.value) and any(dotted(n) == (name,) for n in names):
                return one.value
    return None if depth > _DEPTH else _through_sum(file, name, place, depth)


def _through_sum(file: File, name: str, place: ast.AST, depth: int) -> ast.Call | None:
    """Return the container that gets a sum of lists with the named one among them."""
    function = file.module.function(place)
    for operation in file.module.operations:
        if not isinstance(operation.op, ast.Add) or file.module.function(operation) is not function:
            continue
        used = any(
            isinstance(s, ast.Name) and s.id == name for s in (operation.left, operation.right)
        )
        statement = file.module.parents.get(operation)
        again = isinstance(statement, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == name for t in statement.targets
        )
        if used and not again and statement is not file.module.statement(place):
            return reaches_container(file, operation, depth + 1)
    return None


def _fills_itself(file: File, call: ast.Call) -> bool:
    """Return whether ``super().__init__(..)`` fills a class that is a container."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "__init__":
        return False
    owner = file.class_of(call)
    if owner is None:
        return False
    specs = [file.catalogue.layer(base) for base in owner.bases if "." in base]
    return any(spec is not None and spec.op == "container" for spec in specs)


def initialised_again(file: File, owner: Class, kinds: frozenset[str] = BOTH) -> bool:
    """Return whether the parameters of a class are filled by a pass over all of them.

    The pass may be of the class, of an ancestor in the file, or of a class of the file that
    makes such a module. Kinds are ``call`` (``self.apply(f)``, ``self._reset_parameters()``) and
    ``every`` (a loop over ``parameters()`` that fills them).
    """
    seen: set[str] = set()
    left = [owner]
    while left:
        one = left.pop()
        if one.name in seen:
            continue
        seen.add(one.name)
        if any(file.passes.get(a.node, frozenset()) & kinds for a in one.lineage()):
            return True
        if any(file.passes_by_kind.get(a.name, frozenset()) & kinds for a in one.lineage()):
            return True
        left += [file.classes[maker] for maker in file.makers.get(one.name, ()) if maker]
        if None in file.makers.get(one.name, ()) and file.passes.get(None, frozenset()) & kinds:
            return True
    return False


def passes(file: File) -> dict[ast.ClassDef | None, frozenset[str]]:
    """Return the kinds of passes over all parameters, by class; None is outside of classes."""
    module = file.module
    found: dict[ast.ClassDef | None, set[str]] = {}
    for call in _passing(module):
        words = called(call)
        own = len(words) == 1 or words[:-1] == ("self",)
        applied = words[-1:] == ("apply",) and module.class_of(call) is None
        if words and words[-1] != "__init__" and (
            (own and _passes_on(words[-1]) is not None) or applied
        ):  # fmt: skip
            found.setdefault(module.class_of(call), set()).add("call")
    for loop, kind in _general_loops(file):
        if not _narrowed(file, loop):
            found.setdefault(module.class_of(loop), set()).add(kind)
    return {owner: frozenset(kinds) for owner, kinds in found.items()}


def passes_by_kind(file: File) -> dict[str, frozenset[str]]:
    """Return the kinds of passes that are made over objects of some classes only, by class.

    ``if isinstance(module, nn.LSTM): for p in module.parameters(): ..`` fills LSTMs, and what
    they are made of.
    """
    found: dict[str, set[str]] = {}
    for loop, kind in _general_loops(file):
        for name in _narrowed(file, loop):
            found.setdefault(name.rpartition(".")[2], set()).add(kind)
    return {name: frozenset(kinds) for name, kinds in found.items()}


def _general_loops(file: File) -> Iterator[tuple[ast.For, str]]:
    """Yield the loops over all parameters or modules that fill what they come by, with a kind."""
    module = file.module
    for loop in () if _EVERY.isdisjoint(module.calls_by_word) else module.loops:
        over = {called(n)[-1] for n in walk(loop.iter) if isinstance(n, ast.Call) and called(n)}
        if not over & _EVERY:
            continue
        lines = "\n".join(module.lines[loop.lineno - 1 : loop.end_lineno])
        if _FILLING.search(lines) and _is_general(module, loop):
            yield loop, "every" if over & _PARAMETERS else "call"


def _narrowed(file: File, loop: ast.For) -> tuple[str, ...]:
    """Return the classes that tests around a loop over ``x.parameters()`` narrow x to.

    None where one of them is a base of the class around: those may be its own objects.
    """
    for call in walk(loop.iter):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            over = call.func.value
            if call.func.attr in _EVERY and isinstance(over, ast.Name):
                kinds = narrowed_to(file, loop, over.id)
                owner = file.class_of(loop) if kinds else None
                bases = () if owner is None else {b for one in owner.lineage() for b in one.bases}
                return () if any(kind in bases for kind in kinds) else kinds
    return ()


def _passing(module: Module) -> Iterator[ast.Call]:
    for word, calls in module.calls_by_word.items():
        if word == "apply" or _passes_on(word):
            yield from calls


def _is_general(module: Module, loop: ast.For) -> bool:
    """Return whether a loop is over what its function makes, or the function initialises models.

    A helper such as ``zero_module(module)`` fills only what it is handed.
    """
    function = module.function(loop)
    if function is None or module.class_of(loop) is not None or _passes_on(function.name):
        return True
    given = {argument.arg for argument in arguments(function)}
    return not any(isinstance(n, ast.Name) and n.id in given for n in walk(loop.iter))


def makers(module: Module) -> dict[str, set[ast.ClassDef | None]]:
    """Return which classes (None: code outside of them) call each capitalised name."""
    found: dict[str, set[ast.ClassDef | None]] = {}
    for name, calls in module.calls_by_word.items():
        if name[:1].isupper():
            found[name] = {module.class_of(call) for call in calls}
    return found


def last_word(call: ast.Call) -> str:
    """Return the last word of what is called: ``Linear`` of ``nn.Linear``."""
    func = call.func
    if isinstance(func, ast.Attribute):
        return func.attr
    return func.id if isinstance(func, ast.Name) else ""


def called(call: ast.Call) -> tuple[str, ...]:
    """Return the words of what is called."""
    return dotted(call.func) or ((call.func.attr,) if isinstance(call.func, ast.Attribute) else ())
