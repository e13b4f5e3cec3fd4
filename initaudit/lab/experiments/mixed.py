"""Different initialisers in different layers: what happens at the joint."""

from __future__ import annotations

import numpy as np

from initaudit.lab.layers import gradients, list_of, outputs
from initaudit.lab.nets import Plain, audited, opened
from initaudit.lab.results import Claim, Curves, Named, Result, Series, claim, named, shown
from initaudit.lab.settings import Settings, chosen
from initaudit.lab.train import TrainError
from initaudit.lab.watch import similarity

TITLE = "Different initialisers in different layers"
ABOUT = (
    "Each layer multiplies the power of the signal by its own factor, whatever the others are. So "
    "one weak layer costs once and the rest carry on; a stack of weak ones costs at each; and one "
    "layer that saturates or lines up all units cannot be undone behind it."
)
_SHALLOWEST = 4
SMALL, LARGE = "normal_(0, 0.01)", "uniform_(0, 1)"


def run(settings: Settings) -> Result:
    """Measure four mixtures of two initialisers."""
    depth, width = chosen(settings.depth, 10), chosen(settings.width, 200)
    weak = chosen(settings.initialiser, SMALL)
    joint = depth // 2
    if depth < _SHALLOWEST:
        raise TrainError(f"a joint needs {_SHALLOWEST} hidden layers at least")
    whole = ("he",) * (depth + 1)
    half = ("he",) * joint + ("xavier",) * (depth + 1 - joint)
    one = (*("he",) * joint, weak, *("he",) * (depth - joint))
    large = (*("xavier",) * joint, LARGE, *("xavier",) * (depth - joint))
    cases = (
        ("He throughout", "relu", whole, ()),
        (f"He, then Xavier from layer {joint + 1}", "relu", half, ()),
        (f"He, but layer {joint + 1} {weak}", "relu", one, ()),
        (f"Xavier, but layer {joint + 1} {LARGE}", "tanh", large, ("IA105",)),
    )
    curves: list[Series] = []
    back: list[Series] = []
    units: list[Series] = []
    audits: list[Named] = []
    powers: list[list[float]] = []
    alike: list[float] = []
    numbers: dict[str, float] = {}
    for label, activation, starts, wanted in cases:
        net = Plain((width, *[width] * depth, 10), activation, starts, settings.seed)
        arrays = net.arrays()
        values = outputs(opened(arrays, activation), arrays.__getitem__)
        power = [float(np.square(x).mean()) for x in values]
        report = audited(arrays, activation)
        alike = [similarity(x) for x in values]
        numbers |= {f"{label} alike {i}": a for i, a in enumerate(alike, 1)}
        units.append(_series(label, alike))
        powers.append(power)
        numbers |= {f"{label} power {i}": p for i, p in enumerate(power, 1)}
        curves.append(_series(label, power))
        back.append(_series(label, gradients(report)))
        audits.append(named(f"{label} ({activation})", report, wanted))
    return Result(
        "mixed",
        TITLE,
        ABOUT,
        _claims(powers, alike, joint, width, numbers),
        (
            Curves("Power of the signal by layer", "layer", tuple(curves), log=True),
            Curves("Gradient's standard deviation by layer", "layer", tuple(back), log=True),
            Curves("How alike the units are (mean |correlation|)", "layer", tuple(units)),
        ),
        tuple(audits),
        numbers,
        "Initialisers may be mixed as long as each suits the activation behind its own layer.",
    )


def _claims(
    powers: list[list[float]],
    alike: list[float],
    joint: int,
    width: int,
    numbers: dict[str, float],
) -> tuple[Claim, ...]:
    whole, half, one, _ = (np.array(p) for p in powers)
    steps = half[1:] / half[:-1]
    before, behind = float(np.median(steps[: joint - 1])), float(np.median(steps[joint - 1 :]))
    drop = float(one[joint] / whole[joint])
    kept = float(one[-1] / one[joint] / (whole[-1] / whole[joint]))
    expected = 0.01**2 * width / 2.0
    numbers |= {"factor before": before, "factor behind": behind, "drop": drop, "kept": kept}
    return (
        claim(
            "He, then Xavier under ReLU: the power keeps to 1 a layer before the joint and halves "
            "at each layer behind it",
            f"factor {shown(before)} before, {shown(behind)} behind",
            holds=0.8 < before < 1.25 and 0.4 < behind < 0.6,
        ),
        claim(
            f"one weak layer among He: the power falls once, to {shown(expected)} "
            "(std^2 fan_in / 2), and keeps its level behind",
            f"falls to {shown(drop)}; from there to the last layer x {shown(kept)} of He's own",
            holds=0.8 < drop / expected < 1.25 and 0.67 < kept < 1.5,
        ),
        claim(
            "one U[0, 1] layer among Xavier under tanh: units grow alike at the joint (linear "
            "units: 0.75), and behind it stay more than twice as alike as before",
            f"mean |correlation| of units by layer: {list_of(alike)}",
            holds=alike[joint] > 0.5 and min(alike[joint:]) > 2.0 * max(alike[:joint]),
        ),
    )


def _series(label: str, values: list[float]) -> Series:
    return Series(label, tuple(float(i) for i in range(1, len(values) + 1)), tuple(values))
