"""Sound starts: Xavier, He and LeCun, and where the advice for the sigmoid ends."""

from __future__ import annotations

from initaudit.finding import Report
from initaudit.lab.layers import activations, gradient_bars, gradients, histograms, spreads
from initaudit.lab.nets import audited, stack
from initaudit.lab.results import Claim, Named, Picture, Result, Table, claim, named, shown
from initaudit.lab.settings import Settings, chosen

TITLE = "Sound starts"
ABOUT = (
    "The variance of a layer's output is fan_in x Var(w) x the mean square of its input; Xavier "
    "keeps it under tanh, He under ReLU, LeCun under SELU, forward and back. A sigmoid's outputs "
    "have a mean of one half and its slope is at most one quarter: Xavier carries 4 hidden layers, "
    "not 10, where four times Xavier does."
)
CASES = (
    ("tanh", "xavier", 10, True),
    ("relu", "he", 10, True),
    ("selu", "lecun", 10, True),
    ("sigmoid", "xavier", 4, True),
    ("sigmoid", "xavier", 10, False),
    ("sigmoid", "4 x xavier", 10, True),
)
"""Activation, initialiser, hidden layers, and whether it is sound."""


def run(settings: Settings) -> Result:
    """Measure each case; with settings of one's own, that one alone."""
    width = chosen(settings.width, 500)
    claims: list[Claim] = []
    pictures: list[Picture] = []
    audits: list[Named] = []
    rows: list[tuple[str, ...]] = []
    numbers: dict[str, float] = {}
    for activation, text, depth, sound in _cases(settings):
        label = f"{activation}, {text}, {depth} hidden layers"
        net = stack(width, width, depth, 10, activation, text, seed=settings.seed)
        report = audited(net.arrays(), activation)
        std, grad = spreads(report) or [0.0], gradients(report)
        ranks = _ranks(report)
        fall = grad[0] / grad[-1] if grad and grad[-1] else 0.0
        rank = min(ranks, default=0.0)
        numbers |= {
            f"{label} first std": std[0],
            f"{label} last std": std[-1],
            f"{label} gradient ratio": fall,
            f"{label} rank": rank,
        }
        rows.append((label, shown(std[0]), shown(std[-1]), shown(fall), shown(rank)))
        found = named(label, report, () if sound else ("IA202", "IA205"))
        claims.append(_claim(label, found, fall, rank, sound=sound))
        audits.append(found)
        pictures.append(histograms(f"{label}: what each layer hands on", report))
        pictures.append(gradient_bars(f"{label}: gradient by layer", report))
    header = ("network", "std, first layer", "std, last", "gradient first / last", "least rank")
    return Result(
        "proper",
        TITLE,
        ABOUT,
        tuple(claims),
        (*pictures, Table("Signal and gradient", header, tuple(rows))),
        tuple(audits),
        numbers,
        "Match the initialiser to the activation; give a deep network of sigmoids four times "
        "Xavier, a norm, or another activation.",
    )


def _cases(settings: Settings) -> tuple[tuple[str, str, int, bool], ...]:
    if not (settings.activation or settings.initialiser or settings.depth):
        return CASES
    activation = chosen(settings.activation, "relu")
    own = {"relu": "he", "selu": "lecun"}.get(activation, "xavier")
    return ((activation, chosen(settings.initialiser, own), chosen(settings.depth, 10), True),)


def _ranks(report: Report) -> list[float]:
    ranks = [x.forward.effective_rank for x in activations(report) if x.forward]
    return [rank for rank in ranks if rank is not None]


def _claim(label: str, found: Named, fall: float, rank: float, *, sound: bool) -> Claim:
    measured = f"gradient first / last {shown(fall)}, least effective rank {shown(rank)}"
    if sound:
        healthy = 10**-2.5 < fall < 10**2.5 and rank > 1.1
        expected = f"{label}: the gradient stays within 10^2.5, units keep apart"
        return claim(expected, measured, holds=healthy and found.as_expected)
    expected = f"{label}: the gradient vanishes and all inputs come out on one line"
    return claim(expected, measured, holds=fall < 10**-2.5 and rank <= 1.05)
