"""One constant in all weights: many units that act as one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from initaudit.lab.nets import Arrays, Plain, audited, opened
from initaudit.lab.results import Claim, Curves, Panel, Plane, Result, Series, claim, named, shown
from initaudit.lab.settings import Settings, chosen
from initaudit.lab.tasks import Points, Task, circles, moons, one_hot
from initaudit.lab.train import Course, Now, input_of, optimiser, output_of, train
from initaudit.lab.watch import difference
from initaudit.network import Network
from initaudit.replica.points import hidden
from initaudit.special import Array

TITLE = "All weights one constant"
ABOUT = (
    "Points of the plane in two classes. Units with equal weights get equal gradients, for ever: "
    "a hidden layer of them is one unit, and one unit of a monotone activation can only draw a "
    "straight boundary."
)
POINTS, CELLS = 400, 48
SETS: dict[str, Callable[[int, int], Points]] = {"two moons": moons, "circles": circles}


def run(settings: Settings) -> Result:
    """Train from a constant, from a sound start and a logistic regression on both sets."""
    start = chosen(settings.initialiser, "0.5")
    activation = chosen(settings.activation, "tanh")
    width, depth = chosen(settings.width, 16), chosen(settings.depth, 1)
    widths = (2, *[width] * depth, 2)
    sound = "he" if activation == "relu" else "xavier"
    equal = Plain(widths, activation, (start,), settings.seed).arrays()
    proper = Plain(widths, activation, (sound,), settings.seed).arrays()
    line = Plain((2, 2), activation, ("0",), settings.seed).arrays()
    claims: list[Claim] = []
    planes: list[Plane] = []
    numbers: dict[str, float] = {}
    curves: list[Series] = []
    for name, make in SETS.items():
        points = make(POINTS, settings.seed)
        seen = _Seen(opened(equal, activation))
        courses = {
            f"all {start}": _trained(equal, activation, points, settings, seen),
            sound: _trained(proper, activation, points, settings),
            "logistic regression": _trained(line, activation, points, settings),
        }
        reached = [course.accuracies[-1] for course in courses.values()]
        best = best_line(points)
        panels = [
            _panel(f"{label}: {course.accuracies[-1]:.1%}", opened(arrays, activation), course,
                   points)
            for (label, course), arrays in zip(courses.items(), (equal, proper, line), strict=True)
        ]  # fmt: skip
        straight = _is_straight(panels[0], courses[f"all {start}"].weights["fc1.weight"][0])
        numbers |= {
            f"{name} straight": float(straight),
            f"{name} best line": best,
            f"{name} unit difference": seen.units,
            f"{name} weight difference": seen.weights,
            f"{name} accuracy": reached[0],
            f"{name} accuracy proper": reached[1],
            f"{name} accuracy logistic": reached[2],
        }
        claims += [_alike(name, seen), _straight(name, reached, best, straight=straight)]
        planes.append(Plane(f"What each network says on {name}", tuple(panels)))
        curves += [
            Series(f"{name}: {label}", tuple(map(float, range(len(c.losses)))), c.losses)
            for label, c in courses.items()
        ]
    wanted = ("IA102", "IA201") if settings.initialiser is None else ()
    return Result(
        "constant",
        TITLE,
        ABOUT,
        tuple(claims),
        (*planes, Curves("Loss", "step", tuple(curves))),
        (
            named(f"{activation}, all {start}", audited(equal, activation), wanted),
            named(f"{activation}, {sound}", audited(proper, activation)),
        ),
        numbers,
        "Random weights are what makes units differ; no optimiser does it for them.",
    )


class _Seen:
    """The largest differences over a training: between units, and between their weights."""

    def __init__(self, network: Network) -> None:
        self.units = self.weights = 0.0
        self._names = [point.behind for point in hidden(network)]

    def __call__(self, now: Now) -> None:
        for name in self._names:
            if name in now.tape.outputs:
                self.units = max(self.units, difference(now.tape.outputs[name]))
        first = now.weights["fc1.weight"]
        self.weights = max(self.weights, float(np.ptp(first, axis=0).max()))


def _trained(
    arrays: Arrays,
    activation: str,
    points: Points,
    settings: Settings,
    seen: _Seen | None = None,
) -> Course:
    network = opened(arrays, activation)
    task = Task("points", {input_of(network): points.x}, one_hot(points.labels, 2), classes=True)
    by = optimiser(settings.optimiser or "momentum", chosen(settings.rate, 0.1))
    return train(network, arrays, task, by, chosen(settings.steps, 800), seen)


def _alike(name: str, seen: _Seen) -> Claim:
    return claim(
        f"{name}: the hidden units stay equal at every step",
        f"largest difference between two units {shown(seen.units)}, "
        f"between their weights of one input {shown(seen.weights)}",
        holds=max(seen.units, seen.weights) <= 1e-12,
    )


def _straight(name: str, reached: list[float], best: float, *, straight: bool) -> Claim:
    return claim(
        f"{name}: the boundary is one straight line, where a sound start bends",
        f"{'straight' if straight else 'not straight'}; accuracy {reached[0]:.1%} (logistic "
        f"regression {reached[2]:.1%}, best of all lines {best:.1%}, sound start {reached[1]:.1%})",
        holds=straight and reached[0] <= best < reached[1],
    )


def best_line(points: Points, angles: int = 360) -> float:
    """Return the share of points that the best straight line gets right, over many directions."""
    best = 0.0
    for angle in np.linspace(0.0, 2.0 * np.pi, angles, endpoint=False):
        order = np.argsort(points.x @ np.array([np.cos(angle), np.sin(angle)]))
        labels = points.labels[order]
        # Zeros below the line and ones above it.
        right = np.cumsum(labels == 0) + labels.sum() - np.cumsum(labels == 1)
        best = max(best, float(max(right.max(), labels.sum()) / len(labels)))
    return best


def _is_straight(panel: Panel, direction: Array) -> bool:
    """Return whether a threshold along a direction splits the classes of all cells."""
    left, right, _, _ = panel.reach
    along = np.linspace(left, right, CELLS)
    x, y = np.meshgrid(along, -along)
    height = direction[0] * x + direction[1] * y
    classes = np.array(panel.classes)
    ones, zeros = height[classes == 1], height[classes == 0]
    if not ones.size or not zeros.size:
        return True
    return bool(ones.min() >= zeros.max() or zeros.min() >= ones.max())


def _panel(label: str, network: Network, course: Course, points: Points) -> Panel:
    reach = 1.1 * float(np.abs(points.x).max())
    along = np.linspace(-reach, reach, CELLS)
    grid: Array = np.stack(np.meshgrid(along, -along), -1).reshape(-1, 2)
    classes = output_of(network, course.weights, grid).argmax(1).reshape(CELLS, CELLS)
    return Panel(
        label,
        tuple(tuple(int(c) for c in row) for row in classes),
        tuple(
            (float(x), float(y), int(c)) for (x, y), c in zip(points.x, points.labels, strict=True)
        ),
        (-reach, reach, -reach, reach),
    )
