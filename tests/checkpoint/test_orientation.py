from __future__ import annotations

import pytest

from initaudit.checkpoint.orientation import out_axes
from tests.checkpoint.shapes import assumptions, network, tensors


def axes(spec: str) -> dict[str, int]:
    stored = tensors(spec)
    axis = out_axes((tensor.name, tensor.shape) for tensor in stored)
    return {t.name: axis(t.name, t.shape) for t in stored if len(t.shape) > 1}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param("fc.weight 3 4; fc.bias 3", {"fc.weight": 0}, id="torch is (out, in)"),
        pytest.param("fc/kernel 4 3; fc/bias 3", {"fc/kernel": 1}, id="Keras is (in, out)"),
        pytest.param("W1 3 4; b1 3", {"W1": 0}, id="a bias tells that W1 is (out, in)"),
        pytest.param("W1 4 3; b1 3", {"W1": 1}, id="a bias tells that W1 is (in, out)"),
        pytest.param(
            "W1 3 4; b1 3; W2 3 3; b2 3", {"W1": 0, "W2": 0}, id="a square one is as its siblings"
        ),
        pytest.param(
            "W1 5 4; W2 6 5; W3 2 6", {"W1": 0, "W2": 0, "W3": 0}, id="widths that meet one way"
        ),
        pytest.param("W1 4 4; W2 4 4", {"W1": 1, "W2": 1}, id="all square: x @ W is usual"),
        pytest.param(
            "h.attn.c_attn.weight 8 24; h.attn.c_attn.bias 24; h.attn.c_proj.weight 8 8;"
            "h.attn.c_proj.bias 8; h.mlp.c_proj.weight 32 8; h.mlp.c_proj.bias 8",
            {"h.attn.c_attn.weight": 1, "h.attn.c_proj.weight": 1, "h.mlp.c_proj.weight": 1},
            id="Conv1D of GPT-2 is (in, out), its square projection too",
        ),
        pytest.param(
            "fc.weight 4 3; fc.bias 3", {"fc.weight": 1}, id="a bias tells of (in, out) in torch"
        ),
        pytest.param("conv.weight 8 3 5 5", {"conv.weight": 0}, id="a convolution of torch"),
        pytest.param("conv/kernel 5 5 3 8", {"conv/kernel": 3}, id="a convolution of Keras"),
        pytest.param(
            "deconv.weight 8 3 4 4", {"deconv.weight": 1}, id="a name tells a transposed kernel"
        ),
        pytest.param(
            "up.weight 8 3 4 4; up.bias 3", {"up.weight": 1}, id="a bias tells a transposed kernel"
        ),
        pytest.param(
            "upconv.weight 8 3 3 3; upconv.bias 8",
            {"upconv.weight": 0},
            id="a bias overrules a name",
        ),
        pytest.param(
            "conv2d_transpose/kernel 3 3 8 4; conv2d_transpose/bias 8",
            {"conv2d_transpose/kernel": 2},
            id="Keras turns the last axes of a transposed kernel",
        ),
        pytest.param(
            "params/ConvTranspose_0/kernel 3 3 4 8; params/ConvTranspose_0/bias 8",
            {"params/ConvTranspose_0/kernel": 3},
            id="Flax does not",
        ),
        pytest.param("W1 8 3 5 5; b1 8", {"W1": 0}, id="a hand-written kernel of channels first"),
        pytest.param("c/w 5 5 3 8; c/b 8", {"c/w": 3}, id="a Haiku kernel of channels last"),
        pytest.param("c/w 8 4 3 3", {"c/w": 0}, id="a square window tells where channels are"),
    ],
)
def test_the_axis_of_output_units(spec: str, expected: dict[str, int]) -> None:
    assert axes(spec) == expected


def test_an_unlisted_tensor_is_judged_by_its_own_name() -> None:
    axis = out_axes([])
    assert (axis("fc/kernel", (4, 3)), axis("fc.weight", (3, 4))) == (1, 0)


def test_a_layer_has_the_layout_that_the_axes_say() -> None:
    spec = "W1 3 4; b1 3; W2 3 3; b2 3; W3 2 3; b3 2"
    found = network(spec)
    assert [found.layer(name).attributes["layout"] for name in ("W1", "W2", "W3")] == ["oi"] * 3
    assert "W2 read as (out, in), as the biases of the other layers tell" in assumptions(found)


def test_a_guess_is_called_one() -> None:
    assert "W1, W2 read as (in, out): a guess" in assumptions(network("W1 4 4; W2 4 4"))
