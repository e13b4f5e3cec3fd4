from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from initaudit.network import Attribute
from initaudit.replica.ops import OPS
from initaudit.replica.ops.biases import buckets
from initaudit.replica.ops.op import OpError
from tests.replica.case import Case, Shape, numbers


@pytest.mark.parametrize(
    ("op", "inputs", "params", "attributes", "says"),
    [
        ("linear", ((4, 3),), {"weight": (5, 4)}, {}, "reads 4 features, its input has 3"),
        ("linear", ((4, 3),), {}, {}, "no weight"),
        ("linear", ((4, 3),), {"weight": (5, 3, 1)}, {}, "not two dimensions"),
        ("conv", ((4, 3, 5, 5),), {"weight": (2, 4, 3, 3)}, {}, "reads 4 channels"),
        ("conv", ((4, 3, 5),), {"weight": (2, 3, 3, 3)}, {}, "2 spatial dimensions"),
        ("conv", ((4, 3, 2, 2),), {"weight": (2, 3, 3, 3)}, {}, "larger than its input"),
        ("conv", ((4, 4, 5),), {"weight": (3, 2, 3)}, {"groups": 2}, "do not divide into 2"),
        ("conv", ((4, 3, 5),), {"weight": (2, 3, 3), "bias": (3,)}, {}, "its bias has shape"),
        ("conv", ((4, 3, 5),), {"weight": (2, 3, 3)}, {"stride": (1, 2)}, "stride is (1, 2)"),
        ("conv_transpose", ((4, 3, 5),), {"weight": (2, 3, 3)}, {}, "reads 2 channels"),
        ("batch_norm", ((4, 3),), {"weight": (4,)}, {}, "its weight has shape (4,)"),
        ("layer_norm", ((4, 3),), {"weight": (4,)}, {}, "its weight has shape (4,)"),
        ("group_norm", ((4, 3),), {}, {"groups": 2}, "do not divide into 2 groups"),
        ("lstm", ((4, 5, 3),), {"weight_ih": (16, 2), "weight_hh": (16, 4)}, {}, "2 features"),
        ("gru", ((4, 5, 3),), {"weight_ih": (16, 3), "weight_hh": (16, 4)}, {}, "3 gates"),
        ("gru", ((4, 5, 3),), {}, {"reset": "never"}, "its reset acts 'never'"),
        ("lstm", ((4, 5, 3),), {"weight_ih": (16, 3)}, {}, "no weight_hh"),
        ("embedding", ((4, 3),), {"weight": (5, 2)}, {}, "whole numbers"),
        ("activation", ((4, 3),), {}, {"function": "unknown"}, "'unknown' is not known"),
        ("add", ((4, 3), (4, 2)), {}, {}, "(3,) and (2,)"),
        ("max_pool", ((4, 3),), {}, {}, "pools over space"),
        ("attention", ((2, 3, 4),) * 3, {}, {"heads": 3}, "4 features do not divide into 3 heads"),
        ("attention", ((2, 3, 6),) * 3, {}, {"heads": 3, "kv_heads": 2}, "3 heads do not divide"),
        ("attention", ((2, 3, 4), (2, 3, 6), (2, 3, 4)), {}, {"heads": 2}, "its keys not"),
        ("attention", ((2, 3, 4), (2, 3, 4), (2, 2, 4)), {}, {}, "(3, 4), (3, 4), (2, 4)"),
        ("attention", ((2, 3, 4), (2, 5, 4), (2, 5, 4)), {}, {"causal": True}, "3 queries and 5"),
        ("rotary", ((2, 3, 4),), {}, {"heads": 3}, "do not divide into 3 heads"),
        ("rotary", ((2, 3, 4),), {}, {"heads": 2, "scaling": "spiral"}, "scaling spiral"),
        ("rotary", ((2, 3, 4),), {}, {"heads": 2, "dims": 4}, "4 of the 2 features of a head"),
        ("table", ((2, 6, 4),), {"weight": (5, 4)}, {}, "no 6 rows"),
        ("table", ((2, 5, 4),), {"weight": (5, 4)}, {"offset": 1}, "no 5 rows from 1"),
        ("constant", ((2, 5),), {}, {}, "no weight"),
        ("scale", ((2, 5),), {"weight": (4,)}, {}, "its weight has shape (4,), its input (5,)"),
        ("scale", ((2, 5),), {}, {"factor": "x"}, "factor is 'x', not a number"),
        ("bias", ((2, 5),), {"weight": (2, 5, 1)}, {}, "its weight has shape (2, 5, 1)"),
        ("slice", ((2, 5),), {}, {"start": 2, "stop": 6}, "takes 2 to 6 of 5"),
        ("slice", ((2, 5),), {}, {"stop": 1, "groups": 2}, "do not divide into 2 groups"),
        ("slice", ((2, 5),), {}, {"stop": 1, "axis": 0}, "axis 0 of 2, the first"),
        ("take", ((2, 5),), {}, {"index": 5}, "takes position 5 of 5"),
        ("relative_bias", ((2, 5),), {"weight": (8, 2)}, {"heads": 3}, "not (7, 3)"),
        ("relative_bias", ((2, 5),), {"weight": (8, 2)}, {"max_distance": 4}, "distance of 4"),
        ("window_bias", ((2, 5),), {"weight": (8, 2)}, {"size": 2}, "not those of windows of 2"),
        ("windows", ((2, 24, 3),), {}, {"size": 5, "height": 4, "width": 6}, "sides of 5"),
        ("windows", ((2, 20, 3),), {}, {"size": 2, "height": 4, "width": 6}, "not 4 by 6 tokens"),
        ("unwindows", ((2, 6, 3, 3),), {}, {"size": 2, "height": 4, "width": 6}, "windows of 2"),
        ("merge_patches", ((2, 15, 3),), {}, {"height": 3, "width": 5}, "does not divide"),
        ("top_k_gates", ((2, 3, 4),), {}, {"k": 5}, "5 of 4 experts"),
        ("pad", ((2, 3, 4),), {}, {"before": (1,), "after": (-1,)}, "pads by (1,) and (-1,)"),
        ("pad", ((2, 3, 4),), {}, {}, "before is None, not whole numbers"),
        ("upsample", ((2, 3, 4),), {}, {"mode": "area"}, "'area' of upsampling is not known"),
        ("upsample", ((2, 3, 4),), {}, {"size": 5}, "by whole factors, not up to a size"),
        ("upsample", ((2, 3, 4),), {}, {"size": 0, "mode": "linear"}, "resizes to (0,)"),
        ("adaptive_avg_pool", ((2, 3),), {}, {}, "resizes space"),
        ("channel_shuffle", ((2, 3, 4),), {}, {"groups": 2}, "do not divide into 2 groups"),
        ("divide", ((2, 3, 4), (2, 3, 5)), {}, {}, "(3, 4) and (3, 5)"),
        ("where", ((2, 3), (2, 4), (2, 3)), {}, {}, "(3,) and (4,) and (3,)"),
        ("matmul", ((2, 3, 4), (2, 3, 4)), {}, {}, "4 columns with 3 rows"),
        ("matmul", ((2, 3, 4), (4,)), {}, {}, "shapes (2, 3, 4) and (4,)"),
        ("reduce_sum", ((2, 3),), {}, {"axes": (0,)}, "the first of which holds samples"),
        ("reduce_max", ((2, 3),), {}, {"axes": (2,)}, "it reduces the axes (2,) of 2"),
        ("transpose", ((2, 3, 4),), {}, {"perm": (1, 0, 2)}, "it orders 3 axes as (1, 0, 2)"),
        ("reshape", ((2, 3, 4),), {}, {"shape": (0, 5)}, "it makes (5,) of an input"),
        ("expand", ((2, 3, 4),), {}, {"shape": (2, 3, 5)}, "of shape (3, 4) to (3, 5)"),
        ("squeeze", ((2, 3, 4),), {}, {"axes": (1,)}, "it drops the axes (1,)"),
        ("unsqueeze", ((2, 3, 4),), {}, {"axes": (0,)}, "the first of which holds samples"),
        ("gather", ((2, 3, 4), (2, 3)), {}, {}, "its indices are not"),
        ("gather", ((2, 3, 4), (2, 3)), {}, {"axis": 0}, "along axis 0 of 3"),
        ("tokens", ((2, 5),), {}, {}, "no channels and places"),
        ("image", ((2, 5, 3),), {}, {"height": 2, "width": 3}, "not 2 by 3 tokens"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(
    op: str,
    inputs: tuple[Shape, ...],
    params: Mapping[str, Shape],
    attributes: Mapping[str, Attribute],
    says: str,
) -> None:
    arrays, held = numbers(Case(op, inputs, params, attributes))
    with pytest.raises(OpError) as told:
        OPS[op].forward(attributes, arrays, held)
    assert says in str(told.value)
    assert "\n" not in str(told.value)


def test_a_token_past_the_table_is_said() -> None:
    with pytest.raises(OpError, match="does not hold every token"):
        OPS["embedding"].forward({}, (np.array([[5]]),), {"weight": np.zeros((5, 2))})


def test_leaky_relu_takes_its_slope_from_the_layer() -> None:
    attributes: dict[str, Attribute] = {"function": "leaky_relu", "slope": 0.3}
    y, cache = OPS["activation"].forward(attributes, (np.array([[-2.0, 2.0]]),), {})
    (d_x,), _ = OPS["activation"].backward(cache, {}, np.ones((1, 2)))
    np.testing.assert_allclose(y, [[-0.6, 2.0]])
    np.testing.assert_allclose(d_x, [[0.3, 1.0]])


@pytest.mark.parametrize(
    ("op", "attributes", "near", "given", "output", "expected"),
    [
        ("linear", {}, 1, (2, 3, 4), (2, 3, 5), 2),
        ("conv", {}, 3, (2, 3, 4, 4), (2, 5, 4, 4), 1),
        ("relu", {}, 1, (2, 3, 4), (2, 3, 4), 1),
        ("take", {"axis": 1}, 2, (2, 3, 4), (2, 4), 1),
        ("take", {"axis": 2}, 1, (2, 3, 4), (2, 3), 1),
        ("tokens", {}, 1, (2, 3, 4, 4), (2, 16, 3), 2),
        ("image", {}, 2, (2, 16, 3), (2, 3, 4, 4), 1),
        ("flatten", {}, 1, (2, 3, 4), (2, 12), 1),
        ("transpose", {"perm": (0, 2, 3, 1)}, 1, (2, 3, 4, 5), (2, 4, 5, 3), 3),
        ("reshape", {}, 1, (2, 3, 4, 5), (2, 3, 20), 1),
        ("reshape", {}, 2, (2, 12, 3), (2, 4, 3, 3), 3),
        ("reshape", {}, 2, (2, 5, 12), (2, 5, 3, 4), 3),
        ("squeeze", {"axes": (2, 3)}, 1, (2, 3, 1, 1), (2, 3), 1),
        ("squeeze", {"axes": (1,)}, 2, (2, 1, 3), (2, 3), 1),
        ("unsqueeze", {"axes": (1,)}, 1, (2, 3), (2, 1, 3), 2),
        ("expand", {}, 1, (2, 3), (4, 2, 3), 2),
        ("reduce_mean", {"axes": (2, 3)}, 1, (2, 3, 4, 4), (2, 3), 1),
        ("reduce_mean", {"axes": (1,)}, 2, (2, 5, 3), (2, 3), 1),
        ("reduce_mean", {"axes": (1,), "keepdims": True}, 2, (2, 5, 3), (2, 1, 3), 2),
        ("reduce_mean", {"axes": (2,)}, 2, (2, 5, 3), (2, 5), 1),
        ("gather", {"axis": 1}, 2, (2, 5, 3), (2, 3), 1),
        ("gather", {"axis": 1}, 2, (1, 5, 3), (2, 4, 4, 3), 3),
    ],
)  # fmt: skip
def test_the_axis_of_the_features_is_followed(
    op: str,
    attributes: Mapping[str, Attribute],
    near: int,
    given: Shape,
    output: Shape,
    expected: int,
) -> None:
    found = OPS["activation" if op == "relu" else op]
    assert found.features_at(attributes, near, given, output) == expected


@pytest.mark.oracle
@pytest.mark.parametrize("both", [True, False])
def test_far_buckets_are_those_of_t5(both: bool) -> None:
    pytest.importorskip("torch")
    t5 = pytest.importorskip("transformers.models.t5.modeling_t5")
    import torch

    ahead = torch.arange(300)[None, :] - torch.arange(300)[:, None]
    theirs = t5.T5Attention._relative_position_bucket(ahead, both, 32, 128)
    np.testing.assert_array_equal(buckets(300, 300, 32, 128, both=both), theirs.numpy())


def test_an_index_past_the_axis_is_said() -> None:
    with pytest.raises(OpError, match="it gathers entry 0 to 4 of 4"):
        OPS["gather"].forward({}, (np.zeros((2, 4)), np.array([[0, 4]])), {})


@pytest.mark.parametrize("op", ["minimum", "maximum"])
def test_equal_inputs_share_the_gradient(op: str) -> None:
    x = np.zeros((1, 2))
    _, cache = OPS[op].forward({}, (x, x), {})
    (d_a, d_b), _ = OPS[op].backward(cache, {}, np.ones((1, 2)))
    np.testing.assert_array_equal(d_a, d_b)
