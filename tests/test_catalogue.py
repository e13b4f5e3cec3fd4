from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from initaudit.catalogue import (
    REQUIRED,
    UNKNOWN,
    Catalogue,
    CatalogueError,
    Initialiser,
    Parameter,
    Value,
    argument,
    bias,
    bind,
    filled,
    frameworks_folder,
    load,
    reading,
    scaled,
    shape,
    shifted,
    truncation,
    weights,
)
from initaudit.catalogue.lookup import all_entries
from initaudit.network import Interval, Weights

CATALOGUE = load()
ENTRIES = all_entries(CATALOGUE)
ZERO = Interval.point(0.0)


def value(raw: object) -> Value:
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        return Interval.point(float(raw))
    if isinstance(raw, tuple):
        return tuple(value(v) for v in raw)
    assert raw is UNKNOWN or raw is None or isinstance(raw, str | bool | Interval)
    return raw


def initialiser(name: str) -> Initialiser:
    found = CATALOGUE.initialiser(name)
    assert found is not None, name
    return found


def drawn(name: str, *positional: object, **keywords: object) -> Weights:
    """Return what a call draws; the target of a filling initialiser is left out."""
    entry = initialiser(name)
    first = [UNKNOWN] if entry.target else []
    bound = bind(
        entry.parameters,
        [*first, *map(value, positional)],
        {k: value(v) for k, v in keywords.items()},
    )
    assert bound is not None
    return weights(entry, bound)


def near(interval: Interval, number: float) -> bool:
    return interval.lo == pytest.approx(number, abs=1e-12) == interval.hi


# What names stand for


@pytest.mark.parametrize(
    ("other", "name"),
    [
        ("torch.nn.init.normal_", "torch.nn.init.normal_"),
        ("transformers.initialization.trunc_normal_", "torch.nn.init.trunc_normal_"),
        ("transformers.initialization.lecun_normal_", "timm.layers.lecun_normal_"),
        ("timm.models.layers.trunc_normal_", "timm.layers.trunc_normal_"),
        ("timm.layers.weight_init.trunc_normal_tf_", "timm.layers.trunc_normal_tf_"),
        ("mmcv.cnn.xavier_init", "mmengine.model.xavier_init"),
        ("mmcv.cnn.utils.weight_init.normal_init", "mmengine.model.normal_init"),
        ("tensorflow.keras.initializers.he_normal", "keras.initializers.HeNormal"),
        ("tf.keras.initializers.HeNormal", "keras.initializers.HeNormal"),
        ("tf_keras.initializers.HeNormal", "keras.initializers.HeNormal"),
        ("tensorflow.initializers.he_normal", "keras.initializers.HeNormal"),
        ("tensorflow.random_normal", "tensorflow.random.normal"),
        ("tensorflow.compat.v1.truncated_normal", "tensorflow.random.truncated_normal"),
        ("flax.linen.initializers.lecun_normal", "jax.nn.initializers.lecun_normal"),
        ("flax.nnx.initializers.lecun_normal", "jax.nn.initializers.lecun_normal"),
        ("flax.nnx.initializers.zeros_init", "flax.linen.initializers.zeros_init"),
        ("jax.nn.initializers.xavier_uniform", "jax.nn.initializers.glorot_uniform"),
        ("cupy.random.randn", "numpy.random.randn"),
        ("paddle.fluid.initializer.Constant", "paddle.nn.initializer.Constant"),
    ],
)
def test_an_initialiser_is_found_under_its_other_names(other: str, name: str) -> None:
    assert initialiser(other).name == name


@pytest.mark.parametrize(
    ("other", "name"),
    [
        ("torch.nn.modules.linear.Linear", "torch.nn.Linear"),
        ("torch.nn.modules.conv.Conv2d", "torch.nn.Conv2d"),
        ("torch.nn.parameter.Parameter", "torch.nn.Parameter"),
        ("tf.keras.layers.Dense", "keras.layers.Dense"),
        ("tensorflow.keras.layers.Convolution2D", "keras.layers.Conv2D"),
        ("tensorflow.keras.Model", "keras.Model"),
        ("tensorflow.compat.v1.get_variable", "tensorflow.get_variable"),
        ("paddle.framework.ParamAttr", "paddle.ParamAttr"),
    ],
)
def test_a_layer_is_found_under_its_other_names(other: str, name: str) -> None:
    layer = CATALOGUE.layer(other)
    assert layer is not None
    assert layer.name == name


@pytest.mark.parametrize(
    "name",
    [
        "project.init.normal_",
        "normal_",
        "torch",
        "torch.nn.init",
        "torch.nn.init.normal_.more",
        "torch.nn.init.lecun_normal_",
        "transformers.models.bert.init.normal_",
        "torchvision.ops.Conv2d",
        "",
    ],
)
def test_a_stranger_stays_unknown(name: str) -> None:
    assert CATALOGUE.initialiser(name) is None
    assert CATALOGUE.layer(name) is None
    assert CATALOGUE.canonical(name) == name


def test_all_names_that_files_mention_exist() -> None:
    for found in ENTRIES.values():
        for other in (*found.names, *found.names.values()):
            known = CATALOGUE.initialiser(other) or CATALOGUE.layer(other)
            assert known is not None, other
        for text, other in found.strings.items():
            assert CATALOGUE.string(found.name, text) == initialiser(other)
        for entry in found.initialisers.values():
            if entry.deprecated is not None:
                assert initialiser(entry.deprecated).deprecated is None


def test_every_alias_of_a_module_leads_to_a_described_module() -> None:
    modules = {
        name.rpartition(".")[0]
        for found in ENTRIES.values()
        for name in (*found.initialisers, *found.layers)
    }
    parents = modules | {m[:i] for m in modules for i in range(len(m)) if m[i] == "."}
    for found in ENTRIES.values():
        for target in found.modules.values():
            resolved = CATALOGUE.canonical(f"{target}.x").removesuffix(".x")
            assert resolved in parents, target


def test_every_entry_is_reached_by_its_own_name() -> None:
    for found in ENTRIES.values():
        for name, entry in found.initialisers.items():
            assert CATALOGUE.initialiser(name) == entry
        for name, layer in found.layers.items():
            assert CATALOGUE.layer(name) == layer


@pytest.mark.parametrize("name", ["normal_", "uniform_", "fill_", "zero_", "copy_"])
def test_methods_of_tensors_are_known(name: str) -> None:
    found = CATALOGUE.method(name)
    assert found is not None
    assert found.form == "method"
    assert CATALOGUE.method(name, "keras") is None


def test_generators_of_numpy_are_known_by_what_makes_them() -> None:
    made = CATALOGUE.returns("numpy.random.default_rng")
    assert made is not None
    assert initialiser(f"{made}.standard_normal").law == "normal"
    legacy = CATALOGUE.returns("numpy.random.RandomState")
    assert initialiser(f"{legacy}.randn").name == "numpy.random.randn"


# What a lone number means


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("torch.nn.init.normal_", "mean"),
        ("torch.nn.init.trunc_normal_", "mean"),
        ("torch.nn.init.uniform_", "low"),
        ("torch.nn.init.constant_", "value"),
        ("torch.nn.init.xavier_uniform_", "gain"),
        ("torch.nn.init.kaiming_normal_", "slope"),
        ("torch.nn.init.orthogonal_", "gain"),
        ("torch.nn.init.zeros_", "none"),
        ("torch.randn", "none"),
        ("keras.initializers.RandomNormal", "mean"),
        ("keras.initializers.TruncatedNormal", "mean"),
        ("keras.initializers.VarianceScaling", "scale"),
        ("tensorflow.random_normal_initializer", "mean"),
        ("tensorflow.random_normal", "mean"),
        ("paddle.nn.initializer.Normal", "mean"),
        ("numpy.random.normal", "mean"),
        ("mlx.nn.init.normal", "mean"),
        ("mmcv.cnn.normal_init", "mean"),
        ("haiku.initializers.RandomNormal", "std"),
        ("haiku.initializers.TruncatedNormal", "std"),
        ("jax.nn.initializers.normal", "std"),
        ("flax.linen.initializers.truncated_normal", "std"),
        ("flax.linen.initializers.uniform", "none"),
    ],
)
def test_a_lone_number_means_what_the_framework_says(name: str, meaning: str) -> None:
    assert initialiser(name).first_number == meaning


def test_a_method_takes_the_mean_first() -> None:
    normal = CATALOGUE.method("normal_")
    assert normal is not None
    assert normal.first_number == "mean"


# Arguments

PLAIN = (Parameter("x"), Parameter("y", None), Parameter("z", None, "keyword"))
OPEN = (*PLAIN, Parameter("others", REQUIRED, "others"))
VARIADIC = (Parameter("size", REQUIRED, "variadic"), Parameter("out", None, "keyword"))


@pytest.mark.parametrize(
    ("parameters", "positional", "keywords", "bound"),
    [
        pytest.param(PLAIN, ["a"], {}, {"x": "a"}, id="defaults are not filled in"),
        pytest.param(PLAIN, ["a", "b"], {"z": "c"}, {"x": "a", "y": "b", "z": "c"}, id="in order"),
        pytest.param(PLAIN, [], {"y": "b", "x": "a"}, {"x": "a", "y": "b"}, id="by name"),
        pytest.param(PLAIN, ["a", "b", "c"], {}, None, id="keyword-only is not positional"),
        pytest.param(PLAIN, [], {"y": "b"}, None, id="a required one is missing"),
        pytest.param(PLAIN, ["a"], {"x": "b"}, None, id="one given twice"),
        pytest.param(PLAIN, ["a"], {"w": "b"}, None, id="an unknown keyword"),
        pytest.param(PLAIN, [...], {}, None, id="*args"),
        pytest.param(PLAIN, ["a", ...], {}, None, id="more *args"),
        pytest.param(PLAIN, ["a"], {"**": ...}, None, id="**kwargs"),
        pytest.param(OPEN, ["a"], {"w": "b"}, {"x": "a", "w": "b"}, id="other keywords are taken"),
        pytest.param(OPEN, ["a"], {"**": ...}, None, id="**kwargs may hold anything"),
        pytest.param(VARIADIC, ["a", "b"], {}, {"size": ("a", "b")}, id="sizes one by one"),
        pytest.param(VARIADIC, [("a", "b")], {}, {"size": ("a", "b")}, id="sizes as a tuple"),
        pytest.param(VARIADIC, [UNKNOWN], {}, {"size": UNKNOWN}, id="an unknown size or shape"),
        pytest.param(VARIADIC, [], {"size": ("a",)}, {"size": ("a",)}, id="sizes by name"),
        pytest.param(VARIADIC, [...], {}, None, id="*shape"),
        pytest.param(VARIADIC, [], {}, {}, id="no size"),
    ],
)
def test_arguments_are_bound_as_python_does(
    parameters: tuple[Parameter, ...],
    positional: list[Any],
    keywords: dict[str, Any],
    bound: dict[str, Value] | None,
) -> None:
    assert bind(parameters, positional, keywords) == bound


def test_what_was_not_given_has_its_default() -> None:
    parameters = (Parameter("x"), Parameter("y", "b"))
    assert filled(parameters, {"x": "a"}) == {"x": "a", "y": "b"}
    assert argument(parameters, {}, "x") is UNKNOWN
    assert argument(parameters, {}, None) is UNKNOWN


# Laws, as the frameworks document them


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


NUMBERED = [
    entry
    for found in ENTRIES.values()
    for entry in (*found.initialisers.values(), *found.methods.values())
    if any(role not in ("shape", "mode", "nonlinearity", "distribution") for role in entry.numbers)
]


@given(st.data())
def test_less_knowledge_never_excludes_what_more_knowledge_says(data: st.DataObject) -> None:
    entry = data.draw(st.sampled_from(NUMBERED))
    numbers = st.floats(0.001, 3.0).map(Interval.point)
    bound: dict[str, Value] = {
        parameter: data.draw(numbers)
        for role, parameter in entry.numbers.items()
        if role not in ("shape", "mode", "nonlinearity", "distribution", "fan", "bias")
    }
    hidden = data.draw(st.sampled_from([UNKNOWN, Interval(0.0, 4.0)]))
    lost: dict[str, Value] = {**bound, data.draw(st.sampled_from([*bound])): hidden}
    known, vague = weights(entry, bound), weights(entry, lost)
    if known.law == "unknown":
        return
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


# Layers


@pytest.mark.parametrize("name", [n for f in ENTRIES.values() for n in f.layers])
def test_a_default_initialiser_that_a_string_names_agrees_with_the_layer(name: str) -> None:
    layer = CATALOGUE.layer(name)
    assert layer is not None
    for keyword, weight in layer.keywords.items():
        default = argument(layer.parameters, {}, keyword)
        if isinstance(default, str):
            found = CATALOGUE.string(layer.framework, default)
            assert found is not None, default
            meant = weights(found, {})
            assert (weight.default.law, weight.default.fan) == (meant.law, meant.fan)
            assert near(weight.default.scale, meant.scale.lo)


@pytest.mark.parametrize(
    ("name", "positional", "keywords", "weight", "expected"),
    [
        ("torch.nn.Linear", (3, 5), {}, "weight", (5, 3)),
        ("torch.nn.Linear", (UNKNOWN, 5), {}, "weight", (5, None)),
        ("torch.nn.Conv2d", (8, 6, 3), {"groups": 2}, "weight", (6, 4, 3, 3)),
        ("torch.nn.Conv2d", (8, 6, (3, 5)), {}, "weight", (6, 8, 3, 5)),
        ("torch.nn.Conv2d", (8, 6, UNKNOWN), {}, "weight", (6, 8, None, None)),
        ("torch.nn.Conv2d", (8, 6, 3), {"groups": UNKNOWN}, "weight", (6, None, 3, 3)),
        ("torch.nn.ConvTranspose1d", (8, 6, 3), {"groups": 2}, "weight", (8, 3, 3)),
        ("torch.nn.LSTM", (3, 5), {}, "weight_ih_l0", (20, 3)),
        ("torch.nn.GRU", (3, 5), {}, "weight_hh_l0", (15, 5)),
        ("torch.nn.LayerNorm", ((5,),), {}, "weight", (5,)),
        ("torch.nn.MultiheadAttention", (8, 2), {}, "in_proj_weight", (24, 8)),
        ("keras.layers.Dense", (5,), {"input_shape": (3,)}, "kernel", (None, 5)),
        ("keras.layers.Conv2D", (5, 3), {}, "kernel", (3, 3, None, 5)),
        ("flax.linen.Conv", (5, (3, 3)), {}, "kernel", (3, 3, None, 5)),
        ("flax.linen.Conv", (5, UNKNOWN), {}, "kernel", None),
        ("mlx.nn.Conv2d", (8, 6, 3), {}, "weight", (6, 3, 3, 8)),
        ("paddle.nn.Linear", (3, 5), {}, "weight", (3, 5)),
    ],
)
def test_a_constructor_gives_the_shapes_of_its_weights(
    name: str,
    positional: tuple[object, ...],
    keywords: Mapping[str, object],
    weight: str,
    expected: tuple[int | None, ...] | None,
) -> None:
    layer = CATALOGUE.layer(name)
    assert layer is not None
    bound = bind(
        layer.parameters, [value(v) for v in positional], {k: value(v) for k, v in keywords.items()}
    )
    assert bound is not None
    assert shape(layer, layer.weights[weight], bound) == expected


@pytest.mark.parametrize(
    ("name", "norm"),
    [
        ("torch.nn.BatchNorm2d", True),
        ("torch.nn.RMSNorm", True),
        ("keras.layers.LayerNormalization", True),
        ("torch.nn.Linear", False),
        ("torch.nn.Softmax", False),
    ],
)
def test_norms_are_told_from_other_layers(name: str, norm: bool) -> None:
    layer = CATALOGUE.layer(name)
    assert layer is not None
    assert layer.norm is norm


# Files

OWN = """\
framework = "ours"
packages = ["ours", "torch"]

[modules]
"ours.layers.init" = "ours.init"

[initialisers."ours.init".small_]
form = "inplace"
law = "normal"
parameters = ["tensor", ["std", 0.01]]
numbers = { std = "std" }
fixed = { mean = 0.0 }

[initialisers."torch.nn.init"]
normal_ = { form = "inplace", law = "zeros", parameters = ["tensor"] }
"""


def write(folder: Path, text: str) -> Path:
    (folder / "frameworks").mkdir()
    (folder / "frameworks" / "ours.toml").write_text(text)
    return folder


def test_a_folder_adds_a_framework_and_overrides_a_name(tmp_path: Path) -> None:
    own = load([write(tmp_path, OWN)])
    small = own.initialiser("ours.layers.init.small_")
    assert small is not None
    assert (small.framework, weights(small, {}).scale) == ("ours", Interval.point(0.0001))
    normal, uniform = (own.initialiser(f"torch.nn.init.{n}_") for n in ("normal", "uniform"))
    assert normal is not None
    assert uniform is not None
    assert (normal.law, uniform.law) == ("zeros", "uniform")
    assert "ours" in own.packages
    assert own.frameworks[-1] == "ours"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('framework = "ours"', "", "key 'framework' is missing"),
        ('packages = ["ours", "torch"]', 'packages = "ours"', "'packages' must be of type list"),
        ("[modules]", "[module]", "unknown key 'module'"),
        ("fixed = ", "fix = ", "unknown key 'fix'"),
        ('law = "normal"', 'law = "gaussian"', "law is one of"),
        ('form = "inplace"', 'form = "function"', "form is one of"),
        ('{ std = "std" }', '{ deviation = "std" }', "roles are"),
        ('{ std = "std" }', '{ std = "stdev" }', "numbers name parameters"),
        ('{ std = "std" }', "{ std = 1.0 }", "must be a string"),
        ("mean = 0.0", "mean = nan", "not a number, text, list"),
        ("mean = 0.0", "mean = { lo = 2, hi = 1 }", "not a number, text, list"),
        ("mean = 0.0", "mean = 2020-01-01", "not a number, text, list"),
        ('["std", 0.01]', '["std", 0.01, 1]', "a parameter is a name"),
        ('["std", 0.01]', "3", "a parameter is a name"),
        ('parameters = ["tensor", ["std", 0.01]]', "parameters = 3", "must be of type list"),
        ('law = "normal"', 'like = "ours.init.big_"', "no full entry"),
        ("normal_ = {", "normal_ = {{", "not TOML"),
        ('"ours.layers.init" = "ours.init"', '"ours.layers.init" = 3', "must be a string"),
        ("normal_ = {", "normal_ = 3\nother = {", "must be a table"),
    ],
)
def test_a_fault_in_a_file_is_one_line_that_names_it(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    assert old in OWN
    with pytest.raises(CatalogueError) as caught:
        load([write(tmp_path, OWN.replace(old, new))])
    assert complaint in str(caught.value)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("layer", "complaint"),
    [
        ('op = "linear"\nunits = 3', "unknown key 'units'"),
        ('parameters = ["x"]', "key 'op' is missing"),
        ('op = "linear"\noutputs = "units"', "'units' is not a parameter"),
        ('op = "linear"\ndims = true', "'dims' must be of type int"),
        ('op = "linear"\nweights.w = 3', "must be a table"),
        ('op = "linear"\nweights.w = { init = "he", shape = [] }', "'he' is not in [laws]"),
        ('op = "linear"\nweights.w = { init = "ones", shape = [[]] }', "an axis is"),
        ('op = "linear"\noptions = { slope = "a" }', "'a' is not a parameter"),
    ],
)
def test_a_fault_in_a_layer_is_named(tmp_path: Path, layer: str, complaint: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        load([write(tmp_path, f"{OWN}\n[layers.ours.Block]\n{layer}\n")])
    assert complaint in str(caught.value)


def test_names_in_a_circle_are_an_error(tmp_path: Path) -> None:
    circle = OWN.replace('"ours.init"\n', '"ours.round"\n"ours.round" = "ours.layers.init"\n', 1)
    own = load([write(tmp_path, circle)])
    with pytest.raises(CatalogueError, match="circle"):
        own.initialiser("ours.layers.init.x")


def test_a_file_that_is_not_text_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, "")
    (tmp_path / "frameworks" / "ours.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(CatalogueError, match="cannot be read"):
        load([tmp_path])


def test_only_the_files_of_the_packages_asked_for_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[str] = []
    whole = reading.framework

    def spy(file: reading.Head) -> reading.Framework:
        read.append(file.path.name)
        return whole(file)

    monkeypatch.setattr(reading, "framework", spy)
    fresh: Catalogue = load()
    assert read == []
    assert fresh.initialiser("project.normal_") is None
    assert read == []
    assert fresh.initialiser("torch.nn.init.normal_") is not None
    assert fresh.layer("torch.nn.Linear") is not None
    assert read == ["torch.toml"]


def test_the_built_in_files_are_all_described() -> None:
    assert set(ENTRIES) == {p.name for p in frameworks_folder().glob("*.toml")}
    assert all(f.initialisers or f.layers for f in ENTRIES.values())
