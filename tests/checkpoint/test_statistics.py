from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from initaudit.checkpoint import statistics
from initaudit.checkpoint.dtypes import smallest_normal
from initaudit.checkpoint.statistics import measure, measure_all
from initaudit.checkpoint.stored import FLOATS, CheckpointError, Stored
from initaudit.network import Lines, Tensor

PEERS: dict[str, Any] = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn, "F8_E5M2": ml_dtypes.float8_e5m2,
    "F8_E4M3FNUZ": ml_dtypes.float8_e4m3fnuz, "F8_E5M2FNUZ": ml_dtypes.float8_e5m2fnuz,
    "F8_E8M0": ml_dtypes.float8_e8m0fnu,
    "F6_E2M3": ml_dtypes.float6_e2m3fn, "F6_E3M2": ml_dtypes.float6_e3m2fn,
    "F4": ml_dtypes.float4_e2m1fn, "C64": np.complex64,
    "I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8,
    "U64": np.uint64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8, "BOOL": np.bool_,
}  # fmt: skip
WITH_NAN = ["F64", "F32", "F16", "BF16", "C64", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ",
            "F8_E5M2FNUZ", "F8_E8M0"]  # fmt: skip
WITH_INF = ["F64", "F32", "F16", "BF16", "C64", "F8_E5M2"]
SIGNED_FLOATS = sorted(FLOATS - {"C64", "F8_E8M0"})


def packed(values: NDArray[Any], dtype: str) -> NDArray[np.uint8]:
    raw = np.frombuffer(values.tobytes(), np.uint8)
    if dtype == "F4":
        return (raw[0::2] | raw[1::2] << 4).astype(np.uint8)
    if dtype.startswith("F6_"):
        number = sum(int(code) << 6 * place for place, code in enumerate(raw))
        return np.frombuffer(number.to_bytes(raw.size * 6 // 8, "little"), np.uint8)
    return raw


def store(values: NDArray[Any], dtype: str = "F32", name: str = "w") -> Stored:
    """Return an array as if a file held it."""
    raw = packed(np.ascontiguousarray(values), dtype)

    def pieces(step: int) -> Iterator[NDArray[np.uint8]]:
        for start in range(0, raw.size, step):
            yield raw[start : start + step]

    return Stored(name, dtype, values.shape, "model.safetensors", pieces)


def draw(dtype: str, *shape: int, std: float = 1.0, seed: int = 0) -> NDArray[Any]:
    values = np.random.default_rng(seed).standard_normal(shape) * std
    if dtype == "F8_E8M0":
        values = np.abs(values)
    return values.astype(PEERS[dtype])


def assert_true(tensor: Tensor, values: NDArray[Any], relative: float = 1e-12) -> None:
    """Compare with plain float64 arithmetic over the finite elements."""
    parts = values.reshape(-1).view(np.float32) if tensor.dtype == "C64" else values.reshape(-1)
    with np.errstate(invalid="ignore"):
        wide = parts.astype(np.float64)
    finite = wide[np.isfinite(wide)]
    each = wide.reshape(values.size, -1)
    assert tensor.shape == values.shape
    assert tensor.count == values.size
    assert tensor.nans == np.isnan(each).any(axis=1).sum()
    assert tensor.infs == (np.isinf(each).any(axis=1) & ~np.isnan(each).any(axis=1)).sum()
    assert tensor.zeros == (each == 0).all(axis=1).sum()
    if tensor.dtype in FLOATS:
        small = (np.abs(each) < smallest_normal(tensor.dtype)) & (each != 0)
        assert tensor.subnormals == small.any(axis=1).sum()
    else:
        assert tensor.subnormals == 0
    if not finite.size:
        assert (tensor.mean, tensor.variance, tensor.minimum, tensor.maximum) == (None,) * 4
        return
    assert (tensor.minimum, tensor.maximum) == (finite.min(), finite.max())
    assert tensor.mean == pytest.approx(finite.mean(), abs=relative * np.abs(finite).max())
    assert tensor.variance == pytest.approx(finite.var(), rel=relative, abs=1e-300)
    assert sum(tensor.histogram) == tensor.sampled
    assert len(tensor.histogram) == 64


@pytest.mark.parametrize("piece", [1, 24, 960, statistics.PIECE])
@pytest.mark.parametrize("dtype", PEERS)
def test_every_dtype_in_pieces_of_any_size(dtype: str, piece: int) -> None:
    values = draw(dtype, 40, 28, std=2.0 if dtype in FLOATS else 50.0)
    values[3] = values[30]
    values[:, 5] = 0 if dtype != "F8_E8M0" else 1

    tensor = measure(store(values, dtype), piece=piece)

    assert_true(tensor, values)
    assert tensor.rows is not None
    assert tensor.columns is not None
    assert tensor.rows.duplicated >= 2
    assert tensor.columns.dead == (0 if dtype == "F8_E8M0" else 1)
    if dtype not in FLOATS - {"C64"}:
        assert tensor.law is None


@pytest.mark.parametrize("size", [1, 2, 65_535, 65_537, 300_001])
@pytest.mark.parametrize("std", [10.0, 1.0, 0.02, 1e-6])
@pytest.mark.parametrize("dtype", ["F64", "F32", "F16", "BF16"])
def test_long_tensors_of_any_scale(dtype: str, std: float, size: int) -> None:
    values = draw(dtype, size, std=std, seed=size)
    tensor = measure(store(values, dtype))
    assert_true(tensor, values, relative=3e-7)


@pytest.mark.parametrize("size", [1_000, 300_000])
@pytest.mark.parametrize("dtype", ["F64", "F32"])
@pytest.mark.parametrize(
    ("mean", "std"), [(100.0, 1e-2), (1.0, 1e-3), (0.0, 1e-25), (0.0, 1e15), (0.5, 0.3), (-3, 1.0)]
)
def test_variance_is_exact_far_from_zero_and_at_any_scale(
    dtype: str, mean: float, std: float, size: int
) -> None:
    values = (mean + std * np.random.default_rng(7).standard_normal(size)).astype(PEERS[dtype])
    tensor = measure(store(values, dtype))
    assert tensor.mean == pytest.approx(values.mean(dtype=np.float64), rel=1e-9, abs=1e-9 * std)
    assert tensor.variance == pytest.approx(values.astype(np.float64).var(), rel=1e-7)


def test_double_precision_keeps_what_single_would_lose() -> None:
    values = 1e8 + 1e-3 * np.random.default_rng(7).standard_normal(200_000)
    tensor = measure(store(values, "F64"))
    assert tensor.variance == pytest.approx((values - 1e8).var(), rel=1e-9)


@pytest.mark.parametrize("place", [0, 131_071, 131_072, 299_999])
@pytest.mark.parametrize("dtype", WITH_NAN)
def test_one_nan_is_counted_wherever_it_stands(dtype: str, place: int) -> None:
    values = draw(dtype, 300_000)
    values[place] = np.nan
    tensor = measure(store(values, dtype), piece=98_304 * 4)
    assert tensor.nans >= 1
    assert tensor.law is None
    assert_true(tensor, values, relative=1e-6)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("dtype", WITH_INF)
def test_infinities_are_counted_and_kept_out_of_the_rest(dtype: str, sign: int) -> None:
    values = draw(dtype, 100, 100)
    values[2, 3] = sign * np.inf
    values[99, 99] = np.nan
    tensor = measure(store(values, dtype))
    assert (tensor.nans, tensor.infs) == (1, 1)
    assert_true(tensor, values)


def test_a_complex_element_counts_once() -> None:
    values = np.array([0j, 1 + 0j, complex(np.nan, np.inf), complex(np.inf, 1), complex(1e-40, 0)])
    tensor = measure(store(values.astype(np.complex64), "C64"))
    assert (tensor.zeros, tensor.nans, tensor.infs, tensor.subnormals) == (1, 1, 1, 1)
    assert (tensor.minimum, tensor.maximum) == (0.0, 1.0)


@pytest.mark.parametrize("dtype", WITH_NAN)
def test_nothing_finite_leaves_no_numbers(dtype: str) -> None:
    nothing = complex(np.nan, np.inf) if dtype == "C64" else np.nan
    values = np.full((2, 4), nothing, PEERS[dtype])
    tensor = measure(store(values, dtype))
    assert (tensor.mean, tensor.minimum, tensor.sampled, tensor.nans) == (None, None, 0, 8)


@pytest.mark.parametrize("number", [0.0, -0.0, 0.5, -2.0])
@pytest.mark.parametrize("dtype", SIGNED_FLOATS)
def test_constants(dtype: str, number: float) -> None:
    values = np.full((16, 8), number).astype(PEERS[dtype])
    number = float(values.astype(np.float64)[0, 0])
    tensor = measure(store(values, dtype))
    assert tensor.constant
    assert tensor.minimum is not None
    assert (tensor.mean, tensor.variance, tensor.minimum) == (number, 0.0, number)
    assert math.copysign(1, tensor.minimum) == math.copysign(1, number + 0.0)
    dead = 16 if number == 0 else 0
    assert tensor.rows == Lines(16, dead, 16, 16)
    assert tensor.columns == Lines(8, dead // 2, 8, 8)


@pytest.mark.parametrize("dtype", ["F64", "F32", "F16", "BF16"])
@pytest.mark.parametrize("size", [1000, 200_000])
def test_subnormals_zeros_and_their_signs(dtype: str, size: int) -> None:
    normal = smallest_normal(dtype)
    values = np.ones(size, PEERS[dtype])
    values[:9] = [normal, -normal, normal / 2, -normal / 4, 0.0, -0.0, -0.0, 1.0, -1.0]
    tensor = measure(store(values, dtype))
    assert (tensor.subnormals, tensor.zeros) == (2, 3)
    assert_true(tensor, values, relative=1e-7)


@pytest.mark.parametrize("dtype", ["F64", "F32", "F16", "BF16"])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("size", [50, 100_000])
def test_extremes_of_one_sign(dtype: str, sign: int, size: int) -> None:
    values = (sign * (1 + np.random.default_rng(0).random(size))).astype(PEERS[dtype])
    assert_true(measure(store(values, dtype)), values, relative=1e-7)


def test_half_precision_weights_that_underflow() -> None:
    values = (np.random.default_rng(0).standard_normal((400, 400)) * 2e-7).astype(np.float16)
    tensor = measure(store(values, "F16"))
    assert tensor.subnormals + tensor.zeros == values.size
    assert_true(tensor, values, relative=1e-6)


def test_half_the_rows_dead_and_two_alike() -> None:
    values = draw("F32", 600, 400)
    values[300:] = 0
    values[17] = values[200]
    tensor = measure(store(values))
    assert tensor.rows == Lines(600, 300, 302, 300)
    assert tensor.columns == Lines(400, 0, 0, 1)


@pytest.mark.parametrize(
    "shape", [(), (0,), (0, 4), (3, 0, 2), (1,), (1, 2, 1, 2, 1, 1, 2, 1, 1, 2)]
)
def test_shapes_out_of_the_ordinary(shape: tuple[int, ...]) -> None:
    values = draw("F32", *shape) if shape else np.array(3.0, np.float32)
    tensor = measure(store(values))
    assert tensor.count == math.prod(shape)
    if tensor.count:
        assert_true(tensor, values)
    else:
        assert tensor == replace(
            tensor, mean=None, variance=None, histogram=(), sampled=0, law=None
        )
        assert (tensor.zeros, tensor.minimum) == (0, None)


def test_the_histogram_is_that_of_numpy() -> None:
    values = draw("F32", 100, 100)
    tensor = measure(store(values))
    expected, _ = np.histogram(values.astype(np.float64), bins=64)
    assert tensor.sampled == 10_000
    assert np.abs(np.array(tensor.histogram) - expected).max() <= 1


def test_the_histogram_of_a_large_tensor_is_sampled_evenly() -> None:
    values = np.tile(np.arange(64, dtype=np.float32), (8_000, 1))
    tensor = measure(store(values))
    assert 8_000 < tensor.sampled <= 1 << 16
    assert max(tensor.histogram) - min(tensor.histogram) <= 1


@pytest.mark.parametrize("dtype", ["F64", "F32"])
def test_the_widest_range_has_a_histogram(dtype: str) -> None:
    top = np.finfo(PEERS[dtype]).max
    tensor = measure(store(np.array([-top, 0, top], PEERS[dtype]), dtype))
    assert (tensor.histogram[0], tensor.histogram[32], tensor.histogram[63]) == (1, 1, 1)
    assert tensor.variance is not None
    assert math.isfinite(tensor.variance)
    tiny = np.finfo(PEERS[dtype]).smallest_subnormal
    tensor = measure(store(np.array([0, tiny, 3 * tiny, 4 * tiny], PEERS[dtype]), dtype))
    assert (tensor.histogram[0], tensor.histogram[16], tensor.histogram[63]) == (1, 1, 1)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_bits_are_judged_rightly(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(sorted(set(PEERS) - {"BOOL", "F6_E2M3", "F6_E3M2", "F4"})))
    width = np.dtype(PEERS[dtype]).itemsize
    raw = data.draw(st.binary(min_size=width, max_size=width * 40))
    raw = raw[: len(raw) - len(raw) % width]
    values = np.frombuffer(raw, PEERS[dtype])
    wide = values.view(np.float32) if dtype == "C64" else values
    with np.errstate(all="ignore"):
        largest = np.abs(np.nan_to_num(wide.astype(np.float64), posinf=0, neginf=0)).max()
    tensor = measure(store(values, dtype), piece=data.draw(st.integers(1, 200)))
    if largest < 1e150:
        assert_true(tensor, values, relative=1e-9)
    assert sum(tensor.histogram) == tensor.sampled


def test_a_signalling_nan_is_counted_without_a_warning() -> None:
    raw = np.array([0x3F80, 0x7F81, 0x0000], np.uint16)
    tensor = measure(store(raw.view(PEERS["BF16"]), "BF16"))
    assert (tensor.nans, tensor.zeros, tensor.maximum) == (1, 1, 1.0)


def failing(name: str) -> Stored:
    def pieces(step: int) -> Iterator[NDArray[np.uint8]]:
        yield np.zeros(step, np.uint8)
        raise CheckpointError("model.safetensors", "changed while it was read")

    return Stored(name, "F32", (10**6,), "model.safetensors", pieces)


def test_what_cannot_be_read_is_said_and_the_rest_goes_on() -> None:
    arrays = [store(draw("F32", 30, 30), name="a"), failing("b"), store(draw("F32", 9), name="c")]
    tensors, unread = measure_all(arrays, lambda name, shape: 0)
    assert [tensor.name for tensor in tensors] == ["a", "c"]
    assert [(one.site.tensor, one.reason) for one in unread] == [("b", "changed while it was read")]
    assert unread[0].site.path == "model.safetensors"


def test_bytes_that_end_early_are_an_error() -> None:
    with pytest.raises(CheckpointError, match="ended after 100 of 200"):
        measure(replace(store(draw("F32", 100)), shape=(200,)))


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_results_keep_their_order_and_do_not_depend_on_threads(threads: int) -> None:
    arrays = [store(draw("F32", 200 + 13 * i, 300, seed=i), name=str(i)) for i in range(12)] + [
        store(draw("BF16", 300_000, seed=3), "BF16", name="12")
    ]
    alone = [measure(array) for array in arrays]
    tensors, unread = measure_all(arrays, lambda name, shape: 0, threads=threads)
    assert tensors == alone
    assert not unread


def test_the_axis_of_outputs_is_asked_for_by_name_and_shape() -> None:
    values = draw("F32", 8, 5)
    values[:, 1] = 0
    asked: list[tuple[str, tuple[int, ...]]] = []

    def out_axis(name: str, shape: tuple[int, ...]) -> int:
        asked.append((name, shape))
        return 1

    tensors, _ = measure_all([store(values, name="kernel")], out_axis)
    assert asked == [("kernel", (8, 5))]
    assert tensors[0].rows == Lines(5, 1, 0, 1)
    assert tensors[0].columns == Lines(8, 0, 0, 1)


def test_progress_adds_up_to_the_size_of_everything() -> None:
    arrays = [store(draw("F32", 900_000), name="a"), store(draw("F64", 7), "F64", name="b")]
    seen: list[int] = []
    measure_all(arrays, lambda name, shape: 0, progress=seen.append)
    assert seen == [statistics.PIECE, statistics.PIECE, 3_600_000 - 2 * statistics.PIECE, 56]


def test_a_fault_of_our_own_is_not_swallowed() -> None:
    def out_axis(name: str, shape: tuple[int, ...]) -> int:
        raise ZeroDivisionError

    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        measure_all([store(draw("F32", 5))] * 4, out_axis)
    assert threading.active_count() == before
