"""A start that learns, but takes many times the steps."""

from __future__ import annotations

from initaudit.lab.nets import Arrays, audited, opened, stack
from initaudit.lab.results import Curves, Named, Result, Series, Table, claim, named, shown
from initaudit.lab.settings import OptimiserName, Settings, chosen
from initaudit.lab.tasks import classify
from initaudit.lab.train import Course, optimiser, train

TITLE = "Slow, not dead"
ABOUT = (
    "Four hidden layers of ReLU on ten classes, full batches. A start a little too small still "
    "learns: the gradient is weak, so the first steps do little, until the weights have grown. "
    "Counted: the steps to the same loss. Adam divides the gradient's size out and hides most."
)
CLASSES, AIM = 10, 0.5
STARTS = ("he", "xavier", "default", "normal_(0, 0.05)")


def run(settings: Settings) -> Result:
    """Count the steps from a sound start and from weaker ones, under two optimisers."""
    activation = chosen(settings.activation, "relu")
    steps = chosen(settings.steps, 1200)
    sound = {"tanh": "xavier", "selu": "lecun", "sigmoid": "4 x xavier"}.get(activation, "he")
    own = (sound, *(s for s in STARTS if s not in (sound, "he")))
    starts = own if settings.initialiser is None else (sound, settings.initialiser)
    plain: OptimiserName = settings.optimiser or "sgd"
    rate = chosen(settings.rate, 0.001 if plain == "adam" else 0.1)
    courses = {s: _trained(activation, s, settings, plain, rate, steps) for s in starts}
    adam = {s: _trained(activation, s, settings, "adam", 0.001, min(steps, 300)) for s in starts}
    numbers: dict[str, float] = {}
    rows: list[tuple[str, ...]] = []
    audits: list[Named] = []
    for text in starts:
        arrays = _net(activation, text, settings)
        wanted = ("IA106",) if text in ("default", "normal_(0, 0.05)") else ()
        audits.append(named(text, audited(arrays, activation), wanted))
        row = [text]
        for label, found in (("plain", courses), ("adam", adam)):
            count, best = found[text].steps_to(AIM), found[sound].steps_to(AIM)
            ratio = None if count is None or not best else count / best
            numbers |= {} if ratio is None else {f"{text} {label}": ratio}
            row += [
                "never" if count is None else f"{count}",
                "-" if ratio is None else shown(ratio),
            ]
        rows.append(tuple(row))
    slow = starts[-1]
    times, under_adam = (numbers.get(f"{slow} {label}") for label in ("plain", "adam"))
    header = ("start", f"steps, {plain}", "ratio", "steps, adam", "ratio")
    return Result(
        "slow",
        TITLE,
        ABOUT,
        (
            claim(
                f"{slow}: the same loss ({AIM:g}), after more than five times the steps of {sound}",
                f"{_count(courses[sound])} steps from {sound}, {_count(courses[slow])} from "
                f"{slow}: {shown(times)} times as many",
                holds=times is not None and times > 5.0,
            ),
            claim(
                "under Adam less than three times as many: the size of the gradient is divided out",
                f"{_count(adam[sound])} and {_count(adam[slow])} steps: "
                f"{shown(under_adam)} times as many",
                holds=under_adam is not None and under_adam < 3.0,
            ),
        ),
        (
            Curves(f"Loss under {plain}", "step", _lines(courses)),
            Curves("Loss under adam", "step", _lines(adam)),
            Table(f"Steps to a loss of {AIM:g}", header, tuple(rows)),
        ),
        tuple(audits),
        numbers,
        "A note about the gain is worth reading when training is slow to begin.",
    )


def _net(activation: str, text: str, settings: Settings) -> Arrays:
    width, depth = chosen(settings.width, 64), chosen(settings.depth, 4)
    return stack(width, width, depth, CLASSES, activation, text, seed=settings.seed).arrays()


def _trained(
    activation: str, text: str, settings: Settings, by: OptimiserName, rate: float, steps: int
) -> Course:
    arrays = _net(activation, text, settings)
    network = opened(arrays, activation)
    task = classify(network, 256, CLASSES, settings.seed)
    return train(network, arrays, task, optimiser(by, rate), steps, until=AIM / 2.0)


def _count(course: Course) -> str:
    count = course.steps_to(AIM)
    return "never" if count is None else str(count)


def _lines(courses: dict[str, Course]) -> tuple[Series, ...]:
    return tuple(
        Series(text, tuple(map(float, range(len(c.losses)))), c.losses)
        for text, c in courses.items()
    )
