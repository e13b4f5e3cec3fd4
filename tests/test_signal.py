from __future__ import annotations

import math

import numpy as np
import pytest

from initaudit.signal import (
    ACTIVATIONS,
    chi,
    depth_scale,
    fixed_point,
    leaky_relu,
    moments,
    recommended,
)

# E phi, E phi^2, Var phi, forward gain, E phi'^2, backward gain, chi where forward is preserved:
# float64 quadrature, computed independently of the package.
TABLE = {
    "linear": (0, 1, 1, 1, 1, 1, 1.0),
    "relu": (0.39894, 0.5, 0.34085, 1.41421, 0.5, 1.41421, 1.0),
    "relu6": (0.39894, 0.5, 0.34085, 1.41421, 0.5, 1.41421, 1.0),
    "leaky_relu": (0.39495, 0.50005, 0.34406, 1.41414, 0.50005, 1.41414, 1.0),
    "tanh": (0, 0.39429, 0.39429, 1.59254, 0.46440, 1.46741, 1.1778),
    "sigmoid": (0.5, 0.29338, 0.04338, 1.84623, 0.04484, 4.72265, 0.1528),
    "gelu": (0.28209, 0.42522, 0.34564, 1.53353, 0.45585, 1.48111, 1.0720),
    "silu": (0.20662, 0.35578, 0.31308, 1.67653, 0.37948, 1.62332, 1.0666),
    "mish": (0.24040, 0.45234, 0.39455, 1.48685, 0.47908, 1.44476, 1.0591),
    "elu": (0.16052, 0.64495, 0.61918, 1.24520, 0.66810, 1.22343, 1.0359),
    "selu": (0, 1, 1, 1, 1.07157, 0.96603, 1.0716),
    "softplus": (0.80606, 0.92125, 0.27151, 1.04187, 0.29338, 1.84623, 0.3185),
    "hardtanh": (0, 0.51606, 0.51606, 1.39204, 0.68269, 1.21029, 1.3229),
    "hardswish": (0.16622, 0.33157, 0.30394, 1.73666, 0.35853, 1.67008, 1.0813),
    "hardsigmoid": (0.5, 0.27764, 0.02764, 1.89784, 0.02770, 6.00812, 0.0998),
    "softsign": (0, 0.18301, 0.18301, 2.33753, 0.22767, 2.09578, 1.2440),
    "sin": (0, 0.43233, 0.43233, 1.52087, 0.56767, 1.32725, 1.3130),
    "exp": (1.64872, 7.38906, 4.67077, 0.36788, 7.38906, 0.36788, 1.0),
}


@pytest.mark.parametrize("name", TABLE)
def test_moments_and_gains_have_the_digits_of_the_table(name: str) -> None:
    phi = ACTIVATIONS[name]
    found = (phi.mean, phi.second_moment, phi.variance, phi.gain_forward, phi.slope_moment,
             phi.gain_backward)  # fmt: skip
    assert found == pytest.approx(TABLE[name][:6], abs=6e-6)
    assert phi.chi_forward == pytest.approx(TABLE[name][6], abs=6e-5)


@pytest.mark.parametrize(
    ("slope", "second", "gain"), [(0.2, 0.52, 1.38675), (math.sqrt(5), 3.0, 0.57735)]
)
def test_leaky_relu_of_any_slope(slope: float, second: float, gain: float) -> None:
    phi = leaky_relu(slope)
    assert phi.second_moment == pytest.approx(second, abs=1e-12)
    assert phi.gain_forward == pytest.approx(gain, abs=6e-6)


def test_a_leaky_relu_is_a_rectifier_only_without_a_slope() -> None:
    assert leaky_relu(0.0).flat == (0.0,)
    assert not leaky_relu(0.01).flat


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_quadrature_agrees_with_sampling(name: str) -> None:
    phi = ACTIVATIONS[name]
    x = 0.7 * np.random.default_rng(3).standard_normal(400_000)
    y, slope = phi.function(x), phi.derivative(x)
    found = moments(phi, 0.49)
    for exact, values in (
        (found.mean, y),
        (found.second, y**2),
        (found.slope, slope**2),
    ):
        error = 6.0 * float(values.std()) / math.sqrt(len(x))
        assert exact == pytest.approx(float(values.mean()), abs=error + 1e-12)


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"exp"}))
@pytest.mark.parametrize("q", [1e-300, 1e-20, 1e-6, 1e4])
def test_moments_are_finite_and_ordered_at_any_scale(name: str, q: float) -> None:
    found = moments(ACTIVATIONS[name], q)
    assert all(math.isfinite(v) for v in (found.mean, found.second, found.slope))
    assert found.second >= found.mean**2 * (1.0 - 1e-12)


@pytest.mark.parametrize("q", [1e-8, 1e8])
def test_relu_keeps_half_of_the_power_at_any_scale(q: float) -> None:
    assert moments(ACTIVATIONS["relu"], q).second == pytest.approx(q / 2, rel=1e-12)


def test_tanh_of_a_wide_gaussian_is_one_almost_everywhere() -> None:
    # E tanh^2 = 1 - E (1 - tanh^2) and the last term tends to 2 density(0) / sqrt(q).
    found = moments(ACTIVATIONS["tanh"], 1e8)
    assert 1.0 - found.second == pytest.approx(2.0 / math.sqrt(2 * math.pi * 1e8), rel=1e-6)


# sw2, sb2, q behind 10 and 30 layers, chi, xi, decades a layer (None: not in the table).
FIELDS = [
    ("relu", 1 / 3, 1 / 192, 6e-3, 6e-3, 0.167, 0.6, -0.78),
    ("relu", 1.0, 0.0, 1e-3, 9e-10, 0.5, 1.4, -0.30),
    ("relu", 2.0, 0.0, 2.0, 2.0, 1.0, math.inf, 0.0),
    ("tanh", 1 / 3, 1 / 192, 8e-3, 8e-3, 0.328, 0.9, -0.48),
    ("tanh", 1.0, 0.0, 5e-2, 2e-2, 0.992, 119.0, -0.004),
    ("tanh", 2.0, 0.0, 0.62, 0.62, 1.106, 10.0, 0.044),
    ("sigmoid", 1 / 3, 1 / 192, 0.09, 0.09, 0.020, 0.3, -1.70),
    ("sigmoid", 1.0, 0.0, 0.27, 0.27, 0.056, 0.35, -1.25),
    ("sigmoid", 2.0, 0.0, 0.56, 0.56, 0.101, 0.4, -1.00),
    ("gelu", 1 / 3, 1 / 192, 6e-3, 6e-3, 0.085, 0.4, -1.07),
    ("gelu", 1.0, 0.0, 3e-6, None, 0.25, 0.7, -0.60),
    ("gelu", 2.0, 0.0, 0.49, None, 0.50, 1.4, -0.30),
    ("silu", 1.0, 0.0, 2e-6, None, 0.25, 0.7, -0.60),
    ("silu", 2.0, 0.0, 2e-2, None, 0.50, 1.4, -0.30),
    ("selu", 1.0, 0.0, 1.0, 1.0, 1.072, 14.5, 0.03),
    ("selu", 2.0, 0.0, 36.0, None, 1.10, 10.0, 0.04),
    ("softplus", 1.0, 0.0, 0.86, 0.86, 0.29, 0.8, -0.54),
    ("softplus", 2.0, 0.0, 8.3, None, 0.89, 8.3, -0.05),
    ("sin", 1.0, 0.0, 0.08, None, 0.99, 123.0, -0.004),
    ("sin", 2.0, 0.0, 0.80, 0.80, 1.20, 5.4, 0.08),
]


@pytest.mark.parametrize(("name", "sw2", "sb2", "at_10", "at_30", "chi1", "xi", "decades"), FIELDS)
def test_where_a_deep_stack_settles(
    name: str,
    sw2: float,
    sb2: float,
    at_10: float,
    at_30: float | None,
    chi1: float,
    xi: float,
    decades: float,
) -> None:
    phi = ACTIVATIONS[name]
    assert fixed_point(phi, sw2, sb2, layers=10) == pytest.approx(at_10, rel=0.17)
    if at_30 is not None:
        assert fixed_point(phi, sw2, sb2, layers=30) == pytest.approx(at_30, rel=0.17)
    field = depth_scale(phi, sw2, sb2)
    assert field.chi == pytest.approx(chi1, rel=0.02)
    assert field.xi == pytest.approx(xi, rel=0.16)
    assert field.decades == pytest.approx(decades, abs=0.006)


@pytest.mark.parametrize(
    ("name", "sw2", "sb2", "layers"),
    [
        ("sigmoid", 1 / 3, 1 / 192, 8),
        ("sigmoid", 1.0, 0.0, 11),
        ("relu", 1.0, 0.0, 48),
        ("tanh", 1 / 3, 1 / 192, 29),
        ("gelu", 2.0, 0.0, 48),
        ("softplus", 1.0, 0.0, 26),
    ],
)  # fmt: skip
def test_layers_until_a_half_precision_gradient_is_gone(
    name: str, sw2: float, sb2: float, layers: int
) -> None:
    # The root mean square starts at 1 and ends at the smallest half precision number, 2^-24.
    field = depth_scale(ACTIVATIONS[name], sw2, sb2)
    assert 2 * -24 * math.log10(2.0) / field.decades == pytest.approx(layers, abs=1.0)


def test_an_overflowing_stack_is_infinite_without_a_warning() -> None:
    assert fixed_point(ACTIVATIONS["relu2"], 100.0, 0.0) == math.inf
    field = depth_scale(ACTIVATIONS["relu2"], 100.0)
    assert field.q == math.inf
    assert field.xi == 0.0


def test_a_dead_stack_has_no_depth() -> None:
    field = depth_scale(ACTIVATIONS["relu"], 0.0)
    assert (field.q, field.chi, field.xi, field.decades) == (0.0, 0.0, 0.0, -math.inf)


def test_chi_is_linear_in_the_variance_of_the_weights() -> None:
    phi = ACTIVATIONS["tanh"]
    assert chi(phi, 3.0, 0.5) == pytest.approx(3.0 * chi(phi, 1.0, 0.5))


@pytest.mark.parametrize(
    ("name", "hidden", "initialiser", "gain"),
    [
        ("tanh", 10, "Xavier", 1.0),
        ("relu", 10, "He", 1.41421),
        ("selu", 10, "LeCun", 1.0),
        ("sigmoid", 4, "Xavier", 1.0),
        ("sigmoid", 5, "4x Xavier", 4.0),
        ("hardsigmoid", 5, "6x Xavier", 6.0),
        ("leaky_relu", 10, "He", 1.41414),
        ("gelu", 10, "normal, gain 1.534", 1.53353),
        ("silu", 10, "normal, gain 1.677", 1.67653),
    ],
)  # fmt: skip
def test_the_cure_fits_the_activation_and_the_depth(
    name: str, hidden: int, initialiser: str, gain: float
) -> None:
    cure = recommended(ACTIVATIONS[name], hidden)
    assert cure.initialiser == initialiser
    assert cure.gain == pytest.approx(gain, abs=6e-6)
    assert cure.variance == pytest.approx(cure.gain**2)


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("tanh", (-0.96, 0.0, 0.96), (-0.98, 0.98)),
        ("sigmoid", (0.04, 0.5, 0.96), (0.02, 0.98)),
        ("relu6", (0.0, 5.8), (5.9,)),
    ],
)
def test_a_plateau_begins_at_97_of_100_parts_of_the_range(
    name: str, inside: tuple[float, ...], outside: tuple[float, ...]
) -> None:
    saturated = ACTIVATIONS[name].saturated
    assert saturated is not None
    assert not saturated(np.array(inside)).any()
    assert saturated(np.array(outside)).all()


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["linear", "relu", "tanh", "sigmoid", "selu"])
def test_torch_recommends_gains_of_its_own(name: str) -> None:
    torch = pytest.importorskip("torch")
    theirs = {"linear": 1.0, "relu": math.sqrt(2), "tanh": 5 / 3, "sigmoid": 1.0, "selu": 0.75}
    assert torch.nn.init.calculate_gain(name) == pytest.approx(theirs[name])
