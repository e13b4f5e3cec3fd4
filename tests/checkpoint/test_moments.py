from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from initaudit.checkpoint import sums
from initaudit.checkpoint.moments import Moments, of


def exact(values: NDArray[np.float64]) -> tuple[Fraction, Fraction]:
    """Return mean and population variance in rational arithmetic."""
    numbers = [Fraction(float(x)) for x in values]
    mean = sum(numbers, Fraction(0)) / len(numbers)
    return mean, sum(((x - mean) ** 2 for x in numbers), Fraction(0)) / len(numbers)


def assert_exact(found: Moments, values: NDArray[np.float64], relative: float = 1e-12) -> None:
    mean, variance = exact(values)
    assert found.count == values.size
    scale = max(abs(float(mean)), float(np.abs(values).max()))
    assert abs(float(Fraction(found.mean) - mean)) <= relative * scale
    assert math.isclose(found.variance, float(variance), rel_tol=relative, abs_tol=5e-324)


@pytest.mark.parametrize(
    ("mean", "std"),
    [(0.0, 1.0), (100.0, 1e-2), (1.0, 1e-3), (0.0, 1e-25), (0.0, 1e20), (1e6, 1.0), (0.0, 1e-150),
     (0.0, 1e-155), (0.0, 1e153), (-1e10, 1e-3), (1e-30, 1e-40)],
)  # fmt: skip
def test_moments_are_exact_at_any_place_and_scale(mean: float, std: float) -> None:
    values = mean + std * np.random.default_rng(3).standard_normal(2000)
    assert_exact(of(values), values)


@pytest.mark.parametrize("cuts", [(1,), (500,), (1999,), (1, 2, 3, 700, 1500)])
@pytest.mark.parametrize(("mean", "std"), [(0.0, 1.0), (100.0, 1e-2), (0.0, 1e-25), (0.0, 1e20)])
def test_merged_parts_have_the_moments_of_the_whole(
    cuts: tuple[int, ...], mean: float, std: float
) -> None:
    values = mean + std * np.random.default_rng(4).standard_normal(2000)
    parts = np.split(values, cuts)
    forward, backward = Moments(), Moments()
    for part in parts:
        forward = forward.merge(of(part))
    for part in reversed(parts):
        backward = backward.merge(of(part))
    assert_exact(forward, values)
    assert_exact(backward, values)


def test_nothing_merges_into_nothing() -> None:
    assert Moments().merge(Moments()) == Moments()
    assert of(np.zeros(0)) == Moments()
    assert Moments().merge(of(np.array([2.0, 4.0]))) == Moments(2, 3.0, 1.0)
    assert of(np.array([2.0, 4.0])).merge(Moments()) == Moments(2, 3.0, 1.0)


def test_a_constant_has_no_variance_at_all() -> None:
    for number in (0.1, 1e-30, 3e38, 1 / 3):
        assert of(np.full(1001, number)).variance == 0.0


def test_the_largest_numbers_give_finite_moments() -> None:
    top = float(np.finfo(np.float64).max)
    both = of(np.array([top])).merge(of(np.array([-top])))
    assert both.mean == 0.0
    assert both.variance == top
    together = of(np.array([top, top, top]))
    assert together.mean == pytest.approx(top)
    assert together.variance == 0.0
    assert math.isfinite(of(np.array([top, -top, top])).variance)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.floats(-1e30, 1e30, allow_subnormal=False), min_size=1, max_size=40),
    st.lists(st.integers(0, 40), max_size=5),
)
def test_any_numbers_cut_anywhere(numbers: list[float], cuts: list[int]) -> None:
    values = np.array(numbers)
    found = Moments()
    for part in np.split(values, sorted(min(cut, values.size) for cut in cuts)):
        found = found.merge(of(part))
    mean, variance = exact(values)
    largest = float(np.abs(values).max())
    assert abs(float(Fraction(found.mean) - mean)) <= 1e-14 * largest
    # Deviations carry the rounding of the numbers themselves.
    assert abs(found.variance - float(variance)) <= 1e-12 * float(variance) + 1e-29 * largest**2


def codes_of(
    values: NDArray[np.float32], dtype: str
) -> tuple[NDArray[np.unsignedinteger], NDArray[np.float64]]:
    """Return codes and the numbers that they stand for."""
    if dtype == "F32":
        return values.view(np.uint32), values.astype(np.float64)
    if dtype == "F16":
        half = values.astype(np.float16)
        return half.view(np.uint16), half.astype(np.float64)
    upper = (values.view(np.uint32) >> 16).astype(np.uint16)
    return upper, (upper.astype(np.uint32) << 16).view(np.float32).astype(np.float64)


@pytest.mark.parametrize("size", [65_537, 70_001, 262_144, 393_216])
@pytest.mark.parametrize("dtype", ["F32", "BF16", "F16"])
@pytest.mark.parametrize("std", [10.0, 0.02, 1e-6])
def test_the_fast_sums_agree_with_float64(dtype: str, std: float, size: int) -> None:
    drawn = np.random.default_rng(size).standard_normal(size, dtype=np.float32) * np.float32(std)
    codes, values = codes_of(drawn, dtype)

    found = sums.moments(codes, dtype, float(np.abs(values).max()))

    assert found is not None
    assert found.count == size
    assert found.mean == pytest.approx(values.mean(), abs=1e-8 * std)
    assert found.variance == pytest.approx(values.var(), rel=2e-7)


def test_every_finite_half_is_summed_exactly() -> None:
    every = np.arange(1 << 16, dtype=np.uint16)
    finite = every[np.isfinite(every.view(np.float16))]
    codes = np.concatenate([finite, finite[finite.view(np.float16) > 0]])
    values = codes.view(np.float16).astype(np.float64)
    found = sums.moments(codes, "F16", 65504.0)
    assert found is not None
    assert found.mean == pytest.approx(values.mean(), rel=1e-6)
    assert found.variance == pytest.approx(values.var(), rel=1e-6)


@pytest.mark.parametrize(
    ("mean", "std"), [(1.0, 1e-3), (100.0, 1e-2), (0.0, 1e-25), (0.0, 1e20), (0.5, 0.29)]
)
def test_what_float32_would_spoil_is_left_to_float64(mean: float, std: float) -> None:
    drawn = mean + std * np.random.default_rng(1).standard_normal(100_000)
    values = drawn.astype(np.float32)
    largest = float(np.abs(values).max())
    assert sums.moments(values.view(np.uint32), "F32", largest) is None
