"""Initialisers by name, and what they draw."""

from __future__ import annotations

import numpy as np
import pytest

from initaudit.lab.initialisers import InitialiserError, start

SHAPE = (400, 300)
NORMAL, UNIFORM, CUT = 3.0, 1.8, 2.06
"""Kurtosis of a normal law, of a uniform one, and of a normal one cut at two deviations."""


@pytest.mark.parametrize(
    ("text", "mean", "std", "kurtosis"),
    [
        ("he", 0, (2 / 300) ** 0.5, NORMAL),
        ("he uniform", 0, (2 / 300) ** 0.5, UNIFORM),
        ("xavier", 0, (2 / 700) ** 0.5, UNIFORM),
        ("lecun", 0, (1 / 300) ** 0.5, NORMAL),
        ("default", 0, (1 / 900) ** 0.5, UNIFORM),
        ("orthogonal", 0, (1 / 400) ** 0.5, NORMAL),
        ("4 x xavier", 0, 4 * (2 / 700) ** 0.5, UNIFORM),
        ("0.1 * torch.randn", 0, 0.1, NORMAL),
        ("normal_(0, 0.01)", 0, 0.01, NORMAL),
        ("torch.nn.init.normal_(mean=1.0, std=0.5)", 1, 0.5, NORMAL),
        ("uniform_(0, 1)", 0.5, 12**-0.5, UNIFORM),
        ("nn.init.uniform_", 0.5, 12**-0.5, UNIFORM),
        ("np.random.rand", 0.5, 12**-0.5, UNIFORM),
        ("he_normal", 0, (2 / 300) ** 0.5, 2.37),
        ("keras.initializers.RandomNormal(stddev=0.05)", 0, 0.05, NORMAL),
        ("jax.nn.initializers.variance_scaling(2.0, 'fan_in', 'uniform')", 0, (2 / 300) ** 0.5,
         UNIFORM),
        ("sparse_(0.9, std=0.1)", 0, 0.1 * 0.1**0.5, 30.0),
    ],
)  # fmt: skip
def test_the_draw_has_the_moments_of_its_law(
    text: str, mean: float, std: float, kurtosis: float
) -> None:
    drawn = start(text).weight(SHAPE, np.random.default_rng(0))
    assert drawn.shape == SHAPE
    assert drawn.mean() == pytest.approx(mean, abs=0.02 * std)
    assert drawn.std() == pytest.approx(std, rel=0.02)
    z = (drawn - drawn.mean()) / drawn.std()
    assert (z**4).mean() == pytest.approx(kurtosis, rel=0.05)


@pytest.mark.parametrize(("text", "value"), [("0.5", 0.5), ("0", 0.0), ("constant_(0.3)", 0.3)])
def test_a_number_fills_with_it(text: str, value: float) -> None:
    assert (start(text).weight((3, 4), np.random.default_rng(0)) == value).all()


def test_orthogonal_rows_are_orthonormal_and_the_identity_is_one() -> None:
    q = start("orthogonal").weight((4, 9), np.random.default_rng(0))
    assert q @ q.T == pytest.approx(np.eye(4), abs=1e-12)
    assert (start("eye_").weight((3, 3), np.random.default_rng(0)) == np.eye(3)).all()


def test_only_the_default_draws_biases() -> None:
    random = np.random.default_rng(0)
    assert (start("he").biases((5, 100), random) == 0.0).all()
    drawn = start("default").biases((5000, 100), random)
    assert drawn.std() == pytest.approx((1 / 300) ** 0.5, rel=0.05)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hee", "did you mean he"),
        ("he normal(", "is no initialiser"),
        ("constant_", "needs val"),
        ("normal_(0, 0.01, 4, 5)", "do not fit"),
        ("normal_(mean=0, mean2=1)", "do not fit"),
        ("normal_(foo)", "is no number"),
        ("torch.empty", "give its numbers"),
        ("inf", "no initialiser"),
        ("", "is no initialiser"),
        ("__import__('os').system('x')", "is no initialiser"),
        ("normal_(**{})", "is no initialiser"),
    ],
)
def test_what_is_no_initialiser_says_what_to_write(text: str, said: str) -> None:
    with pytest.raises(InitialiserError, match=said):
        start(text)
