"""Forms that exporters write out, folded back into the one layer that they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from initaudit.checkpoint.graphs.steps import Builder, Step

_ROUGH = 1e-3
"""Relative difference at which two factors count as the same number, as in half precision."""


def near(a: float, b: float) -> bool:
    """Return whether two factors are the same number."""
    return math.isclose(a, b, rel_tol=_ROUGH)


@dataclass(slots=True)
class Steps:
    """The steps with the questions that patterns ask of them."""

    builder: Builder
    outputs: set[int]
    readers: dict[int, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.count()

    def count(self) -> None:
        """Note anew who reads whom."""
        self.readers = {number: [] for number in self.builder.steps}
        for number, step in self.builder.steps.items():
            for i in step.inputs:
                self.readers[i].append(number)

    def __getitem__(self, number: int) -> Step:
        return self.builder.steps[number]

    def only(self, number: int) -> Step | None:
        """Return the one step that reads a step; None where it is read elsewhere too."""
        readers = self.readers[number]
        return self[readers[0]] if len(readers) == 1 and number not in self.outputs else None

    def input_of(self, number: int, op: str) -> int | None:
        """Return the only input of a step of this operation, else None."""
        step = self[number]
        return step.inputs[0] if step.op == op and len(step.inputs) == 1 else None

    def function_of(self, number: int, function: str) -> int | None:
        """Return the input of an activation, else None."""
        step = self[number]
        if step.op == "activation" and step.attributes.get("function") == function:
            return step.inputs[0]
        return None

    def sum_with(self, number: int) -> tuple[int, float] | None:
        """Return x and c of a step that is x + c with one number c, else None."""
        step = self[number]
        if step.op != "add" or len(step.inputs) != 2:
            return None
        for x, c in (step.inputs, step.inputs[::-1]):
            given = self[c].attributes.get("number")
            if isinstance(given, float | int):
                return x, float(given)
        return None

    def times(self, number: int) -> tuple[int, float]:
        """Return x and c of a step that is c x with one number c; c is 1 for any other."""
        step = self[number]
        factor = step.attributes.get("factor")
        if step.op == "scale" and not step.parts and isinstance(factor, float | int):
            x, more = self.times(step.inputs[0])
            return x, more * float(factor)
        return number, 1.0

    def power_of(self, number: int, exponent: float) -> int | None:
        """Return x of a step that is x to this power, written in any way, else None."""
        step = self[number]
        if step.op == "power" and step.attributes.get("exponent") == exponent:
            return step.inputs[0]
        if step.op == "multiply" and exponent in {2.0, 3.0}:
            a, b = step.inputs[0], step.inputs[-1]
            if exponent == 2.0:
                return a if a == b else None
            for x, square in ((a, b), (b, a)):
                if self.power_of(square, 2.0) == x:
                    return x
        return None

    def factors(self, number: int, depth: int = 4) -> tuple[list[int], float]:
        """Return the factors of a product, and the number that they are multiplied by."""
        number, factor = self.times(number)
        step = self[number]
        if step.op != "multiply" or not depth:
            return [number], factor
        found: list[int] = []
        for i in step.inputs:
            inner, more = self.factors(i, depth - 1)
            found += inner
            factor *= more
        return found, factor


def fold(steps: Steps, rules: Sequence[Callable[[Steps, int], bool]]) -> None:
    """Replace every form that is known by its layer; each rule says whether it turned a step."""
    for number in list(steps.builder.steps):
        for rule in rules:
            if rule(steps, number):
                steps.count()
                break


def become(step: Step, op: str, x: int, **attributes: str | float) -> bool:
    """Turn the last step of a form into the layer that the form is."""
    step.op, step.inputs, step.parts, step.attributes = op, [x], [], dict(attributes)
    return True


def product(steps: Steps, number: int) -> bool:
    """SiLU, GELU in both forms, hard swish, Mish: all are x times a function of x."""
    step = steps[number]
    if step.op not in {"multiply", "scale"} or step.parts:
        return False
    factors, by = steps.factors(number)
    if len(factors) != 2:
        return False
    for x, gate in (factors, factors[::-1]):
        for function, matches in GATES.items():
            if matches(steps, x, gate, by):
                return become(step, "activation", x, function=function)
    return False


def _silu(steps: Steps, x: int, gate: int, by: float) -> bool:
    return by == 1.0 and steps.function_of(gate, "sigmoid") == x


def _quick(steps: Steps, x: int, gate: int, by: float) -> bool:
    inner = steps.function_of(gate, "sigmoid")
    if inner is None or by != 1.0:
        return False
    base, factor = steps.times(inner)
    return base == x and near(factor, 1.702)


def _one_more(steps: Steps, gate: int, by: float) -> int | None:
    """Return f where the gate times its factor is (1 + f) / 2."""
    total = steps.sum_with(gate)
    return total[0] if total is not None and total[1] == 1.0 and near(by, 0.5) else None


def _gelu(steps: Steps, x: int, gate: int, by: float) -> bool:
    inner = _one_more(steps, gate, by)
    argument = None if inner is None else steps.input_of(inner, "erf")
    if argument is None:
        return False
    base, factor = steps.times(argument)
    return base == x and near(factor, math.sqrt(0.5))


def _gelu_tanh(steps: Steps, x: int, gate: int, by: float) -> bool:
    inner = _one_more(steps, gate, by)
    argument = None if inner is None else steps.function_of(inner, "tanh")
    if argument is None:
        return False
    base, factor = steps.times(argument)
    if not near(factor, math.sqrt(2.0 / math.pi)) or steps[base].op != "add":
        return False
    for linear, cubic in (steps[base].inputs, steps[base].inputs[::-1]):
        cube, small = steps.times(cubic)
        if linear == x and near(small, 0.044715) and steps.power_of(cube, 3.0) == x:
            return True
    return False


def _hardswish(steps: Steps, x: int, gate: int, by: float) -> bool:
    if by == 1.0 and steps.function_of(gate, "hardsigmoid") == x:
        return True
    inner = steps.function_of(gate, "relu6")
    return inner is not None and near(by, 1.0 / 6.0) and steps.sum_with(inner) == (x, 3.0)


def _mish(steps: Steps, x: int, gate: int, by: float) -> bool:
    inner = steps.function_of(gate, "tanh")
    return by == 1.0 and inner is not None and steps.function_of(inner, "softplus") == x


GATES: dict[str, Callable[[Steps, int, int, float], bool]] = {
    "silu": _silu, "quick_gelu": _quick, "gelu": _gelu, "gelu_tanh": _gelu_tanh,
    "hardswish": _hardswish, "mish": _mish,
}  # fmt: skip


def softplus(steps: Steps, number: int) -> bool:
    """Fold a softplus that passes large numbers through: x where x > 20, else softplus."""
    step = steps[number]
    if step.op != "where" or len(step.inputs) != 3:
        return False
    condition, x, y = step.inputs
    limit = steps[condition].attributes.get("limit")
    fits = steps[condition].op == "greater" and steps[condition].inputs == [x]
    if fits and isinstance(limit, float) and limit > 10.0 and steps.function_of(y, "softplus") == x:
        return become(step, "activation", x, function="softplus")
    return False


def squared_relu(steps: Steps, number: int) -> bool:
    """The square of a ReLU."""
    x = steps.power_of(number, 2.0)
    inner = None if x is None else steps.function_of(x, "relu")
    return inner is not None and become(steps[number], "activation", inner, function="relu2")


FORMS: tuple[Callable[[Steps, int], bool], ...] = (product, softplus, squared_relu)
"""Forms of activations; of those that fit a step the first counts."""
