"""Python's own functions and methods, on values that are known."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from initaudit.reading.values import Open, Unknown, Vague

PLAIN = (bool, int, float, str, bytes, type(None), tuple, list, dict, set, frozenset, range, slice)
"""Types of values that are Python's own while a source is followed."""

_MOST = 1 << 16

OPEN_ROUNDS = 2
"""Rounds of a loop whose number the source leaves open."""

BINARY: Mapping[str, Callable[[Any, Any], Any]] = {
    "Add": operator.add, "Sub": operator.sub, "Mult": operator.mul, "Div": operator.truediv,
    "FloorDiv": operator.floordiv, "Mod": operator.mod, "Pow": operator.pow,
    "BitOr": operator.or_, "BitAnd": operator.and_, "BitXor": operator.xor,
    "LShift": operator.lshift, "RShift": operator.rshift,
}  # fmt: skip

COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "Eq": operator.eq, "NotEq": operator.ne, "Lt": operator.lt, "LtE": operator.le,
    "Gt": operator.gt, "GtE": operator.ge,
}  # fmt: skip

_FAULTS = (
    TypeError, ValueError, ArithmeticError, LookupError, AttributeError, MemoryError,
    RecursionError,
)  # fmt: skip

FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "abs": abs, "all": all, "any": any, "bool": bool, "dict": dict, "divmod": divmod,
    "enumerate": lambda *a, **k: list(enumerate(*a, **k)), "float": float,
    "frozenset": frozenset, "int": int, "len": len, "list": list, "max": max, "min": min,
    "pow": pow, "range": range, "reversed": lambda x: list(reversed(x)), "round": round,
    "set": set, "sorted": sorted, "str": str, "sum": sum, "tuple": tuple,
    "zip": lambda *a, **k: _zipped(a, strict=bool(k.get("strict"))), "slice": slice, "repr": repr,
    "ord": ord,
    "chr": chr, "format": format, "iter": list, "next": lambda x, *d: next(iter(x), *d),
    "math.sqrt": math.sqrt, "math.log": math.log, "math.log2": math.log2, "math.exp": math.exp,
    "math.log10": math.log10, "math.cos": math.cos, "math.sin": math.sin,
    "math.floor": math.floor, "math.ceil": math.ceil, "math.prod": math.prod, "math.pow": math.pow,
    "math.gcd": math.gcd, "math.isqrt": math.isqrt, "math.trunc": math.trunc,
    "numpy.sqrt": lambda x: float(np.sqrt(x)), "numpy.prod": lambda x: math.prod(x),
    "numpy.log2": math.log2, "numpy.log": math.log, "numpy.ceil": lambda x: float(np.ceil(x)),
    "numpy.floor": lambda x: float(np.floor(x)), "numpy.exp": math.exp,
    "collections.OrderedDict": dict, "copy.copy": lambda x: x.copy() if hasattr(x, "copy") else x,
    "itertools.chain": lambda *a: [x for part in a for x in part],
    "itertools.product": lambda *a: _product(*a), "functools.reduce": functools.reduce,
    "operator.mul": operator.mul, "operator.add": operator.add,
    "torch.Size": lambda x=(): tuple(x), "itertools.repeat": lambda x, n: [x] * min(n, _MOST),
    "itertools.islice": lambda x, *a: list(itertools.islice(x, *a)), "math.fabs": math.fabs,
    "itertools.accumulate": lambda x: list(itertools.accumulate(x)),
    "numpy.cumsum": lambda x: [sum(x[: i + 1]) for i in range(len(x))], "hash": hash,
    "numpy.linspace": lambda a, b, n: [float(x) for x in np.linspace(a, b, int(n))],
    "collections.defaultdict": lambda *a, **k: {}, "string": str,
}  # fmt: skip
"""Functions by qualified name; builtins by their own."""

CONSTANTS: Mapping[str, Any] = {
    "math.pi": math.pi, "math.e": math.e, "math.inf": math.inf, "math.nan": math.nan,
    "numpy.pi": math.pi, "numpy.inf": math.inf, "torch.pi": math.pi, "torch.inf": math.inf,
    **{f"torch.{n}.is_floating_point": True for n in ("float32", "float", "float64", "float16",
                                                      "bfloat16", "half", "double")},
    "typing.TYPE_CHECKING": False, "numpy.newaxis": None,
}  # fmt: skip

_METHODS: Mapping[type, frozenset[str]] = {
    list: frozenset({"append", "extend", "insert", "pop", "index", "count", "copy", "reverse",
                     "sort", "remove", "clear"}),
    tuple: frozenset({"index", "count", "numel"}),
    dict: frozenset({"get", "items", "keys", "values", "pop", "update", "copy", "setdefault"}),
    str: frozenset({"lower", "upper", "startswith", "endswith", "split", "replace", "strip",
                    "format", "join", "find", "isdigit", "partition", "rpartition", "lstrip",
                    "rstrip", "count", "title", "isnumeric", "removeprefix", "removesuffix"}),
    set: frozenset({"add", "copy", "union", "update", "discard"}),
}  # fmt: skip


def _zipped(parts: tuple[Any, ...], *, strict: bool) -> list[Any]:
    return list(zip(*parts, strict=strict))


def _product(*parts: Any) -> list[Any]:
    found: list[Any] = [()]
    for part in parts:
        found = [(*head, item) for head in found for item in part]
        if len(found) > _MOST:
            raise ValueError("too many")
    return found


def tainted(*values: Any) -> bool:
    """Return whether one of the values, or of those in them, was left open by the source."""
    for value in values:
        if isinstance(value, Open | Vague):
            return True
        if isinstance(value, tuple | list) and tainted(*value):
            return True
    return False


def taint(value: Any) -> Any:
    """Return a value as one that depends on what is left open."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return Open(value)
    if isinstance(value, float):
        return Vague(value)
    if isinstance(value, tuple):
        return tuple(taint(v) for v in value)
    if isinstance(value, list):
        return [taint(v) for v in value]
    return value


def binary(name: str, left: Any, right: Any) -> Any:
    """Return what an operator makes of two of Python's own values."""
    function = BINARY.get(name)
    if function is None:
        return Unknown(f"the operator {name} is not followed")
    if name in {"Pow", "LShift"} and isinstance(right, int | float) and abs(right) > 64:
        return Unknown("its result is too large")
    if name == "Mult":
        for one, other in ((left, right), (right, left)):
            many = isinstance(one, int) and isinstance(other, str | tuple | list)
            if many and len(other) * one > _MOST:
                return Unknown("its result is too large")
    try:
        made = function(left, right)
    except _FAULTS:
        return Unknown("its operands do not fit each other")
    numbers = isinstance(left, int | float) and isinstance(right, int | float)
    return taint(made) if numbers and tainted(left, right) else made


def compare(name: str, left: Any, right: Any) -> Any:
    """Return a comparison of two of Python's own values."""
    try:
        made = COMPARE[name](left, right)
    except _FAULTS:
        return Unknown("its operands do not compare")
    return made


def call(name: str, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
    """Return what one of `FUNCTIONS` gives for known arguments."""
    if name == "range" and args and all(isinstance(a, int) for a in args):
        if tainted(*args):
            return range(min(len(range(*args)), OPEN_ROUNDS))
        if len(range(*args)) > _MOST:
            return Unknown("it counts too far")
    try:
        made = FUNCTIONS[name](*args, **keywords)
    except StopIteration:
        return Unknown(f"{name} found nothing")
    except _FAULTS:
        return Unknown(f"{name} does not take these arguments")
    scalars = isinstance(made, int | float) and name != "len"
    return taint(made) if scalars and tainted(*args) else made


def method(subject: Any, name: str, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
    """Return what a method of one of Python's own values gives."""
    kind = next((k for k in _METHODS if isinstance(subject, k)), None)
    if kind is None or name not in _METHODS[kind]:
        return Unknown(f"{type(subject).__name__}.{name} is not followed")
    if kind is tuple and name == "numel":
        return math.prod(subject)
    try:
        made = getattr(subject, name)(*args, **keywords)
    except _FAULTS:
        return Unknown(f"{type(subject).__name__}.{name} does not take these arguments")
    return list(made) if name in {"items", "keys", "values"} else made
