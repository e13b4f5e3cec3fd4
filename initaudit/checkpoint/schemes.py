"""Named initialisers as variances relative to the fans of a tensor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Shape = Literal["normal", "uniform", "truncated"]

TRUNCATED_STD = 0.87962566103423978
"""Standard deviation of a standard normal cut at +-2: sqrt(1 - 4 pdf(2) / (2 cdf(2) - 1))."""


@dataclass(frozen=True, slots=True)
class Fans:
    """Inputs that each output unit sums over, and outputs that each input reaches."""

    inputs: int
    outputs: int


@dataclass(frozen=True, slots=True)
class Scheme:
    """An initialiser with zero mean and the standard deviation it gives a tensor.

    ``rarity`` is how much less common it is than the usual ones, as a negative log odds.
    """

    name: str
    std: float
    rarity: float


_FAN_IN, _FAN_OUT, _AVERAGE, _GEOMETRIC = "fan_in", "fan_out", "average", "geometric"

# Variance is factor / fan. Definitions: torch.nn.init (xavier_*, kaiming_* and calculate_gain: tanh
# 5/3, selu 3/4, leaky_relu sqrt(2 / (1 + a^2))), keras.initializers and jax.nn.initializers
# (VarianceScaling with scale 1 or 2 and mode fan_in, fan_out, fan_avg, fan_geo_avg).
_COMMON: tuple[tuple[str, float, str, float], ...] = (
    ("Glorot {}", 1.0, _AVERAGE, 0.0),
    ("He {}, fan_in", 2.0, _FAN_IN, 0.0),
    ("He {}, fan_out", 2.0, _FAN_OUT, 0.5),
    ("LeCun {}", 1.0, _FAN_IN, 0.5),
    ("LeCun {}, fan_out", 1.0, _FAN_OUT, 2.0),
    ("He {}, fan_avg", 2.0, _AVERAGE, 2.0),
    ("Glorot {}, gain 5/3", 25 / 9, _AVERAGE, 2.0),
    ("Glorot {}, gain 1/sqrt(2)", 0.5, _AVERAGE, 2.5),
    ("He {}, fan_in, tanh gain 5/3", 25 / 9, _FAN_IN, 2.5),
    ("He {}, fan_out, tanh gain 5/3", 25 / 9, _FAN_OUT, 3.5),
    ("He {}, fan_in, a=0.2", 2 / 1.04, _FAN_IN, 3.5),
    ("He {}, fan_out, a=0.2", 2 / 1.04, _FAN_OUT, 4.0),
    ("He {}, fan_in, SELU gain 3/4", 9 / 16, _FAN_IN, 3.5),
    ("He {}, fan_out, SELU gain 3/4", 9 / 16, _FAN_OUT, 4.0),
    ("variance scaling {}, fan_geo_avg", 1.0, _GEOMETRIC, 4.0),
)

# Linear and Conv draw U(+-1/sqrt(fan_in)), which is kaiming_uniform_(a=sqrt(5)); RNN, GRU and LSTM
# draw U(+-1/sqrt(hidden)) for matrices of 1, 3 and 4 times ``hidden`` rows. SIREN: Sitzmann 2020.
_UNIFORM: tuple[tuple[str, float, str, float], ...] = (
    ("PyTorch's default (uniform, 1/sqrt(fan_in))", 1 / 3, _FAN_IN, 0.0),
    ("uniform, 1/sqrt(fan_out)", 1 / 3, _FAN_OUT, 2.0),
    ("PyTorch's GRU default (uniform, 1/sqrt(hidden))", 1.0, _FAN_OUT, 2.5),
    ("PyTorch's LSTM default (uniform, 1/sqrt(hidden))", 4 / 3, _FAN_OUT, 2.0),
    ("SIREN hidden layer (uniform, sqrt(6/fan_in)/30)", 2 / 900, _FAN_IN, 3.0),
)

_NORMAL: tuple[tuple[str, float, str, float], ...] = (
    ("He normal, fan_in, a=sqrt(5)", 1 / 3, _FAN_IN, 3.5),
    ("He normal, fan_out, a=sqrt(5)", 1 / 3, _FAN_OUT, 4.0),
)


def fans(shape: Sequence[int], out_axis: int) -> Fans | None:
    """Return the fans of a weight tensor; None for fewer than two dimensions or no elements.

    The axis of inputs is the one beside ``out_axis``: the second for (out, in, *kernel), the last
    but one for (*kernel, in, out). The other axes are the receptive field.
    """
    if len(shape) < 2 or 0 in shape:
        return None
    out = out_axis % len(shape)
    inward = out - 1 if out else 1
    field = math.prod(shape) // (shape[out] * shape[inward])
    return Fans(shape[inward] * field, shape[out] * field)


def schemes(shape: Shape, fan: Fans) -> tuple[Scheme, ...]:
    """Return the named initialisers of a shape of distribution for a tensor with these fans."""
    sizes = {
        _FAN_IN: float(fan.inputs),
        _FAN_OUT: float(fan.outputs),
        _AVERAGE: (fan.inputs + fan.outputs) / 2,
        _GEOMETRIC: math.sqrt(fan.inputs * fan.outputs),
    }

    def scheme(row: tuple[str, float, str, float], form: str) -> Scheme:
        name, factor, kind, rarity = row
        return Scheme(form.format(name.format(shape)), math.sqrt(factor / sizes[kind]), rarity)

    if shape == "uniform":
        first = Scheme(
            "SIREN first layer (uniform, 1/fan_in)", 1 / (math.sqrt(3) * fan.inputs), 3.0
        )
        return (*(scheme(row, "{}") for row in (*_COMMON, *_UNIFORM)), first)
    if shape == "normal":
        return tuple(scheme(row, "{}") for row in (*_COMMON, *_NORMAL))
    return tuple(_truncated(fan, sizes))


def _truncated(fan: Fans, sizes: dict[str, float]) -> list[Scheme]:
    found: list[Scheme] = []
    for name, factor, kind, rarity in _COMMON:
        std = math.sqrt(factor / sizes[kind])
        label = name.format("normal")
        found.append(Scheme(f"{label} (truncated)", std, rarity))
        # Cutting without raising the deviation first, as trunc_normal_(std=sqrt(2 / fan)) does,
        # leaves a deviation that is smaller by this factor.
        found.append(Scheme(f"{label} (truncated, not rescaled)", std * TRUNCATED_STD, rarity + 3))
    return found
