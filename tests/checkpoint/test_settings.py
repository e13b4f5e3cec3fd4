from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from initaudit.checkpoint.settings import activation_name, read_settings, understood
from initaudit.checkpoint.stored import Config
from initaudit.signal import ACTIVATIONS


def config(**fields: Any) -> Config:
    return understood(fields, "config.json")


@pytest.mark.parametrize(
    ("name", "known"),
    [
        # transformers ACT2FN
        ("gelu", "gelu"), ("gelu_new", "gelu_tanh"), ("gelu_pytorch_tanh", "gelu_tanh"),
        ("gelu_fast", "gelu_tanh"), ("gelu_accurate", "gelu_tanh"), ("gelu_python", "gelu"),
        ("gelu_python_tanh", "gelu_tanh"), ("quick_gelu", "quick_gelu"), ("silu", "silu"),
        ("swish", "silu"), ("relu", "relu"), ("relu2", "relu2"), ("relu6", "relu6"),
        ("leaky_relu", "leaky_relu"), ("linear", "linear"), ("mish", "mish"),
        ("prelu", "prelu"), ("sigmoid", "sigmoid"), ("tanh", "tanh"),
        ("gelu_10", None), ("laplace", None), ("xielu", None),
        # keras.activations
        ("hard_sigmoid", "hardsigmoid"), ("hard_silu", "hardswish"), ("exponential", "exp"),
        ("softplus", "softplus"), ("softsign", "softsign"), ("selu", "selu"), ("elu", "elu"),
        ("softmax", None),
        # torch.nn and others
        ("ReLU", "relu"), ("nn.ReLU()", "relu"), ("torch.nn.modules.activation.SiLU", "silu"),
        ("LeakyReLU", "leaky_relu"), ("Hardswish", "hardswish"), ("Hardtanh", "hardtanh"),
        ("CELU", "celu"), ("Identity", "linear"), ("jax.nn.hard_tanh", "hardtanh"),
        ("NewGELUActivation", "gelu_tanh"), ("gated-gelu", "gelu_tanh"), ("swiglu", "silu"),
        ("LeakyReLU(0.2)", None), ("", None), ("my_own", None),
    ],
)  # fmt: skip
def test_knows_activations_by_the_names_of_every_framework(name: str, known: str | None) -> None:
    assert activation_name(name) == known
    assert known is None or known in ACTIVATIONS


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_knows_every_canonical_name(name: str) -> None:
    assert activation_name(name) == name


@pytest.mark.parametrize(
    "field",
    ["hidden_act", "hidden_activation", "activation_function", "feed_forward_proj", "activation"],
)
def test_reads_the_activation_from_every_field(field: str) -> None:
    found = config(**{field: "tanh"})
    assert (found.activation, found.activation_raw) == ("tanh", None)


def test_an_unknown_activation_stays_unknown_and_is_kept() -> None:
    found = config(hidden_act="x\nlu")
    assert (found.activation, found.activation_raw) == (None, "x\\nlu")


@pytest.mark.parametrize("value", [None, 7, ["relu"], {"class_name": "relu"}])
def test_an_activation_that_is_no_name_says_nothing(value: object) -> None:
    found = config(hidden_act=value)
    assert (found.activation, found.activation_raw) == (None, None)


def test_one_field_that_is_null_leaves_the_word_to_the_next() -> None:
    assert config(hidden_activation=None, hidden_act="gelu").activation == "gelu"
    assert (
        config(hidden_activation="gelu_pytorch_tanh", hidden_act="gelu").activation == "gelu_tanh"
    )


def test_the_whole_counts_before_its_parts() -> None:
    found = config(hidden_act="relu", text_config={"hidden_act": "silu"}, initializer_range=0.1,
                   vision_config={"initializer_range": 0.2})  # fmt: skip
    assert (found.activation, found.init_std) == ("relu", 0.1)


def test_parts_that_agree_speak_for_the_whole() -> None:
    found = config(
        text_config={"hidden_act": "gelu_new", "initializer_range": 0.02, "dtype": "bfloat16",
                     "tie_word_embeddings": False},
        vision_config={"hidden_act": "gelu_pytorch_tanh", "initializer_range": 0.02},
    )  # fmt: skip
    assert (found.activation, found.init_std) == ("gelu_tanh", 0.02)
    assert (found.dtype, found.tied) == ("BF16", False)


def test_parts_that_differ_leave_it_open() -> None:
    found = config(
        text_config={"hidden_act": "silu", "initializer_range": 0.02},
        vision_config={"hidden_act": "quick_gelu", "initializer_range": 0.01},
    )
    assert (found.activation, found.activation_raw) == (None, "silu and quick_gelu")
    assert found.init_std is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"initializer_range": 0.02}, 0.02),
        ({"init_std": 1}, 1.0),
        ({"initializer_range": 0}, 0.0),
        ({"initializer_range": -0.02}, None),
        ({"initializer_range": float("nan")}, None),
        ({"initializer_range": float("inf")}, None),
        ({"initializer_range": 10**400}, None),
        ({"initializer_range": "0.02"}, None),
        ({"initializer_range": True}, None),
        ({}, None),
    ],
)
def test_reads_the_deviation_of_the_initialiser(
    fields: dict[str, object], expected: float | None
) -> None:
    assert config(**fields).init_std == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"torch_dtype": "bfloat16"}, "BF16"),
        ({"dtype": "torch.float16"}, "F16"),
        ({"dtype": "float32", "torch_dtype": "float16"}, "F32"),
        ({"dtype": "auto"}, None),
        ({"dtype": 16}, None),
    ],
)
def test_reads_the_dtype(fields: dict[str, object], expected: str | None) -> None:
    assert config(**fields).dtype == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"image_size": 224, "num_channels": 3}, (3, 224, 224)),
        ({"image_size": [384, 256], "num_channels": 1}, (1, 384, 256)),
        ({"sample_size": 32, "in_channels": 4}, (4, 32, 32)),
        ({"pretrained_cfg": {"input_size": [3, 288, 288]}}, (3, 288, 288)),
        ({"vision_config": {"image_size": 224, "num_channels": 3}}, (3, 224, 224)),
        ({"vision_config": {"image_size": 224, "num_channels": 3}, "text_config": {}}, None),
        ({"image_size": 224}, None),
        ({"image_size": 0, "num_channels": 3}, None),
        ({"image_size": 22.4, "num_channels": 3}, None),
        ({"image_size": [1, 2, 3], "num_channels": 3}, None),
        ({"image_size": True, "num_channels": 3}, None),
    ],
)
def test_reads_the_shape_of_the_input(
    fields: dict[str, object], expected: tuple[int, ...] | None
) -> None:
    assert config(**fields).input_shape == expected


def test_reads_a_whole_file(tmp_path: Path) -> None:
    written = {"model_type": "vit", "hidden_act": "gelu", "tie_word_embeddings": True, "x": [1]}
    (tmp_path / "config.json").write_text(json.dumps(written))
    assert read_settings(tmp_path) == (
        Config(path=str(tmp_path / "config.json"), activation="gelu", tied=True, model_type="vit",
               raw=written), (),
    )  # fmt: skip


def test_a_folder_without_settings_is_no_fault(tmp_path: Path) -> None:
    assert read_settings(tmp_path) == (None, ())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"\xff\xfe\xff", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"a": ' + b"9" * 5000 + b"}", "is not JSON"),
        (b"[]", "is not a JSON object"),
        (b" " * (17 << 20), "no settings are"),
    ],
    ids=["empty", "broken", "not UTF-8", "too deep", "a number too long", "a list", "too large"],
)
def test_a_broken_file_is_unread(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "config.json").write_bytes(content)
    found, (unread,) = read_settings(tmp_path)
    assert found is None
    assert unread.site.path == str(tmp_path / "config.json")
    assert reason in unread.reason
    assert unread.reason.isprintable()


def test_settings_that_cannot_be_opened_are_unread(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.json")
    assert "is a pipe" in read_settings(tmp_path)[1][0].reason
    (tmp_path / "config.json").unlink()
    (tmp_path / "config.json").symlink_to("nowhere")
    assert "no such file" in read_settings(tmp_path)[1][0].reason
