"""Stored bytes to numbers: every dtype of the safetensors format."""

from __future__ import annotations

import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from initaudit.checkpoint.stored import BITS, FLOATS

Codes = NDArray[np.unsignedinteger[Any]]
"""Elements as unsigned integers that hold their stored bits."""


@dataclass(frozen=True, slots=True)
class SmallFloat:
    """A float of at most eight bits: sign, exponent, mantissa.

    ``special`` says which codes are not finite: ``ieee``: the top exponent, as in IEEE 754;
    ``fn``: only the top code of each sign is NaN; ``fnuz``: only the code of negative zero is NaN;
    ``none``: all codes are finite.
    """

    exponent: int
    mantissa: int
    bias: int
    special: Literal["ieee", "fn", "fnuz", "none"]


# Micikevicius et al. 2022 (arXiv:2209.05433) for E4M3 and E5M2, Noune et al. 2022
# (arXiv:2206.02915) for the FNUZ kinds, the OCP Microscaling Formats 1.0 for F6 and F4.
SMALL: Mapping[str, SmallFloat] = {
    "F8_E4M3": SmallFloat(4, 3, 7, "fn"),
    "F8_E5M2": SmallFloat(5, 2, 15, "ieee"),
    "F8_E4M3FNUZ": SmallFloat(4, 3, 8, "fnuz"),
    "F8_E5M2FNUZ": SmallFloat(5, 2, 16, "fnuz"),
    "F6_E2M3": SmallFloat(2, 3, 1, "none"),
    "F6_E3M2": SmallFloat(3, 2, 3, "none"),
    "F4": SmallFloat(2, 1, 1, "none"),
}

MANTISSA: Mapping[str, int] = {"F64": 52, "F32": 23, "F16": 10, "BF16": 7}
"""Bits of the mantissa of floats laid out as IEEE 754 does."""

_UINT = {bits: np.dtype(f"u{bits // 8}") for bits in (8, 16, 32, 64)}
_STRUCT: Mapping[str, str] = {"F64": "<d", "F32": "<f", "F16": "<e"}
_NATIVE: Mapping[str, type[np.generic]] = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "C64": np.complex64,
    "I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8,
    "U64": np.uint64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8,
}  # fmt: skip


@cache
def table(dtype: str) -> NDArray[np.float32]:
    """Return the value of every code of a float of at most eight bits.

    Raises:
        KeyError: For a dtype that has no such table.
    """
    if dtype == "F8_E8M0":
        values = np.ldexp(np.ones(256), np.arange(256) - 127)
        values[255] = np.nan
        return _frozen(values)
    kind = SMALL[dtype]
    codes = np.arange(1 << BITS[dtype])
    sign = np.where(codes >> (kind.exponent + kind.mantissa), -1.0, 1.0)
    exponent = codes >> kind.mantissa & ((1 << kind.exponent) - 1)
    fraction = (codes & ((1 << kind.mantissa) - 1)) / (1 << kind.mantissa)
    subnormal = exponent == 0
    values = sign * np.ldexp(
        np.where(subnormal, fraction, 1 + fraction), np.where(subnormal, 1, exponent) - kind.bias
    )
    if kind.special == "fnuz":
        values[codes.size // 2] = np.nan
    elif kind.special == "fn":
        values[codes.size // 2 - 1 :: codes.size // 2] = np.nan
    elif kind.special == "ieee":
        top = exponent == (1 << kind.exponent) - 1
        values[top] = np.where(fraction[top] == 0, np.copysign(np.inf, sign[top]), np.nan)
    return _frozen(values)


def unit(dtype: str) -> int:
    """Return the fewest whole bytes that hold a whole number of elements."""
    return {6: 3, 4: 1}.get(BITS[dtype], BITS[dtype] // 8)


def codes(raw: NDArray[np.uint8], dtype: str) -> Codes:
    """Return the bits of each element as an unsigned integer (uint64 for C64).

    Packed elements start at a byte's low bits: F4 two to a byte, F6 four to three bytes. The result
    may share memory with ``raw``.

    Raises:
        ValueError: If ``raw`` does not hold a whole number of elements.
    """
    if raw.size % unit(dtype):
        raise ValueError(f"{raw.size} bytes are not a whole number of {dtype} elements")
    bits = BITS[dtype]
    if bits == 4:
        pair = np.empty((raw.size, 2), np.uint8)
        np.bitwise_and(raw, 15, out=pair[:, 0])
        np.right_shift(raw, 4, out=pair[:, 1])
        return pair.reshape(-1)
    if bits == 6:
        first, second, third = (part.astype(np.uint32) for part in raw.reshape(-1, 3).T)
        word = first | second << 8 | third << 16
        shifts = np.arange(0, 24, 6, dtype=np.uint32)
        return (word[:, None] >> shifts & 63).astype(np.uint8).reshape(-1)
    stored: Codes = raw.view(_UINT[bits])
    if sys.byteorder == "big":
        stored = stored.byteswap()
    return stored if stored.flags.aligned else stored.copy()


def values(codes: Codes, dtype: str) -> NDArray[Any]:
    """Return the numbers that codes stand for, in a dtype that holds each exactly.

    float64 for F64, float16 for F16, float32 for the other floats, complex64 for C64, the native
    kinds for integers and bool.
    """
    if dtype == "BF16":
        return (codes.astype(np.uint32) << 16).view(np.float32)
    if dtype == "BOOL":
        truth: NDArray[np.bool_] = codes != 0
        return truth
    native = _NATIVE.get(dtype)
    return table(dtype)[codes] if native is None else codes.view(native)


def value(code: int, dtype: str) -> float:
    """Return the number that one code of a dtype of `MANTISSA` stands for."""
    if dtype == "BF16":
        code, dtype = code << 16, "F32"
    return float(struct.unpack(_STRUCT[dtype], code.to_bytes(BITS[dtype] // 8, "little"))[0])


def decode(raw: NDArray[np.uint8], dtype: str) -> NDArray[Any]:
    """Return a flat array of the numbers that stored bytes (little endian) stand for.

    The result's dtype is that of `values`.

    Raises:
        ValueError: If ``raw`` does not hold a whole number of elements.
    """
    return values(codes(raw, dtype), dtype)


def smallest_normal(dtype: str) -> float:
    """Return the smallest positive normal value of a float dtype (of its parts for C64)."""
    if dtype in SMALL:
        return 2.0 ** (1 - SMALL[dtype].bias)
    return {"F64": 2.0**-1022, "F16": 2.0**-14, "F8_E8M0": 2.0**-127}.get(dtype, 2.0**-126)


def infinity(dtype: str) -> int:
    """Return the code of infinity of a dtype of `MANTISSA`; those above it are NaN."""
    return (1 << BITS[dtype] - 1) - (1 << MANTISSA[dtype])


def sign_bits(dtype: str) -> int:
    """Return the bits in which -0 differs from 0; none where there is no -0."""
    if dtype == "C64":
        return 1 << 63 | 1 << 31
    signed = dtype in FLOATS and dtype != "F8_E8M0" and not dtype.endswith("FNUZ")
    return 1 << BITS[dtype] - 1 if signed else 0


def magnitude(codes: Codes, sign: int) -> Codes:
    """Return the bits of elements without their signs."""
    if not sign:
        return codes
    every = (1 << 8 * codes.dtype.itemsize) - 1
    return np.bitwise_and(codes, codes.dtype.type(every & ~sign))


def _frozen(values: NDArray[np.float64]) -> NDArray[np.float32]:
    narrow = values.astype(np.float32)
    narrow.flags.writeable = False
    return narrow
