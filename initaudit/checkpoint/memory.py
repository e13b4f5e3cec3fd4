"""Checkpoints of arrays in memory: NumPy's, and those of frameworks without importing them."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from initaudit.checkpoint.pieces import Bytes
from initaudit.checkpoint.stored import Checkpoint, Stored
from initaudit.checkpoint.text import printable
from initaudit.network import Site, Unread

_DTYPES: Mapping[str, str] = {
    "float64": "F64", "float32": "F32", "float16": "F16", "complex64": "C64", "bool": "BOOL",
    "int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8",
    "uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8",
    "bfloat16": "BF16",
    "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2", "float8_e4m3fnuz": "F8_E4M3FNUZ",
    "float8_e5m2fnuz": "F8_E5M2FNUZ", "float8_e8m0fnu": "F8_E8M0",
}  # fmt: skip
"""Names of NumPy, ml_dtypes and torch."""

_WIDENED = frozenset(
    {"float8_e3m4", "float8_e4m3", "float8_e4m3b11fnuz",
     "float6_e2m3fn", "float6_e3m2fn", "float4_e2m1fn"}
)  # fmt: skip
"""Small floats of ml_dtypes, a byte to an element, that float32 holds exactly."""

_FAILURES = (TypeError, ValueError, RuntimeError, AttributeError, OverflowError)


class _UnusableError(Exception):
    """Why a value is not read."""


def from_mapping(arrays: Mapping[str, object], name: str) -> Checkpoint:
    """Return the arrays of a mapping, such as a ``state_dict()``, as a checkpoint.

    Takes NumPy arrays (ml_dtypes included), anything NumPy converts (``__array__``), and anything
    with ``detach``, ``cpu`` and ``numpy``, such as torch tensors: the small floats that torch
    does not hand to NumPy are taken by their bits where torch is imported, else widened with
    ``float()``. Arrays that share one memory become aliases of the first. What is no array is
    `Unread`. Nothing is copied before its pieces are asked for, unless it lies elsewhere
    (on a GPU).
    """
    kept: dict[Hashable, str] = {}
    alive: list[object] = []
    stored: list[Stored] = []
    aliases: dict[str, str] = {}
    unread: list[Unread] = []
    for key, value in arrays.items():
        try:
            if not isinstance(key, str):
                raise _UnusableError(f"has the name {key!r}, which is not a string")
            identity = _identity(value)
            if identity in kept:
                aliases[key] = kept[identity]
                continue
            array, dtype = _taken(value)
        except _UnusableError as fault:
            shown = printable(str(key))
            unread.append(Unread(Site(name, tensor=shown), f"{shown} {fault}"))
            continue
        except _FAILURES as error:
            shown = printable(str(key))
            what = printable(str(error).partition("\n")[0])
            unread.append(
                Unread(Site(name, tensor=shown), f"{shown} cannot be turned into an array: {what}")
            )
            continue
        if identity is not None:
            kept[identity] = key
            # Freed memory may be given to the next value of a mapping that makes them on demand.
            alive.append(value)
        stored.append(Stored(key, dtype, array.shape, name, partial(_pieces, array)))
    return Checkpoint(path=name, arrays=tuple(stored), aliases=aliases, unread=tuple(unread))


def _identity(value: object) -> Hashable:
    """Return what equal values of share their memory element by element; None if not known."""
    if isinstance(value, np.ndarray):
        if value.size == 0:
            return None
        address = value.__array_interface__["data"][0]
        return "numpy", address, value.shape, value.strides, value.dtype.name
    point, stride, count = (getattr(value, a, None) for a in ("data_ptr", "stride", "numel"))
    if not (callable(point) and callable(stride) and callable(count)):
        return None if value is None or isinstance(value, int | float | str) else ("id", id(value))
    address = point()
    if not count() or not address:
        return None
    device, dtype = (str(getattr(value, a, "")) for a in ("device", "dtype"))
    return device, address, tuple(getattr(value, "shape", ())), tuple(stride()), dtype


def _taken(value: Any) -> tuple[NDArray[Any], str]:
    """Return an array of the value's bits with the dtype they are of."""
    if not isinstance(value, np.ndarray | np.generic):
        for method in ("detach", "cpu"):
            if callable(move := getattr(value, method, None)):
                value = move()
        kind = str(getattr(value, "dtype", "")).rpartition(".")[2]
        if _DTYPES.get(kind, "").startswith(("BF16", "F8")) and callable(
            getattr(value, "data_ptr", None)
        ):
            return _bits(value, kind)
        if callable(convert := getattr(value, "numpy", None)):
            value = convert()
        elif not hasattr(value, "__array__"):
            raise _UnusableError(f"is a {type(value).__name__}, not an array")
    array = np.asarray(value)
    kind = array.dtype.name
    if kind in _WIDENED:
        return array.astype(np.float32), "F32"
    dtype = _DTYPES.get(kind)
    if dtype is None:
        raise _UnusableError(f"has the dtype {kind}, which is not read")
    return array, dtype


def _bits(tensor: Any, kind: str) -> tuple[NDArray[Any], str]:
    dtype = _DTYPES[kind]
    torch = sys.modules.get("torch")
    if torch is None:
        return np.asarray(tensor.float().numpy()), "F32"
    return tensor.view(torch.int16 if dtype == "BF16" else torch.uint8).numpy(), dtype


def _pieces(array: NDArray[Any], step: int) -> Iterator[Bytes]:
    if step < 1:
        raise ValueError(f"a piece needs at least one byte, not {step}")
    little = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
    raw = np.ascontiguousarray(little).reshape(-1).view(np.uint8)
    raw.flags.writeable = False
    for begin in range(0, raw.size, step):
        yield raw[begin : begin + step]
