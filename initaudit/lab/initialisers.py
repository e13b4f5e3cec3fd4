"""Initialisers by name: any of the catalogue's, a number, or one of a few common words."""

from __future__ import annotations

import ast
import math
import re
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from initaudit import catalogue
from initaudit.catalogue import UNKNOWN, Initialiser, Value
from initaudit.lab.drawing import DrawError, draw
from initaudit.nearest import meant
from initaudit.network import Interval, Weights
from initaudit.special import Array

WORDS = {
    "zeros": "torch.nn.init.zeros_()",
    "xavier": "torch.nn.init.xavier_uniform_()",
    "xavier normal": "torch.nn.init.xavier_normal_()",
    "he": "torch.nn.init.kaiming_normal_(nonlinearity='relu')",
    "he uniform": "torch.nn.init.kaiming_uniform_(nonlinearity='relu')",
    "lecun": "jax.nn.initializers.variance_scaling(1.0, 'fan_in', 'normal')",
    "orthogonal": "torch.nn.init.orthogonal_()",
}
"""What the words of papers stand for."""

DEFAULT = "default"
"""PyTorch's own start of a linear layer, its bias included."""

_MODULES = ("torch.nn.init", "jax.nn.initializers", "keras.initializers", "torch", "numpy.random")
_PACKAGES = frozenset({"torch", "keras", "jax"})
_SHORT = {"np": "numpy", "nn": "torch.nn", "init": "torch.nn.init", "tf": "tensorflow"}
_TIMES = re.compile(r"(?P<factor>[0-9.eE+-]+)\s*[x*]\s*(?P<rest>[^0-9].*)\Z", re.DOTALL)


class InitialiserError(ValueError):
    """A name or a call that is no initialiser; the text says what to write."""


@dataclass(frozen=True, slots=True)
class Start:
    """What the weights and biases of a layer start as.

    ``bias`` None is zero. ``sparsity`` belongs to the law "sparse" alone.
    """

    label: str
    weights: Weights
    bias: Weights | None = None
    sparsity: float | None = None

    def weight(self, shape: tuple[int, int], random: np.random.Generator) -> Array:
        """Return a weight of (units, inputs)."""
        return draw(self.weights, shape, random, sparsity=self.sparsity)

    def biases(self, shape: tuple[int, int], random: np.random.Generator) -> Array:
        """Return the bias of (units,) that belongs to a weight of (units, inputs)."""
        if self.bias is None:
            return np.zeros(shape[0])
        return draw(self.bias, shape[:1], random, fans=(shape[1], shape[0]))


def start(text: str) -> Start:
    """Return the initialiser that a text names.

    ``0.5`` fills with one number; ``he``, ``xavier`` and the other `WORDS`; ``default``; a name of
    the catalogue, whole or its last word, with its numbers in brackets: ``normal_(0, 0.01)``,
    ``he_normal``, ``keras.initializers.RandomNormal(stddev=0.05)``; all of them with a factor in
    front: ``4 x xavier``.

    Raises:
        InitialiserError: for anything else, or where a number is missing.
    """
    found = _start(text.strip())
    try:
        for shape in ((3, 4), (4, 3)):
            found.weight(shape, np.random.default_rng(0))
    except DrawError as error:
        raise InitialiserError(f"{text!r}: {error}") from None
    return found


def _start(text: str) -> Start:
    if (number := _number(text)) is not None:
        return Start(f"all {number:g}", catalogue.spread.constant(Interval.point(number)))
    if (product := _TIMES.match(text)) and (factor := _number(product["factor"])) is not None:
        by = Interval.point(factor)
        one = _start(product["rest"].strip())
        bias = None if one.bias is None else catalogue.scaled(one.bias, by)
        scaled = catalogue.scaled(one.weights, by)
        return replace(one, label=f"{factor:g} x {one.label}", weights=scaled, bias=bias)
    if text.lower() == DEFAULT:
        layer = _catalogue().layer("torch.nn.Linear")
        assert layer is not None  # noqa: S101  (the catalogue is ours)
        own = layer.weights
        return Start("PyTorch's default", own["weight"].default, own["bias"].default)
    call = WORDS.get(text.lower(), text)
    name, positional, keywords = _call(call)
    initialiser = _find(name)
    bound = _bound(initialiser, positional, keywords, text)
    sparsity = None
    if "sparsity" in initialiser.numbers:
        given = catalogue.argument(initialiser.parameters, bound, initialiser.numbers["sparsity"])
        sparsity = given.lo if isinstance(given, Interval) else None
    return Start(text, catalogue.weights(initialiser, bound), sparsity=sparsity)


@cache
def _catalogue() -> catalogue.Catalogue:
    return catalogue.load()


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _call(text: str) -> tuple[str, list[Value], dict[str, Value]]:
    """Return the name and the arguments of a call, or of a bare name."""
    bad = InitialiserError(
        f"{text!r} is no initialiser: write a number, a name such as he_normal, "
        "or a call such as normal_(0, 0.02)"
    )
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError):
        raise bad from None
    call = tree if isinstance(tree, ast.Call) else None
    name = ast.unparse(tree if call is None else call.func)
    if not re.fullmatch(r"[A-Za-z_][\w.]*", name):
        raise bad
    if call is None:
        return name, [], {}
    if any(keyword.arg is None for keyword in call.keywords):
        raise bad
    return (
        name,
        [_value(a) for a in call.args],
        {str(k.arg): _value(k.value) for k in call.keywords},
    )


def _value(node: ast.expr) -> Value:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        raise InitialiserError(f"{ast.unparse(node)!r} is no number and no string") from None
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int | float) and math.isfinite(value):
        return Interval.point(float(value))
    raise InitialiserError(f"{ast.unparse(node)!r} is no number and no string")


def _find(name: str) -> Initialiser:
    known = _catalogue()
    first, dot, rest = name.partition(".")
    name = f"{_SHORT.get(first, first)}{dot}{rest}" if dot else name
    names = [name, *(f"{module}.{name}" for module in _MODULES), f"torch.nn.init.{name}_"]
    found = next((i for n in names if (i := known.initialiser(n)) is not None), None)
    if found is None:
        found = known.string("keras", name)
    if found is None:
        words = sorted({*WORDS, DEFAULT, *known.words_of_initialisers(_PACKAGES)})
        hint = meant(name.rpartition(".")[2], words) or f"for example {', '.join(WORDS)}"
        raise InitialiserError(f"{name!r} is no initialiser of the catalogue: {hint}")
    return found


def _bound(
    initialiser: Initialiser, positional: list[Value], keywords: dict[str, Value], text: str
) -> dict[str, Value]:
    """Return the arguments by parameter; tensors, keys and shapes need not be written."""
    numbers = set(initialiser.numbers.values())
    skipped = [p for p in initialiser.parameters if p.kind == "plain" and p.name not in numbers]
    values = {p.name: v for p, v in zip(_told(initialiser), positional, strict=False)}
    if len(positional) > len(values) or values.keys() & keywords.keys():
        raise InitialiserError(f"{text!r}: these arguments do not fit {initialiser.name}")
    values |= keywords
    for parameter in initialiser.parameters:
        missing = parameter.default is catalogue.REQUIRED and parameter.name not in values
        if missing and parameter.kind in ("plain", "keyword"):
            if parameter.name in numbers and parameter not in skipped:
                raise InitialiserError(f"{text!r}: {initialiser.name} needs {parameter.name}")
            values[parameter.name] = UNKNOWN
    bound = catalogue.bind(initialiser.parameters, [], values)
    if bound is None:
        raise InitialiserError(f"{text!r}: these arguments do not fit {initialiser.name}")
    return bound


def _told(initialiser: Initialiser) -> list[catalogue.Parameter]:
    """Return the parameters that a person gives by position: all but tensors, keys and shapes."""
    aside = {initialiser.target, initialiser.numbers.get("shape"), "key", "shape", "size"}
    return [p for p in initialiser.parameters if p.kind == "plain" and p.name not in aside]
