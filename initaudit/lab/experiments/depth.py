"""How deep each initialiser carries each activation, measured against the depth scale."""

from __future__ import annotations

import math

import numpy as np

from initaudit.lab.initialisers import start
from initaudit.lab.nets import audited, opened, stack
from initaudit.lab.results import Heat, Result, Table, claim, named
from initaudit.lab.settings import Settings, chosen
from initaudit.replica.engine import backward, forward
from initaudit.replica.inputs import draw, generator
from initaudit.replica.loading import loader
from initaudit.replica.points import below_heads, hidden
from initaudit.signal import ACTIVATIONS, depth_scale

TITLE = "How deep a start carries"
ABOUT = (
    "In a deep plain stack the power of the gradient changes by a factor chi a layer; the depth "
    "scale is 1 / |ln chi| layers, and about six of them can be trained (Schoenholz et al. 2017). "
    "Measured: the slope of the log of the gradient's power over the layers of one drawn network, "
    "in its deeper half. In the cells: six measured depth scales / six by theory."
)
STARTS = ("default", "xavier", "he", "lecun", "normal_(0, 0.01)", "4 x xavier")
OWN = ("relu", "tanh", "sigmoid", "gelu", "selu", "softplus")
SCALES = 6
MOST = 99.0
_INPUTS = 64


def run(settings: Settings) -> Result:
    """Measure one deep network for each pair."""
    depth, width = chosen(settings.depth, 40), chosen(settings.width, 200)
    starts = STARTS if settings.initialiser is None else (settings.initialiser,)
    shown_activations = settings.activations(*OWN)
    values: list[tuple[float | None, ...]] = []
    texts: list[tuple[str, ...]] = []
    rows: list[tuple[str, ...]] = []
    numbers: dict[str, float] = {}
    off: list[tuple[float, str]] = []
    for text in starts:
        line: list[float | None] = []
        cells: list[str] = []
        for activation in shown_activations:
            slope = measured_slope(text, activation, depth, width, settings.seed)
            theory = theory_slope(text, activation, depth, width)
            label = f"{text}, {activation}"
            numbers |= {f"{label} measured": slope, f"{label} theory": theory}
            off.append((abs(slope - theory), label))
            line.append(reach(slope))
            cells.append(f"{_layers(reach(slope))}/{_layers(reach(theory))}")
            rows.append((text, activation, f"{slope / math.log(10):+.3f}",
                         f"{theory / math.log(10):+.3f}"))  # fmt: skip
        values.append(tuple(line))
        texts.append(tuple(cells))
    worst, where = max(off)
    numbers["largest error"] = worst
    deep = stack(width, width, depth, 10, "tanh", "default", seed=settings.seed)
    header = ("initialiser", "activation", "measured", "theory")
    return Result(
        "depth",
        TITLE,
        ABOUT,
        (
            claim(
                "the measured slope is that of the depth scale, within 0.1 decades a layer",
                f"largest difference {worst / math.log(10):.3f} decades a layer ({where})",
                holds=worst / math.log(10) < 0.1,
            ),
        ),
        (
            Heat(
                f"Hidden layers that the gradient passes (measured/theory, up to {MOST:g})",
                starts,
                shown_activations,
                tuple(values),
                tuple(texts),
                MOST,
            ),
            Table("Decades of the gradient's power a layer", header, tuple(rows)),
        ),
        (
            named(
                f"tanh, PyTorch's default, {depth} hidden layers",
                audited(deep.arrays(), "tanh"),
                ("IA205",) if depth >= 20 else (),
            ),
        ),
        numbers,
        "Where the depth scale is short no learning rate helps: change the gain, or put in norms "
        "or skip connections.",
    )


def measured_slope(text: str, activation: str, depth: int, width: int, seed: int) -> float:
    """Return the mean of ln of the gradient's power a layer, in the deeper half, going back."""
    arrays = stack(width, width, depth, 10, activation, text, seed=seed).arrays()
    network = opened(arrays, activation)
    load = loader(arrays.__getitem__)
    random = generator(seed)
    tape = forward(network, load, draw(network, _INPUTS, random))
    last = next((name for name in below_heads(network) if name in tape.shapes), None)
    if last is None:
        return math.nan
    cotangents = {last: random.standard_normal(tape.shapes[last])}
    before = [point.before for point in hidden(network)]
    powers: dict[str, float] = {}
    for step in backward(network, load, tape, cotangents):
        if step.layer.name in before:
            powers[step.layer.name] = float(np.square(step.d_output).mean())
    found = [powers.get(name, 0.0) for name in before]
    deeper = found[len(found) // 2 :]
    if len(deeper) < 2 or min(deeper[0], deeper[-1]) <= 0.0:
        return -math.inf
    return math.log(deeper[0] / deeper[-1]) / (len(deeper) - 1)


def theory_slope(text: str, activation: str, depth: int, width: int) -> float:
    """Return ln chi where a stack of this depth settles, by mean field."""
    one = start(text)
    fans = {"none": 1.0}
    variance = one.weights.scale.lo * width / fans.get(one.weights.fan, float(width))
    bias = one.bias
    shift = 0.0 if bias is None else bias.scale.lo / fans.get(bias.fan, float(width))
    chi = depth_scale(ACTIVATIONS[activation], variance, shift, depth * 3 // 4).chi
    return math.log(chi) if chi > 0.0 and math.isfinite(chi) else -math.inf


def reach(slope: float) -> float:
    """Return six depth scales, at most `MOST`."""
    if not math.isfinite(slope):
        return 0.0
    return MOST if abs(slope) * MOST <= SCALES else SCALES / abs(slope)


def _layers(value: float) -> str:
    return f"{value:.0f}" if value < MOST else f"{MOST:.0f}+"
