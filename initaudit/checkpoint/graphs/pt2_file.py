"""Archives of torch.export, read without torch: a graph in JSON and weights as raw bytes."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from functools import partial
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np

from initaudit.checkpoint import npz, pieces
from initaudit.checkpoint.graphs.aten_operators import TABLE
from initaudit.checkpoint.graphs.build import plan
from initaudit.checkpoint.graphs.program import GraphError, Name, Node, Port, Program, ordered
from initaudit.checkpoint.npy import UnusableError
from initaudit.checkpoint.pieces import Bytes, Source
from initaudit.checkpoint.stored import BITS, Checkpoint, CheckpointError, Stored
from initaudit.checkpoint.text import printable
from initaudit.network import Site, Unread

LARGEST_JSON: Final = 1 << 28
LARGEST_COPY: Final = 1 << 30
"""Bytes of the largest array that is copied because its elements do not lie one after another."""

_GRAPH = "models/model.json"
_WEIGHTS = "data/weights/model_weights_config.json"
_CONSTANTS = "data/constants/model_constants_config.json"
_WRITER = "torch.export.save"

_DTYPES: Mapping[int, str] = {
    1: "U8", 2: "I8", 3: "I16", 4: "I32", 5: "I64", 6: "F16", 7: "F32", 8: "F64", 10: "C64",
    12: "BOOL", 13: "BF16", 28: "U16", 29: "F8_E4M3", 30: "F8_E5M2", 31: "F8_E4M3FNUZ",
    32: "F8_E5M2FNUZ",
}  # fmt: skip
"""ScalarType of torch's export schema by the dtype names of safetensors."""

_WHOLE = frozenset({1, 2, 3, 4, 5, 28})
_BOOL = 12


class _BadError(Exception):
    """What is wrong with a part of an archive."""


def read_pt2(path: Path) -> Checkpoint:
    """Return the weights of an archive and the plan of its network.

    Raises:
        CheckpointError: it is no archive of torch.export, or nothing of it can be read.
    """
    source = pieces.look(path)
    archive = _Archive(source)
    document = archive.document(_GRAPH)
    reader = _Arrays(archive)
    try:
        module = document["graph_module"]
        specs = [_spec(spec) for spec in module["signature"]["input_specs"]]
        reader.config(_WEIGHTS, weights=True)
        reader.config(_CONSTANTS, weights=False)
    except (KeyError, TypeError, AttributeError, ValueError, StopIteration):
        reason = "its models/model.json does not describe a graph as torch.export writes it"
        raise CheckpointError(source.shown, reason) from None
    unread = list(reader.unread)
    made = None
    try:
        program = ordered(_program(module["graph"], specs, reader))
    except GraphError as fault:
        unread.append(Unread(Site(source.shown), f"{fault}; its weights are judged by their names"))
    except (KeyError, TypeError, AttributeError, ValueError, StopIteration):
        reason = "its graph is damaged; its weights are judged by their names"
        unread.append(Unread(Site(source.shown), reason))
    else:
        made = partial(_planned, program, path.name, source.shown)
    if not reader.weights and unread:
        raise CheckpointError(source.shown, f"holds no array that can be read: {unread[0].reason}")
    return Checkpoint(
        path=source.shown,
        arrays=tuple(reader.weights),
        aliases=reader.aliases,
        unread=tuple(unread),
        graph=made,
    )


def _planned(program: Program, name: str, path: str, shape: tuple[int, ...] | None) -> Any:
    return plan(program, TABLE, name=name, path=path, input_shape=shape)


class _Archive:
    """The members of an archive, below its one folder."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in npz.members(source, _WRITER):
            self._members[member.filename.partition("/")[2]] = member
        if any(name.endswith("serialized_state_dict.pt") for name in self._names()):
            raise CheckpointError(
                source.shown,
                "keeps its weights as a pickle, as torch.export did before torch 2.9, and pickles"
                " are never read; export it again",
            )
        if _GRAPH not in self._members:
            raise CheckpointError(source.shown, f"holds no {_GRAPH}; it is not of {_WRITER}")
        order = self._members.get("byteorder")
        if order is not None and bytes(self.read("byteorder")) != b"little":
            raise CheckpointError(source.shown, "is written in big-endian order, which is not read")

    def _names(self) -> list[str]:
        return [member.filename for member in self._members.values()]

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def span(self, name: str) -> tuple[int, int]:
        """Return where a member's bytes begin and end in the file.

        Raises:
            UnusableError: it is compressed or damaged.
        """
        member = self._members.get(name)
        if member is None:
            raise UnusableError("is not in the archive")
        if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
            raise UnusableError("is compressed, which torch.export.save never does; it is not read")
        begin = npz.start(self.source, member)
        return begin, begin + member.file_size

    def read(self, name: str) -> bytearray:
        """Return the bytes of a member.

        Raises:
            CheckpointError: it is missing, compressed, damaged or too large.
        """
        try:
            begin, end = self.span(name)
        except UnusableError as fault:
            raise CheckpointError(self.source.shown, f"{printable(name)} {fault}") from None
        if end - begin > LARGEST_JSON:
            raise CheckpointError(
                self.source.shown, f"{printable(name)} is larger than {LARGEST_JSON >> 20} MiB"
            )
        return pieces.read(self.source, begin, end)

    def document(self, name: str) -> Any:
        """Return a member that is JSON."""
        try:
            return json.loads(self.read(name))
        except (ValueError, RecursionError):
            raise CheckpointError(
                self.source.shown, f"{printable(name)} is not JSON; write the archive again"
            ) from None


class _Arrays:
    """The arrays of an archive by their full names; those stored once are stored under one."""

    def __init__(self, archive: _Archive) -> None:
        self._archive = archive
        self._shown = archive.source.shown
        self._first: dict[str, str] = {}
        self.stored: dict[str, Stored] = {}
        self.aliases: dict[str, str] = {}
        self.weights: list[Stored] = []
        self.absent: set[str] = set()
        self.unread: list[Unread] = []

    def config(self, name: str, *, weights: bool) -> None:
        """Take up the arrays that one table of the archive tells."""
        if name not in self._archive:
            return
        for called, entry in self._archive.document(name)["config"].items():
            folder = name.rpartition("/")[0]
            try:
                self._add(called, entry, folder, judged=weights)
            except (UnusableError, _BadError) as fault:
                self._refuse(called, str(fault))
            except (KeyError, TypeError, AttributeError, ValueError):
                self._refuse(called, "is not described as torch.export writes it")

    def _refuse(self, name: str, reason: str) -> None:
        self.absent.add(name)
        shown = printable(name)
        self.unread.append(Unread(Site(self._shown, tensor=shown), f"array {shown} {reason}"))

    def _add(self, name: str, entry: Mapping[str, Any], folder: str, *, judged: bool) -> None:
        if entry.get("use_pickle", False):
            raise _BadError("is stored as a pickle, which is never read; export the model again")
        meta = entry["tensor_meta"]
        identity = json.dumps([folder, entry["path_name"], meta], sort_keys=True)
        if identity in self._first:
            self.aliases[name] = self._first[identity]
            self.stored[name] = self.stored[self._first[identity]]
            return
        stored = self._stored(name, f"{folder}/{entry['path_name']}", meta)
        self._first[identity] = name
        self.stored[name] = stored
        if judged:
            self.weights.append(stored)

    def _stored(self, name: str, member: str, meta: Mapping[str, Any]) -> Stored:
        dtype = _DTYPES.get(meta["dtype"])
        if dtype is None:
            raise _BadError(f"has the unknown dtype code {meta['dtype']!r}")
        shape = tuple(_int(n) for n in meta["sizes"])
        strides = tuple(_int(n) for n in meta["strides"])
        offset = _int(meta["storage_offset"])
        if len(strides) != len(shape) or min((*shape, *strides, offset), default=0) < 0:
            raise _BadError("has sizes, strides or an offset that no tensor can have")
        begin, end = self._archive.span(member)
        width = BITS[dtype] // 8
        last = offset + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
        if prod(shape) and (last + 1) * width > end - begin:
            raise _BadError(
                f"needs {(last + 1) * width} bytes by its sizes and strides, its storage has"
                f" {end - begin}"
            )
        source, start = self._archive.source, begin + offset * width
        if strides == _dense(shape) or prod(shape) < 2:
            given = partial(pieces.pieces, source, start, start + prod(shape) * width)
        elif prod(shape) * width > LARGEST_COPY or end - begin > LARGEST_COPY:
            raise _BadError("is not stored in order and is too large to be put in order")
        else:
            given = partial(_strided, source, (begin, end), offset, shape, strides, width)
        return Stored(name, dtype, shape, self._shown, given)


def _int(value: Any) -> int:
    number = value["as_int"] if isinstance(value, dict) else value
    if type(number) is not int:
        raise TypeError
    return number


def _dense(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(prod(shape[i + 1 :]) for i in range(len(shape)))


def _strided(
    source: Source,
    span: tuple[int, int],
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    width: int,
    step: int,
) -> Iterator[Bytes]:
    """Yield the bytes of an array whose elements do not lie one after another, in order."""
    storage = np.frombuffer(pieces.read(source, *span), np.dtype(f"V{width}"))
    laid = np.lib.stride_tricks.as_strided(
        storage[offset:], shape, tuple(s * width for s in strides), writeable=False
    )
    raw = np.ascontiguousarray(laid).reshape(-1).view(np.uint8)
    for start in range(0, raw.size, step):
        yield raw[start : start + step]


def _spec(spec: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return kind, name in the graph, and full name of one input of the graph."""
    ((kind, held),) = spec.items()
    match kind:
        case "parameter" | "buffer" | "tensor_constant":
            return kind, held["arg"]["name"], held[f"{kind}_name"]
        case "user_input":
            ((form, arg),) = held["arg"].items()
            return kind, arg["name"] if form == "as_tensor" else "", ""
        case _:
            return kind, "", ""


def _program(graph: Mapping[str, Any], specs: list[tuple[str, str, str]], reader: _Arrays) -> Program:
    full = {short: name for kind, short, name in specs if kind != "user_input" and short}
    values = graph["tensor_values"]
    ports = tuple(
        _port(short, values[short]) for kind, short, _ in specs if kind == "user_input" and short
    )
    nodes = tuple(_node(node, full) for node in graph["nodes"])
    outputs = [name for out in graph["outputs"] for name in _names(out)]
    missing = {name for name in full.values() if name not in reader.stored}
    return Program(
        ports, nodes, reader.stored, tuple(full.get(o, o) for o in outputs), 0, frozenset(missing)
    )


def _port(name: str, meta: Mapping[str, Any]) -> Port:
    shape = tuple(n.get("as_int") for n in meta["sizes"])
    return Port(name, shape, meta["dtype"] in _WHOLE, meta["dtype"] == _BOOL)


def _node(node: Mapping[str, Any], full: Mapping[str, str]) -> Node:
    arguments = node["inputs"]
    outputs = [name for out in node["outputs"] for name in _names(out)]
    return Node(
        _operator(node["target"]),
        tuple(_argument(a["arg"], full) for a in arguments),
        tuple(outputs),
        {"names": tuple(a["name"] for a in arguments)},
        _scope(node.get("metadata", {})),
        outputs[0] if outputs else "",
    )


def _operator(target: str) -> str:
    """Return an operator without its overload: ``aten.add`` of torch.ops.aten.add.Tensor."""
    parts = target.removeprefix("torch.ops.").split(".")
    return ".".join(parts[:2])


def _names(out: Mapping[str, Any]) -> list[str]:
    ((form, held),) = out.items()
    match form:
        case "as_tensor" | "as_sym_int" | "as_sym_bool" | "as_sym_float" | "as_optional_tensor":
            if form == "as_optional_tensor":
                return _names(held)
            name = held.get("name") or held.get("as_name")
            return [name] if name else []
        case "as_tensors":
            return [item["name"] for item in held]
        case _:
            return []


def _argument(arg: Mapping[str, Any], full: Mapping[str, str]) -> Any:
    ((form, held),) = arg.items()
    match form:
        case "as_tensor":
            return _name(held["name"], full)
        case "as_tensors":
            return tuple(_name(item["name"], full) for item in held)
        case "as_optional_tensor":
            return _argument(held, full)
        case "as_optional_tensors":
            return tuple(_argument(item, full) for item in held)
        case "as_sym_int" | "as_sym_float" | "as_sym_bool":
            return _symbol(held)
        case "as_sym_ints" | "as_sym_floats":
            return tuple(_symbol(item) for item in held)
        case "as_int" | "as_float" | "as_bool" | "as_string" | "as_scalar_type":
            return held
        case "as_ints" | "as_floats" | "as_bools":
            return tuple(held)
        case _:
            return None


def _name(name: str, full: Mapping[str, str]) -> Name:
    return Name(full.get(name, name))


def _symbol(held: Mapping[str, Any]) -> Any:
    ((form, value),) = held.items()
    return Name(value) if form == "as_name" else value


def _scope(metadata: Mapping[str, Any]) -> str:
    """Return the path of the innermost module that a node was made in; a repeat counts as one."""
    stack = metadata.get("nn_module_stack", "")
    innermost = stack.rpartition(";")[2].split(",")
    return innermost[1].partition("@")[0] if len(innermost) > 1 else ""
