from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from initaudit.network import Attribute
from initaudit.replica.ops import OPS
from initaudit.replica.ops.op import OpError
from initaudit.signal import ACTIVATIONS

Array = NDArray[Any]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Case:
    """An operation with the shapes that it is tried on; ``torch`` computes the same there."""

    op: str
    inputs: tuple[Shape, ...]
    params: Mapping[str, Shape] = field(default_factory=dict)
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    torch: Callable[..., Any] | None = None
    id: str = ""


def conv(*shape: int, x: Shape, torch: Callable[..., Any] | None, id: str, **kw: Attribute) -> Case:  # noqa: A002
    out = shape[-1] if kw.get("layout") == "io" else shape[0]
    return Case("conv", (x,), {"weight": shape, "bias": (out,)}, kw, torch, id)


def _f() -> Any:
    import torch.nn.functional as functional

    return functional


def _keras_kernel(w: Any) -> Any:
    return w.permute(w.ndim - 1, w.ndim - 2, *range(w.ndim - 2))


def _recurrent(kind: str) -> Callable[..., Any]:
    def call(x: Any, p: Mapping[str, Any]) -> Any:
        import torch

        layer = getattr(torch.nn, kind)(3, 4, batch_first=True, dtype=torch.float64)
        given = {f"{role}_l0": value for role, value in p.items()}
        return torch.func.functional_call(layer, given, (x,))[0]

    return call


LSTM = {"weight_ih": (16, 3), "weight_hh": (16, 4), "bias_ih": (16,), "bias_hh": (16,)}
GRU = {"weight_ih": (12, 3), "weight_hh": (12, 4), "bias_ih": (12,), "bias_hh": (12,)}
RNN = {"weight_ih": (4, 3), "weight_hh": (4, 4), "bias_ih": (4,), "bias_hh": (4,)}
AFFINE = {"weight": (6,), "bias": (6,)}
RUNNING = {**AFFINE, "running_mean": (6,), "running_var": (6,)}

CASES = [
    Case("linear", ((4, 3),), {"weight": (5, 3), "bias": (5,)},
         torch=lambda x, p: _f().linear(x, p["weight"], p["bias"])),
    Case("linear", ((4, 3),), {"weight": (3, 5)}, {"layout": "io"}, id="linear in, out",
         torch=lambda x, p: x @ p["weight"]),
    Case("linear", ((2, 4, 3),), {"weight": (5, 3), "bias": (5,)}, id="linear over a sequence",
         torch=lambda x, p: _f().linear(x, p["weight"], p["bias"])),
    conv(4, 2, 3, x=(3, 2, 7), id="conv 1d",
         torch=lambda x, p: _f().conv1d(x, p["weight"], p["bias"])),
    conv(4, 2, 3, 3, x=(2, 2, 5, 6), id="conv 2d padded and strided", stride=2, padding=1,
         torch=lambda x, p: _f().conv2d(x, p["weight"], p["bias"], 2, 1)),
    conv(4, 2, 3, 2, x=(2, 2, 5, 6), id="conv 2d, each side its own", stride=(1, 2),
         padding=(1, 0), dilation=(2, 1),
         torch=lambda x, p: _f().conv2d(x, p["weight"], p["bias"], (1, 2), (1, 0), (2, 1))),
    conv(4, 2, 3, 4, x=(2, 2, 5, 6), id="conv 2d same", padding="same",
         torch=lambda x, p: _f().conv2d(x, p["weight"], p["bias"], padding="same")),
    conv(6, 2, 3, 3, x=(2, 4, 4, 4), id="conv 2d in groups", groups=2, padding=1,
         torch=lambda x, p: _f().conv2d(x, p["weight"], p["bias"], padding=1, groups=2)),
    conv(4, 1, 3, 3, x=(2, 4, 4, 4), id="conv 2d depthwise", groups=4, padding=1,
         torch=lambda x, p: _f().conv2d(x, p["weight"], p["bias"], padding=1, groups=4)),
    conv(3, 2, 2, 4, x=(2, 2, 5, 6), id="conv 2d in Keras layout", layout="io",
         torch=lambda x, p: _f().conv2d(x, _keras_kernel(p["weight"]), p["bias"])),
    conv(3, 2, 2, 2, 3, x=(2, 2, 3, 4, 4), id="conv 3d", padding=(0, 1, 1),
         torch=lambda x, p: _f().conv3d(x, p["weight"], p["bias"], padding=(0, 1, 1))),
    Case("conv_transpose", ((2, 3, 4, 5),), {"weight": (3, 2, 4, 4), "bias": (2,)},
         {"stride": 2, "padding": 1}, id="conv_transpose 2d",
         torch=lambda x, p: _f().conv_transpose2d(x, p["weight"], p["bias"], 2, 1)),
    Case("conv_transpose", ((2, 4, 4),), {"weight": (4, 3, 3), "bias": (6,)},
         {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2, "dilation": 2},
         id="conv_transpose 1d in groups",
         torch=lambda x, p: _f().conv_transpose1d(x, p["weight"], p["bias"], 2, 1, 1, 2, 2)),
    Case("conv_transpose", ((2, 3, 3, 3),), {"weight": (2, 2, 3, 4), "bias": (4,)},
         {"stride": 2, "padding": "same", "layout": "io"}, id="conv_transpose in Flax layout"),
    Case("embedding", ((3, 5),), {"weight": (7, 4)},
         torch=lambda x, p: _f().embedding(x, p["weight"])),
    Case("lstm", ((2, 5, 3),), LSTM, torch=_recurrent("LSTM")),
    Case("gru", ((2, 5, 3),), GRU, torch=_recurrent("GRU")),
    Case("rnn", ((2, 5, 3),), RNN, torch=_recurrent("RNN")),
    Case("lstm", ((2, 3, 3),), {"weight_ih": (3, 16), "weight_hh": (4, 16), "bias_ih": (16,)},
         {"layout": "io"}, id="lstm in Keras layout, one bias"),
    Case("batch_norm", ((5, 6),), RUNNING, id="batch_norm over samples",
         torch=lambda x, p: _f().batch_norm(x, None, None, p["weight"], p["bias"], training=True)),
    Case("batch_norm", ((3, 6, 4, 2),), RUNNING, {"eps": 1e-3}, id="batch_norm over an image",
         torch=lambda x, p: _f().batch_norm(
             x, None, None, p["weight"], p["bias"], training=True, eps=1e-3)),
    Case("batch_norm", ((3, 6, 4),), RUNNING, {"batch_statistics": False},
         id="batch_norm with running statistics",
         torch=lambda x, p: _f().batch_norm(
             x, p["running_mean"], p["running_var"], p["weight"], p["bias"])),
    Case("batch_norm", ((3, 4, 6),), RUNNING, {"axis": 2}, id="batch_norm, channels last"),
    Case("layer_norm", ((3, 4, 6),), AFFINE, {"eps": 1e-6},
         torch=lambda x, p: _f().layer_norm(x, (6,), p["weight"], p["bias"], 1e-6)),
    Case("layer_norm", ((3, 4, 6),), {"weight": (4, 6), "bias": (4, 6)}, id="layer_norm over two",
         torch=lambda x, p: _f().layer_norm(x, (4, 6), p["weight"], p["bias"])),
    Case("group_norm", ((3, 6, 2, 2),), AFFINE, {"groups": 3},
         torch=lambda x, p: _f().group_norm(x, 3, p["weight"], p["bias"])),
    Case("rms_norm", ((3, 4, 6),), {"weight": (6,)}, {"eps": 1e-6},
         torch=lambda x, p: _f().rms_norm(x, (6,), p["weight"], 1e-6)),
    Case("softmax", ((3, 4),), torch=lambda x, p: x.softmax(1)),
    Case("max_pool", ((2, 3, 6, 5),), {}, {"kernel": 2},
         torch=lambda x, p: _f().max_pool2d(x, 2)),
    Case("max_pool", ((2, 3, 6, 5),), {}, {"kernel": 3, "stride": 2, "padding": 1},
         id="max_pool with windows that overlap", torch=lambda x, p: _f().max_pool2d(x, 3, 2, 1)),
    Case("avg_pool", ((2, 3, 6),), {}, {"kernel": 3, "stride": 2, "padding": 1},
         torch=lambda x, p: _f().avg_pool1d(x, 3, 2, 1)),
    Case("avg_pool", ((2, 3, 6, 5),), {}, {"kernel": 3, "stride": 2, "padding": 1,
         "count_include_pad": False}, id="avg_pool without padding in the count",
         torch=lambda x, p: _f().avg_pool2d(x, 3, 2, 1, count_include_pad=False)),
    Case("avg_pool", ((2, 3, 5, 5),), {}, {"kernel": 2, "padding": "same"}, id="avg_pool same"),
    Case("global_avg_pool", ((2, 3, 4, 2),), torch=lambda x, p: x.mean((2, 3))),
    Case("global_avg_pool", ((2, 4, 3),), {}, {"axis": 2}, id="global_avg_pool over time",
         torch=lambda x, p: x.mean(1)),
    Case("global_avg_pool", ((2, 3, 4, 2),), {}, {"keepdims": True}, id="global_avg_pool kept",
         torch=lambda x, p: x.mean((2, 3), keepdim=True)),
    Case("add", ((2, 3, 4), (2, 3, 4), (2, 3, 4)), torch=lambda x, y, z, p: x + y + z),
    Case("add", ((2, 3, 4, 4), (2, 3)), id="add a channel's offset",
         torch=lambda x, y, p: x + y[..., None, None]),
    Case("multiply", ((2, 3, 4), (2, 3, 4)), torch=lambda x, y, p: x * y),
    Case("multiply", ((2, 3, 4, 4), (2, 3)), id="multiply by a channel's gate",
         torch=lambda x, y, p: x * y[..., None, None]),
    Case("multiply", ((2, 3, 4, 4), (2, 3, 1, 1)), id="multiply by a kept gate",
         torch=lambda x, y, p: x * y),
    Case("concat", ((2, 3, 4), (2, 2, 4)), torch=lambda x, y, p: _cat(x, y, 1)),
    Case("concat", ((2, 4, 3), (2, 4, 2)), {}, {"axis": -1}, id="concat along the last axis",
         torch=lambda x, y, p: _cat(x, y, 2)),
    Case("flatten", ((2, 3, 4),), torch=lambda x, p: x.flatten(1)),
    Case("identity", ((2, 3),), torch=lambda x, p: x),
    Case("dropout", ((2, 3),), torch=lambda x, p: x),
    *(Case("activation", ((6, 5),), {}, {"function": name}, id=f"activation {name}")
      for name in ACTIVATIONS),
]  # fmt: skip


def _cat(x: Any, y: Any, axis: int) -> Any:
    import torch

    return torch.cat((x, y), axis)


def name_of(case: Case) -> str:
    return case.id or case.op


def numbers(case: Case) -> tuple[tuple[Array, ...], dict[str, Array]]:
    generator = np.random.default_rng(7)
    if case.op == "embedding":
        return (generator.integers(0, 7, case.inputs[0]),), _drawn(case, generator)
    return tuple(generator.standard_normal(s) for s in case.inputs), _drawn(case, generator)


def _drawn(case: Case, generator: np.random.Generator) -> dict[str, Array]:
    return {
        role: generator.random(shape) + 0.5
        if role == "running_var"
        else generator.standard_normal(shape)
        for role, shape in case.params.items()
    }


def test_every_operation_has_a_case() -> None:
    assert {case.op for case in CASES} == set(OPS)


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_backward_agrees_with_finite_differences(case: Case) -> None:
    op = OPS[case.op]
    inputs, params = numbers(case)
    y, cache = op.forward(case.attributes, inputs, params)
    cotangent = np.random.default_rng(8).standard_normal(y.shape)
    d_inputs, d_params = op.backward(cache, params, cotangent)
    assert [d.shape for d in d_inputs] == [x.shape for x in inputs]
    assert all(d_params[role].shape == params[role].shape for role in d_params)
    moved: list[tuple[Array, Array]] = [
        (array, gradient)
        for array, gradient in zip(inputs, d_inputs, strict=True)
        if not np.issubdtype(array.dtype, np.integer)
    ]
    moved += [(params[role], gradient) for role, gradient in d_params.items()]
    step = 1e-5
    for array, gradient in moved:
        slopes = np.empty(array.shape)
        for index in np.ndindex(array.shape):
            kept = array[index]
            ends = []
            for sign in (1.0, -1.0):
                array[index] = kept + sign * step
                ends.append(
                    float((op.forward(case.attributes, inputs, params)[0] * cotangent).sum())
                )
            array[index] = kept
            slopes[index] = (ends[0] - ends[1]) / (2.0 * step)
        np.testing.assert_allclose(gradient, slopes, rtol=2e-6, atol=2e-7 * np.abs(slopes).max())


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_each_parameter_but_running_statistics_has_a_gradient(case: Case) -> None:
    inputs, params = numbers(case)
    y, cache = OPS[case.op].forward(case.attributes, inputs, params)
    _, d_params = OPS[case.op].backward(cache, params, np.ones_like(y))
    assert set(d_params) == set(params) - {"running_mean", "running_var"}


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@pytest.mark.parametrize("case", [c for c in CASES if c.torch is not None], ids=name_of)
def test_forward_and_backward_agree_with_torch(case: Case) -> None:
    torch = pytest.importorskip("torch")
    assert case.torch is not None
    inputs, params = numbers(case)
    y, cache = OPS[case.op].forward(case.attributes, inputs, params)
    cotangent = np.random.default_rng(8).standard_normal(y.shape)
    d_inputs, d_params = OPS[case.op].backward(cache, params, cotangent)
    real = [torch.tensor(x) for x in inputs]
    held = {role: torch.tensor(array) for role, array in params.items()}
    wanted = [x.requires_grad_() for x in real if x.is_floating_point()]
    wanted += [held[role].requires_grad_() for role in d_params]
    expected = case.torch(*real, held)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-10, atol=1e-12)
    gradients = torch.autograd.grad(expected, wanted, torch.tensor(cotangent))
    ours = [d for d, x in zip(d_inputs, real, strict=True) if x.is_floating_point()]
    ours += list(d_params.values())
    for mine, theirs in zip(ours, gradients, strict=True):
        np.testing.assert_allclose(mine, theirs.numpy(), rtol=1e-9, atol=1e-12)


TORCH_NAMES = {
    "relu": "relu", "relu6": "relu6", "leaky_relu": "leaky_relu", "tanh": "tanh",
    "sigmoid": "sigmoid", "gelu": "gelu", "silu": "silu", "mish": "mish", "elu": "elu",
    "celu": "celu", "selu": "selu", "softplus": "softplus", "hardtanh": "hardtanh",
    "hardswish": "hardswish", "hardsigmoid": "hardsigmoid", "softsign": "softsign",
}  # fmt: skip


@pytest.mark.oracle
@pytest.mark.parametrize("name", TORCH_NAMES)
def test_activations_agree_with_torch(name: str) -> None:
    torch = pytest.importorskip("torch")
    x = np.concatenate([np.linspace(-30.0, 30.0, 2001) + 1e-3, [-300.0, 300.0]])
    given = torch.tensor(x, requires_grad=True)
    y = getattr(torch.nn.functional, TORCH_NAMES[name])(given)
    (slope,) = torch.autograd.grad(y.sum(), given)
    activation = ACTIVATIONS[name]
    # PyTorch takes softplus as x beyond 20, off by 2e-9, and 1 / 6 in hardsigmoid as a float32.
    np.testing.assert_allclose(activation.function(x), y.detach().numpy(), rtol=1e-12, atol=3e-9)
    np.testing.assert_allclose(activation.derivative(x), slope.numpy(), rtol=1e-7, atol=3e-9)


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
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(
    op: str,
    inputs: tuple[Shape, ...],
    params: Mapping[str, Shape],
    attributes: Mapping[str, Attribute],
    says: str,
) -> None:
    case = Case(op, inputs, params, attributes)
    drawn = np.random.default_rng(0)
    arrays = tuple(drawn.standard_normal(shape) for shape in inputs)
    with pytest.raises(OpError) as told:
        OPS[op].forward(attributes, arrays, _drawn(case, drawn))
    assert says in str(told.value)


def test_a_token_past_the_table_is_said() -> None:
    with pytest.raises(OpError, match="does not hold every token"):
        OPS["embedding"].forward({}, (np.array([[5]]),), {"weight": np.zeros((5, 2))})


def test_leaky_relu_takes_its_slope_from_the_layer() -> None:
    attributes: dict[str, Attribute] = {"function": "leaky_relu", "slope": 0.3}
    y, cache = OPS["activation"].forward(attributes, (np.array([[-2.0, 2.0]]),), {})
    (d_x,), _ = OPS["activation"].backward(cache, {}, np.ones((1, 2)))
    np.testing.assert_allclose(y, [[-0.6, 2.0]])
    np.testing.assert_allclose(d_x, [[0.3, 1.0]])
