from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from initaudit.checkpoint import lines
from initaudit.checkpoint.dtypes import sign_bits
from initaudit.checkpoint.lines import Search
from initaudit.network import Lines


def counted(codes: NDArray[Any], axis: int, dtype: str) -> Lines:
    """Compare all lines byte by byte."""
    each = [line.tobytes() for line in np.moveaxis(codes, axis, 0)]
    size = (1 << 8 * codes.itemsize) - 1 & ~sign_bits(dtype)
    dead = sum(not np.any(line & line.dtype.type(size)) for line in np.moveaxis(codes, axis, 0))
    groups = Counter(each).values()
    return Lines(len(each), dead, sum(n for n in groups if n > 1), max(groups))


def searched(
    codes: NDArray[Any], out_axis: int, dtype: str = "F32", step: int = 10**9
) -> tuple[tuple[Lines | None, Lines | None], bool]:
    """Return rows and columns, and whether the tensor was visited twice."""
    flat = codes.reshape(-1)
    search = Search(codes.shape, out_axis, dtype)
    for start in range(0, flat.size, step):
        search.add(start, flat[start : start + step])
    twice = search.undecided()
    if twice:
        for start in range(0, flat.size, step):
            search.hash(start, flat[start : start + step])
    zeros = int(np.count_nonzero(flat << np.uint32(1) == 0)) if dtype == "F32" else 0
    return search.result(zeros), twice


def drawn(*shape: int) -> NDArray[np.uint32]:
    return np.random.default_rng(len(shape)).standard_normal(shape, np.float32).view(np.uint32)


@pytest.mark.parametrize(
    ("shape", "out_axis", "columns_axis"),
    [
        pytest.param((6, 8), 0, 1, id="torch linear (out, in)"),
        pytest.param((6, 8), 1, 0, id="Keras and Flax linear (in, out)"),
        pytest.param((6, 8), -1, 0, id="the last axis counted from the end"),
        pytest.param((6, 5, 3, 2), 0, 1, id="torch convolution (out, in, kh, kw)"),
        pytest.param((6, 5, 3, 2), 1, 0, id="torch transposed convolution (in, out, kh, kw)"),
        pytest.param((3, 2, 5, 6), 3, 2, id="Keras convolution (kh, kw, in, out)"),
        pytest.param((2, 1, 2, 1, 2, 3, 1, 2, 1, 2), 0, 1, id="ten dimensions"),
    ],
)
@pytest.mark.parametrize("step", [1, 3, 7, 10**9])
def test_rows_lie_along_the_outputs_and_columns_along_the_inputs(
    shape: tuple[int, ...], out_axis: int, columns_axis: int, step: int
) -> None:
    codes = drawn(*shape)
    np.moveaxis(codes, out_axis, 0)[-1] = 0
    np.moveaxis(codes, columns_axis, 0)[0] = np.moveaxis(codes, columns_axis, 0)[-1]

    (rows, columns), _ = searched(codes, out_axis, step=step)

    assert rows == counted(codes, out_axis, "F32")
    assert columns == counted(codes, columns_axis, "F32")
    assert rows.dead >= 1


def test_a_healthy_tensor_is_visited_once() -> None:
    for shape in ((512, 300), (64, 32, 3, 3), (50_000, 16)):
        found, twice = searched(drawn(*shape), 0)
        assert not twice
        assert found == (Lines(shape[0], 0, 0, 1), Lines(shape[1], 0, 0, 1))


@pytest.mark.parametrize("step", [1_000, 4_096, 10**9])
def test_half_the_rows_dead(step: int) -> None:
    codes = drawn(300, 200)
    codes[::2] = 0
    (rows, columns), _ = searched(codes, 0, step=step)
    assert rows == Lines(300, 150, 150, 150)
    assert columns == Lines(200, 0, 0, 1)


def test_signed_zeros_are_dead_but_not_the_same_bits() -> None:
    codes = drawn(4, 3)
    codes[0], codes[1], codes[2] = 0, 1 << 31, [0, 1 << 31, 0]
    (rows, _), _ = searched(codes, 0)
    assert rows == Lines(4, 3, 0, 1)


def test_groups_of_equal_rows_are_counted_apart() -> None:
    codes = drawn(9, 40)
    codes[1] = codes[0]
    codes[6] = codes[7] = codes[8]
    (rows, _), _ = searched(codes, 0)
    assert rows == Lines(9, 0, 5, 3)


def test_rows_that_differ_in_one_bit_are_different() -> None:
    codes = np.repeat(drawn(1, 100_000), 3, axis=0)
    codes[1, 77_777] ^= 1
    (rows, _), twice = searched(codes, 0, step=65_537)
    assert twice
    assert rows == Lines(3, 0, 2, 2)


@pytest.mark.parametrize("size", [3, 64, 700])
def test_permutations_of_one_line_are_different(size: int) -> None:
    codes = np.eye(size, dtype=np.float32).view(np.uint32)
    assert searched(codes, 0)[0] == (Lines(size, 0, 0, 1), Lines(size, 0, 0, 1))


def test_multiples_of_one_matrix_are_told_apart() -> None:
    # A rank-one pattern of few distinct values, as sinusoidal tables and masks have.
    codes = np.outer(np.arange(64), np.arange(80)).astype(np.uint32)
    (rows, columns), _ = searched(codes, 0)
    assert rows == Lines(64, 1, 0, 1)
    assert columns == Lines(80, 1, 0, 1)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((), (None, None)),
        ((7,), (None, None)),
        ((0, 3), (Lines(0, 0, 0, 0), Lines(3, 0, 0, 1))),
        ((3, 0), (Lines(3, 0, 0, 1), Lines(0, 0, 0, 0))),
        ((1, 1), (Lines(1, 1, 0, 1), Lines(1, 1, 0, 1))),
        ((1, 3), (Lines(1, 1, 0, 1), Lines(3, 3, 3, 3))),
    ],
)
def test_tensors_with_hardly_a_line(
    shape: tuple[int, ...], expected: tuple[Lines | None, Lines | None]
) -> None:
    assert searched(np.zeros(shape, np.uint32), 0)[0] == expected


def test_a_single_row_that_holds_a_number_is_alive() -> None:
    codes = np.zeros((1, 3), np.uint32)
    codes[0, 1] = 5
    assert searched(codes, 0)[0][0] == Lines(1, 0, 0, 1)


def test_more_lines_than_are_compared_stay_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LIMIT", 10)
    assert searched(drawn(11, 10), 0)[0] == (None, Lines(10, 0, 0, 1))


@pytest.mark.parametrize("dtype", ["F64", "F32", "BF16", "F8_E4M3", "F4", "I64", "BOOL"])
def test_elements_of_every_width(dtype: str) -> None:
    width = {"F64": 8, "I64": 8, "F32": 4, "BF16": 2}.get(dtype, 1)
    codes = np.random.default_rng(1).integers(0, 2, (40, 6)).astype(f"u{width}")
    codes[3] = 0
    assert searched(codes, 0, dtype)[0] == (counted(codes, 0, dtype), counted(codes, 1, dtype))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_shape_axis_and_cut(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(2, 5), min_size=2, max_size=5)))
    out_axis = data.draw(st.integers(0, len(shape) - 1))
    step = data.draw(st.integers(1, 60))
    few = st.sampled_from([0, 1 << 31, 1, 0x3F800000])
    count = int(np.prod(shape))
    codes = np.array(data.draw(st.lists(few, min_size=count, max_size=count)), np.uint32)
    codes = codes.reshape(shape)

    (rows, columns), _ = searched(codes, out_axis, step=step)

    assert rows == counted(codes, out_axis, "F32")
    assert columns == counted(codes, 1 if out_axis == 0 else out_axis - 1, "F32")
