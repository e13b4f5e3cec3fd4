"""All weights zero: nothing behind them learns, and when that is no fault."""

from __future__ import annotations

import numpy as np

from initaudit.lab.nets import Arrays, Plain, audited, opened
from initaudit.lab.results import Claim, Curves, Named, Result, Series, Table, claim, named, shown
from initaudit.lab.settings import Settings, chosen
from initaudit.lab.tasks import Task, salaries
from initaudit.lab.train import Course, Now, input_of, optimiser, train
from initaudit.lab.watch import difference
from initaudit.replica.points import hidden

TITLE = "All weights zero"
ABOUT = (
    "Two inputs (CGPA, IQ), two hidden units, one output (salary): squared error, full batches. "
    "The gradient of a weight is what comes back through its unit times what goes in. From zeros "
    "one of both is zero everywhere but at the output's bias."
)
PEOPLE = 200


def run(settings: Settings) -> Result:
    """Train from zeros under each activation, and where zeros are no fault."""
    steps, width = chosen(settings.steps, 200), chosen(settings.width, 2)
    widths = (2, *[width] * chosen(settings.depth, 1), 1)
    start = chosen(settings.initialiser, "0")
    claims: list[Claim] = []
    curves: list[Series] = []
    audits: list[Named] = []
    rows: list[tuple[str, ...]] = []
    numbers: dict[str, float] = {}
    for activation in settings.activations("relu", "tanh", "sigmoid"):
        arrays = Plain(widths, activation, (start,), settings.seed).arrays()
        seen = _Seen(arrays)
        course = _trained(arrays, activation, settings, steps, seen)
        numbers |= {
            f"{activation} largest weight": seen.largest,
            f"{activation} unit difference": seen.apart,
            f"{activation} loss": course.losses[-1],
        }
        claims.append(_claim(activation, seen, len(course.losses) - 1, start))
        rows.append((activation, shown(seen.largest), shown(seen.apart), shown(course.losses[-1])))
        curves.append(_series(activation, course))
        wanted = ("IA101",) if start == "0" else ()
        audits.append(named(f"{activation}, weights {start}", audited(arrays, activation), wanted))
    legal = _legal(settings, steps)
    for label, arrays, activation, course, silent in legal:
        report = audited(arrays, activation)
        audits.append(named(label, report) if silent else named(label, report, ("IA303",)))
        zero_rule = any(f.rule == "IA101" for f in report.findings)
        numbers |= {f"{label} loss": course.losses[-1], f"{label} IA101": float(zero_rule)}
        rows.append((label, shown(_largest(course.weights)), "-", shown(course.losses[-1])))
        curves.append(_series(label, course))
        claims.append(
            claim(
                f"{label}: it learns, for zeros are the only degenerate factor on their path",
                f"loss {shown(course.losses[0])} -> {shown(course.losses[-1])}; "
                f"IA101 {'fires' if zero_rule else 'is silent'}",
                holds=course.losses[-1] < 0.5 * course.losses[0] and not zero_rule,
            )
        )
    header = ("network", "largest |weight|", "largest difference of units", "loss")
    return Result(
        "zero",
        TITLE,
        ABOUT,
        tuple(claims),
        (
            Table(f"After {steps} steps", header, tuple(rows)),
            Curves("Loss", "step", tuple(curves)),
        ),
        tuple(audits),
        numbers,
        "Zero two weights in a row, or one in front of a rectifier, and nothing there ever learns. "
        "A linear model, a head or a single layer under tanh may start at zero.",
    )


class _Seen:
    """The largest weight, and the largest difference between two hidden units at any step."""

    def __init__(self, arrays: Arrays) -> None:
        self.largest = _largest(arrays)
        self.apart = 0.0
        self.network = opened(arrays, "relu")

    def __call__(self, now: Now) -> None:
        self.largest = max(self.largest, _largest(now.weights))
        for point in hidden(self.network):
            if point.behind in now.tape.outputs:
                self.apart = max(self.apart, difference(now.tape.outputs[point.behind]))


def _largest(arrays: object) -> float:
    """Return the largest absolute value of all weights, biases left out."""
    assert isinstance(arrays, dict)  # noqa: S101
    return max(float(np.abs(a).max()) for a in arrays.values() if a.ndim > 1)


def _trained(
    arrays: Arrays, activation: str, settings: Settings, steps: int, seen: _Seen | None = None
) -> Course:
    network = opened(arrays, activation)
    x, y = salaries(PEOPLE, settings.seed)
    task = Task("salary", {input_of(network): x}, y, classes=False)
    rate, name = chosen(settings.rate, 0.1), settings.optimiser or "sgd"
    return train(network, arrays, task, optimiser(name, rate), steps, seen)


def _claim(activation: str, seen: _Seen, steps: int, start: str) -> Claim:
    if activation in ("sigmoid", "hardsigmoid", "softplus"):
        return claim(
            f"{activation}: weights move, but the hidden units stay identical",
            f"largest difference between two units at any of {steps} steps: {shown(seen.apart)}; "
            f"largest |weight| {shown(seen.largest)}",
            holds=seen.apart <= 1e-12 and seen.largest > 0.0,
        )
    return claim(
        f"{activation}: every weight is still exactly zero",
        f"largest |weight| at any of {steps} steps from {start}: {shown(seen.largest)}",
        holds=seen.largest == 0.0,
    )


def _legal(settings: Settings, steps: int) -> list[tuple[str, Arrays, str, Course, bool]]:
    """Return networks with zeros that learn: label, weights, activation, course, no warning."""
    linear = Plain((2, 1), "tanh", ("0",), settings.seed).arrays()
    wide = (2, 8, 1)
    head = Plain(wide, "tanh", ("xavier", "0"), settings.seed).arrays()
    layer = Plain(wide, "tanh", ("0", "xavier"), settings.seed).arrays()
    return [
        (label, arrays, "tanh", _trained(arrays, "tanh", settings, steps), silent)
        for label, arrays, silent in (
            ("a linear model from zeros", linear, True),
            ("a zero head under tanh", head, True),
            ("one zero layer under tanh", layer, False),
        )
    ]


def _series(label: str, course: Course) -> Series:
    return Series(label, tuple(map(float, range(len(course.losses)))), course.losses)
