"""An output head tied to an embedding: whose default standard deviation the logits start with."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from initaudit.claims import Hit, Limits, check
from initaudit.rulebook import Severity
from initaudit.source.classes import Class
from initaudit.source.draws import dotted
from initaudit.source.file import File
from initaudit.source.traits import initialised_again


@check("IA421", "draw")
def tied_embedding_default_std(subject: File, limits: Limits) -> Iterator[Hit]:
    """An output head tied to an embedding that nobody takes down from its default N(0, 1)."""
    for node in subject.mentions.get("weight", ()):
        if not isinstance(node.ctx, ast.Store):
            continue
        statement = subject.module.parents.get(node)
        if not isinstance(statement, ast.Assign) or statement.targets != [node]:
            continue
        target, value = _words(statement.targets[0]), _words(statement.value)
        owner = subject.class_of(statement)
        if owner is None or len(target) != 3 or len(value) != 3 or not owner.closed:
            continue
        if target[::2] != ("self", "weight") or value[::2] != ("self", "weight"):
            continue
        head = subject.attribute_layer(owner, target[1])
        table = subject.attribute_layer(owner, value[1])
        if head is None or table is None or head.op != "linear" or table.op != "embedding":
            continue
        if table.framework != "torch" or initialised_again(subject, owner):
            continue
        if _touched(subject, {target[1], value[1]}, statement) or _scaled(
            subject, owner, target[1]
        ):
            continue
        made = owner.only(value[1])
        yield Hit(
            subject.site(statement),
            {"head": f"self.{target[1]}", "embedding": f"self.{value[1]}", "owner": owner.name},
            severity=Severity.NOTE if subject.is_test else None,
            related=() if made is None else (subject.site(made.value),),
            doubts=(
                ("filled", owner.name, "call"),
                ("derived", owner.name),
                *_loaded(subject, owner),
            ),
        )


def _loaded(file: File, owner: Class) -> tuple[tuple[str, str, str], ...]:
    """Return a doubt where a file loads a state into each object of a class that it makes."""
    made = file.module.calls_by_word.get(owner.name, [])
    return (
        (("made only in", owner.name, file.module.path),)
        if made and all(_is_loaded(file, call) for call in made)
        else ()
    )


def _is_loaded(file: File, made: ast.Call) -> bool:
    statement = file.module.parents.get(made)
    if not isinstance(statement, ast.Assign) or not isinstance(statement.targets[0], ast.Name):
        return False
    name = statement.targets[0].id
    function = file.module.function(made)
    return any(
        dotted(call.func) == (name, "load_state_dict") and file.module.function(call) is function
        for call in file.module.calls_by_word.get("load_state_dict", ())
    )


def _words(expr: ast.expr) -> tuple[str, ...]:
    """Return the words of a plain ``self.a.weight``, nothing else."""
    return tuple(ast.unparse(expr).split(".")) if isinstance(expr, ast.Attribute) else ()


def _touched(file: File, names: set[str], tie: ast.stmt) -> bool:
    """Return whether either weight is filled in the file, by its name or by its kind."""
    for one in file.module.assigns:
        for target in one.targets if isinstance(one, ast.Assign) else [one.target]:
            words = dotted(target)
            if words[-1:] == ("weight",) and names & set(words) and one is not tie:
                return True
    for draw in file.draws:
        if draw.callee.form == "factory":
            continue
        if names & set(draw.path[1:]) and draw.role != "bias":
            return True
        guards = file.guards(draw.node)
        if any(guard.rpartition(".")[2] == "Embedding" for guard in guards):
            return True
    return False


_SCALING = re.compile(r"\*\*\s*\(?-\s*0?\.5|sqrt|scale|temperature|normalize|/\s*self\.")


def _scaled(file: File, owner: Class, head: str) -> bool:
    """Return whether the logits, or what the head reads, are scaled close to the head's call."""
    for method in owner.methods.values():
        lines = file.module.lines[method.lineno - 1 : method.end_lineno]
        at = [i for i, line in enumerate(lines) if re.search(rf"self\.{head}\(", line)]
        if at and _SCALING.search("\n".join(lines[max(1, at[0] - 2) :])):
            return True
    return False
