from __future__ import annotations

import pytest

from initaudit.checkpoint.groups import grouped, out_axis
from tests.checkpoint.shapes import tensor


def modules(*names: str) -> dict[str, dict[str, str]]:
    """Return role -> stored name, by module; biases are vectors, the others matrices."""
    vectors = ("bias", "b", "vars/1")
    return {
        group.name: {role: part.name for role, part in group.parts.items()}
        for group in grouped(
            [tensor(name, (3,) if name.endswith(vectors) else (3, 4)) for name in names]
        )
    }


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param(
            ["fc1.weight", "fc1.bias"],
            {"fc1": {"weight": "fc1.weight", "bias": "fc1.bias"}},
            id="torch names a module and a role",
        ),
        pytest.param(
            ["weight", "bias"],
            {"weight": {"weight": "weight", "bias": "bias"}},
            id="a bare nn.Linear has no module path",
        ),
        pytest.param(
            ["_orig_mod.module.fc.weight"],
            {"_orig_mod.module.fc": {"weight": "_orig_mod.module.fc.weight"}},
            id="prefixes of wrappers stay in the name",
        ),
        pytest.param(
            ["dense/dense/kernel:0", "dense/dense/bias:0"],
            {"dense/dense": {"weight": "dense/dense/kernel:0", "bias": "dense/dense/bias:0"}},
            id="Keras joins with slashes and ends in an output number",
        ),
        pytest.param(
            ["layers/dense/vars/0", "layers/dense/vars/1"],
            {"layers/dense": {"weight": "layers/dense/vars/0", "bias": "layers/dense/vars/1"}},
            id="Keras 3 numbers the variables of a layer",
        ),
        pytest.param(
            ["bn/gamma", "bn/beta", "bn/moving_mean", "bn/moving_variance"],
            {
                "bn": {
                    "weight": "bn/gamma",
                    "bias": "bn/beta",
                    "running_mean": "bn/moving_mean",
                    "running_var": "bn/moving_variance",
                }
            },
            id="Keras has its own words for a batch norm",
        ),
        pytest.param(
            [
                "params/BatchNorm_0/scale",
                "params/BatchNorm_0/bias",
                "batch_stats/BatchNorm_0/mean",
                "batch_stats/BatchNorm_0/var",
            ],
            {
                "params/BatchNorm_0": {
                    "weight": "params/BatchNorm_0/scale",
                    "bias": "params/BatchNorm_0/bias",
                    "running_mean": "batch_stats/BatchNorm_0/mean",
                    "running_var": "batch_stats/BatchNorm_0/var",
                }
            },
            id="Flax keeps running statistics in another collection",
        ),
        pytest.param(
            ["params.Dense_0.kernel", "params.Dense_0.bias"],
            {
                "params.Dense_0": {
                    "weight": "params.Dense_0.kernel",
                    "bias": "params.Dense_0.bias",
                }
            },
            id="Flax names may be joined with dots",
        ),
        pytest.param(
            ["b1", "W1", "W2"],
            {"W1": {"weight": "W1", "bias": "b1"}, "W2": {"weight": "W2"}},
            id="W1 and b1 are one layer, named after the matrix",
        ),
        pytest.param(
            ["w_1", "b_1"],
            {"w_1": {"weight": "w_1", "bias": "b_1"}},
            id="w_1 and b_1 are one layer",
        ),
        pytest.param(
            ["W_hidden", "b_hidden"],
            {"W_hidden": {"weight": "W_hidden", "bias": "b_hidden"}},
            id="W_hidden and b_hidden are one layer",
        ),
        pytest.param(
            ["weights.0", "biases.0"],
            {"weights.0": {"weight": "weights.0", "bias": "biases.0"}},
            id="lists of weights and of biases pair by number",
        ),
        pytest.param(
            ["mlp/~/linear_0/w", "mlp/~/linear_0/b"],
            {"mlp/~/linear_0": {"weight": "mlp/~/linear_0/w", "bias": "mlp/~/linear_0/b"}},
            id="Haiku calls them w and b",
        ),
        pytest.param(
            ["fc1_weight", "fc1_bias", "bn0_gamma", "bn0_moving_mean"],
            {
                "fc1": {"weight": "fc1_weight", "bias": "fc1_bias"},
                "bn0": {"weight": "bn0_gamma", "running_mean": "bn0_moving_mean"},
            },
            id="MXNet joins the role with an underscore",
        ),
        pytest.param(
            ["lstm.weight_ih_l0", "lstm.weight_hh_l0", "lstm.bias_ih_l0", "lstm.bias_hh_l0"],
            {
                "lstm": {
                    "weight_ih": "lstm.weight_ih_l0",
                    "weight_hh": "lstm.weight_hh_l0",
                    "bias_ih": "lstm.bias_ih_l0",
                    "bias_hh": "lstm.bias_hh_l0",
                }
            },
            id="a recurrent module of one layer keeps its name",
        ),
        pytest.param(
            ["rnn.weight_ih_l0", "rnn.weight_ih_l1", "rnn.weight_ih_l0_reverse"],
            {
                "rnn.l0": {"weight_ih": "rnn.weight_ih_l0"},
                "rnn.l1": {"weight_ih": "rnn.weight_ih_l1"},
                "rnn.l0_reverse": {"weight_ih": "rnn.weight_ih_l0_reverse"},
            },
            id="stacked and reverse recurrent layers are layers of their own",
        ),
        pytest.param(
            ["lstm/kernel", "lstm/recurrent_kernel", "lstm/bias"],
            {
                "lstm": {
                    "weight_hh": "lstm/recurrent_kernel",
                    "weight_ih": "lstm/kernel",
                    "bias_ih": "lstm/bias",
                }
            },
            id="a Keras LSTM has a recurrent kernel",
        ),
        pytest.param(
            ["fc.parametrizations.weight.original0", "fc.parametrizations.weight.original1"],
            {
                "fc": {
                    "weight_g": "fc.parametrizations.weight.original0",
                    "weight_v": "fc.parametrizations.weight.original1",
                }
            },
            id="weight norm is gain and direction of one layer",
        ),
        pytest.param(
            ["fc.lora_A.default.weight", "fc.lora_B.weight", "fc.base_layer.weight"],
            {
                "fc.lora_A.default": {"weight": "fc.lora_A.default.weight"},
                "fc.lora_B": {"weight": "fc.lora_B.weight"},
                "fc.base_layer": {"weight": "fc.base_layer.weight"},
            },
            id="LoRA's two matrices are modules of their own",
        ),
        pytest.param(
            ["emb.lora_embedding_A.default", "fc.lora_a"],
            {
                "emb.lora_embedding_A.default": {"weight": "emb.lora_embedding_A.default"},
                "fc.lora_a": {"weight": "fc.lora_a"},
            },
            id="LoRA matrices may be parameters without a module",
        ),
        pytest.param(
            ["attn.in_proj_weight", "attn.in_proj_bias"],
            {"attn.in_proj": {"weight": "attn.in_proj_weight", "bias": "attn.in_proj_bias"}},
            id="attention packs three projections into one parameter",
        ),
        pytest.param(
            ["pos_embed", "relative_position_bias_table", "block.temperature_bias_extra"],
            {
                name: {"value": name}
                for name in (
                    "pos_embed",
                    "relative_position_bias_table",
                    "block.temperature_bias_extra",
                )
            },
            id="a name of no convention is a module of its own",
        ),
        pytest.param(
            ["fc.scale", "fc.weight"],
            {"fc": {"weight": "fc.weight"}, "fc.scale": {"value": "fc.scale"}},
            id="a weight keeps its role beside a scale that comes first",
        ),
        pytest.param(
            ["attn.bias"],
            {"attn.bias": {"value": "attn.bias"}},
            id="a bias without a weight is not a layer's",
        ),
    ],
)
def test_names_fall_into_modules(names: list[str], expected: dict[str, dict[str, str]]) -> None:
    assert modules(*names) == expected


def test_four_keras_variables_of_one_dimension_are_a_batch_norm() -> None:
    (group,) = grouped([tensor(f"layers/bn/vars/{i}", (5,)) for i in range(4)])
    assert list(group.parts) == ["weight", "bias", "running_mean", "running_var"]


@pytest.mark.parametrize(
    ("name", "shape", "axis"),
    [
        ("fc1.weight", (3, 4), 0),
        ("conv.weight", (8, 3, 5, 5), 0),
        ("dense/kernel:0", (4, 3), 1),
        ("params.Dense_0.kernel", (4, 3), 1),
        ("params/Conv_0/kernel", (5, 5, 3, 8), 3),
        ("['Dense_0']['kernel']", (4, 3), 1),
        ("lstm/recurrent_kernel", (3, 12), 1),
        ("W1", (4, 3), 1),
        ("l1.W", (4, 3), 1),
        ("weights.0", (4, 3), 1),
        ("embed.weight", (50, 8), 0),
        ("pos_embed", (1, 16, 8), 0),
        ("b1", (3,), 0),
        ("dense/kernel:0", (), 0),
        ("", (2, 2), 0),
    ],
)
def test_kernels_have_their_output_units_last(name: str, shape: tuple[int, ...], axis: int) -> None:
    assert out_axis(name, shape) == axis


def test_two_modules_never_share_a_name() -> None:
    groups = grouped([tensor(name, (3, 4)) for name in ("fc", "fc.weight", ".fc.weight", "fc/W")])
    assert len({group.name for group in groups}) == len(groups)
    assert sum(len(group.parts) for group in groups) == 4


def test_a_module_is_placed_where_its_first_tensor_stands() -> None:
    groups = grouped([tensor(name, (3, 3)) for name in ("b.bias", "a.weight", "b.weight")])
    assert {group.name: group.place for group in groups} == {"b": 0, "a": 1}
