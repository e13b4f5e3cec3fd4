"""ONNX models: the protobuf as a program; nothing in it is executed, no data outside is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from initaudit.checkpoint import pieces
from initaudit.checkpoint.graphs.build import plan
from initaudit.checkpoint.graphs.external import Folder, external
from initaudit.checkpoint.graphs.onnx_nodes import DOMAINS, nodes_of, spelled, unique
from initaudit.checkpoint.graphs.onnx_operators import TABLE
from initaudit.checkpoint.graphs.program import GraphError, Node, Port, Program, ordered
from initaudit.checkpoint.pieces import Bytes
from initaudit.checkpoint.stored import BITS, FLOATS, Checkpoint, CheckpointError, Stored
from initaudit.checkpoint.text import printable
from initaudit.network import Site, Unread

INSTALL = 'needs the package onnx, which is not installed: pip install "initaudit[onnx]"'

_DTYPES: Mapping[int, str] = {
    1: "F32", 2: "U8", 3: "I8", 4: "U16", 5: "I16", 6: "I32", 7: "I64", 9: "BOOL", 10: "F16",
    11: "F64", 12: "U32", 13: "U64", 14: "C64", 16: "BF16", 17: "F8_E4M3", 18: "F8_E4M3FNUZ",
    19: "F8_E5M2", 20: "F8_E5M2FNUZ", 24: "F8_E8M0",
}  # fmt: skip
"""TensorProto.DataType by the dtype names of safetensors."""

_LARGEST = 1 << 31
_STRANGE = "is not a readable ONNX model; it is truncated or of another format"
_INTEGERS = frozenset({2, 3, 4, 5, 6, 7, 12, 13})
_BOOL = 9


def read_onnx(path: Path) -> Checkpoint:
    """Return the arrays of an ONNX model and the plan of its network.

    Raises:
        CheckpointError: the package onnx is missing, the file is no ONNX model, or it holds no
            graph.
    """
    source = pieces.look(path)
    model = _loaded(source)
    try:
        spelled(model.graph)
        return _read(model, source, path)
    except UnicodeError:
        # Text is only decoded where it is asked for.
        raise CheckpointError(source.shown, _STRANGE) from None


def _read(model: Any, source: pieces.Source, path: Path) -> Checkpoint:
    graph = model.graph
    reader = _Arrays(source.shown, Folder(path))
    for tensor in graph.initializer:
        reader.add(tensor)
    for sparse in graph.sparse_initializer:
        reader.refuse(sparse.values.name, "is stored as a sparse tensor, which is not read")
    unique(graph)
    nodes = nodes_of(graph, reader)
    unread = list(reader.unread)
    made = None
    try:
        program = ordered(_program(model, nodes, reader))
    except GraphError as fault:
        unread.append(Unread(Site(source.shown), f"{fault}; its weights are judged by their names"))
    else:
        made = partial(_planned, program, path.name, source.shown)
    if not reader.weights and unread:
        raise CheckpointError(source.shown, f"holds no array that can be read: {unread[0].reason}")
    return Checkpoint(
        path=source.shown, arrays=tuple(reader.weights), unread=tuple(unread), graph=made
    )


def _planned(program: Program, name: str, path: str, shape: tuple[int, ...] | None) -> Any:
    return plan(program, TABLE, name=name, path=path, input_shape=shape)


def _loaded(source: pieces.Source) -> Any:
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError:
        raise CheckpointError(source.shown, INSTALL) from None
    if source.size == 0:
        raise CheckpointError(source.shown, "is empty; write the model again")
    if source.size > _LARGEST:
        raise CheckpointError(
            source.shown,
            "is larger than the 2 GiB that a model can have; keep its arrays in a file beside it",
        )
    whole = pieces.read(source, 0, source.size)
    try:
        model = onnx.load_model_from_string(bytes(whole))
    except (DecodeError, ValueError, TypeError, RuntimeError, UnicodeDecodeError):
        raise CheckpointError(source.shown, _STRANGE) from None
    if not model.graph.node and not model.graph.initializer:
        raise CheckpointError(source.shown, "holds no graph; it is not an ONNX model")
    if model.functions:
        import onnx.inliner

        try:
            model = onnx.inliner.inline_local_functions(model)
        except Exception:
            # The inliner raises of many kinds; calls of what is left are unknown operators.
            return model
    return model


class _Arrays:
    """The stored arrays of a model: those of the program, and among them those that are judged."""

    def __init__(self, shown: str, folder: Folder) -> None:
        self._shown, self._folder = shown, folder
        self.stored: dict[str, Stored] = {}
        self.weights: list[Stored] = []
        self.absent: set[str] = set()
        self.unread: list[Unread] = []

    def refuse(self, name: str, reason: str) -> None:
        self.absent.add(name)
        shown = printable(name)
        self.unread.append(Unread(Site(self._shown, tensor=shown), f"array {shown} {reason}"))

    def add(self, tensor: Any, name: str = "") -> None:
        """Take up an initialiser, or the value of a constant node under its name."""
        called = name or tensor.name
        try:
            stored = self._stored(tensor, called)
        except CheckpointError as fault:
            self.refuse(called, f"cannot be read: {fault.path}: {fault.reason}")
            return
        except (ValueError, TypeError, OverflowError) as fault:
            self.refuse(called, f"cannot be read: {printable(str(fault).partition(chr(10))[0])}")
            return
        self.stored[called] = stored
        if not name or (stored.dtype in FLOATS and stored.count > 1):
            self.weights.append(stored)

    def literal(self, name: str, array: NDArray[Any]) -> None:
        """Take up numbers that a node states in its attributes."""
        kept = np.ascontiguousarray(array)
        dtype = {"f": "F32", "i": "I64"}[kept.dtype.kind]
        kept = kept.astype(np.float32 if dtype == "F32" else np.int64)
        self.stored[name] = Stored(name, dtype, kept.shape, self._shown, partial(_held, kept))

    def _stored(self, tensor: Any, name: str) -> Stored:
        dtype = _DTYPES.get(tensor.data_type)
        if dtype is None:
            raise ValueError(f"data type {tensor.data_type} is not known")
        shape = tuple(tensor.dims)
        if any(n < 0 for n in shape):
            raise ValueError(f"it has the shape {shape}")
        nbytes = prod(shape) * BITS[dtype] // 8
        if tensor.data_location == 1:
            entries = {entry.key: entry.value for entry in tensor.external_data}
            source, given = external(self._folder, entries, nbytes)
            return Stored(name, dtype, shape, source.shown, given)
        if tensor.HasField("raw_data"):
            raw = np.frombuffer(tensor.raw_data, np.uint8)
        else:
            raw = _typed(tensor, dtype)
        if raw.size != nbytes:
            raise ValueError(f"it has {raw.size} bytes, its shape needs {nbytes}")
        return Stored(name, dtype, shape, self._shown, partial(_held, raw))


def _typed(tensor: Any, dtype: str) -> NDArray[np.uint8]:
    """Return the bytes of numbers that stand in the field of their type."""
    field, kind = {
        "F32": ("float_data", "<f4"), "C64": ("float_data", "<f4"), "F64": ("double_data", "<f8"),
        "I64": ("int64_data", "<i8"), "U64": ("uint64_data", "<u8"), "U32": ("uint64_data", "<u4"),
        "I32": ("int32_data", "<i4"), "I16": ("int32_data", "<i2"),
        "F16": ("int32_data", "<u2"), "BF16": ("int32_data", "<u2"), "U16": ("int32_data", "<u2"),
    }.get(dtype, ("int32_data", "<u1"))  # fmt: skip
    wide = np.asarray(getattr(tensor, field))
    return wide.astype(np.dtype(kind)).view(np.uint8)


def _held(array: NDArray[Any], step: int) -> Iterator[Bytes]:
    raw = array.reshape(-1).view(np.uint8)
    for start in range(0, raw.size, step):
        yield raw[start : start + step]


def _program(model: Any, nodes: tuple[Node, ...], reader: _Arrays) -> Program:
    graph = model.graph
    given = set(reader.stored) | reader.absent
    opset = max((o.version for o in model.opset_import if o.domain in DOMAINS), default=0)
    return Program(
        tuple(_port(value) for value in graph.input if value.name not in given),
        nodes,
        reader.stored,
        tuple(value.name for value in graph.output),
        opset,
        frozenset(reader.absent),
    )


def _port(value: Any) -> Port:
    kind = value.type.tensor_type
    if not kind.HasField("shape"):
        return Port(value.name, None, kind.elem_type in _INTEGERS, kind.elem_type == _BOOL)
    shape = tuple(d.dim_value if d.HasField("dim_value") else None for d in kind.shape.dim)
    return Port(value.name, shape, kind.elem_type in _INTEGERS, kind.elem_type == _BOOL)
