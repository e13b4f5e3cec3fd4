"""Moments through activations: gains, mean-field variance maps, depth scales, and the cure.

Notation: z = W h + b with W_ij of variance sw2 / fan_in and b of variance sb2; h = phi(z);
q = mean z^2; Z standard normal. Expectations are Gaussian quadratures, computed on first use.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from initaudit import special
from initaudit.special import Array

Elementwise = Callable[[Array], Array]
Test = Callable[[Array], NDArray[np.bool_]]

SHALLOW = 4
"""Hidden layers up to which sigmoid units train from Xavier weights (measured)."""

_REACH = 12.0
_NODES = 16
_LAYERS = 120


@dataclass(frozen=True, slots=True)
class Moments:
    """E phi, E phi^2 and E phi'^2 of an activation under a centred Gaussian."""

    mean: float
    second: float
    slope: float


@dataclass(frozen=True, slots=True)
class Activation:
    """An elementwise function.

    ``saturated`` tells which outputs lie on a plateau: |tanh| > 0.97, sigmoid outside
    [0.03, 0.97] and the same share of any other bounded range; None where there is no plateau.
    ``kinks`` are the points where the derivative jumps. ``flat`` are the outputs where
    a ReLU or its kin has no derivative: a unit that holds one of them for every input is dead.
    """

    name: str
    function: Elementwise
    derivative: Elementwise
    saturated: Test | None = None
    kinks: tuple[float, ...] = ()
    flat: tuple[float, ...] = ()

    @property
    def mean(self) -> float:
        """E phi(Z)."""
        return moments(self, 1.0).mean

    @property
    def second_moment(self) -> float:
        """E phi(Z)^2."""
        return moments(self, 1.0).second

    @property
    def variance(self) -> float:
        """Var phi(Z)."""
        return self.second_moment - self.mean**2

    @property
    def slope_moment(self) -> float:
        """E phi'(Z)^2."""
        return moments(self, 1.0).slope

    @property
    def gain_forward(self) -> float:
        """The std(W) sqrt(fan_in) that keeps E z^2 = 1: 1 / sqrt(E phi^2)."""
        return 1.0 / math.sqrt(self.second_moment)

    @property
    def gain_backward(self) -> float:
        """The std(W) sqrt(fan_out) that keeps the gradient's power at q = 1."""
        return 1.0 / math.sqrt(self.slope_moment)

    @property
    def chi_forward(self) -> float:
        """Backward factor of a layer whose forward pass is exactly preserved (1: no conflict)."""
        return self.slope_moment / self.second_moment


def _outside(low: float, high: float) -> Test:
    def test(y: Array) -> NDArray[np.bool_]:
        return (y < low) | (y > high)

    return test


def _leaky(x: Array, slope: float) -> Array:
    value: Array = np.where(x > 0, x, slope * x)
    return value


def _d_leaky(x: Array, slope: float) -> Array:
    value: Array = np.where(x > 0, 1.0, slope).astype(x.dtype)
    return value


@cache
def leaky_relu(slope: float = 0.01, name: str = "leaky_relu") -> Activation:
    """Return the leaky ReLU of a slope below zero."""
    return Activation(
        name,
        partial(_leaky, slope=slope),
        partial(_d_leaky, slope=slope),
        kinks=(0.0,),
        flat=(0.0,) if slope == 0.0 else (),
    )


_ODD = _outside(-0.97, 0.97)
_UNIT = _outside(0.03, 0.97)

_ALL = (
    Activation("linear", np.positive, np.ones_like),
    Activation("relu", special.relu, special.step, kinks=(0.0,), flat=(0.0,)),
    Activation(
        "relu6",
        lambda x: np.clip(x, 0.0, 6.0),
        lambda x: special.between(x, 0.0, 6.0),
        _outside(-math.inf, 0.97 * 6.0),
        kinks=(0.0, 6.0),
        flat=(0.0, 6.0),
    ),
    leaky_relu(),
    leaky_relu(0.25, "prelu"),  # torch.nn.PReLU starts at 0.25
    Activation("relu2", lambda x: special.relu(x) ** 2, lambda x: 2.0 * special.relu(x),
               kinks=(0.0,), flat=(0.0,)),  # So et al. 2021
    Activation("tanh", np.tanh, special.d_tanh, _ODD),
    Activation("sigmoid", special.sigmoid, special.d_sigmoid, _UNIT),
    Activation("gelu", special.gelu, special.d_gelu),
    Activation("gelu_tanh", special.gelu_tanh, special.d_gelu_tanh),
    Activation("quick_gelu", special.quick_gelu, special.d_quick_gelu),
    Activation("silu", special.silu, special.d_silu),
    Activation("mish", special.mish, special.d_mish),
    Activation("elu", special.elu, special.d_elu, kinks=(0.0,)),
    Activation("celu", special.elu, special.d_elu, kinks=(0.0,)),
    Activation("selu", special.selu, special.d_selu, kinks=(0.0,)),
    Activation("softplus", special.softplus, special.sigmoid),
    Activation("hardtanh", lambda x: np.clip(x, -1.0, 1.0),
               lambda x: special.between(x, -1.0, 1.0), _ODD, kinks=(-1.0, 1.0)),
    Activation("hardswish", special.hardswish, special.d_hardswish, kinks=(-3.0, 3.0)),
    Activation("hardsigmoid", special.hardsigmoid,
               lambda x: special.between(x, -3.0, 3.0) / 6.0, _UNIT, kinks=(-3.0, 3.0)),
    Activation("softsign", special.softsign, special.d_softsign, _ODD, kinks=(0.0,)),
    Activation("sin", np.sin, np.cos),
    Activation("cos", np.cos, lambda x: -np.sin(x)),
    Activation("exp", np.exp, np.exp),
)  # fmt: skip

ACTIVATIONS: Mapping[str, Activation] = {activation.name: activation for activation in _ALL}


@cache
def moments(activation: Activation, q: float) -> Moments:
    """Return E phi, E phi^2 and E phi'^2 at pre-activations N(0, q)."""
    x, weights = _rule(math.sqrt(q), activation.kinks)
    with np.errstate(over="ignore", invalid="ignore"):
        y, slope = activation.function(x), activation.derivative(x)
        return Moments(
            float(weights @ y), float(weights @ np.square(y)), float(weights @ np.square(slope))
        )


def _rule(std: float, kinks: tuple[float, ...]) -> tuple[Array, Array]:
    """Return points and weights that integrate against N(0, std^2).

    Gauss-Legendre on panels that end at each kink and narrow towards zero, where a wide
    Gaussian meets the bend of a saturating function.
    """
    edges = np.linspace(-_REACH, _REACH, 49)
    if std > 0.0:
        bends = [sign * 2.0**k for k in range(-1, 6) for sign in (-1.0, 1.0)]
        inner = np.array([*bends, *kinks, 0.0]) / std
        edges = np.concatenate([edges, inner[np.abs(inner) < _REACH]])
    edges = np.unique(edges)
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    half = np.diff(edges)[:, None] / 2.0
    z = (edges[:-1, None] + half + half * nodes).ravel()
    return std * z, (half * weights).ravel() * special.normal_density(z)


def chi(activation: Activation, sw2: float, q: float) -> float:
    """Return sw2 E phi'(sqrt(q) Z)^2: the factor of the gradient's power a layer."""
    return sw2 * moments(activation, q).slope


def fixed_point(activation: Activation, sw2: float, sb2: float, layers: int = _LAYERS) -> float:
    """Return q behind ``layers`` hidden layers, or once it rests; infinite where it overflows.

    q' = sw2 E phi(sqrt(q) Z)^2 + sb2 (Poole et al. 2016), from inputs of unit second moment.
    """
    q = sw2 + sb2
    for _ in range(layers):
        following = sw2 * moments(activation, q).second + sb2
        if not math.isfinite(following):
            return math.inf
        if math.isclose(following, q, rel_tol=1e-12, abs_tol=1e-300):
            return following
        q = following
    return q


@dataclass(frozen=True, slots=True)
class MeanField:
    """Where a deep plain stack settles.

    ``xi`` is 1 / |ln chi|, in layers; gradients pass about 6 xi of them (Schoenholz et al. 2017).
    """

    q: float
    chi: float

    @property
    def xi(self) -> float:
        """Depth scale of the gradient, in layers; infinite where chi is 1."""
        if self.chi <= 0.0 or not math.isfinite(self.chi):
            return 0.0
        decay = abs(math.log(self.chi))
        return math.inf if decay < 1e-9 else 1.0 / decay

    @property
    def decades(self) -> float:
        """log10 of the factor of the gradient's power a layer."""
        return math.log10(self.chi) if self.chi > 0.0 else -math.inf


@cache
def depth_scale(
    activation: Activation, sw2: float, sb2: float = 0.0, layers: int = _LAYERS
) -> MeanField:
    """Return q, chi and the depth scale that ``layers`` layers of these variances settle at."""
    q = fixed_point(activation, sw2, sb2, layers=layers)
    return MeanField(q, chi(activation, sw2, q) if math.isfinite(q) else math.nan)


class Recommendation(NamedTuple):
    """An initialiser: its name, std(W) sqrt(fan_in) (its gain) and the square of that.

    For the Xavier forms fan_in stands for (fan_in + fan_out) / 2.
    """

    initialiser: str
    gain: float
    variance: float


_XAVIER = frozenset({"linear", "tanh", "hardtanh", "softsign", "sin"})
_HE = frozenset({"relu", "relu6"})


def recommended(activation: Activation, hidden: int = SHALLOW) -> Recommendation:
    """Return the cure for an activation in a plain stack of ``hidden`` hidden layers.

    Xavier for tanh and its kin (Glorot and Bengio 2010), He for ReLU and its kin (He et al. 2015),
    LeCun for SELU (Klambauer et al. 2017); for a sigmoid Xavier up to `SHALLOW` hidden layers and
    beyond that Xavier divided by its slope at 0 (four times as wide); else the exact forward gain.
    """
    name = activation.name
    if name in _XAVIER:
        return Recommendation("Xavier", 1.0, 1.0)
    if name in {"sigmoid", "hardsigmoid"}:
        if hidden <= SHALLOW:
            return Recommendation("Xavier", 1.0, 1.0)
        steepness = float(1.0 / activation.derivative(np.zeros(1))[0])
        return Recommendation(f"{steepness:g}x Xavier", steepness, steepness**2)
    if name == "selu":
        return Recommendation("LeCun", 1.0, 1.0)
    if name in _HE:
        return Recommendation("He", math.sqrt(2.0), 2.0)
    gain = activation.gain_forward
    label = "He" if name in {"leaky_relu", "prelu"} else f"normal, gain {gain:.3f}"
    return Recommendation(label, gain, gain**2)
