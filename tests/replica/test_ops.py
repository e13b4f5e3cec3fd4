from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from initaudit.replica.ops import OPS
from initaudit.signal import ACTIVATIONS
from tests.replica.case import Case, name_of, numbers
from tests.replica.cases_algebra import ALGEBRA
from tests.replica.cases_layers import LAYERS
from tests.replica.cases_sequences import SEQUENCES
from tests.replica.cases_tables import TABLES

Array = NDArray[Any]

CASES = [*LAYERS, *SEQUENCES, *TABLES, *ALGEBRA]


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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_the_dtype_that_is_given_is_the_one_computed_in(case: Case, dtype: type) -> None:
    op = OPS[case.op]
    inputs, params = numbers(case, dtype)
    y, cache = op.forward(case.attributes, inputs, params)
    assert y.dtype == dtype
    d_inputs, d_params = op.backward(cache, params, np.ones_like(y))
    assert {d.dtype for d in (*d_inputs, *d_params.values())} <= {np.dtype(dtype)}


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_neither_pass_writes_to_what_it_is_given(case: Case) -> None:
    op = OPS[case.op]
    inputs, params = numbers(case)
    for array in (*inputs, *params.values()):
        array.flags.writeable = False
    y, cache = op.forward(case.attributes, inputs, params)
    cotangent, kept = np.ones_like(y), y.copy()
    cotangent.flags.writeable = False
    op.backward(cache, params, cotangent)
    np.testing.assert_array_equal(y, kept)


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
