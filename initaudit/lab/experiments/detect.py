"""How to tell a bad start during training: the statistics that give it away, step by step."""

from __future__ import annotations

import math

from initaudit.lab.nets import audited, opened, stack
from initaudit.lab.results import Claim, Curves, Named, Result, Series, Table, claim, named, shown
from initaudit.lab.settings import Settings, chosen
from initaudit.lab.tasks import classify
from initaudit.lab.train import Course, optimiser, train
from initaudit.lab.watch import Watch

TITLE = "Telling a bad start during training"
ABOUT = (
    "Ten hidden layers, ten classes, one learning rate: a sound start beside bad ones. Watch the "
    "loss against that of guessing (ln of the number of classes), the gradient at the first hidden "
    "layer and at the last, and how alike the units of the last hidden layer are."
)
CLASSES = 10
BAD = ("normal_(0, 0.01)", "uniform_(0, 1)", "0.5")
WANTED = {"normal_(0, 0.01)": ("IA103",), "uniform_(0, 1)": ("IA105",), "0.5": ("IA102",)}


def run(settings: Settings) -> Result:
    """Train a sound start and bad ones, and watch."""
    activation = chosen(settings.activation, "tanh")
    sound = {"relu": "he", "selu": "lecun", "sigmoid": "4 x xavier"}.get(activation, "xavier")
    bad = BAD if settings.initialiser is None else (settings.initialiser,)
    watches: dict[str, Watch] = {}
    courses: dict[str, Course] = {}
    audits: list[Named] = []
    for text in (sound, *bad):
        watches[text], courses[text], found = _watched(activation, text, settings)
        audits.append(found)
    guess = math.log(CLASSES)
    numbers: dict[str, float] = {}
    rows: list[tuple[str, ...]] = []
    for text, watch in watches.items():
        ends = {
            "first loss": watch.losses[0],
            "last loss": watch.losses[-1],
            "first-layer gradient": watch.gradient_first[0],
            "last-layer gradient": watch.gradient_last[0],
            "alike": watch.alike[0],
            "alike at the end": watch.alike[-1],
            "silent": watch.silent[-1],
        }
        numbers |= {f"{text} {what}": value for what, value in ends.items()}
        rows.append((text, *(shown(value) for value in ends.values())))
    header = ("start", "loss, first", "loss, last", "gradient, first layer", "gradient, last",
              "units alike", "at the end", "silent")  # fmt: skip
    return Result(
        "detect",
        TITLE,
        ABOUT,
        (_sound(sound, watches[sound], guess), *(_bad(t, watches[t], guess) for t in bad)),
        (
            Curves(f"Loss (guessing: {guess:.2f})", "step", _lines(watches, "losses"), log=True),
            Curves("Gradient at the first hidden layer, RMS", "step",
                   _lines(watches, "gradient_first"), log=True),
            Curves("How alike the last hidden units are (mean |correlation|)", "step",
                   _lines(watches, "alike")),
            Table("First and last step", header, tuple(rows)),
        ),
        tuple(audits),
        numbers,
        "A loss that stays at ln C, a first-layer gradient below 1e-8 or exactly zero, units that "
        "correlate at 1: none of them needs more than a few steps to show.",
    )  # fmt: skip


def _watched(activation: str, text: str, settings: Settings) -> tuple[Watch, Course, Named]:
    width, depth = chosen(settings.width, 64), chosen(settings.depth, 10)
    arrays = stack(width, width, depth, CLASSES, activation, text, seed=settings.seed).arrays()
    network = opened(arrays, activation)
    watch = Watch(network, every=2)
    by = optimiser(settings.optimiser or "momentum", chosen(settings.rate, 0.05))
    task = classify(network, 256, CLASSES, settings.seed)
    course = train(network, arrays, task, by, chosen(settings.steps, 120), watch, batch=128)
    return watch, course, named(text, audited(arrays, activation), WANTED.get(text, ()))


def _sound(text: str, watch: Watch, guess: float) -> Claim:
    return claim(
        f"{text}: the loss leaves that of guessing, the gradient reaches the first layer, units "
        "stay apart",
        f"loss {shown(watch.losses[0])} -> {shown(watch.losses[-1])}; gradient "
        f"{shown(watch.gradient_first[0])} at the first layer; units alike "
        f"{shown(watch.alike[0])}",
        holds=watch.losses[-1] < 0.5 * guess
        and watch.gradient_first[0] > 1e-5
        and max(watch.alike) < 0.7,
    )


def _bad(text: str, watch: Watch, guess: float) -> Claim:
    return claim(
        f"{text}: the loss stays at that of guessing or above, and at the first step already the "
        "gradient is gone or all units say the same",
        f"loss {shown(watch.losses[0])} -> {shown(watch.losses[-1])}; gradient "
        f"{shown(watch.gradient_first[0])} at the first layer, "
        f"{shown(watch.gradient_last[0])} at the last; units alike {shown(watch.alike[0])}",
        holds=watch.losses[-1] > 0.9 * guess
        and (watch.gradient_first[0] < 1e-8 or watch.alike[0] > 0.99),
    )


def _lines(watches: dict[str, Watch], what: str) -> tuple[Series, ...]:
    return tuple(
        Series(text, tuple(map(float, watch.steps[: len(getattr(watch, what))])),
               tuple(getattr(watch, what)))
        for text, watch in watches.items()
    )  # fmt: skip
