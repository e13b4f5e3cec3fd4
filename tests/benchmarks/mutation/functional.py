"""Wrong initialisers given to layers as they are made: Keras, flax, and keys of JAX."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise

from tests.benchmarks.mutation.edit import Edit, Mutant, Source

_LAYERS = re.compile(r"layers\.(?:Dense|Conv2D|Conv1D)$|^(?:Dense|Conv2D)$")
_BETWEEN = re.compile(r"layers\.(?:BatchNormalization|Activation|ReLU|LayerNormalization|Dropout)$")


def keras(source: Source) -> Iterator[Mutant]:
    """Yield the file with wrong ``kernel_initializer``s, in two layers in a row or in one."""
    if "layers" not in source.text or "keras" not in source.text:
        return
    own = source.imports("from keras import initializers", "initializers")
    for first, second in _rows(source):
        for kind, rules, given in (
            ("Keras: zeros twice", "IA101", '"zeros"'),
            ("Keras: zeros twice", "IA101", "initializers.Zeros()"),
            ("Keras: constant twice", "IA102", '"ones"'),
            ("Keras: constant twice", "IA102", "initializers.Constant(0.1)"),
        ):
            edits = [*_given(source, first, given), *_given(source, second, given)]
            made = source.mutant(kind, rules, [*(own if "." in given else []), *edits])
            if made is not None:
                yield made
        for kind, rules, given in (
            ("std passed as mean", "IA401", "initializers.RandomNormal(0.02)"),
            ("normal_ by default", "IA104", "initializers.RandomNormal(stddev=1.0)"),
            ("std 1e-4", "IA103", "initializers.RandomNormal(stddev=1e-4)"),
            ("uniform_ by default", "IA105", "initializers.RandomUniform(0.0, 1.0)"),
            ("bounds reversed", "IA418", "initializers.RandomUniform(0.05, -0.05)"),
        ):
            made = source.mutant(kind, rules, [*own, *_given(source, first, given)])
            if made is not None:
                yield made


def _rows(source: Source) -> Iterator[tuple[ast.Call, ast.Call]]:
    """Yield layers that stand one behind the other: ``x = Dense(..)(x)``, all on one name."""
    for function in ast.walk(source.tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        row: list[ast.Call] = []
        for statement in function.body:
            call = _step(statement)
            if call is None:
                row = []
                continue
            if _LAYERS.search(ast.unparse(call.func)):
                row.append(call)
                if len(row) > 1:
                    yield row[-2], row[-1]
            elif not _BETWEEN.search(ast.unparse(call.func)):
                row = []


def _step(statement: ast.stmt) -> ast.Call | None:
    match statement:
        case ast.Assign(
            targets=[ast.Name(id=name)],
            value=ast.Call(func=ast.Call() as call, args=[ast.Name(id=given)]),
        ) if name == given:
            return call
    return None


def _given(
    source: Source, call: ast.Call, value: str, keyword: str = "kernel_initializer"
) -> list[Edit]:
    for k in call.keywords:
        if k.arg == keyword:
            return [source.here(call), source.replace(k.value, value)]
    last = max((*call.args, *(k.value for k in call.keywords)), key=source.end)
    written = source.written(call)
    at = source.end(last)
    if "\n" in written:
        indent = source.indent_of(last)
        return [source.here(call), Edit(at, at, f",\n{indent}{keyword}={value}", fault=True)]
    return [source.here(call), Edit(at, at, f", {keyword}={value}", fault=True)]


def flax(source: Source) -> Iterator[Mutant]:
    """Yield the file with wrong ``kernel_init``s of flax, and with a key used twice."""
    if "flax" not in source.text:
        return
    name = "nnx.initializers" if "nnx.Linear(" in source.text else "nn.initializers"
    for body in (n.body for n in ast.walk(source.tree) if isinstance(n, ast.FunctionDef)):
        found = [c for s in body if (c := _flax_layer(s)) is not None]
        for first, second in pairwise(found):
            for kind, rules, given in (
                ("flax: zeros twice", "IA101", f"{name}.zeros"),
                ("flax: zeros twice", "IA101", f"{name}.zeros_init()"),
            ):
                edits = _given(source, first, given, "kernel_init")
                edits += _given(source, second, given, "kernel_init")
                made = source.mutant(kind, rules, edits)
                if made is not None:
                    yield made
        for one in found[:-1]:
            edits = _given(source, one, f"{name}.normal(1.0)", "kernel_init")
            made = source.mutant("flax: normal(1.0)", "IA104", edits)
            if made is not None:
                yield made


def _flax_layer(statement: ast.stmt) -> ast.Call | None:
    value = statement.value if isinstance(statement, ast.Assign) else None
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Call):
        value = value.func
    wanted = {"nn.Dense", "nn.Conv", "nnx.Linear", "nnx.Conv"}
    return value if isinstance(value, ast.Call) and ast.unparse(value.func) in wanted else None


def keys(source: Source) -> Iterator[Mutant]:
    """Yield the file with the first of two keys given to both draws."""
    for statement in ast.walk(source.tree):
        match statement:
            case ast.Assign(
                targets=[ast.Tuple(elts=[ast.Name(id=one), ast.Name(id=other)])],
                value=ast.Call(func=func),
            ) if ast.unparse(func).endswith("random.split"):
                function = next(
                    (a for a in source.around(statement) if isinstance(a, ast.FunctionDef)), None
                )
                if function is None or one == other:
                    continue
                uses = [
                    n for n in ast.walk(function)
                    if isinstance(n, ast.Name) and n.id == other and isinstance(n.ctx, ast.Load)
                ]  # fmt: skip
                if len(uses) == 1:
                    made = source.mutant(
                        "JAX key used twice", "IA416", [source.replace(uses[0], one)]
                    )
                    if made is not None:
                        yield made
