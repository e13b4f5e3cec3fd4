from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from initaudit.network import Attribute
from initaudit.replica.ops import OPS
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
