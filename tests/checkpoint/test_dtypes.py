from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from numpy.typing import NDArray

from initaudit.checkpoint.dtypes import codes, decode, magnitude, sign_bits, smallest_normal, unit
from initaudit.checkpoint.dtypes import value as one_value
from initaudit.checkpoint.stored import BITS

PEERS: dict[str, Any] = {
    "F8_E4M3": ml_dtypes.float8_e4m3fn,
    "F8_E5M2": ml_dtypes.float8_e5m2,
    "F8_E4M3FNUZ": ml_dtypes.float8_e4m3fnuz,
    "F8_E5M2FNUZ": ml_dtypes.float8_e5m2fnuz,
    "F8_E8M0": ml_dtypes.float8_e8m0fnu,
    "F6_E2M3": ml_dtypes.float6_e2m3fn,
    "F6_E3M2": ml_dtypes.float6_e3m2fn,
    "F4": ml_dtypes.float4_e2m1fn,
    "BF16": ml_dtypes.bfloat16,
    "F16": np.float16,
}
NATIVE: dict[str, Any] = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "C64": np.complex64,
    "I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8,
    "U64": np.uint64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8, "BOOL": np.bool_,
}  # fmt: skip


def packed(every: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Pack codes one after the other into one long little-endian number."""
    if bits >= 8:
        return np.frombuffer(every.tobytes(), np.uint8)
    number = sum(int(code) << bits * place for place, code in enumerate(every))
    return np.frombuffer(number.to_bytes(every.size * bits // 8, "little"), np.uint8)


@pytest.mark.parametrize("dtype", PEERS)
def test_every_code_decodes_as_ml_dtypes_does(dtype: str) -> None:
    bits = BITS[dtype]
    every = np.arange(1 << bits, dtype=np.uint16 if bits == 16 else np.uint8)
    expected = every.view(PEERS[dtype]).astype(np.float32)

    found = decode(packed(every, bits), dtype)

    assert found.dtype == (np.float16 if dtype == "F16" else np.float32)
    wide = found.astype(np.float32)
    np.testing.assert_array_equal(wide, expected)
    known = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(wide[known]), np.signbit(expected[known]))


@pytest.mark.parametrize("dtype", NATIVE)
def test_native_dtypes_decode_to_themselves(dtype: str) -> None:
    given = np.array([0, 1, 2, 3, 100, 1, 0], dtype=NATIVE[dtype])

    found = decode(np.frombuffer(given.tobytes(), np.uint8), dtype)

    assert found.dtype == given.dtype
    np.testing.assert_array_equal(found, given)


def test_any_byte_but_zero_is_true() -> None:
    assert decode(np.array([0, 1, 2, 255], np.uint8), "BOOL").tolist() == [False, True, True, True]


def test_the_low_half_of_a_byte_comes_first() -> None:
    assert decode(np.array([0x72, 0x1F], np.uint8), "F4").tolist() == [1.0, 6.0, -6.0, 0.5]


@pytest.mark.parametrize("dtype", sorted(BITS))
def test_part_of_an_element_is_refused(dtype: str) -> None:
    if unit(dtype) > 1:
        with pytest.raises(ValueError, match="whole number"):
            decode(np.zeros(unit(dtype) * 2 + 1, np.uint8), dtype)
    assert (
        decode(np.zeros(unit(dtype) * 2, np.uint8), dtype).size == unit(dtype) * 16 // BITS[dtype]
    )


@pytest.mark.parametrize("shift", [1, 2, 3])
def test_bytes_at_odd_addresses_are_read(shift: int) -> None:
    given = np.arange(9, dtype=np.float64)
    room = np.zeros(80, np.uint8)
    room[shift : shift + 72] = np.frombuffer(given.tobytes(), np.uint8)

    found = codes(room[shift : shift + 72], "F64")

    assert found.flags.aligned
    np.testing.assert_array_equal(found.view(np.float64), given)


@pytest.mark.parametrize("dtype", PEERS)
def test_smallest_normals_and_signs_are_those_of_ml_dtypes(dtype: str) -> None:
    peer = PEERS[dtype]
    limits = np.finfo(peer) if dtype == "F16" else ml_dtypes.finfo(peer)
    assert smallest_normal(dtype) == float(limits.smallest_normal)
    sign = sign_bits(dtype)
    width = np.uint16 if BITS[dtype] == 16 else np.uint8
    assert bool(sign) == (dtype != "F8_E8M0" and not dtype.endswith("FNUZ"))
    if sign:
        negative = np.array([sign], width).view(peer).astype(np.float32)[0]
        assert negative == 0
        assert np.signbit(negative)
    assert magnitude(np.array([sign | 1], width), sign).tolist() == [1]


@pytest.mark.parametrize("dtype", ["F64", "F32", "F16", "BF16"])
def test_one_code_decodes_as_an_array_of_it(dtype: str) -> None:
    width = BITS[dtype] // 8
    for number in (0.0, -0.0, 1.0, -2.5, 2.0**-14, -(2.0**15)):
        raw = np.frombuffer(np.array(number).astype(PEERS.get(dtype, NATIVE.get(dtype))), np.uint8)
        assert one_value(int.from_bytes(raw.tobytes(), "little"), dtype) == number
        assert raw.size == width
