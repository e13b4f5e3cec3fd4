from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from initaudit.checkpoint import npy, npz
from initaudit.checkpoint.dtypes import decode
from initaudit.checkpoint.npy import read_npy
from initaudit.checkpoint.npz import read_npz
from initaudit.checkpoint.stored import Checkpoint, CheckpointError, Stored

RNG = np.random.default_rng(0)
DTYPES = ["f8", "f4", "f2", "c8", "b1", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1"]


def file_of(array: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def zipped(path: Path, members: Iterable[tuple[str, bytes]], method: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def bytes_of(stored: Stored, step: int = 1 << 20) -> bytes:
    pieces = [piece.tobytes() for piece in stored.pieces(step)]
    assert all(len(piece) == step for piece in pieces[:-1])
    return b"".join(pieces)


def value(stored: Stored, step: int = 1 << 20) -> NDArray[Any]:
    raw = np.frombuffer(bytes_of(stored, step), dtype=np.uint8)
    return decode(raw, stored.dtype).reshape(stored.shape)


def reason(checkpoint: Checkpoint) -> str:
    (unread,) = checkpoint.unread
    assert unread.reason.isprintable()
    return unread.reason


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", DTYPES)
def test_reads_every_dtype(
    tmp_path: Path, kind: str, order: str, save: Callable[..., None]
) -> None:
    array = RNG.integers(0, 2, (7, 5, 3)).astype(np.dtype(order + kind))
    save(tmp_path / "a.npz", x=array, y=np.asfortranarray(array), z=array[0, 0, 0])
    checkpoint = read_npz(tmp_path / "a.npz")
    x, y, z = checkpoint.arrays
    assert (x.name, x.shape, z.shape, checkpoint.unread) == ("x", (7, 5, 3), (), ())
    for step in (1, 13, 64, 1 << 20):
        assert np.array_equal(value(x, step), array)
        assert np.array_equal(value(y, step), array)
    assert value(z) == array[0, 0, 0]


@pytest.mark.parametrize("shape", [(0,), (3, 0), (1,), (1, 1, 1, 1, 1, 1, 1, 1, 1, 2), (300, 1000)])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["<f4", ">f4"])
def test_reads_every_shape_from_one_file(
    tmp_path: Path, shape: tuple[int, ...], order: Any, kind: str
) -> None:
    array = np.array(RNG.standard_normal(shape), dtype=kind, order=order)
    path = tmp_path / "weight.npy"
    np.save(path, array)
    (stored,) = read_npy(path).arrays
    assert (stored.name, stored.dtype, stored.shape) == ("weight", "F32", shape)
    for step in (100_003, 1 << 20):
        assert np.array_equal(value(stored, step), array)


def test_reads_a_large_array_in_fortran_order(tmp_path: Path) -> None:
    array = np.asfortranarray(RNG.standard_normal((3000, 700)).astype(np.float32))
    np.savez_compressed(tmp_path / "a.npz", x=array)
    (stored,) = read_npz(tmp_path / "a.npz").arrays
    assert np.array_equal(value(stored), array)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_reads_every_version_of_the_format(tmp_path: Path, version: tuple[int, int]) -> None:
    array = np.arange(6.0).reshape(2, 3)
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=version)
    path = tmp_path / "a.npy"
    path.write_bytes(buffer.getvalue())
    assert np.array_equal(value(read_npy(path).arrays[0]), array)


class Payload:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch executed",)


def test_never_unpickles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "a.npz", bad=np.array([Payload()], dtype=object), good=np.ones(3))
    checkpoint = read_npz(tmp_path / "a.npz")
    assert [bytes_of(a) for a in checkpoint.arrays] == [np.ones(3).tobytes()]
    assert "array bad holds pickled Python objects, which are never unpickled" in reason(checkpoint)
    assert not (tmp_path / "executed").exists()


def head(text: str, version: bytes = b"\1\0") -> bytes:
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text.encode()


def described(descr: str = "'<f4'", shape: str = "(2,)", order: str = "False") -> bytes:
    return head(f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}") + bytes(8)


BAD = {
    "no array": (b"hello, hello, hello", "is not an array of NumPy"),
    "a few bytes": (b"\x93NUMPY\1", "is not an array of NumPy"),
    "nothing": (b"", "is not an array of NumPy"),
    "a later version": (b"\x93NUMPY\x04\0" + bytes(8), "unknown format version 4.0"),
    "a header past the end": (b"\x93NUMPY\1\0\xff\x0f" + bytes(8), "a header of 4095 bytes"),
    "a header of 4 GB": (b"\x93NUMPY\2\0\xff\xff\xff\xff" + bytes(8), "header of 4294967295 bytes"),
    "a header that calls": (head("__import__('os').system('touch executed')"), "cannot be parsed"),
    "a header of brackets": (head("[" * 9000), "cannot be parsed"),
    "a header with an odd escape": (head("{'\\d': 1}"), "without dtype, order and shape"),
    "no shape": (head("{'descr': '<f4', 'fortran_order': False}"), "without dtype, order"),
    "a negative extent": (described(shape="(-2,)"), "without dtype, order and shape"),
    "a fractional extent": (described(shape="(2.0,)"), "without dtype, order and shape"),
    "an extent that is true": (described(shape="(True,)"), "without dtype, order and shape"),
    "an order that is a number": (described(order="0"), "without dtype, order and shape"),
    "a shape too large": (described(shape="(2**40,)"), "cannot be parsed"),
    "a shape past the end": (described(shape="(1099511627776,)"), "needs 4398046511181 bytes"),
    "a shape that leaves bytes": (described(shape="(1,)"), "needs 69 bytes"),
    "seventy dimensions": (described(shape="(" + "1," * 70 + ")"), "no array in memory"),
    "a huge extent beside a zero": (described(shape="(0, 9223372036854775808)"), "no array in"),
    "text": (file_of(np.array(["a"])), "has the dtype <U1"),
    "bytes": (file_of(np.array([b"a"])), "has the dtype |S1"),
    "fields": (file_of(np.zeros(2, dtype=[("a", "f4")])), "is a table of fields"),
    "a nameless void": (file_of(np.zeros(2, dtype="V2")), "lose their type"),
    "double complex": (file_of(np.zeros(2, dtype="c16")), "has the dtype <c16"),
    "dates": (file_of(np.zeros(2, dtype="M8[s]")), "has the dtype <M8[s]"),
}


@pytest.mark.parametrize(("content", "why"), BAD.values(), ids=BAD)
def test_a_bad_member_is_unread_and_the_rest_is_read(
    tmp_path: Path, content: bytes, why: str
) -> None:
    good = ("good.npy", file_of(np.ones(2)))
    path = zipped(tmp_path / "a.npz", [("bad\n.npy", content), good])
    checkpoint = read_npz(path)
    assert [a.name for a in checkpoint.arrays] == ["good"]
    assert why in reason(checkpoint)
    assert reason(checkpoint).startswith("array bad\\n ")


@pytest.mark.parametrize(("content", "why"), BAD.values(), ids=BAD)
def test_a_bad_array_file_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        read_npy(path)
    assert (why if content else "is empty") in caught.value.reason
    assert str(caught.value).isprintable()


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz, "BOMB_BYTES", 1 << 16)
    bomb = file_of(np.zeros(1 << 20, np.uint8))
    noise = file_of(RNG.standard_normal(1 << 14))
    path = zipped(tmp_path / "a.npz", [("bomb.npy", bomb), ("noise.npy", noise)], 8)
    checkpoint = read_npz(path)
    assert [a.name for a in checkpoint.arrays] == ["noise"]
    assert "out of all proportion for weights" in reason(checkpoint)


def test_a_layer_of_zeros_is_no_bomb(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros((2048, 2048), np.float32))
    (stored,) = read_npz(tmp_path / "a.npz").arrays
    assert not value(stored).any()


def test_what_unpacks_to_more_than_it_states_is_cut_off(tmp_path: Path) -> None:
    honest = file_of(np.zeros(1 << 16, np.uint8))
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    more = packer.compress(honest + bytes(50 << 20)) + packer.flush()
    path = zipped(tmp_path / "a.npz", [("x.npy", honest)], 8)
    with zipfile.ZipFile(path) as archive:
        (info,) = archive.infolist()
    content = bytearray(path.read_bytes())
    start = 30 + len("x.npy")
    end = start + info.compress_size
    content[start:end] = more
    packed = struct.pack("<I", len(more))
    content[18:22] = packed
    directory = content.index(b"PK\1\2")
    content[directory + 20 : directory + 24] = packed
    tail = content.index(b"PK\5\6")
    content[tail + 16 : tail + 20] = struct.pack("<I", directory)
    path.write_bytes(content)
    (stored,) = read_npz(path).arrays
    with pytest.raises(CheckpointError, match=r"x\.npy is damaged, its size is not as stated"):
        bytes_of(stored)


@pytest.mark.parametrize("method", [0, 8], ids=["stored", "deflated"])
def test_damaged_bytes_are_noticed(tmp_path: Path, method: int) -> None:
    array = RNG.standard_normal(20_000)
    path = zipped(tmp_path / "a.npz", [("x.npy", file_of(array))], method)
    content = bytearray(path.read_bytes())
    content[100_000] ^= 0xFF
    path.write_bytes(content)
    (stored,) = read_npz(path).arrays
    with pytest.raises(CheckpointError, match="is damaged"):
        bytes_of(stored)


def test_a_member_named_otherwise_in_the_directory_is_unread(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.npz", [("x.npy", file_of(np.ones(2))), ("y", file_of(np.ones(2)))])
    path.write_bytes(path.read_bytes().replace(b"x.npy", b"z.npy", 1))
    assert "another name than the archive's directory says" in reason(read_npz(path))


def test_an_encrypted_member_is_unread(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.npz", [("x.npy", file_of(np.ones(2))), ("y", file_of(np.ones(2)))])
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)
    assert "is encrypted" in reason(read_npz(path))


def test_a_member_packed_by_another_method_is_unread(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", file_of(np.ones(2)), compress_type=zipfile.ZIP_BZIP2)
        archive.writestr("y.npy", file_of(np.ones(2)))
    assert "is packed by method 12" in reason(read_npz(path))


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.npz", [("x.npy", file_of(np.ones(2))), ("y.npy", b"")])
    path.write_bytes(path.read_bytes().replace(b"y.npy", b"x.npy"))
    with pytest.raises(CheckpointError, match=r"holds x\.npy twice"):
        read_npz(path)


def test_members_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.npz", [(f"{i}.npy", file_of(np.ones(900))) for i in range(3)])
    content = bytearray(path.read_bytes())
    first = content.index(b"PK\1\2")
    at = first
    while (at := content.find(b"PK\1\2", at)) >= 0:
        content[at + 42 : at + 46] = bytes(4)
        at += 46
    content[:first] = content[: first // 3]
    tail = content.index(b"PK\5\6")
    content[tail + 16 : tail + 20] = struct.pack("<I", first // 3)
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="members overlap or pass its end"):
        read_npz(path)


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all" * 9], ids=len)
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="not a readable zip archive"):
        read_npz(path)


def test_a_truncated_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=np.ones(1000))
    os.truncate(path, 5000)
    with pytest.raises(CheckpointError, match="not a readable zip archive"):
        read_npz(path)


def test_an_archive_that_changes_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=np.ones(1000))
    (stored,) = read_npz(path).arrays
    np.savez(path, x=np.zeros(1001))
    with pytest.raises(CheckpointError, match="changed while it was read"):
        bytes_of(stored)


def test_an_archive_of_nothing_readable_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.npz", [("readme.txt", b"hello, hello, hello")])
    with pytest.raises(CheckpointError, match="holds no array that can be read"):
        read_npz(path)


def test_a_fortran_array_past_the_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(npy, "LARGEST_FORTRAN", 1000)
    path = tmp_path / "a.npy"
    np.save(path, np.asfortranarray(np.ones((20, 20))))
    with pytest.raises(CheckpointError, match="is in Fortran order and larger"):
        read_npy(path)
