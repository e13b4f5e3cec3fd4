from __future__ import annotations

import json
import math
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from initaudit.checkpoint.header import Header, read_header, representable
from initaudit.checkpoint.pieces import look, read
from initaudit.checkpoint.stored import BITS, CheckpointError
from initaudit.checkpoint.text import printable

BYTES = bytes(range(8))


def framed(header: str | bytes, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else header.encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(**fields: Any) -> str:
    return json.dumps({"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | fields)


def one(**fields: Any) -> bytes:
    return framed(f'{{"a": {entry(**fields)}}}', BYTES)


def two(first: list[int], second: list[int], **fields: Any) -> bytes:
    a, b = entry(shape=[1], data_offsets=first), entry(shape=[1], data_offsets=second, **fields)
    return framed(f'{{"a": {a}, "b": {b}}}', BYTES)


def opened(folder: Path, content: bytes) -> Header:
    path = folder / "model.safetensors"
    path.write_bytes(content)
    return read_header(look(path))


def by_library(content: bytes) -> dict[str, Any]:
    deserialize: Any = safetensors.deserialize
    return dict(deserialize(content))


def library_accepts(content: bytes) -> bool:
    try:
        by_library(content)
    except safetensors.SafetensorError:
        return False
    return True


LIST = '{"a": ["F32", [2], [0, 8]]}'
NULL = '{"a": null}'
BARE = '{"a": {"dtype": "F32", "shape": [2]}}'
TWICE_IN_ENTRY = '{"a": {"dtype": "F32", "dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}'

REFUSED = {
    "nothing": (b"", "is empty"),
    "three bytes": (b"abc", "has only 3 bytes"),
    "a header of no bytes": (framed(b""), "not JSON"),
    "a header length of 2^63": (struct.pack("<Q", 2**63) + b"{}", "limit of 100 MB"),
    "a header over 100 MB": (struct.pack("<Q", 100_000_001) + b"{}", "limit of 100 MB"),
    "a header past the end": (struct.pack("<Q", 100_000_000) + b"{}", "larger than the file"),
    "a header one byte past the end": (struct.pack("<Q", 3) + b"{}", "larger than the file"),
    "not UTF-8": (framed(b'{"\xff": 1}'), "not UTF-8"),
    "an encoded surrogate": (framed(b'{"\xed\xa0\x80": 1}'), "not UTF-8"),
    "an array": (framed("[]"), "not a JSON object"),
    "null": (framed("null"), "not a JSON object"),
    "a number": (framed("1"), "not a JSON object"),
    "broken JSON": (framed('{"a": '), "not JSON"),
    "a byte order mark": (framed("\ufeff{}"), "not JSON"),
    "NaN": (framed('{"a": NaN}'), "NaN is no JSON number"),
    "a form feed": (framed("\f{}"), "not JSON"),
    "NULs behind the header": (framed(b"{}\0\0"), "not JSON"),
    "a control character in a name": (framed(b'{"a\x01": 1}'), "not JSON"),
    "nesting past the limit of its own reader": (
        framed(one()[8:-8].replace(b'{"dtype"', b'{"x": ' + b"[" * 126 + b"]" * 126 + b', "dtype"'),
               BYTES), "nested too deeply"),
    "nesting past any stack": (framed('{"a": ' + "[" * 100_000), "nested too deeply"),
    "a field twice": (framed(TWICE_IN_ENTRY, BYTES), "key dtype stands twice"),
    "metadata twice": (framed('{"__metadata__": {}, "__metadata__": {}}'), "stands twice"),
    "metadata that is no object": (framed('{"__metadata__": []}'), "__metadata__ is not"),
    "metadata with a number": (framed('{"__metadata__": {"a": 1}}'), "entry a is not a string"),
    "half a surrogate pair": (framed('{"\\ud800": 1}'), "half a surrogate pair"),
    "half a pair in a field nobody reads": (
        framed(one()[8:-8].replace(b'{"dtype"', b'{"x": "\\udc00", "dtype"'), BYTES),
        "half a surrogate pair"),
    "a number out of range": (
        framed(one()[8:-8].replace(b'{"dtype"', b'{"x": 1e999, "dtype"'), BYTES), "out of range"),
    "an integer out of range": (
        framed(one()[8:-8].replace(b'{"dtype"', b'{"x": ' + b"9" * 5000 + b', "dtype"'), BYTES),
        "out of range"),
    "an entry that is null": (framed(NULL), "not described by an object"),
    "an entry without offsets": (framed(BARE, BYTES), "has no data_offsets"),
    "an entry list of four": (
        framed(LIST.replace("]]", "], 1]"), BYTES), "not described by an object"),
    "an unknown dtype": (one(dtype="F31"), 'unknown dtype "F31"'),
    "a dtype in lower case": (one(dtype="f32"), 'unknown dtype "f32"'),
    "a dtype that is a number": (one(dtype=32), "unknown dtype 32"),
    "a negative extent": (one(shape=[-2]), "has the shape [-2]"),
    "a fractional extent": (one(shape=[2.5]), "has the shape [2.5]"),
    "an extent of 2.0": (one(shape=[2.0]), "has the shape [2.0]"),
    "an extent that is true": (one(shape=[True]), "has the shape [true]"),
    "an extent in quotes": (one(shape=["2"]), 'has the shape ["2"]'),
    "an extent of 2^64": (one(shape=[0, 2**64]), "has the shape"),
    "a shape that is a number": (one(shape=2), "has the shape 2"),
    "a shape that overflows": (one(shape=[2**32, 2**32]), "overflows 64 bits"),
    "a shape that overflows before its zero": (one(shape=[2**33, 2**33, 0]), "overflows 64 bits"),
    "bits that overflow": (one(dtype="U8", shape=[2**61]), "overflows 64 bits"),
    "a shape too large for its bytes": (one(shape=[3]), "needs 12 bytes, its offsets hold 8"),
    "a shape too small for its bytes": (one(shape=[]), "needs 4 bytes, its offsets hold 8"),
    "three offsets": (one(data_offsets=[0, 8, 8]), "data_offsets [0, 8, 8]"),
    "an offset in quotes": (one(data_offsets=["0", 8]), 'data_offsets ["0", 8]'),
    "a negative offset": (one(data_offsets=[-8, 0]), "data_offsets [-8, 0]"),
    "an offset of -0": (
        framed(one()[8:-8].replace(b"[0, 8]", b"[-0, 8]"), BYTES), "data_offsets [-0.0, 8]"),
    "offsets that run backwards": (one(data_offsets=[8, 0]), "runs backwards, from offset 8 to 0"),
    "a backward tensor in its place": (two([0, 4], [4, 0]), "runs backwards, from offset 4 to 0"),
    "two tensors on the same bytes": (two([0, 4], [0, 4]), "overlaps a"),
    "two tensors that overlap": (two([0, 4], [2, 6]), "overlaps a"),
    "a hole": (two([0, 4], [5, 9]), "leaves a hole of 1 bytes"),
    "a hole at the start": (one(data_offsets=[1, 9]), "leaves a hole of 1 bytes"),
    "an empty tensor inside another": (
        framed('{"a": ' + entry() + ', "b": ' + entry(shape=[0], data_offsets=[4, 4]) + "}", BYTES),
        "overlaps a"),
    "bytes behind the last tensor": (one() + b"PK", "the last 2 bytes belong to no tensor"),
    "bytes and no tensor": (framed("{}", BYTES), "the last 8 bytes belong to no tensor"),
    "data cut short": (one()[:-1], "it is truncated"),
    "half a byte": (
        framed('{"a": ' + entry(dtype="F4", shape=[3], data_offsets=[0, 2]) + "}", b"\0\0"),
        "do not end on a whole byte"),
    "three quarters of a byte": (
        framed('{"a": ' + entry(dtype="F6_E2M3", shape=[1], data_offsets=[0, 1]) + "}", b"\0"),
        "do not end on a whole byte"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "reason"), REFUSED.values(), ids=REFUSED)
def test_refuses_in_one_line(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(CheckpointError, match=re.escape(reason)) as caught:
        opened(tmp_path, content)
    assert caught.value.path == str(tmp_path / "model.safetensors")
    assert str(caught.value).isprintable()
    assert len(caught.value.reason) < 300


@pytest.mark.parametrize("content", [content for content, _ in REFUSED.values()], ids=REFUSED)
def test_the_library_refuses_the_same(content: bytes) -> None:
    assert not library_accepts(content)


ACCEPTED = {
    "no tensors": framed("{}"),
    "null metadata": framed('{"__metadata__": null}'),
    "leading and trailing whitespace": framed(" \n\t\r{} \n\t\r"),
    "a field nobody reads": one(extra={"deep": [1, None, -1, 1e300]}),
    "an integer of more than 64 bits nobody reads": one(extra=10**50),
    "nesting at the limit": framed(
        one()[8:-8].replace(b'{"dtype"', b'{"x": ' + b"[" * 125 + b"]" * 125 + b', "dtype"'), BYTES
    ),
    "an entry as a list": framed(LIST, BYTES),
    "a dtype as an object": one(dtype={"F32": None}),
    "a name of no characters": framed('{"": ' + entry() + "}", BYTES),
    "a name with a NUL": framed('{"\\u0000": ' + entry() + "}", BYTES),
    "a name with an escape sequence": framed('{"\\u001b[31m../x": ' + entry() + "}", BYTES),
    "a name of a surrogate pair": framed('{"\\ud83d\\ude00": ' + entry() + "}", BYTES),
    "an empty tensor between two others": framed(
        '{"b": ' + entry(shape=[1], data_offsets=[4, 8])
        + ', "e": ' + entry(shape=[0, 7], data_offsets=[4, 4])
        + ', "a": ' + entry(shape=[1], data_offsets=[0, 4]) + "}", BYTES),
    "a shape of no dimensions": framed('{"a": ' + entry(shape=[], data_offsets=[0, 4]) + "}",
                                       BYTES[:4]),
    "a shape of ten dimensions": one(shape=[1] * 9 + [2]),
    "a shape of seventy dimensions": one(shape=[1] * 69 + [2]),
    "a huge extent beside a zero": framed(
        '{"a": ' + entry(shape=[0, 2**64 - 1, 2**64 - 1], data_offsets=[0, 0]) + "}"),
}  # fmt: skip


@pytest.mark.parametrize("content", ACCEPTED.values(), ids=ACCEPTED)
def test_accepts_what_is_odd_and_legal(tmp_path: Path, content: bytes) -> None:
    found = {e.name: e.shape for e in opened(tmp_path, content).entries}
    expected = {name: tuple(t["shape"]) for name, t in by_library(content).items()}
    assert found == expected


@pytest.mark.parametrize(
    "header",
    [
        f'{{"a": {entry()}, "a": {entry()}}}',
        f'{{"a": {entry()}, "a": {entry(dtype="F16", shape=[4])}}}',
        f'{{"a": {entry()}, "\\u0061": {entry()}}}',
        f'{{"__metadata__": {{"k": "1", "k": "2"}}, "a": {entry()}}}',
        f'{{"a": {entry()[:-1]}, "x": {{"y": 1, "y": 2}}}}}}',
    ],
    ids=["alike", "of another dtype", "once escaped", "in metadata", "in a field nobody reads"],
)
def test_refuses_duplicate_keys_that_the_library_takes(tmp_path: Path, header: str) -> None:
    assert library_accepts(framed(header, BYTES))
    with pytest.raises(CheckpointError, match="stands twice in the header"):
        opened(tmp_path, framed(header, BYTES))


@pytest.mark.parametrize("dtype", BITS)
def test_reads_every_dtype_of_the_library(tmp_path: Path, dtype: str) -> None:
    size = BITS[dtype]
    content = framed(
        '{"a": ' + entry(dtype=dtype, shape=[8], data_offsets=[0, size]) + "}", bytes(size)
    )
    assert library_accepts(content)
    (found,) = opened(tmp_path, content).entries
    assert (found.dtype, found.end - found.begin) == (dtype, size)


def test_orders_tensors_by_their_bytes_and_keeps_the_metadata(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {"z": np.ones(3, np.float64), "a": np.ones(5, np.float16)}
    header = opened(tmp_path, save(arrays, metadata={"format": "np"}))
    assert [e.name for e in header.entries] == ["z", "a"]
    assert [e.end - e.begin for e in header.entries] == [24, 10]
    assert header.metadata == {"format": "np"}


def test_reads_twenty_thousand_tensors(tmp_path: Path) -> None:
    described = {
        f"layers.{i}.weight": {"dtype": "U8", "shape": [1], "data_offsets": [i, i + 1]}
        for i in range(20_000)
    }
    header = opened(tmp_path, framed(json.dumps(described), bytes(20_000)))
    assert len(header.entries) == 20_000


@pytest.mark.parametrize(
    ("shape", "possible"),
    [((), True), ((0,), True), ((1,) * 64, True), ((1,) * 65, False), ((0, 2**63), False)],
)
def test_tells_shapes_that_numpy_has(shape: tuple[int, ...], *, possible: bool) -> None:
    assert representable(shape) is possible
    if possible:
        assert np.empty(math.prod(shape)).reshape(shape).shape == shape
    else:
        with pytest.raises(ValueError, match="dimension"):
            np.empty(math.prod(shape)).reshape(shape)


DTYPES = st.sampled_from([*BITS, "F31", "f32"])
EXTENTS: st.SearchStrategy[Any] = st.one_of(
    st.integers(0, 5), st.sampled_from([-1, 2.0, "2", None, 2**63, 2**64, True])
)


@st.composite
def described(draw: st.DrawFn) -> bytes:
    """A file that may be right, with a fault of layout in about half of the cases."""
    at = 0
    entries: dict[str, object] = {}
    for index in range(draw(st.integers(0, 4))):
        dtype = draw(DTYPES)
        wild = draw(st.integers(0, 9)) == 0
        shape = draw(st.lists(EXTENTS if wild else st.integers(0, 5), max_size=4))
        whole = all(type(extent) is int and extent >= 0 for extent in shape)
        size = math.prod(shape) * BITS.get(dtype, 8) // 8 if whole else 0
        size = min(size, 4096)
        shift = draw(st.sampled_from([0] * 20 + [1, -1, 4]))
        grown = draw(st.sampled_from([0] * 20 + [1, -1, -size]))
        entries[draw(st.text(max_size=3)) + str(index)] = {
            "dtype": dtype, "shape": shape, "data_offsets": [at + shift, at + size + grown],
        }  # fmt: skip
        at += size
    order = draw(st.permutations(list(entries.items())))
    room = draw(st.sampled_from([at] * 10 + [at + 1, max(at - 1, 0)]))
    ascii_only = draw(st.booleans())
    return framed(
        json.dumps(dict(order), ensure_ascii=ascii_only), bytes(i % 251 for i in range(room))
    )


@st.composite
def scribbled(draw: st.DrawFn) -> bytes:
    """A right file with a few bytes of its header replaced, dropped or added."""
    arrays = {"weight": np.arange(6, dtype=np.float32).reshape(2, 3), "n": np.array(7)}
    content = save(arrays, metadata={"k": "v"})
    length = int.from_bytes(content[:8], "little")
    text, data = bytearray(content[8 : 8 + length]), content[8 + length :]
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text) - 1))
        new = draw(
            st.sampled_from(
                [
                    b"",
                    b"0",
                    b"-",
                    b".",
                    b"e9",
                    b'"',
                    b",",
                    b"[",
                    b"}",
                    b"\\",
                    b"\\ud800",
                    b"\x00",
                    b"\xff",
                    b"\xc3\xa9",
                    b" ",
                    b"null",
                ]
            )
        )
        text[at : at + draw(st.integers(0, 2))] = new
    return framed(bytes(text), data)  # fmt: skip


def _repeats_a_key(content: bytes) -> bool:
    objects: list[list[str]] = []
    json.loads(
        content[8 : 8 + int.from_bytes(content[:8], "little")],
        object_pairs_hook=lambda pairs: objects.append([key for key, _ in pairs]),
    )
    return any(len(set(keys)) < len(keys) for keys in objects)


@given(content=st.one_of(described(), scribbled()))
@settings(max_examples=400, deadline=None)
def test_accepts_refuses_and_reads_as_the_library(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp()
    try:
        expected = by_library(content)
    except safetensors.SafetensorError:
        with pytest.raises(CheckpointError):
            opened(folder, content)
        return
    if _repeats_a_key(content):
        with pytest.raises(CheckpointError, match="stands twice"):
            opened(folder, content)
        return
    header = opened(folder, content)
    source = look(folder / "model.safetensors")
    assert {e.name: (e.shape, bytes(read(source, e.begin, e.end))) for e in header.entries} == {
        name: (tuple(tensor["shape"]), bytes(tensor["data"])) for name, tensor in expected.items()
    }


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("layer.0.weight", "layer.0.weight"),
        ("poids é", "poids é"),
        ("a\nb", "a\\nb"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\u202egnp", "\\u202egnp"),
        ("\udcff", "\\udcff"),
        ("x" * 200, "x" * 117 + "..."),
    ],
)
def test_prints_names_on_one_line(name: str, shown: str) -> None:
    assert printable(name) == shown
