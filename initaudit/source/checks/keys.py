"""Random numbers that come out the same: a key used twice, a seed set where members are made."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from initaudit.claims import Hit, Limits, check
from initaudit.rulebook import Severity
from initaudit.source.checks.copies import value_of
from initaudit.source.classes import CONSTRUCTORS, Class
from initaudit.source.draws import dotted
from initaudit.source.file import File
from initaudit.source.module import Function
from initaudit.source.parents import Parents, walk
from initaudit.source.traits import called, has_weights, method_of, parametric

_WEIGHT = re.compile(
    r"^(?:w|b|u|v)\d*$|^(?:w|b)_|weight|kernel|param|embed|theta|matrix|dense|linear|conv|proj"
    r"|layer|query|key_w|_w$|_w\d*$|bias|scale",
    re.IGNORECASE,
)
_MAKING = re.compile(r"init|param|build|setup|create|make", re.IGNORECASE)
_SEEDS = frozenset(
    {
        "torch.manual_seed", "torch.random.manual_seed", "torch.cuda.manual_seed",
        "torch.cuda.manual_seed_all", "tensorflow.random.set_seed", "tensorflow.set_random_seed",
        "keras.utils.set_random_seed", "tensorflow.keras.utils.set_random_seed",
        "paddle.seed", "mlx.core.random.seed", "transformers.set_seed", "accelerate.utils.set_seed",
        "pytorch_lightning.seed_everything", "lightning.seed_everything",
        "lightning.pytorch.seed_everything",
    }
)  # fmt: skip
_KEYS = frozenset({"jax.random.key", "jax.random.PRNGKey", "flax.nnx.Rngs"})


_LAST = {name.rpartition(".")[2] for name in _SEEDS | _KEYS}
# What offers initialisers and layers of JAX that take a key.
_PACKAGES = frozenset({"jax", "flax", "haiku", "equinox"})


@check("IA416", "draw")
def prng_key_reuse(subject: File, limits: Limits) -> Iterator[Hit]:
    """One JAX key for two draws of parameters: the same shape gets the same numbers."""
    if subject.module.names.packages.isdisjoint(_PACKAGES):
        return
    seen: dict[tuple[Function | None, str], list[tuple[ast.Call, str, str]]] = {}
    for call in subject.module.calls:
        found = _consumed(subject, call)
        if found is not None:
            key, what, shape = found
            place = (subject.module.function(call), key)
            seen.setdefault(place, []).append((call, what, shape))
    for (function, key), uses in seen.items():
        for i, (call, what, shape) in enumerate(uses[1:], 1):
            twin = next(
                (u for u in uses[:i]
                 if u[1:] == (what, shape) and _same_key(subject, u[0], call, key, function)),
                None,
            )  # fmt: skip
            if twin is None:
                continue
            yield Hit(
                subject.site(call),
                {"key": key, "drawn": what, "shape": shape},
                severity=Severity.NOTE if subject.is_test else None,
                related=(subject.site(twin[0]),),
            )


def _consumed(file: File, call: ast.Call) -> tuple[str, str, str] | None:
    """Return the key that a call uses up, what it draws and of what shape (or arguments)."""
    for name in file.module.names.candidates(call.func):
        found = file.catalogue.initialiser(name)
        if found is not None and found.framework == "jax" and found.form == "factory":
            if found.parameters[:1] == () or found.parameters[0].name != "key":
                return None
            key = _given(file, call, "key", 0)
            if key is None or not _reaches_parameters(file, call):
                return None
            return _word(file, key), name.rpartition(".")[2], _rest(call, key) or "scalar"
    drawn = _object(file, call.func)
    if drawn is not None:
        key = _given(file, call, "key", 0)
        if key is None or not _reaches_parameters(file, call):
            return None
        return _word(file, key), drawn, _rest(call, key)
    spec = file.layer(call)
    if spec is None or spec.framework != "equinox" or not spec.weights:
        return None
    key = _given(file, call, "key", 99)
    if key is None or isinstance(key, ast.Call):
        return None
    return _word(file, key), spec.name.rpartition(".")[2], _rest(call, key)


def _object(file: File, func: ast.expr) -> str | None:
    """Return the random initialiser of ``glorot_normal()(key, shape)``, by a name of it too."""
    made = value_of(file, func) if isinstance(func, ast.Name) else func
    if not isinstance(made, ast.Call):
        return None
    for name in file.module.names.candidates(made.func):
        found = file.catalogue.initialiser(name)
        if found is not None and found.framework == "jax" and found.form == "object":
            random = found.law not in {"zeros", "constant", "identity", "unknown"}
            return ast.unparse(made) if random else None
    return None


def _rest(call: ast.Call, key: ast.expr) -> str:
    """Return what a draw is given besides its key."""
    rest = [ast.unparse(a) for a in call.args if a is not key]
    rest += sorted(ast.unparse(k) for k in call.keywords if k.value is not key)
    return ", ".join(rest)


def _given(file: File, call: ast.Call, keyword: str, position: int) -> ast.expr | None:
    named = next((k.value for k in call.keywords if k.arg == keyword), None)
    found = named or (call.args[position] if len(call.args) > position else None)
    return found if found is not None and _word(file, found) else None


def _word(file: File, key: ast.expr) -> str:
    """Return a key's name: a bare one, one of keys that were split off, or a literal seed's."""
    if isinstance(key, ast.Name):
        return key.id
    if isinstance(key, ast.Subscript) and isinstance(key.value, ast.Name):
        return ast.unparse(key) if isinstance(key.slice, ast.Constant) else ""
    if isinstance(key, ast.Call) and len(key.args) == 1 and _is_literal(key.args[0]):
        return ast.unparse(key) if file.qualified(key.func) in _KEYS else ""
    return ""


def _reaches_parameters(file: File, call: ast.Call) -> bool:
    """Return whether what is drawn goes by a weight's name, or is made into a variable."""
    statement = file.module.statement(call)
    for around in file.module.around(call):
        if around is statement:
            break
        if isinstance(around, ast.Dict):
            key = next((k for k, v in zip(around.keys, around.values, strict=True)
                        if v is not None and call in walk(v)), None)  # fmt: skip
            if isinstance(key, ast.Constant) and _WEIGHT.search(str(key.value)):
                return True
        if isinstance(around, ast.Call) and called(around)[-1:] in {("Param",), ("param",)}:
            return True
        if isinstance(around, ast.keyword) and _WEIGHT.search(around.arg or ""):
            return True
    if isinstance(statement, ast.Assign):
        function = file.module.function(call)
        making = function is not None and _MAKING.search(function.name) is not None
        names = [dotted(t)[-1] for t in statement.targets if dotted(t)]
        on_self = any(dotted(t)[:1] == ("self",) for t in statement.targets)
        return any(_WEIGHT.search(n) for n in names) and (making or on_self or _is_matrix(call))
    return False


def _is_matrix(call: ast.Call) -> bool:
    return any(isinstance(a, ast.Tuple) and len(a.elts) >= 2 for a in call.args)


def _same_key(
    file: File, first: ast.Call, second: ast.Call, key: str, function: Function | None
) -> bool:
    """Return whether a key is the same at two calls: one block, and not bound in between."""
    module = file.module
    a, b = module.statement(first), module.statement(second)
    if module.parents.get(a) is not module.parents.get(b) or _branch(module.parents, a) != _branch(
        module.parents, b
    ):
        return False
    name = key.partition("[")[0]
    for one in (*module.assigns, *module.augmented):
        if not first.lineno <= one.lineno <= second.lineno or module.function(one) is not function:
            continue
        targets = one.targets if isinstance(one, ast.Assign) else [one.target]
        if any(isinstance(n, ast.Name) and n.id == name for t in targets for n in walk(t)):
            return False
    return not any(
        isinstance(around, ast.Lambda | ast.IfExp | ast.BoolOp)
        for call in (first, second)
        for around in module.around(call)
    )


def _branch(parents: Parents, statement: ast.stmt) -> str | None:
    """Return the list of its parent that a statement stands in."""
    parent = parents.get(statement)
    if parent is None:
        return None
    return next(
        (name for name in parent._fields
         if isinstance(held := getattr(parent, name), list) and statement in held),
        None,
    )  # fmt: skip


@check("IA423", "draw")
def seed_in_constructor(subject: File, limits: Limits) -> Iterator[Hit]:
    """A seed set while a module is made: each member of an ensemble gets the same weights."""
    for call in (c for word in sorted(_LAST) for c in subject.module.calls_by_word.get(word, ())):
        name = subject.qualified(call.func)
        if name is None or (name not in _SEEDS and name not in _KEYS) or not call.args:
            continue
        found = method_of(subject, call)
        if found is None or subject.module.function(call) is not found[1]:
            continue
        owner, method = found
        if method.name not in CONSTRUCTORS or owner.framework is None:
            continue
        if not has_weights(subject, owner) or not _draws(subject, owner):
            continue
        if _put_back(subject, call, method) or (name in _SEEDS and _is_last(call, method)):
            continue
        if name in _KEYS and not _is_literal(call.args[0]):
            continue
        if name not in _SEEDS and name.endswith(".Rngs") and _is_default(call, method):
            continue
        if name in _KEYS and owner.framework not in {"nnx", "equinox", "flax", "haiku"}:
            continue
        yield Hit(
            subject.site(call),
            {"call": ast.unparse(call), "owner": owner.name},
            severity=Severity.NOTE if subject.is_test or _asked_for(subject, call) else None,
        )


def _is_last(call: ast.Call, method: Function) -> bool:
    """Return whether nothing is called behind a seed, so that no weight is drawn from it."""
    return not any(
        isinstance(node, ast.Call) and node.lineno > (call.end_lineno or call.lineno)
        for node in walk(method)
    )


def _is_default(call: ast.Call, method: Function) -> bool:
    """Return whether a call is a parameter's default: made once, and counting on with each use."""
    defaults = (*method.args.defaults, *method.args.kw_defaults)
    return any(call is node for one in defaults if one is not None for node in walk(one))


def _draws(file: File, owner: Class) -> bool:
    """Return whether a class makes weights that are drawn, beside parameters of one value."""
    flat = {d.node for d in file.draws if d.weights.law in {"zeros", "constant"}}
    return any(
        parametric(file, value.value) and not _held(value.value) & flat
        for one in owner.lineage()
        for values in one.attributes.values()
        for value in values
    )


def _held(value: ast.expr) -> set[ast.Call]:
    return {n for n in walk(value) if isinstance(n, ast.Call)}


def _is_literal(seed: ast.expr) -> bool:
    return isinstance(seed, ast.Constant) and isinstance(seed.value, int)


def _put_back(file: File, call: ast.Call, method: Function) -> bool:
    """Return whether the generator's state is saved and restored around the seed."""
    if any(
        isinstance(around, ast.With)
        and any("fork_rng" in ast.unparse(i) or "preserve" in ast.unparse(i) for i in around.items)
        for around in file.module.around(call)
    ):
        return True
    end = method.end_lineno or method.lineno
    return any(
        "set_rng_state" in line for line in file.module.lines[method.lineno - 1 : end]
    )  # fmt: skip


def _asked_for(file: File, call: ast.Call) -> bool:
    """Return whether the seed is an option that the caller turns on."""
    seed = call.args[0]
    return not _is_literal(seed) and any(
        isinstance(around, ast.If) and ast.unparse(seed) in ast.unparse(around.test)
        for around in file.module.around(call)
    )
