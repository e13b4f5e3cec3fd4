from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from initaudit.replica import statistics


def drawn(*shape: int, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).standard_normal(shape)


def test_moments_are_those_of_numpy() -> None:
    x = 3.0 + 2.0 * drawn(50, 7)
    mean, std, second = statistics.moments(x)
    assert (mean, std, second) == pytest.approx((x.mean(), x.std(), (x**2).mean()), rel=1e-12)


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_moments_survive_scales_whose_squares_do_not(scale: float) -> None:
    x = scale * drawn(50, 7)
    mean, std, _ = statistics.moments(x)
    assert std == pytest.approx(scale * drawn(50, 7).std(), rel=1e-12)
    assert mean == pytest.approx(scale * drawn(50, 7).mean(), rel=1e-12)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_moments_of_what_is_not_finite_are_infinite(bad: float) -> None:
    assert statistics.moments(np.array([[1.0, bad]]))[1:] == (math.inf, math.inf)


def test_histogram_counts_every_entry_between_its_ends() -> None:
    x = drawn(100, 9)
    counts, low, high = statistics.histogram(x)
    expected, _ = np.histogram(x, bins=32, range=(low, high))
    assert (low, high) == (x.min(), x.max())
    assert counts == tuple(expected)


def test_histogram_of_a_constant_is_one_bin() -> None:
    counts, low, high = statistics.histogram(np.full((4, 3), 0.5))
    assert (counts[0], sum(counts), low, high) == (12, 12, 0.5, 0.5)


@pytest.mark.parametrize("variances", [(1, 1, 1, 1), (4, 1), (9, 4, 1), (1, 0, 0)])
def test_effective_rank_of_independent_features(variances: tuple[float, ...]) -> None:
    x = drawn(20_000, len(variances)) * np.sqrt(variances)
    expected = sum(variances) ** 2 / sum(v**2 for v in variances)
    assert statistics.participation(x, 1) == pytest.approx(expected, rel=0.02)


def test_effective_rank_is_the_ratio_of_the_covariance() -> None:
    x = drawn(40, 6) @ drawn(6, 6, seed=1) + 5.0
    covariance = np.cov(x.T)
    expected = np.trace(covariance) ** 2 / np.trace(covariance @ covariance)
    assert statistics.participation(x, 1) == pytest.approx(expected, rel=1e-12)


def test_effective_rank_with_fewer_samples_than_features() -> None:
    x = drawn(5, 80)
    covariance = np.cov(x.T)
    expected = np.trace(covariance) ** 2 / np.trace(covariance @ covariance)
    assert statistics.participation(x, 1) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_effective_rank_does_not_depend_on_scale(scale: float) -> None:
    x = drawn(40, 6)
    assert statistics.participation(scale * x, 1) == pytest.approx(
        statistics.participation(x, 1), rel=1e-12
    )


@pytest.mark.parametrize(("ripple", "healthy"), [(1e-5, True), (1e-7, False)])
def test_effective_rank_is_zero_where_only_rounding_moves(ripple: float, healthy: bool) -> None:
    x = 1.0 + ripple * drawn(256, 8)
    assert (statistics.participation(x, 1) > 5.0) is healthy
    assert healthy or statistics.participation(x, 1) == 0.0


def test_effective_rank_of_a_constant_is_zero() -> None:
    assert statistics.participation(np.full((9, 4), 0.5), 1) == 0.0
    assert statistics.participation(np.zeros((9, 4)), 1) == 0.0


def test_places_are_samples_of_the_features() -> None:
    x = drawn(30, 4, 5, 5)
    moved = x - x.mean(0)
    rows = np.moveaxis(moved, 1, -1).reshape(-1, 4)
    gram = rows.T @ rows
    expected = np.trace(gram) ** 2 / np.square(gram).sum()
    assert statistics.participation(x, 1) == pytest.approx(expected, rel=1e-12)


def test_a_pattern_over_places_that_no_input_moves_has_no_rank() -> None:
    border = drawn(1, 4, 5, 5)
    assert statistics.participation(np.broadcast_to(border, (30, 4, 5, 5)), 1) == 0.0


def test_evenly_spaced_rows_stand_for_many() -> None:
    x = drawn(64, 3, 20, 20)
    assert len(statistics.rows(x, 1)) > 8192
    assert statistics.participation(x, 1) == pytest.approx(3.0, rel=0.01)


def test_cosine_is_the_mean_over_pairs() -> None:
    x = drawn(6, 5) + 0.3
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    pairs = [unit[i] @ unit[j] for i in range(6) for j in range(6) if i != j]
    assert statistics.cosine(x) == pytest.approx(np.mean(pairs), rel=1e-12)


def test_cosine_of_equal_samples_is_one() -> None:
    assert statistics.cosine(np.ones((5, 3)) * 1e-200) == pytest.approx(1.0)


def test_cosine_leaves_out_samples_of_zeros() -> None:
    x = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]])
    assert statistics.cosine(x) == pytest.approx(math.sqrt(0.5))
    assert statistics.cosine(x[:2]) is None


def test_a_unit_is_dead_where_it_is_off_for_every_input() -> None:
    x = np.abs(drawn(10, 4, 3)) + 0.1
    x[:, 1] = 0.0
    x[:, 2, 1:] = 0.0
    x[:, 3] = 0.5
    assert statistics.dead_share(x, 1, (0.0,)) == 0.25
    assert statistics.dead_share(x, 1, (0.0, 0.5)) == 0.5
