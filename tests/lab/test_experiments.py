"""Every claim of the lab, on its numbers, and the rule that names it on the saved network."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from initaudit.lab import experiments
from initaudit.lab.experiments import depth
from initaudit.lab.results import Named, Result
from initaudit.lab.settings import Settings


@cache
def result(name: str) -> Result:
    return experiments.run(name, Settings())


def rules(name: str) -> dict[str, Named]:
    return {one.network: one for one in result(name).named}


@pytest.mark.parametrize("name", experiments.NAMES)
def test_what_is_expected_is_measured_and_named(name: str) -> None:
    assert result(name).claims
    assert [one.expected for one in result(name).claims if not one.holds] == []
    assert [one.network for one in result(name).named if not one.as_expected] == []


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_zero_weights_stay_exactly_zero(activation: str) -> None:
    assert result("zero").numbers[f"{activation} largest weight"] == 0.0
    assert {"IA101", "IA201"} <= set(rules("zero")[f"{activation}, weights 0"].rules)


def test_sigmoid_units_from_zero_move_and_stay_identical() -> None:
    numbers = result("zero").numbers
    assert numbers["sigmoid unit difference"] <= 1e-12
    assert numbers["sigmoid largest weight"] > 0.1


@pytest.mark.parametrize(
    "network", ["a linear model from zeros", "a zero head under tanh", "one zero layer under tanh"]
)
def test_zeros_that_do_no_harm_are_learned_from_and_not_called_zero_weights(network: str) -> None:
    numbers = result("zero").numbers
    assert numbers[f"{network} loss"] < 0.15 * numbers["relu loss"]
    assert "IA101" not in rules("zero")[network].rules


@pytest.mark.parametrize("points", ["two moons", "circles"])
def test_a_constant_network_is_one_unit_with_a_straight_boundary(points: str) -> None:
    numbers = result("constant").numbers
    assert numbers[f"{points} unit difference"] <= 1e-12
    assert numbers[f"{points} weight difference"] <= 1e-12
    assert numbers[f"{points} straight"] == 1.0
    assert numbers[f"{points} accuracy"] <= numbers[f"{points} best line"]
    assert numbers[f"{points} accuracy proper"] > 0.95


def test_a_constant_network_is_no_better_on_moons_than_logistic_regression() -> None:
    numbers = result("constant").numbers
    assert numbers["two moons accuracy"] <= numbers["two moons accuracy logistic"] + 0.01


def test_a_constant_network_is_named() -> None:
    assert {"IA102", "IA201"} <= set(rules("constant")["tanh, all 0.5"].rules)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
def test_small_weights_lose_the_signal(activation: str) -> None:
    numbers = result("small").numbers
    assert numbers[f"{activation} std 10"] < 1e-6
    assert numbers[f"{activation} std 1"] > 1e4 * numbers[f"{activation} std 10"]
    assert "IA103" in rules("small")[f"{activation}, normal_(0, 0.01)"].rules


def test_small_tanh_shrinks_by_its_gain_at_each_layer() -> None:
    numbers = result("small").numbers
    steps = [numbers[f"tanh std {i + 1}"] / numbers[f"tanh std {i}"] for i in range(1, 10)]
    assert steps == pytest.approx([0.01 * 500**0.5] * 9, rel=0.05)


def test_large_tanh_saturates_from_the_second_layer_on() -> None:
    numbers = result("large").numbers
    assert min(numbers[f"tanh plateau {i}"] for i in range(2, 11)) > 0.95
    found = rules("large")["tanh, uniform_(0, 1)"].rules
    assert {"IA104", "IA105", "IA202", "IA205", "IA207"} <= set(found)


def test_large_sigmoid_clusters_at_zero_and_one() -> None:
    numbers = result("large").numbers
    assert min(numbers["sigmoid low 1"], numbers["sigmoid high 1"]) > 0.3
    assert min(numbers[f"sigmoid plateau {i}"] for i in range(3, 11)) > 0.95
    assert {"IA105", "IA202"} <= set(rules("large")["sigmoid, uniform_(0, 1)"].rules)


def test_large_relu_explodes_by_half_the_width_a_layer() -> None:
    numbers = result("large").numbers
    assert numbers["relu factor"] == pytest.approx(250.0, rel=0.05)
    assert {"IA204", "IA206"} <= set(rules("large")["relu, uniform_(0, 1)"].rules)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
def test_large_weights_start_far_from_guessing_and_jump_about(activation: str) -> None:
    numbers = result("large").numbers
    assert numbers[f"{activation} first loss"] > 1.5 * np.log(10)
    assert numbers[f"{activation} largest rise"] > 0.3
    assert numbers[f"{activation} last loss"] > 0.9 * np.log(10)
    assert numbers[f"{activation} last loss sound"] < 0.5 * np.log(10)


def test_relu_of_large_weights_diverges_at_first() -> None:
    numbers = result("large").numbers
    assert numbers["relu peak loss"] > 100.0 * numbers["relu first loss"]


@pytest.mark.parametrize(
    "case",
    ["tanh, xavier, 10", "relu, he, 10", "selu, lecun, 10", "sigmoid, xavier, 4",
     "sigmoid, 4 x xavier, 10"],
)  # fmt: skip
def test_sound_starts_are_sound(case: str) -> None:
    label = f"{case} hidden layers"
    assert result("proper").numbers[f"{label} rank"] > 1.1
    assert 10**-2.5 < result("proper").numbers[f"{label} gradient ratio"] < 10**2.5
    assert {s for _, s in rules("proper")[label].rules.values()} <= {"note"}


def test_xavier_does_not_carry_ten_sigmoid_layers() -> None:
    label = "sigmoid, xavier, 10 hidden layers"
    assert result("proper").numbers[f"{label} rank"] <= 1.05
    assert result("proper").numbers[f"{label} gradient ratio"] < 10**-2.5
    assert {"IA202", "IA205"} <= set(rules("proper")[label].rules)


def test_depth_follows_the_depth_scale() -> None:
    numbers = result("depth").numbers
    pairs = [
        (numbers[f"{text}, {activation} measured"], numbers[f"{text}, {activation} theory"])
        for text in depth.STARTS
        for activation in depth.OWN
    ]
    measured, theory = np.array(pairs).T
    assert np.abs(measured - theory).max() < 0.1 * np.log(10)
    # Figures of Poole et al. 2016 and Schoenholz et al. 2017, in decades of power a layer.
    assert numbers["xavier, sigmoid measured"] / np.log(10) == pytest.approx(-1.25, abs=0.05)
    assert numbers["he, sigmoid measured"] / np.log(10) == pytest.approx(-1.00, abs=0.05)
    assert numbers["default, tanh measured"] / np.log(10) == pytest.approx(-0.48, abs=0.05)
    assert numbers["default, relu measured"] / np.log(10) == pytest.approx(-0.78, abs=0.05)


def test_depth_scales_beyond_the_scale_of_the_picture() -> None:
    assert depth.reach(0.0) == depth.MOST
    assert depth.reach(-1e-4) == depth.MOST
    assert depth.reach(-2.0) == 3.0
    assert depth.reach(-np.inf) == 0.0


def test_mixed_layers_each_have_their_own_factor() -> None:
    numbers = result("mixed").numbers
    assert numbers["factor before"] == pytest.approx(1.0, abs=0.2)
    assert numbers["factor behind"] == pytest.approx(0.5, abs=0.1)
    assert numbers["drop"] == pytest.approx(0.01**2 * 200 / 2, rel=0.2)
    assert numbers["kept"] == pytest.approx(1.0, abs=0.2)
    assert "IA105" in rules("mixed")["Xavier, but layer 6 uniform_(0, 1) (tanh)"].rules


def test_a_bad_start_shows_in_the_first_steps() -> None:
    numbers = result("detect").numbers
    assert numbers["xavier last loss"] < 0.5 * np.log(10)
    for text in ("normal_(0, 0.01)", "uniform_(0, 1)", "0.5"):
        assert numbers[f"{text} last loss"] > 0.9 * np.log(10)
    assert numbers["normal_(0, 0.01) first-layer gradient"] < 1e-8
    assert numbers["0.5 alike"] > 0.99
    assert numbers["uniform_(0, 1) alike"] > 0.99
    assert numbers["xavier alike at the end"] < 0.9


def test_a_weak_start_is_slow_under_gradient_descent_and_not_under_adam() -> None:
    numbers = result("slow").numbers
    assert numbers["default plain"] > 5.0
    assert numbers["normal_(0, 0.05) plain"] > 10.0
    assert numbers["normal_(0, 0.05) adam"] < 3.0
    assert "IA106" in rules("slow")["normal_(0, 0.05)"].rules


@pytest.mark.parametrize("seed", [1, 2])
def test_the_claims_hold_for_other_seeds(seed: int) -> None:
    for name in ("zero", "constant", "mixed", "detect"):
        found = experiments.run(name, Settings(seed=seed))
        assert [one.expected for one in found.claims if not one.holds] == [], name
        assert [one.network for one in found.named if not one.as_expected] == [], name


def test_settings_change_what_is_run_and_a_claim_that_fails_is_said_to() -> None:
    found = experiments.run("small", Settings(initialiser="xavier", activation="tanh", width=64))
    assert not found.claims[0].holds
    assert [one.network for one in found.named] == ["tanh, xavier"]
    assert "IA103" not in found.named[0].rules
