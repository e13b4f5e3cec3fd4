"""Weights come and go with their layer, activations with their last reader."""

from __future__ import annotations

import math
import tracemalloc
import weakref
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from initaudit.checkpoint import reading
from initaudit.network import Layer
from initaudit.replica import run as running
from initaudit.replica.engine import Keep, backward, forward, upstream
from initaudit.replica.held import Held
from initaudit.replica.inputs import FEWEST_SEQUENCES, Size, measured
from initaudit.replica.loading import loader
from initaudit.replica.ops.product import Product, Rows, dense
from initaudit.replica.run import measure, run
from tests.replica.build import HE, Builder, mlp, network, plain

NOTHING = Keep(frozenset(), frozenset())
DEPTH, WIDTH = 6, 300


class Reader:
    """Gives arrays by name, counts how often, and how many it gave are still held."""

    def __init__(self, built: Builder) -> None:
        self.arrays = {name: array.astype(np.float32) for name, array in built.arrays.items()}
        self.asked: Counter[str] = Counter()
        self.alive: list[weakref.ref[NDArray[Any]]] = []
        self.most = 0

    def __call__(self, name: str) -> NDArray[Any]:
        self.asked[name] += 1
        array = self.arrays[name].copy()
        if array.ndim > 1:
            self.most = max(self.most, sum(r() is not None for r in self.alive))
            self.alive.append(weakref.ref(array))
        return array


def deep() -> Builder:
    return mlp((WIDTH,) * (DEPTH + 1), "relu", HE)


def test_a_large_weight_is_read_once_in_each_direction_and_dropped() -> None:
    built = deep()
    reader = Reader(built)
    load = loader(reader, np.float32, kept=WIDTH * WIDTH)
    given = {"input": np.ones((4, WIDTH), np.float32)}
    keep = Keep(outputs=frozenset())
    tape = forward(built.network, load, given, keep=keep, dtype=np.float32)
    weights = [name for name in reader.arrays if name.endswith("weight")]
    assert {reader.asked[name] for name in weights} == {1}
    last = built.layers[-1].name
    for step in backward(
        built.network, load, tape, {last: np.ones((4, WIDTH), np.float32)}, lean=True
    ):
        del step
    assert {reader.asked[name] for name in weights} == {2}
    assert reader.most <= 1
    assert all(ref() is None for ref in reader.alive)


def test_small_weights_are_read_once() -> None:
    built = deep()
    reader = Reader(built)
    run(built.network, reader, samples=16)
    # Once to see what a sample costs, in single precision, and once for all passes.
    assert set(reader.asked.values()) == {2}


def test_the_arrays_used_longest_ago_make_room() -> None:
    built = mlp((8, 8, 8, 8), "relu", HE)
    reader = Reader(built)
    load = loader(reader, np.float32, kept=2 * (64 + 8) * 4)
    first, second, third = (x for x in built.layers if x.op == "linear")
    for layer in (first, second, first, third, first, second):
        load(layer)
    assert reader.asked["fc0.weight"] == reader.asked["fc2.weight"] == 1
    assert reader.asked["fc1.weight"] == 2


def test_outputs_leave_with_their_last_reader() -> None:
    built = Builder((64,))
    for i in range(40):
        built.add(f"relu{i}", "activation", function="relu")
    built.add("skip", "add", None, ["relu0", "relu39"])
    seen: list[str] = []
    given = {"input": np.ones((1000, 64))}
    tape = forward(
        built.network,
        loader(built.load),
        given,
        keep=NOTHING,
        see=lambda layer, x, axis, read: seen.append(layer.name),
    )
    assert tape.outputs == {} == tape.caches
    assert seen == [layer.name for layer in built.network.layers]
    assert tape.shapes["skip"] == (1000, 64)
    assert tape.held.now == 0
    assert tape.held.peak <= 4 * given["input"].nbytes


def test_backward_lets_go_of_what_it_has_used() -> None:
    built = deep()
    load = loader(built.load)
    given = {"input": np.ones((64, WIDTH))}
    tape = forward(built.network, load, given, keep=Keep(outputs=frozenset()))
    assert tape.held.now >= DEPTH * given["input"].nbytes
    last = built.layers[-1].name
    for step in backward(built.network, load, tape, {last: np.ones((64, WIDTH))}, lean=True):
        del step
    assert tape.caches == {}
    assert tape.held.now == 0


def test_memory_does_not_grow_with_depth() -> None:
    def peak(depth: int) -> int:
        built = mlp((700,) * (depth + 1), "relu", HE)
        reader = Reader(built)
        load = loader(reader, np.float32, kept=0)
        tracemalloc.start()
        measure(built.network, load, 16, 0, batch_statistics=True, dtype=np.float32)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    one = 700 * 700 * 4
    assert peak(9) - peak(3) < one


@pytest.mark.parametrize("dtype", ["F64", "F32", "F16", "I32", "BOOL"])
def test_an_array_is_read_in_pieces_into_one_of_its_own(dtype: str) -> None:
    kinds = {"F64": "f8", "F32": "f4", "F16": "f2", "I32": "i4", "BOOL": "?"}
    array = np.random.default_rng(0).integers(0, 2, (700, 1000)).astype(kinds[dtype])
    (stored,) = reading.from_mapping({"x": array}, "net").arrays
    found = reading.array(stored, np.float32)
    assert found.dtype == {"F64": "f8", "F32": "f4", "F16": "f4", "I32": "i4", "BOOL": "?"}[dtype]
    np.testing.assert_array_equal(found, array)


def test_a_whole_bf16_array_costs_no_second_copy(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    save_file = pytest.importorskip("safetensors.torch").save_file
    x = torch.randn(2000, 1500).to(torch.bfloat16)
    save_file({"x": x}, tmp_path / "net.safetensors")
    (stored,) = reading.read_checkpoint(tmp_path / "net.safetensors").arrays
    tracemalloc.start()
    found = reading.array(stored)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(found, x.float().numpy())
    assert most < found.nbytes + 4 * 2**20


@pytest.mark.parametrize("rows", [3, 40])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_moments_of_a_product_are_those_of_the_matrix(rows: int, dtype: type) -> None:
    r = np.random.default_rng(0)
    product = Product(
        r.standard_normal((rows, 30)).astype(dtype) + 0.1,
        r.standard_normal((rows, 20)).astype(dtype),
    )
    matrix = dense(product).astype(np.float64)
    assert product.sums() == pytest.approx((matrix.sum(), (matrix**2).sum()), rel=1e-4)


def test_moments_of_a_table_are_those_of_its_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("initaudit.replica.ops.product._BLOCK", 50)
    r = np.random.default_rng(0)
    index, values = r.integers(0, 9, 200), r.standard_normal((200, 7))
    expected = np.zeros((11, 7))
    np.add.at(expected, index, values)
    rows = Rows(index, values, 11)
    np.testing.assert_allclose(rows.dense(), expected, rtol=1e-12)
    assert rows.sums() == pytest.approx((expected.sum(), (expected**2).sum()), rel=1e-12)
    empty = Rows(index[:0], values[:0], 11)
    assert empty.sums() == (0.0, 0.0)


def test_memory_that_arrays_share_is_counted_once() -> None:
    x = np.zeros((10, 10))
    held = Held()
    held.add((x, [x[2:], {"role": x.T}]))
    assert held.now == x.nbytes
    held.drop(x)
    assert held.now == x.nbytes
    held.drop((x[2:], x.T))
    assert (held.now, held.peak) == (0, x.nbytes)


def convolutional() -> Builder:
    r = np.random.default_rng(1)
    built = Builder((3, 16, 16))
    channels = 3
    for i in range(4):
        weight = r.standard_normal((24, channels, 3, 3)) * math.sqrt(2 / (9 * channels))
        built.add(f"conv{i}", "conv", {"weight": weight, "bias": np.zeros(24)}, padding=1)
        built.add(f"norm{i}", "group_norm", groups=4, eps=1e-5)
        built.add(f"act{i}", "activation", function="gelu")
        channels = 24
    built.add("pool", "global_avg_pool")
    return built.add("head", "linear", {"weight": r.standard_normal((10, 24)) / 5})


@pytest.mark.parametrize("build", [lambda: mlp((256, *[512] * 5, 10), "gelu", HE), convolutional])
def test_single_precision_agrees_with_double(build: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    built = build()

    # The same numbers are drawn for both.
    class Same(np.random.Generator):
        def standard_normal(
            self, size: Any = None, dtype: Any = np.float64, out: Any = None
        ) -> Any:
            return super().standard_normal(size).astype(dtype)

    def generator(seed: int) -> np.random.Generator:
        return Same(np.random.PCG64(seed))

    monkeypatch.setattr("initaudit.replica.run.generator", generator)
    monkeypatch.setattr("initaudit.replica.run._expected", lambda head, dtype: False)
    monkeypatch.setattr("initaudit.replica.moving._FEW", 64)
    single, double = (
        measure(
            built.network,
            loader(built.load, dtype),
            64,
            3,
            batch_statistics=True,
            dtype=dtype,
        )
        for dtype in (np.float32, np.float64)
    )
    for name, exact in double.signals.items():
        found = single.signals[name]
        for field in ("std", "second_moment", "gradient_std", "gradient_power",
                      "weight_grad_std", "weight_grad_power"):  # fmt: skip
            theirs = getattr(exact, field)
            assert (theirs is None) == (getattr(found, field) is None), (name, field)
            if theirs is not None:
                assert getattr(found, field) == pytest.approx(theirs, rel=1e-4), (name, field)
        if exact.cosine is not None:
            assert found.cosine == pytest.approx(exact.cosine, abs=1e-4)
    assert single.sensitivity == pytest.approx(double.sensitivity, rel=1e-2)


@pytest.mark.parametrize("std", [1e-12, 1e12])
def test_what_single_precision_loses_is_computed_again(
    std: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = mlp((32, 32, 32, 32, 32, 4), "relu", plain(std))
    expected = run(built.network, built.load)
    used: list[type] = []

    def noted(*args: Any, dtype: type = np.float64, **settings: Any) -> Any:
        used.append(dtype)
        return measure(*args, dtype=dtype, **settings)

    monkeypatch.setattr(running, "measure", noted)
    monkeypatch.setattr("initaudit.replica.inputs._SINGLE_FROM", 0.0)
    again = run(built.network, built.load)
    assert used == [np.float32, np.float64]
    assert again.forward_ratio == expected.forward_ratio
    assert again.stopped == () == expected.stopped


def test_a_healthy_large_network_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[type] = []

    def noted(*args: Any, dtype: type = np.float64, **settings: Any) -> Any:
        used.append(dtype)
        return measure(*args, dtype=dtype, **settings)

    monkeypatch.setattr(running, "measure", noted)
    monkeypatch.setattr("initaudit.replica.inputs._SINGLE_FROM", 0.0)
    built = mlp((32, 32, 32, 4), "relu", HE)
    trace = run(built.network, built.load)
    assert used == [np.float32]
    expected = 256 * (trace.signals["fc1.relu"].second_moment or 0.0)
    assert trace.signals["fc2"].weight_grad_power == pytest.approx(expected)


@pytest.mark.parametrize(
    ("size", "dtype"), [(Size(1e6, 1, 1), np.float64), (Size(1e8, 1, 1), np.float32)]
)
def test_large_networks_are_computed_in_single_precision(size: Size, dtype: type) -> None:
    assert size.dtype(256) is dtype


def test_sequences_are_fewer() -> None:
    built = Builder((5,), tokens=9).add("table", "embedding", {"weight": np.ones((9, 4))})
    built.add("head", "linear", {"weight": np.ones((3, 4))})
    cost, _ = measured(built.network, built.load)
    assert cost.least == FEWEST_SEQUENCES
    assert Size(1e12, 1, 1, cost.least).samples(256) == FEWEST_SEQUENCES


def test_upstream_is_what_an_output_depends_on() -> None:
    built = Builder((4,)).add("a", "identity").add("b", "identity", None, ["input"])
    built.add("c", "add", None, ["a", "input"])
    assert upstream(built.network, "c") == {"input", "a", "c"}


@pytest.mark.parametrize(
    ("layers", "stopped"),
    [
        (
            [Layer("a", "identity", ("b",)), Layer("b", "identity", ("a",))],
            {
                "a": "it lies on a cycle: it reads b, which reads it",
                "b": "not reached",
            },
        ),
        ([Layer("a", "identity", ("lost",))], {"a": "it reads lost, which is no layer"}),
        (
            [Layer("a", "identity", ("b",)), Layer("b", "identity", ("input",))],
            {"a": "it reads b, which comes after it"},
        ),
        (
            [Layer("a", "identity", ("input",)), Layer("a", "identity", ("input",))],
            {"a": "two layers have this name"},
        ),
    ],
)
def test_a_graph_that_is_none_says_why(layers: list[Layer], stopped: dict[str, str]) -> None:
    built = Builder((4,))
    trace = run(network([*built.layers, *layers]), built.load)
    reasons = dict(trace.stopped)
    for name, reason in stopped.items():
        if reason != "not reached":
            assert reasons[name] == reason
    assert "input" in trace.signals
