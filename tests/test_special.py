from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from initaudit import special
from initaudit.signal import ACTIVATIONS

GRID = np.concatenate([np.linspace(-8.0, 8.0, 20_001), [0.0, -0.0, 1e-300, 5e-324, -40.0, 40.0]])


def test_erf_is_exact_to_the_last_digits() -> None:
    exact = np.array([math.erf(x) for x in GRID])
    np.testing.assert_allclose(special.erf(GRID), exact, rtol=1e-15, atol=0.0)


def test_erf_of_infinity_is_one() -> None:
    ends = special.erf(np.array([-math.inf, math.inf]))
    assert ends.tolist() == [-1.0, 1.0]


def test_the_normal_distribution_function_is_half_of_erfc() -> None:
    x = np.linspace(-5.0, 5.0, 101)
    exact = [0.5 * math.erfc(-v / math.sqrt(2.0)) for v in x]
    np.testing.assert_allclose(special.normal_cdf(x), exact, rtol=1e-9, atol=1e-16)


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"exp", "relu2"}))
def test_no_activation_warns_or_overflows_far_out(name: str) -> None:
    x = np.array([-1e3, -750.0, -40.0, 0.0, 40.0, 750.0, 1e3])
    with warnings.catch_warnings(), np.errstate(all="raise", under="ignore"):
        warnings.simplefilter("error")
        y, slope = ACTIVATIONS[name].function(x), ACTIVATIONS[name].derivative(x)
    assert np.isfinite(y).all()
    assert np.isfinite(slope).all()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivatives_are_the_slopes_of_the_functions(name: str) -> None:
    activation = ACTIVATIONS[name]
    x = np.linspace(-7.0, 7.0, 1403) + 1e-3
    far = np.min([np.abs(x - kink) for kink in (*activation.kinks, math.inf)], axis=0) > 1e-4
    x = x[far]
    step = 1e-6
    slopes = (activation.function(x + step) - activation.function(x - step)) / (2 * step)
    np.testing.assert_allclose(activation.derivative(x), slopes, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_kinks_are_all_there_are(name: str) -> None:
    activation = ACTIVATIONS[name]
    x = np.linspace(-8.0, 8.0, 16_001)
    jumps = np.abs(np.diff(activation.derivative(x))) > 0.05 * (
        1 + np.abs(activation.function(x[1:]))
    )
    near = {round(float(at), 2) for at in x[1:][jumps]}
    assert all(min(abs(at - kink) for kink in activation.kinks) < 0.01 for at in near)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_single_precision_stays_single(name: str) -> None:
    x = np.linspace(-2.0, 2.0, 9, dtype=np.float32)
    assert ACTIVATIONS[name].function(x).dtype == np.float32
    assert ACTIVATIONS[name].derivative(x).dtype == np.float32
