"""The debugging checklist: four questions about a network's weights, answered with numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from initaudit.finding import Finding, LayerReport, NetworkReport
from initaudit.network import Origin
from initaudit.report.wording import number


@dataclass(frozen=True, slots=True)
class Clause:
    """A measured number as a clause, with the layer it was read at if there is one.

    ``value`` is None for a clause that measures nothing.
    """

    text: str
    value: float | None = None
    layer: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """One question, its answer (None where it cannot be given), the rules that say so, numbers."""

    question: str
    yes: bool | None
    rules: tuple[str, ...]
    numbers: tuple[Clause, ...]


def answers(network: NetworkReport, findings: Iterable[Finding]) -> tuple[Answer, ...]:
    """Return the four answers, from the findings at this network and from what was measured.

    Without a finding the answer is no only where finite numbers back it.
    """
    fired = {f.rule for f in findings}
    made = []
    for question, rules, numbers in _QUESTIONS:
        hit = tuple(sorted(fired & rules))
        if not hit and "IA101" in fired and _nothing_but_zeros(network):
            made.append(Answer(question, None, (), (Clause("every weight is zero"),)))
            continue
        clauses = numbers(network)
        values = [c.value for c in clauses if c.value is not None]
        backed = bool(values) and all(map(math.isfinite, values))
        yes = True if hit else False if backed and network.verdict != "unjudged" else None
        if network.origin is Origin.TRAINED and numbers in (_small, _large) and not hit:
            clauses.append(Clause("scale is not judged once trained"))
        made.append(Answer(question, yes, hit, tuple(clauses)))
    return tuple(made)


def _zero(network: NetworkReport) -> list[Clause]:
    known = _known(network)
    if not known:
        return []
    zero = [x for x in known if _all_zero(x)]
    return [Clause(f"weights all zero: {len(zero):,} of {len(known):,}", len(zero))]


def _same(network: NetworkReport) -> list[Clause]:
    clauses: list[Clause] = []
    if network.effective_rank_min is not None:
        text = f"smallest effective rank {number(network.effective_rank_min)}"
        if network.effective_rank_min_after_probe is not None:
            text += f" ({number(network.effective_rank_min_after_probe)} after the probe)"
        clauses.append(Clause(text, network.effective_rank_min))
    tensors = [x.tensor for x in network.layers if x.tensor is not None and not _all_zero(x)]
    units = [t.rows for t in tensors if t.rows is not None]
    if units:
        equal, every = sum(u.duplicated for u in units), sum(u.count for u in units)
        clauses.append(Clause(f"equal units: {equal:,} of {every:,}", equal))
    return clauses


def _small(network: NetworkReport) -> list[Clause]:
    return [*_gain(network, "smallest", min), *_ratios(network, grown=False)]


def _large(network: NetworkReport) -> list[Clause]:
    clauses = [*_gain(network, "largest", max), *_ratios(network, grown=True)]
    if network.sensitivity is not None:
        clauses.append(Clause(f"sensitivity {number(network.sensitivity)}", network.sensitivity))
    return clauses


def _gain(
    network: NetworkReport,
    word: str,
    choose: Callable[[Iterable[float]], float],
) -> list[Clause]:
    """Return the extreme gain of the layers that are not all zero, which are another matter."""
    gains = [
        (x.gain, x.name)
        for x in network.layers
        if x.gain is not None and not math.isnan(x.gain) and not _all_zero(x)
    ]
    if not gains:
        return []
    value = choose(gain for gain, _ in gains)
    where = next(layer for gain, layer in gains if gain == value)
    return [Clause(f"{word} gain {number(value)}", value, where)]


def _ratios(network: NetworkReport, *, grown: bool) -> list[Clause]:
    """Return the changes of the signal's and the gradient's power that point this way."""
    known = [
        (word, ratio)
        for word, ratio in (
            ("signal", network.forward_ratio),
            ("gradient", network.backward_ratio),
        )
        if ratio is not None
    ]
    if not known:
        return [Clause("signal not measured")]
    depth = sum(x.forward is not None and _weighted(x) for x in network.layers)
    through = f" through {depth:,} layers" if depth > 1 else ""
    return [
        Clause(f"{word} power {'x' if math.isfinite(r) else ''}{number(r)}{through}", r)
        for word, r in known
        if (not r <= 1) is grown
    ]


def _weighted(layer: LayerReport) -> bool:
    return layer.gain is not None or layer.tensor is not None or layer.law is not None


def _known(network: NetworkReport) -> list[LayerReport]:
    return [x for x in network.layers if x.tensor is not None or x.law is not None]


def _nothing_but_zeros(network: NetworkReport) -> bool:
    known = _known(network)
    return bool(known) and all(map(_all_zero, known))


def _all_zero(layer: LayerReport) -> bool:
    if layer.tensor is not None:
        return layer.tensor.count > 0 and layer.tensor.zeros == layer.tensor.count
    return layer.law is not None and layer.law.family == "zeros"


_QUESTIONS = (
    ("All zero?", frozenset({"IA101"}), _zero),
    ("All the same?", frozenset({"IA102", "IA108", "IA201", "IA303"}), _same),
    ("Too small?", frozenset({"IA103", "IA203", "IA205", "IA302"}), _small),
    ("Too large?", frozenset({"IA104", "IA105", "IA204", "IA206", "IA207"}), _large),
)
