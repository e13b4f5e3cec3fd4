"""Networks that nobody trains: what they compute at random is what is wanted of them."""

from __future__ import annotations

import ast
import re

from initaudit.source.draws import Draw, dotted
from initaudit.source.file import File
from initaudit.source.sweeps import MODULES, over

_TRAINED = re.compile(r"backward\(|\boptim|(?<!named_)parameters\(\)")


def stays_random(file: File, draw: Draw) -> bool:
    """Return whether a network that a function makes is read there as drawn, and not trained."""
    loop = next((a for a in file.module.around(draw.node) if isinstance(a, ast.For)), None)
    net = () if loop is None else over(loop, MODULES)
    if len(net) != 1 or draw.function is None:
        return False
    made = [
        one
        for one in file.module.assigns_by_function.get(draw.function, ())
        if isinstance(one, ast.Assign) and [dotted(t) for t in one.targets] == [net]
    ]
    text = file.module.written(draw.function.body)
    read = re.search(rf"\b{net[0]}\([^\n]*\)\.(?:data|detach\(\)|numpy\(\))", text)
    return bool(made and read) and _TRAINED.search(text) is None
