from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from initaudit.catalogue import (
    UNKNOWN,
    Value,
    bias,
    scaled,
    shifted,
    truncation,
    weights,
)
from initaudit.network import Interval, Weights
from tests.catalogue.known import ENTRIES, ZERO, drawn, initialiser, near


@pytest.mark.parametrize(
    ("call", "law", "mean", "scale", "fan"),
    [
        (drawn("torch.nn.init.normal_"), "normal", 0, 1, "none"),
        (drawn("torch.nn.init.normal_", 0.02), "normal", 0.02, 1, "none"),
        (drawn("torch.nn.init.normal_", std=0.02), "normal", 0, 0.0004, "none"),
        (drawn("torch.nn.init.normal_", 0.5, 0.0), "constant", 0.5, 0, "none"),
        (drawn("torch.nn.init.uniform_"), "uniform", 0.5, 1 / 12, "none"),
        (drawn("torch.nn.init.uniform_", -0.1, 0.1), "uniform", 0, 0.04 / 12, "none"),
        (drawn("torch.nn.init.constant_", 0), "zeros", 0, 0, "none"),
        (drawn("torch.nn.init.constant_", 0.1), "constant", 0.1, 0, "none"),
        (drawn("torch.nn.init.ones_"), "constant", 1, 0, "none"),
        (drawn("torch.nn.init.xavier_normal_"), "normal", 0, 1, "average"),
        (drawn("torch.nn.init.xavier_uniform_", 2.0), "uniform", 0, 4, "average"),
        (drawn("torch.nn.init.kaiming_normal_"), "normal", 0, 2, "in"),
        (drawn("torch.nn.init.kaiming_uniform_", a=math.sqrt(5)), "uniform", 0, 1 / 3, "in"),
        (drawn("torch.nn.init.kaiming_normal_", mode="fan_out"), "normal", 0, 2, "out"),
        (drawn("torch.nn.init.kaiming_normal_", nonlinearity="tanh"), "normal", 0, 25 / 9, "in"),
        (drawn("torch.nn.init.kaiming_normal_", 9, nonlinearity="relu"), "normal", 0, 2, "in"),
        (drawn("torch.nn.init.kaiming_normal_", nonlinearity="conv2d"), "normal", 0, 1, "in"),
        (drawn("torch.nn.init.orthogonal_", 2.0), "orthogonal", 0, 4, "in"),
        (drawn("torch.nn.init.sparse_", 0.5), "sparse", 0, 0.00005, "none"),
        (drawn("torch.nn.init.trunc_normal_", std=0.02), "normal", 0, 0.0004, "none"),
        (drawn("torch.nn.init.trunc_normal_"), "truncated", 0, 0.7737413, "none"),
        (drawn("timm.layers.trunc_normal_tf_", std=0.02), "truncated", 0, 0.00030949652, "none"),
        (drawn("timm.layers.lecun_normal_"), "truncated", 0, 1, "in"),
        (drawn("timm.layers.variance_scaling_", 2.0), "normal", 0, 2, "in"),
        (drawn("mmcv.cnn.kaiming_init"), "normal", 0, 2, "out"),
        (drawn("mmcv.cnn.xavier_init", distribution="uniform"), "uniform", 0, 1, "average"),
        (drawn("mmcv.cnn.caffe2_xavier_init"), "uniform", 0, 1, "in"),
        (drawn("keras.initializers.RandomNormal"), "normal", 0, 0.0025, "none"),
        (drawn("keras.initializers.RandomNormal", 0.02), "normal", 0.02, 0.0025, "none"),
        (drawn("keras.initializers.RandomUniform"), "uniform", 0, 0.01 / 12, "none"),
        (drawn("keras.initializers.TruncatedNormal"), "truncated", 0, 0.0019343532, "none"),
        (drawn("keras.initializers.TruncatedNormal", 1.0), "truncated", 1, 0.0019343532, "none"),
        (drawn("keras.initializers.Constant"), "zeros", 0, 0, "none"),
        (drawn("keras.initializers.GlorotUniform"), "uniform", 0, 1, "average"),
        (drawn("keras.initializers.GlorotNormal", seed=1), "truncated", 0, 1, "average"),
        (drawn("keras.initializers.HeNormal"), "truncated", 0, 2, "in"),
        (drawn("keras.initializers.LecunUniform"), "uniform", 0, 1, "in"),
        (drawn("keras.initializers.VarianceScaling"), "truncated", 0, 1, "in"),
        (
            drawn("keras.initializers.VarianceScaling", 2.0, "fan_out", "uniform"),
            "uniform",
            0,
            2,
            "out",
        ),
        (
            drawn("keras.initializers.VarianceScaling", distribution="normal"),
            "truncated",
            0,
            1,
            "in",
        ),
        (
            drawn("keras.initializers.VarianceScaling", distribution="untruncated_normal"),
            "normal",
            0,
            1,
            "in",
        ),
        (drawn("tensorflow.random_normal", (3, 4)), "normal", 0, 1, "none"),
        (drawn("tensorflow.random_normal", (3, 4), 0.02), "normal", 0.02, 1, "none"),
        (drawn("tensorflow.random_uniform", (3, 4)), "uniform", 0.5, 1 / 12, "none"),
        (
            drawn("tensorflow.truncated_normal", (3,), stddev=0.1),
            "truncated",
            0,
            0.007737413,
            "none",
        ),
        (drawn("tensorflow.constant", 0.1, shape=(3,)), "constant", 0.1, 0, "none"),
        (drawn("tensorflow.compat.v1.random_normal_initializer"), "normal", 0, 1, "none"),
        (drawn("tensorflow.contrib.layers.xavier_initializer"), "uniform", 0, 1, "average"),
        (
            drawn("tensorflow.contrib.layers.xavier_initializer", False),
            "truncated",
            0,
            1,
            "average",
        ),
        (
            drawn("tensorflow.contrib.layers.variance_scaling_initializer"),
            "truncated",
            0,
            2,
            "in",
        ),
        (drawn("jax.nn.initializers.normal"), "normal", 0, 0.0001, "none"),
        (drawn("jax.nn.initializers.normal", 0.02), "normal", 0, 0.0004, "none"),
        (drawn("jax.nn.initializers.uniform", 0.1), "uniform", 0.05, 0.01 / 12, "none"),
        (drawn("jax.nn.initializers.lecun_normal"), "truncated", 0, 1, "in"),
        (drawn("jax.nn.initializers.he_uniform"), "uniform", 0, 2, "in"),
        (
            drawn("jax.nn.initializers.variance_scaling", 3, "fan_avg", "normal"),
            "normal",
            0,
            3,
            "average",
        ),
        (drawn("jax.random.normal", UNKNOWN, (3, 4)), "normal", 0, 1, "none"),
        (drawn("jax.random.uniform", UNKNOWN, minval=-1, maxval=1), "uniform", 0, 1 / 3, "none"),
        (drawn("jax.random.truncated_normal", UNKNOWN, -2, 2), "truncated", 0, 0.7737413, "none"),
        (drawn("haiku.initializers.RandomNormal", 0.02), "normal", 0, 0.0004, "none"),
        (drawn("haiku.initializers.TruncatedNormal"), "truncated", 0, 0.7737413, "none"),
        (drawn("haiku.initializers.UniformScaling", 2.0), "uniform", 0, 4, "in"),
        (drawn("mlx.nn.init.he_normal"), "normal", 0, 1, "in"),
        (drawn("mlx.nn.init.glorot_uniform"), "uniform", 0, 1, "average"),
        (drawn("mlx.core.random.normal", (3,), scale=0.1), "normal", 0, 0.01, "none"),
        (drawn("paddle.nn.initializer.Normal", 0.02), "normal", 0.02, 1, "none"),
        (drawn("paddle.fluid.initializer.MSRA", False), "normal", 0, 2, "in"),
        (drawn("paddle.fluid.initializer.Xavier"), "uniform", 0, 1, "average"),
        (drawn("paddle.nn.initializer.Uniform"), "uniform", 0, 1 / 3, "none"),
        (drawn("paddle.nn.initializer.KaimingNormal"), "normal", 0, 2, "in"),
        (drawn("paddle.nn.initializer.XavierUniform", gain=2), "uniform", 0, 4, "average"),
    ],
)
def test_a_call_draws_what_its_framework_documents(
    call: Weights, law: str, mean: float, scale: float, fan: str
) -> None:
    assert (call.law, call.fan) == (law, fan)
    assert near(call.mean, mean)
    assert call.scale.lo == pytest.approx(scale, rel=1e-6) == call.scale.hi


@pytest.mark.parametrize(
    ("call", "least", "most"),
    [
        (drawn("torch.nn.init.normal_", std=UNKNOWN), 0, math.inf),
        (drawn("torch.nn.init.kaiming_normal_", UNKNOWN), 0, 2),
        (drawn("torch.nn.init.kaiming_normal_", nonlinearity=UNKNOWN), 0, 25 / 9),
        (drawn("torch.nn.init.kaiming_normal_", mode=UNKNOWN), 0, math.inf),
        (drawn("torch.nn.init.trunc_normal_", std=UNKNOWN), 0, 16 / 12),
        (drawn("torch.nn.init.trunc_normal_", std=0.02, a=UNKNOWN, b=UNKNOWN), 0, 0.0004),
        (drawn("tensorflow.random_normal_initializer"), 0.0025, 1),
        (drawn("paddle.nn.initializer.XavierUniform", 64), 0, math.inf),
        (drawn("torch.empty", 3, 4), 0, math.inf),
        (drawn("numpy.array", UNKNOWN), 0, math.inf),
        (drawn("tensorflow.constant", (1, 2)), 0, math.inf),
    ],
)
def test_what_is_unknown_stays_wide(call: Weights, least: float, most: float) -> None:
    assert call.scale.lo == pytest.approx(least)
    assert call.scale.hi == pytest.approx(most)


def test_an_unknown_value_is_no_zero() -> None:
    call = drawn("torch.nn.init.constant_", UNKNOWN)
    assert (call.law, call.mean) == ("constant", Interval.unknown())


def test_an_unknown_deviation_about_the_middle_of_the_cuts_keeps_the_mean() -> None:
    assert drawn("torch.nn.init.trunc_normal_", std=UNKNOWN).mean == ZERO


def test_cuts_in_the_wrong_order_tell_nothing() -> None:
    assert drawn("torch.nn.init.trunc_normal_", a=2.0, b=-2.0).law == "unknown"


def test_a_helper_that_fills_a_layer_says_what_it_leaves_in_the_bias() -> None:
    entry = initialiser("mmcv.cnn.normal_init")
    assert bias(entry, {"bias": Interval.point(1.0)}) == Weights(
        "constant", Interval.point(1.0), ZERO
    )
    assert bias(entry, {}) == Weights("zeros", ZERO, ZERO)
    assert bias(entry, {"bias": UNKNOWN}) is None
    assert bias(initialiser("torch.nn.init.normal_"), {}) is None


NO_NUMBERS = {"shape", "mode", "nonlinearity", "distribution", "fan", "bias"}
NUMBERED = [
    entry
    for found in ENTRIES.values()
    for entry in (*found.initialisers.values(), *found.methods.values())
    if {*entry.numbers} - NO_NUMBERS
]


@given(st.data())
def test_less_knowledge_never_excludes_what_more_knowledge_says(data: st.DataObject) -> None:
    entry = data.draw(st.sampled_from(NUMBERED))
    numbers = st.floats(0.001, 3.0).map(Interval.point)
    bound: dict[str, Value] = {
        parameter: data.draw(numbers)
        for role, parameter in entry.numbers.items()
        if role not in NO_NUMBERS
    }
    known = weights(entry, bound)
    bound[data.draw(st.sampled_from([*bound]))] = (
        UNKNOWN if data.draw(st.booleans()) else Interval(0.0, 4.0)
    )
    vague = weights(entry, bound)
    assume(known.law != "unknown")
    slack = 1e-9
    assert vague.mean.lo - slack <= known.mean.lo <= known.mean.hi <= vague.mean.hi + slack
    if vague.fan == known.fan:
        assert vague.scale.lo - slack <= known.scale.lo <= known.scale.hi <= vague.scale.hi + slack


@pytest.mark.parametrize(("low", "high"), [(-2, 2), (0, 1), (-0.5, 4), (3, 5), (-6, -4), (-9, 9)])
def test_the_moments_of_a_cut_normal_law_are_those_of_its_density(low: float, high: float) -> None:
    x = np.linspace(low, high, 200_001)
    density = np.exp(-(x**2) / 2)
    density /= density.sum()
    mean = float(density @ x)
    shift, variance = truncation.standard(low, high)
    assert shift == pytest.approx(mean, abs=1e-4)
    assert variance == pytest.approx(float(density @ (x - mean) ** 2), rel=1e-3)


def test_a_scaled_draw_has_the_square_of_the_factor() -> None:
    normal = drawn("numpy.random.randn", 3, 4)
    assert scaled(normal, Interval.point(-0.1)).scale.lo == pytest.approx(0.01)
    assert scaled(normal, ZERO).law == "zeros"
    assert scaled(drawn("numpy.ones", 3), Interval.point(0.5)).mean == Interval.point(0.5)
    assert scaled(drawn("numpy.zeros", 3), Interval.unknown()).law == "zeros"


def test_a_shifted_draw_has_another_mean() -> None:
    half = Interval.point(-0.5)
    assert shifted(drawn("numpy.random.rand", 3, 4), half).mean == ZERO
    assert shifted(drawn("numpy.ones", 3), Interval.point(-1.0)).law == "zeros"
