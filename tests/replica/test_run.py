from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from initaudit.network import UNKNOWN_ACTIVATION, Layer
from initaudit.replica import inputs
from initaudit.replica.engine import backward, forward, loader
from initaudit.replica.inputs import generator
from initaudit.replica.run import run
from tests.replica.build import HE, Builder, filled, mlp, network, normal, plain, xavier

R = np.random.default_rng(5)


def cnn() -> Builder:
    r = np.random.default_rng(3)
    built = Builder((3, 12, 12))
    channels = 3
    for i in range(3):
        weight = r.standard_normal((16, channels, 3, 3)) * math.sqrt(2 / (9 * channels))
        built.add(f"conv{i}", "conv", {"weight": weight}, padding=1)
        norm = {"weight": np.ones(16), "bias": np.zeros(16),
                "running_mean": np.zeros(16), "running_var": np.ones(16)}  # fmt: skip
        built.add(f"norm{i}", "batch_norm", norm, eps=1e-5)
        built.add(f"act{i}", "activation", function="relu")
        channels = 16
    built.add("pool", "global_avg_pool")
    return built.add("head", "linear", {"weight": r.standard_normal((10, 16)) / 4})


def test_what_the_memory_cannot_hold_is_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    built = mlp((12, 20, 16, 4), "tanh", xavier())
    held = 256 * 8 * (12 + 2 * (20 + 16) + 4)
    monkeypatch.setattr(inputs, "memory", lambda: held)
    assert run(built.network, built.load).samples == 256
    monkeypatch.setattr(inputs, "memory", lambda: held // 2)
    with pytest.raises(MemoryError):
        run(built.network, built.load)


def test_the_memory_of_the_machine_is_known() -> None:
    assert inputs.memory() > 1 << 24


def test_statistics_are_those_of_the_arrays() -> None:
    built = mlp((12, 20, 16, 4), "tanh", xavier())
    trace = run(built.network, built.load, samples=100, seed=4)
    random = generator(4)
    x = random.standard_normal((100, 12))
    tape = forward(built.network, loader(built.load), {"input": x})
    cotangent = random.standard_normal((100, 16))
    steps = {
        s.layer.name: s
        for s in backward(built.network, loader(built.load), tape, {"fc1.tanh": cotangent})
    }
    assert list(trace.signals) == [layer.name for layer in built.network.layers]
    for name, y in tape.outputs.items():
        signal = trace.signals[name]
        assert signal.shape == y.shape[1:]
        assert signal.features == y.shape[1]
        found = (signal.mean, signal.std, signal.second_moment)
        assert found == pytest.approx((y.mean(), y.std(), (y**2).mean()), rel=1e-9)
        assert sum(signal.histogram) == y.size
        assert (signal.low, signal.high) == (y.min(), y.max())
    for name in ("fc0", "fc0.tanh", "fc1", "fc1.tanh"):
        d = steps[name].d_output
        signal = trace.signals[name]
        assert signal.gradient_std == pytest.approx(d.std(), rel=1e-9)
        assert signal.gradient_power == pytest.approx((d**2).mean(), rel=1e-9)
    d_weight = steps["fc0"].d_params["weight"]
    assert trace.signals["fc0"].weight_grad_std == pytest.approx(d_weight.std(), rel=1e-9)
    assert trace.signals["fc0"].weight_grad_power == pytest.approx((d_weight**2).mean(), rel=1e-9)


def test_ratios_run_from_the_first_to_the_last_pre_activation() -> None:
    built = mlp((12, 20, 16, 18, 4), "tanh", normal(0.5))
    trace = run(built.network, built.load)
    first, last = trace.signals["fc0"], trace.signals["fc2"]
    assert trace.forward_ratio is not None
    assert trace.backward_ratio is not None
    assert None not in (first.second_moment, last.second_moment)
    assert trace.forward_ratio == (last.second_moment or 0) / (first.second_moment or 1)
    assert trace.backward_ratio == (first.gradient_power or 0) / (last.gradient_power or 1)
    assert trace.forward_ratio < 0.1
    assert trace.backward_ratio < 0.1


def test_the_head_gets_no_cotangent_but_a_gradient_of_its_weight() -> None:
    built = mlp((8, 9, 3), "relu", HE)
    built.arrays["fc1.weight"][:] = 0.0
    trace = run(built.network, built.load)
    assert trace.signals["fc1"].gradient_power is None
    assert (trace.signals["fc1"].weight_grad_std or 0.0) > 0.0
    assert (trace.signals["fc0"].gradient_power or 0.0) > 0.0


@pytest.mark.parametrize(("gain", "expected"), [(1.0, 1.0), (1e-3, 1.0), (1e3, 1.0)])
def test_sensitivity_of_a_linear_network_is_one(gain: float, expected: float) -> None:
    built = Builder((32,))
    for i in range(3):
        built.add(f"fc{i}", "linear", {"weight": gain * normal()(R, 32, 32)})
    built.add("head", "linear", {"weight": normal()(R, 32, 2)})
    trace = run(built.network, built.load, samples=512)
    assert trace.sensitivity == pytest.approx(expected, rel=0.1)


def test_sensitivity_of_a_chaotic_network_is_large() -> None:
    built = mlp((32, *[64] * 8, 4), "tanh", normal(6.0))
    assert (run(built.network, built.load).sensitivity or 0.0) > 1e3


def test_sensitivity_of_tokens_is_measured_behind_the_table() -> None:
    built = Builder((6,), tokens=50).add(
        "table", "embedding", {"weight": R.standard_normal((50, 24))}
    )
    built.add("fc", "linear", {"weight": normal()(R, 24, 24)})
    built.add("head", "linear", {"weight": normal()(R, 24, 2)})
    trace = run(built.network, built.load)
    assert trace.sensitivity == pytest.approx(1.0, rel=0.1)
    assert trace.input_rank == 49 * 6
    assert trace.signals["input"].std is None


def test_zeros_have_ratios_of_zero_and_no_sensitivity() -> None:
    built = mlp((12, 16, 16, 4), "tanh", filled(0.0))
    trace = run(built.network, built.load)
    assert (trace.forward_ratio, trace.backward_ratio, trace.sensitivity) == (0.0, 0.0, None)
    assert (trace.effective_rank_min, trace.effective_rank_layer) == (0.0, "fc0.tanh")


def test_a_signal_born_of_biases_alone_has_no_finite_ratio() -> None:
    built = mlp((12, 16, 16, 4), "tanh", filled(0.0))
    built.arrays["fc1.bias"][:] = 1.0
    assert run(built.network, built.load).forward_ratio == math.inf


def test_the_smallest_rank_is_found_with_its_layer() -> None:
    built = mlp((16, 24, 24, 24, 4), "relu", HE)
    built.arrays["fc2.weight"][1:] = built.arrays["fc2.weight"][0]
    trace = run(built.network, built.load)
    assert trace.effective_rank_min == pytest.approx(1.0)
    assert trace.effective_rank_layer == "fc2.relu"
    assert (trace.signals["fc1.relu"].effective_rank or 0.0) > 5.0


def test_a_branch_beside_a_skip_connection_is_not_judged() -> None:
    built = Builder((16,)).add("stem", "linear", {"weight": HE(R, 16, 16)})
    built.add("act", "activation", function="relu")
    built.add("fc", "linear", {"weight": HE(R, 16, 16)})
    built.add("inner", "activation", function="relu")
    built.add("last", "linear", {"weight": np.zeros((16, 16))})
    built.add("add", "add", None, ["act", "last"]).add("out", "activation", function="relu")
    built.add("head", "linear", {"weight": HE(R, 16, 4)})
    trace = run(built.network, built.load)
    assert trace.signals["last"].effective_rank == 0.0
    assert (trace.effective_rank_min or 0.0) > 4.0
    assert trace.hidden == ("act", "out")
    assert trace.backward_ratio == pytest.approx(1.0)


@pytest.mark.parametrize(("width", "judged"), [(2, False), (3, True)])
def test_a_layer_of_two_units_is_too_narrow_to_have_a_rank(width: int, judged: bool) -> None:
    built = mlp((16, 20, width, 4), "tanh", xavier())
    layer = run(built.network, built.load).effective_rank_layer
    assert (layer == "fc1.tanh") is judged


@pytest.mark.parametrize(("inputs", "judged"), [(1, False), (3, False), (8, True)])
def test_no_rank_is_judged_where_the_inputs_have_none(inputs: int, judged: bool) -> None:
    built = mlp((inputs, 20, 20, 4), "tanh", xavier())
    trace = run(built.network, built.load)
    assert trace.input_rank is not None
    assert trace.input_rank == pytest.approx(inputs, rel=0.1)
    assert (trace.effective_rank_min is not None) is judged


def test_an_image_counts_all_its_places_as_inputs() -> None:
    built = cnn()
    trace = run(built.network, built.load)
    assert (trace.input_rank or 0.0) > 100.0
    assert (trace.effective_rank_min or 0.0) > 2.0


def test_batch_statistics_normalise_and_running_ones_do_not() -> None:
    built = cnn()
    built.arrays["conv0.weight"] *= 100.0
    batch = run(built.network, built.load).signals["norm0"]
    running = run(built.network, built.load, batch_statistics=False).signals["norm0"]
    assert batch.second_moment == pytest.approx(1.0, rel=1e-3)
    assert (running.second_moment or 0.0) > 1e3


def test_saturated_and_dead_shares_belong_to_activations() -> None:
    built = mlp((12, 40, 40, 4), "tanh", plain(3.0))
    trace = run(built.network, built.load)
    assert (trace.signals["fc1.tanh"].saturated or 0.0) > 0.7
    assert trace.signals["fc1.tanh"].dead is None
    assert trace.signals["fc1"].saturated is None


def test_a_rectifier_that_never_fires_is_dead() -> None:
    built = mlp((12, 40, 4), "relu", HE)
    built.arrays["fc0.bias"][:10] = -100.0
    signal = run(built.network, built.load).signals["fc0.relu"]
    assert signal.dead == 0.25
    assert signal.saturated is None


def test_an_unknown_activation_stops_the_signal_and_one_can_stand_in() -> None:
    built = mlp((12, 16, 16, 4), UNKNOWN_ACTIVATION, HE)
    trace = run(built.network, built.load)
    assert trace.stopped[0] == ("fc0.unknown", "the activation 'unknown' is not known")
    assert [name for name, _ in trace.stopped] == ["fc0.unknown", "fc1", "fc1.unknown", "fc2"]
    assert list(trace.signals) == ["input", "fc0"]
    stood_in = run(built.network, built.load, activation="relu")
    named = mlp((12, 16, 16, 4), "relu", HE)
    known = run(named.network, named.load)
    assert stood_in.stopped == ()
    assert stood_in.forward_ratio == known.forward_ratio


def test_what_lies_before_a_stop_is_measured_backward_too() -> None:
    built = mlp((12, 16, 16, 4), "relu", HE)
    built.arrays["fc1.weight"][0, 0] = math.nan
    trace = run(built.network, built.load)
    assert trace.stopped[0] == ("fc1", "its weight is not finite")
    assert (trace.signals["fc0"].gradient_power or 0.0) > 0.0
    assert trace.hidden == ("fc0.relu",)


def test_a_layer_apart_is_not_measured_and_stops_nothing() -> None:
    built = mlp((12, 16, 4), "relu", HE)
    apart = Layer("apart", "linear", (), built.layers[1].params)
    trace = run(network([*built.layers, apart]), built.load)
    assert "apart" not in trace.signals
    assert trace.stopped == ()


def test_a_network_with_no_input_gives_an_empty_trace() -> None:
    built = mlp((12, 16, 4), "relu", HE)
    alone = [replace(layer, inputs=()) for layer in built.layers[1:]]
    trace = run(network(alone), built.load)
    assert trace.signals == {}
    assert (trace.input_rank, trace.effective_rank_min, trace.sensitivity) == (None, None, None)


def test_the_seed_alone_decides() -> None:
    built = mlp((12, 16, 16, 4), "tanh", xavier())
    first, again, other = (run(built.network, built.load, seed=s) for s in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize("seed", range(3))
def test_weights_of_the_same_seed_are_not_the_inputs(seed: int) -> None:
    built = mlp((64, 64, 4), "tanh", normal(), seed)
    assert run(built.network, built.load, seed=seed).signals["fc0"].std == pytest.approx(
        1.0, rel=0.1
    )


def test_a_large_network_gets_fewer_samples_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    built = mlp((12, 16, 4), "relu", HE)
    products = 12 * 16 + 16 + 16 * 4 + 4
    monkeypatch.setattr("initaudit.replica.inputs._PRODUCTS", 100.0 * products)
    assert run(built.network, built.load).samples == 100


@pytest.mark.parametrize("scale", [1e-120, 1e120])
def test_no_scale_raises_or_warns(scale: float) -> None:
    built = mlp((12, 16, 16, 16, 4), "relu", plain(scale))
    trace = run(built.network, built.load)
    assert trace.samples == 256
    assert trace.forward_ratio in (0.0, math.inf)
