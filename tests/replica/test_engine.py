from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from initaudit.network import Layer
from initaudit.replica.engine import backward, forward, loader
from initaudit.replica.inputs import SMALLEST, Size, draw, size
from initaudit.replica.ops.op import OpError
from tests.replica.build import HE, Builder, mlp, network


def test_gradients_of_a_fork_are_summed() -> None:
    built = Builder((3,)).add("double", "add", None, ["input", "input"])
    built.add("square", "multiply", None, ["double", "input"])
    x = np.array([[1.0, -2.0, 3.0]])
    tape = forward(built.network, loader(built.load), {"input": x})
    steps = {
        s.layer.name: s.d_output
        for s in backward(built.network, loader(built.load), tape, {"square": x * 0 + 1})
    }
    np.testing.assert_allclose(tape.outputs["square"], 2 * x**2)
    np.testing.assert_allclose(steps["input"], 4 * x)


def test_layers_behind_the_cotangent_get_no_gradient() -> None:
    built = mlp((3, 4, 5, 2), "relu", HE)
    tape = forward(built.network, loader(built.load), {"input": np.ones((2, 3))})
    reached = [
        s.layer.name
        for s in backward(built.network, loader(built.load), tape, {"fc1": np.ones((2, 5))})
    ]
    assert reached == ["fc1", "fc0.relu", "fc0", "input"]


def test_a_layer_that_does_not_fit_stops_and_all_behind_it_with_it() -> None:
    built = mlp((3, 4, 2), "relu", HE).add("wide", "linear", {"weight": np.ones((5, 9))})
    built.add("end", "activation", function="relu").add("last", "activation", function="relu")
    tape = forward(built.network, loader(built.load), {"input": np.ones((2, 3))})
    assert tape.stopped == {
        "wide": "its weight reads 9 features, its input has 2",
        "end": "not reached: wide gives no output",
        "last": "not reached: wide gives no output",
    }
    assert "fc1" in tape.outputs


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (Layer("x", "unheard", ("input",)), "the operation unheard is not known"),
        (Layer("x", "linear", ("input",)), "it has no weight"),
        (
            Layer("x", "activation", ("input",), attributes={"function": "unknown"}),
            "the activation 'unknown' is not known",
        ),
    ],
)
def test_the_reason_of_a_stop_is_said(layer: Layer, reason: str) -> None:
    built = Builder((3,))
    taken = network([*built.layers, layer])
    tape = forward(taken, loader(built.load), {"input": np.ones((2, 3))})
    assert tape.stopped == {"x": reason}


def test_an_input_without_a_shape_is_said() -> None:
    taken = network([Layer("input", "input"), Layer("id", "identity", ("input",))])
    tape = forward(taken, loader(Builder(()).load), draw(taken, 4, np.random.default_rng(0)))
    assert tape.stopped["input"] == "the shape of this input is not known"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_stop_their_layer(bad: float) -> None:
    built = mlp((3, 4, 2), "relu", HE)
    built.arrays["fc1.weight"][0, 0] = bad
    tape = forward(built.network, loader(built.load), {"input": np.ones((2, 3))})
    assert tape.stopped == {"fc1": "its weight is not finite"}


def test_an_output_that_overflows_stops_its_layer() -> None:
    built = mlp((3, 4, 4, 2), "relu", lambda r, i, o: np.full((o, i), 1e200))
    tape = forward(built.network, loader(built.load), {"input": np.ones((2, 3))})
    assert tape.stopped["fc1"] == "its output overflows"


def test_an_array_that_is_not_stored_stops_its_layer() -> None:
    built = mlp((3, 4, 2), "relu", HE)
    del built.arrays["fc1.weight"]
    tape = forward(built.network, loader(built.load), {"input": np.ones((2, 3))})
    assert tape.stopped == {"fc1": "the array fc1.weight is not stored"}


def test_complex_weights_are_refused() -> None:
    built = Builder((3,)).add("fc", "linear", {"weight": np.ones((2, 3))})
    built.arrays["fc.weight"] = np.ones((2, 3), np.complex64)
    with pytest.raises(OpError, match="complex"):
        loader(built.load)(built.layers[1])


def test_each_array_is_read_once() -> None:
    built = mlp((3, 4, 2), "relu", HE)
    asked: list[str] = []

    def arrays(name: str) -> NDArray[Any]:
        asked.append(name)
        return built.arrays[name]

    load = loader(arrays)
    for _ in range(2):
        forward(built.network, load, {"input": np.ones((2, 3))})
    assert sorted(asked) == sorted(built.arrays)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_all_is_computed_in_double_precision(dtype: type) -> None:
    built = mlp((3, 4, 2), "relu", HE)
    built.arrays |= {name: array.astype(dtype) for name, array in built.arrays.items()}
    tape = forward(built.network, loader(built.load), {"input": np.ones((2, 3))})
    assert {y.dtype for y in tape.outputs.values()} == {np.dtype(np.float64)}


def test_large_single_precision_weights_give_double_precision_signals() -> None:
    weight = np.full((2100, 2000), 0.5, np.float32)
    built = Builder((2000,)).add("fc", "linear", {"weight": weight})
    load = loader(built.load)
    tape = forward(built.network, load, {"input": np.full((2, 2000), 0.1)})
    (step, *_) = backward(built.network, loader(built.load), tape, {"fc": np.ones((2, 2100))})
    assert load(built.layers[1])["weight"].dtype == np.float32
    assert tape.outputs["fc"].dtype == step.d_params["weight"].dtype == np.float64
    np.testing.assert_allclose(tape.outputs["fc"], 100.0, rtol=1e-12)


def test_an_output_that_is_given_is_taken_as_it_is() -> None:
    built = Builder((4,), tokens=7).add("table", "embedding", {"weight": np.ones((7, 3))})
    built.add("fc", "linear", {"weight": np.eye(3)})
    given = {"input": np.zeros((2, 4), np.int64), "table": np.full((2, 4, 3), 2.0)}
    tape = forward(built.network, loader(built.load), given)
    np.testing.assert_array_equal(tape.outputs["fc"], given["table"])


@pytest.mark.parametrize(
    ("shape", "reader", "axis"),
    [((6,), "identity", 1), ((3, 8, 8), "conv", 1), ((9, 3), "lstm", 2), ((3, 9), "conv", 1)],
)
def test_the_features_of_an_input_are_where_its_reader_takes_them(
    shape: tuple[int, ...], reader: str, axis: int
) -> None:
    taken = network([*Builder(shape).layers, Layer("x", reader, ("input",))])
    tape = forward(taken, loader(Builder(()).load), draw(taken, 2, np.random.default_rng(0)))
    assert tape.axes["input"] == axis


def test_the_features_are_followed_through_the_layers() -> None:
    built = Builder((5,), tokens=7).add("table", "embedding", {"weight": np.ones((7, 3))})
    built.add("norm", "layer_norm").add("mean", "global_avg_pool").add("flat", "flatten")
    tape = forward(built.network, loader(built.load), {"input": np.zeros((2, 5), np.int64)})
    assert tape.axes == {"input": 1, "table": 2, "norm": 2, "mean": 1, "flat": 1}
    assert tape.outputs["mean"].shape == (2, 3)


def test_size_counts_products_numbers_and_parameters() -> None:
    built = Builder((3, 8, 8)).add("conv", "conv", {"weight": np.ones((4, 3, 3, 3))}, padding=1)
    built.add("flat", "flatten").add("fc", "linear", {"weight": np.ones((10, 256))})
    found = size(built.network, loader(built.load))
    assert found.products == 4 * 3 * 3 * 3 * 64 + 10 * 256
    assert found.numbers == 3 * 64 + 4 * 64 + 256 + 10
    assert found.parameters == 4 * 3 * 3 * 3 + 10 * 256


def test_size_counts_shared_weights_once() -> None:
    weight = np.eye(4)
    built = Builder((4,)).add("a", "linear", {"weight": weight})
    twin = built.layers[1]
    taken = network([*built.layers, Layer("b", "linear", ("a",), twin.params)])
    assert size(taken, loader(built.load)).parameters == 16


@pytest.mark.parametrize(
    ("cost", "samples"),
    [
        (Size(1e6, 1000, 1000), 256),
        (Size(2e8, 1000, 1000), 100),
        (Size(1e10, 1000, 1000), SMALLEST),
        (Size(1e6, 10**8, 1000), SMALLEST),
    ],
)
def test_large_networks_get_fewer_samples(cost: Size, samples: int) -> None:
    assert cost.samples(256) == samples


def test_fewer_samples_than_the_least_are_kept_where_they_are_asked_for() -> None:
    assert Size(1e10, 1000, 1000).samples(16) == 16
