from __future__ import annotations

import pytest

from tests.catalogue.known import CATALOGUE, ENTRIES, initialiser


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
        (
            "tensorflow.compat.v1.initializers.random_normal",
            "tensorflow.compat.v1.random_normal_initializer",
        ),
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
        ("torch.nn.init.sparse_", "none"),
        ("torch.full", "value"),
        ("tensorflow.fill", "value"),
        ("paddle.nn.initializer.KaimingNormal", "none"),
        ("paddle.nn.initializer.XavierUniform", "none"),
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
