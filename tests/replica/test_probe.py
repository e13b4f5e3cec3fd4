from __future__ import annotations

import math

import numpy as np
import pytest

from initaudit.network import Layer
from initaudit.replica.engine import loader
from initaudit.replica.probe import probe
from initaudit.replica.run import run
from tests.replica.build import HE, Builder, filled, mlp, network, normal, plain, xavier


def test_no_step_measures_what_run_does() -> None:
    built = mlp((12, 16, 16, 4), "tanh", xavier())
    assert probe(built.network, built.load, steps=0, seed=3) == run(
        built.network, built.load, seed=3
    )


def test_the_stored_arrays_are_not_touched() -> None:
    built = mlp((12, 16, 16, 4), "tanh", xavier())
    kept = {name: array.copy() for name, array in built.arrays.items()}
    trace = probe(built.network, built.load)
    assert trace != run(built.network, built.load)
    assert all(np.array_equal(kept[name], built.arrays[name]) for name in kept)


def test_read_only_arrays_are_enough() -> None:
    built = mlp((12, 16, 16, 4), "tanh", xavier())
    for array in built.arrays.values():
        array.setflags(write=False)
    assert probe(built.network, built.load) is not None


def test_the_probe_escapes_from_zero_heads() -> None:
    built = mlp((16, 24, 24, 4), "tanh", xavier())
    built.arrays["fc2.weight"][:] = 0.0
    trace = probe(built.network, built.load)
    assert trace is not None
    assert (trace.effective_rank_min or 0.0) > 4.0


def test_the_probe_shows_a_collapse_that_the_start_hides() -> None:
    built = mlp((16, *[24] * 6, 4), "tanh", plain(0.01))
    before, after = run(built.network, built.load), probe(built.network, built.load)
    assert after is not None
    assert (before.effective_rank_min or 0.0) > 2.0
    assert (after.effective_rank_min or 9.0) < 1.1


@pytest.mark.parametrize("width", [64, 1024])
def test_the_steps_do_not_wreck_a_wide_healthy_network(width: int) -> None:
    built = mlp((width, *[width] * 4, 10), "relu", HE, seed=1)
    trace = probe(built.network, built.load, samples=64)
    assert trace is not None
    assert (trace.effective_rank_min or 0.0) > 5.0


@pytest.mark.parametrize(
    ("op", "layout", "shape", "scale"),
    [
        ("linear", "oi", (10, 512), 0.25),
        ("linear", "io", (512, 10), 0.25),
        ("linear", "oi", (512, 10), 1.0),
        ("conv", "oi", (8, 256, 2, 2), 0.125),
        ("conv", "io", (2, 2, 256, 8), 0.125),
        ("conv_transpose", "oi", (256, 8, 2, 2), 0.125),
        ("embedding", "oi", (5000, 512), 1.0),
        ("layer_norm", "oi", (512,), 1.0),
    ],
)
def test_the_learning_rate_falls_with_the_fan_in(
    op: str, layout: str, shape: tuple[int, ...], scale: float
) -> None:
    from initaudit.replica.probe import _scales

    built = Builder((4,)).add("x", op, {"weight": np.ones(shape)}, layout=layout)
    assert _scales(built.network) == {"x.weight": scale}


def test_one_output_is_trained_on_squared_error() -> None:
    built = mlp((12, 16, 16, 1), "tanh", xavier())
    moved = probe(built.network, built.load)
    assert moved is not None
    start = run(built.network, built.load)
    assert moved.signals["fc0"].std != start.signals["fc0"].std


def test_tied_weights_stay_tied() -> None:
    weight = normal()(np.random.default_rng(0), 8, 8)
    built = Builder((8,)).add("a", "linear", {"weight": weight})
    shared = Layer("b", "linear", ("a",), built.layers[1].params)
    trace = probe(network([*built.layers, shared]), built.load)
    assert trace is not None
    assert (
        trace.signals["b"].std != run(network([*built.layers, shared]), built.load).signals["b"].std
    )


def test_running_statistics_are_not_trained() -> None:
    r = np.random.default_rng(0)
    norm = {"weight": np.ones(16), "bias": np.zeros(16),
            "running_mean": np.zeros(16), "running_var": np.ones(16)}  # fmt: skip
    built = Builder((12,)).add("fc", "linear", {"weight": HE(r, 12, 16)})
    built.add("norm", "batch_norm", norm).add("act", "activation", function="relu")
    built.add("head", "linear", {"weight": HE(r, 16, 4)})
    assert probe(built.network, built.load, batch_statistics=False) is not None


def test_convolutions_and_tokens_are_trained() -> None:
    r = np.random.default_rng(0)
    image = Builder((3, 6, 6)).add("conv", "conv", {"weight": r.standard_normal((8, 3, 3, 3)) / 5})
    image.add("act", "activation", function="relu")
    image.add("head", "conv", {"weight": r.standard_normal((4, 8, 1, 1))})
    text = Builder((5,), tokens=11).add(
        "table", "embedding", {"weight": r.standard_normal((11, 8))}
    )
    text.add("fc", "linear", {"weight": r.standard_normal((8, 8)) / 3})
    text.add("act", "activation", function="tanh")
    text.add("head", "linear", {"weight": r.standard_normal((11, 8)) / 3})
    for built, moved in ((image, "conv"), (text, "table")):
        trace = probe(built.network, built.load)
        assert trace is not None
        assert trace.signals[moved].std != run(built.network, built.load).signals[moved].std


def test_a_network_whose_head_is_not_reached_is_not_probed() -> None:
    built = mlp((12, 16, 16, 4), "unknown", HE)
    assert probe(built.network, built.load) is None
    assert probe(built.network, built.load, activation="relu") is not None


def test_a_network_without_a_head_or_a_stored_array_is_not_probed() -> None:
    assert probe(Builder((3,)).network, Builder((3,)).load) is None
    built = mlp((12, 16, 4), "relu", HE)
    del built.arrays["fc0.bias"]
    assert probe(built.network, built.load) is None


def test_a_training_that_blows_up_ends_and_says_so() -> None:
    built = mlp((12, 16, 16, 16, 1), "relu", plain(1e60))
    trace = probe(built.network, built.load)
    assert trace is not None
    assert trace.notes == ("the probe ended before step 1: a gradient is not finite",)


def test_a_forward_pass_that_overflows_after_a_step_is_said() -> None:
    built = mlp((12, 16, 16, 4), "exp", normal(1.0))
    trace = probe(built.network, built.load, learning_rate=300.0)
    assert trace is not None
    assert trace.notes == ("the probe ended after step 1: its output overflows",) or any(
        "not reached" in note for note in trace.notes
    )
    assert trace.stopped


def test_the_seed_alone_decides() -> None:
    built = mlp((12, 16, 16, 4), "tanh", xavier())
    first, again = (probe(built.network, built.load, seed=2) for _ in range(2))
    assert first == again


@pytest.mark.oracle
@pytest.mark.parametrize("outputs", [1, 4])
def test_the_steps_are_those_of_torch_adam(outputs: int) -> None:
    torch = pytest.importorskip("torch")
    from initaudit.replica.probe import STEPS, _labels, _Task, _train

    built = mlp((6, 8, 8, outputs), "tanh", xavier())
    x = np.random.default_rng(0).standard_normal((32, 6))
    weights = {name: array.copy() for name, array in built.arrays.items()}
    task = _Task(built.network, {"input": x}, "fc2", batch_statistics=True)
    assert _train(task, weights, 0, STEPS, 3e-3) is None
    held = {k: torch.tensor(a, requires_grad=True) for k, a in built.arrays.items()}
    labels = torch.tensor(_labels(np.zeros((32, outputs)), 1, 0))
    adam = torch.optim.Adam(held.values(), lr=3e-3)
    for _ in range(STEPS):
        adam.zero_grad()
        h = torch.tensor(x)
        for i in range(3):
            h = torch.nn.functional.linear(h, held[f"fc{i}.weight"], held[f"fc{i}.bias"])
            h = h.tanh() if i < 2 else h
        functional = torch.nn.functional
        squared = functional.mse_loss(h, labels)
        loss = squared if outputs == 1 else functional.cross_entropy(h, labels)
        loss.backward()
        adam.step()
    for name, array in weights.items():
        np.testing.assert_allclose(array, held[name].detach().numpy(), rtol=1e-8, atol=1e-12)


def test_zeros_under_relu_never_move() -> None:
    built = mlp((12, 16, 16, 4), "relu", filled(0.0))
    trace = probe(built.network, built.load)
    assert trace is not None
    assert (trace.forward_ratio, trace.effective_rank_min) == (0.0, 0.0)
    assert not math.isnan(trace.signals["fc2"].std or 0.0)
    assert loader(built.load)(built.layers[1])["weight"].any() is np.False_
