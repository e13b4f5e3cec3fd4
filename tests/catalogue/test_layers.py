from __future__ import annotations

from collections.abc import Mapping

import pytest

from initaudit.catalogue import (
    UNKNOWN,
    argument,
    bind,
    present,
    shape,
    weights,
)
from tests.catalogue.known import CATALOGUE, ENTRIES, near, value


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
        ("torch.nn.ConvTranspose1d", (8, 6, 3), {"groups": 2}, "bias", (6,)),
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
    ("name", "keywords", "there"),
    [
        ("torch.nn.Linear", {}, True),
        ("torch.nn.Linear", {"bias": False}, False),
        ("torch.nn.Linear", {"bias": None}, False),
        ("torch.nn.Linear", {"bias": 0}, False),
        ("torch.nn.Linear", {"bias": UNKNOWN}, None),
        ("torch.nn.BatchNorm2d", {"affine": False}, False),
        ("torch.nn.InstanceNorm2d", {}, False),
        ("torch.nn.LayerNorm", {"elementwise_affine": UNKNOWN, "bias": False}, False),
        ("torch.nn.LayerNorm", {"elementwise_affine": False}, False),
        ("keras.layers.Dense", {"use_bias": False}, False),
        ("paddle.nn.Linear", {}, True),
        ("paddle.nn.Linear", {"bias_attr": None}, True),
        ("paddle.nn.Linear", {"bias_attr": False}, False),
        ("mlx.nn.LayerNorm", {"affine": False}, False),
    ],
)
def test_a_switch_decides_whether_there_is_a_bias(
    name: str, keywords: Mapping[str, object], there: bool | None
) -> None:
    layer = CATALOGUE.layer(name)
    assert layer is not None
    bound = {k: value(v) for k, v in keywords.items()}
    assert present(layer, layer.weights["bias"], bound) is there


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
