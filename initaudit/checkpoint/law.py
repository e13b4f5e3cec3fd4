"""Which initialiser a stored tensor looks like."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from initaudit.checkpoint import distribution, naming, pattern
from initaudit.checkpoint.independence import combined, departures, gamma_score
from initaudit.checkpoint.naming import Fit, Named
from initaudit.checkpoint.schemes import Fans, fans
from initaudit.checkpoint.stored import FLOATS
from initaudit.network import Law

Array = NDArray[np.float64]

NONE_KNOWN = Law("empirical", "none of the known ones")

_LEAST = 64
_LEAST_UNIFORM = 16
_LEAST_VECTOR = 256
# Anderson-Darling limits, each passed by about 1 fresh draw of 10^5 or fewer: both parameters
# estimated (Stephens 1986: p = exp(1.2937 - 5.709 A + 0.0186 A^2)), or none.
_ESTIMATED = 2.6
_CUT = 3.5
_KNOWN = 11.0
# Expected elements beyond the largest one: too many mean a cut tail, too few a heavy one.
_CUT_TAIL = 12.0
_HEAVY_TAIL = 1e-5
# Below this many elements, too few to show what training did, a normal law is named only where
# its scale is a usual one and nothing hints at a departure.
_LEAST_ANY = 4096
# Limits of single and of combined departures in standard errors. An unusual scale is itself a
# sign that something moved the weights, so less is let pass.
_SINGLE = 5.0
_TOGETHER = 3.6
_TOGETHER_UNUSUAL = 2.5
_TOGETHER_FEW = 1.0
_COMMON, _ANY_NUMBER = 1.0, 5.0
_LOGIT_SPAN = 18.0
_ZEROS_SHARE = 16
_GAINS = (1.0, math.sqrt(2), 5 / 3, 0.01, 0.1, 0.5, 2.0)


@dataclass(frozen=True, slots=True)
class Sample:
    """What a law is recognised from: a tensor's statistics and a part of its elements.

    Mean, variance (population), minimum, maximum and zeros are over all ``count`` elements.
    ``out_axis`` is the axis of output units: 0 as torch stores weights, the last for Keras and
    Flax. ``values`` are up to 65,536 finite elements spread evenly over the tensor. ``block`` is
    the whole array where it has at most 2**20 elements.
    """

    shape: tuple[int, ...]
    out_axis: int
    dtype: str
    count: int
    mean: float
    variance: float
    minimum: float
    maximum: float
    zeros: int
    values: Array
    block: Array | None = None


def recognise(sample: Sample) -> Law | None:
    """Return the law that a tensor looks like.

    None means too few elements to say anything; `NONE_KNOWN` that no known initialiser fits.
    """
    if sample.count < 2 or sample.dtype not in FLOATS or sample.dtype == "C64":
        return None
    if sample.minimum == sample.maximum:
        return _constant(sample.minimum)
    if sample.block is not None and not np.isfinite(sample.block).all():
        sample = replace(sample, block=None)
    # What lies at the end of a dtype's range overflows on the way and fits no law.
    with np.errstate(all="ignore"):
        name, half_step = distribution.grain(sample.values, sample.dtype)
        law = _pattern(sample, half_step) or _drawn(sample, name, half_step)
    if law is not None and law.family == "normal" and sample.block is None:
        return _large_orthogonal(sample, half_step, law)
    return law


def _constant(value: float) -> Law:
    if value == 0:
        return Law("zeros", "zeros")
    if value == 1:
        return Law("constant", "ones")
    return Law("constant", f"constant {value:.4g}")


def _pattern(sample: Sample, half_step: float) -> Law | None:
    block = sample.block
    if len(sample.shape) < 2 or min(sample.shape) < 1:
        return None
    if block is None:
        return _large_identity(sample)
    if sample.zeros >= sample.count - max(sample.shape):
        law = pattern.identity(block, sample.out_axis)
        if law is not None:
            return law
    return pattern.orthogonal(block, sample.out_axis, half_step) or pattern.fourier(block)


def _large_identity(sample: Sample) -> Law | None:
    """Judge a matrix too large to hold by its counts: one value on as many places as a diagonal."""
    places = min(sample.shape)
    gain = sample.maximum if sample.minimum == 0 else sample.minimum
    if len(sample.shape) != 2 or sample.count - sample.zeros != places:
        return None
    if not math.isclose(sample.mean * sample.count, gain * places, rel_tol=1e-5):
        return None
    suffix = "" if gain == 1 else f", gain {pattern.number(gain)}"
    return Law("identity", f"identity{suffix}")


def _large_orthogonal(sample: Sample, half_step: float, law: Law) -> Law:
    """Return ``orthogonal`` for a normal-looking array that has exactly the power of one.

    The mean square of a semi-orthogonal array is gain^2 over its longer side to the last digits;
    that of a normal draw of 2**20 elements comes so near in 1 of 500.
    """
    if len(sample.shape) < 2:
        return law
    power = sample.variance + sample.mean * sample.mean
    allowed = 2e-6 + 4 * half_step / math.sqrt(sample.count)
    for rows in {sample.shape[0], sample.shape[-1]}:
        side = max(rows, sample.count // rows)
        for gain in _GAINS:
            if abs(power * side / gain**2 - 1) < allowed:
                name = pattern.orthogonal_name("orthogonal", gain)
                return Law("orthogonal", name, (law.label, *law.others))
    return law


def _drawn(sample: Sample, dtype: str, half_step: float) -> Law | None:
    """Judge a tensor as independent draws from one law."""
    std = math.sqrt(sample.variance) if sample.variance > 0 else 0.0
    if not std or sample.count < _LEAST_UNIFORM:
        return None
    chance = 0.4 * distribution.least_step(dtype) / std + half_step
    stray = sample.count * min(chance, 1.0)
    if sample.zeros > stray + 5 * math.sqrt(stray) + 3:
        return _with_zeros(sample, dtype, half_step, stray)
    return _continuous(sample, dtype, half_step, fans(sample.shape, sample.out_axis))


def _with_zeros(sample: Sample, dtype: str, half_step: float, stray: float) -> Law | None:
    """Judge a tensor whose zeros are no accident: a few zero rows (padding), or a sparse draw."""
    kept = sample.values[sample.values != 0]
    rest = sample.count - sample.zeros
    if rest < _LEAST or kept.size < _LEAST or len(sample.shape) != 2:
        return None if sample.count < _LEAST else NONE_KNOWN
    mean = sample.mean * sample.count / rest
    power = (sample.variance + sample.mean * sample.mean) * sample.count / rest
    dense = replace(
        sample,
        count=rest,
        mean=mean,
        variance=max(power - mean * mean, 0.0),
        zeros=0,
        values=kept,
        block=None,
    )
    rows, columns = sample.shape
    fan = fans(sample.shape, sample.out_axis)
    if sample.block is not None:
        filled = sample.block[np.any(sample.block != 0, axis=1)]
        padding = rows - filled.shape[0]
        if 0 < padding <= max(1, rows // _ZEROS_SHARE) and padding * columns == sample.zeros:
            return _continuous(replace(dense, block=filled), dtype, half_step, fan)
        if not pattern.sparse_columns(sample.block, stray):
            return NONE_KNOWN
    elif sample.zeros == columns:
        return _continuous(dense, dtype, half_step, fan)
    elif sample.zeros % columns and sample.zeros % rows:
        return NONE_KNOWN
    law = _continuous(dense, dtype, half_step, None)
    if law is None or law.family != "normal":
        return NONE_KNOWN
    return Law("sparse", f"sparse, {sample.zeros / sample.count:.0%} zeros, {law.label}")


def _continuous(sample: Sample, dtype: str, half_step: float, fan: Fans | None) -> Law | None:
    rounding = distribution.rounding_variance(sample.values, dtype)
    fit = Fit(
        count=sample.count,
        mean=sample.mean,
        std=math.sqrt(max(sample.variance - rounding, sample.variance / 2)),
        minimum=sample.minimum,
        maximum=sample.maximum,
        half_step=half_step,
        fans=fan,
    )
    ordered = np.sort(distribution.spread(sample.values, dtype))
    if _is_uniform(fit, ordered):
        law = naming.uniform(fit).law
        return law if _departure(sample, 1.8, []) < _TOGETHER else NONE_KNOWN
    if fit.count < (_LEAST_VECTOR if len(sample.shape) < 2 else _LEAST):
        return None
    beyond = 2 * fit.count * distribution.normal_tail(_furthest(fit) / fit.std)
    if beyond < _HEAVY_TAIL:
        return NONE_KNOWN
    standard = (ordered - ordered.mean()) / ordered.std()
    squares = standard * standard
    fourth = float(squares @ squares) / squares.size
    named: Named | None = None
    scores = [fit.mean / fit.std * math.sqrt(fit.count)] if naming.centred(fit) else []
    if beyond > _CUT_TAIL:
        cut = _cut(fit)
        named = naming.truncated(fit, cut) if _is_truncated(standard, cut) else None
    elif distribution.distance(standard, distribution.normal_quantiles()) < _ESTIMATED:
        named = naming.normal(fit)
        scores += _moments(standard, fourth)
    if named is None:
        return NONE_KNOWN
    departure = _departure(sample, fourth, scores)
    if departure >= (_TOGETHER if named.rarity < _ANY_NUMBER else _TOGETHER_UNUSUAL):
        return NONE_KNOWN
    plain = named.rarity <= _COMMON and (fan is None or departure < _TOGETHER_FEW)
    return named.law if plain or sample.count >= _LEAST_ANY else None


def _furthest(fit: Fit) -> float:
    return max(fit.maximum - fit.mean, fit.mean - fit.minimum)


def _departure(sample: Sample, kurtosis: float, scores: list[float]) -> float:
    """Return the score of all departures together, infinite where a single one is too large."""
    block = sample.block
    if block is not None and block.ndim > 1:
        out = sample.out_axis % block.ndim
        scores = scores + departures(block, out, sample.mean, sample.variance, kurtosis)
    if not scores:
        return -math.inf
    return math.inf if max(map(abs, scores)) > _SINGLE else combined(scores)


def _moments(standard: Array, fourth: float) -> list[float]:
    """Return the scores of skewness and of kurtosis against a normal law's."""
    size = standard.size
    skew = float((standard * standard) @ standard) / size
    # The sampling error of a kurtosis under normality, whose own distribution is skewed by
    # sqrt(216 / size): as a gamma variable (Anscombe and Glynn 1983, large samples).
    excess = (fourth - 3 + 6 / size) / math.sqrt(24 / size)
    spread = 54 / size
    return [
        skew / math.sqrt(6 / size),
        gamma_score(1 + excess * math.sqrt(spread), 1.0, spread),
    ]


def _is_uniform(fit: Fit, ordered: Array) -> bool:
    count, span = fit.count, fit.maximum - fit.minimum
    spacing = span * (count + 1) / (count - 1)
    # Log-likelihood against a normal, less one unit for each edge that was fitted.
    gain = count * (math.log(fit.std / spacing) + 0.5 * math.log(2 * math.pi * math.e)) - 2
    if gain < 2:
        return False
    error = 5 * math.sqrt(0.2 / count) + 6 / count + 4 * fit.half_step
    if abs(span / fit.std / math.sqrt(12) - 1) > error:
        return False
    quantiles = fit.minimum + (spacing * distribution.PROBABILITIES) - (spacing - span) / 2
    limit = _KNOWN + _LOGIT_SPAN * ordered.size * (2 * fit.half_step) ** 2
    return distribution.distance(ordered, quantiles) < limit


def _is_truncated(standard: Array, cut: float) -> bool:
    quantiles = distribution.truncated_quantiles(cut) / distribution.truncated_std(cut)
    return distribution.distance(standard, quantiles) < _CUT


def _cut(fit: Fit) -> float:
    """Return where a normal law was cut, in its own deviations: 2 as frameworks do, if it can be.

    ``torch.nn.init.trunc_normal_`` cuts at absolute +-2, which is 2 deviations for its default.
    """
    reach = (fit.maximum - fit.minimum) / 2
    ratio = reach / fit.std
    for cut in (2.0, 3.0):
        expected = cut / distribution.truncated_std(cut)
        gap = 10 / (fit.count * distribution.truncated_edge_density(cut) * cut)
        error = 5 * math.sqrt(0.5 / fit.count) + 2 * fit.half_step
        if -error - gap < math.log(ratio / expected) < error:
            return cut
    return float(f"{distribution.cut_of(ratio):.2g}")
