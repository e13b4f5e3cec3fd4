from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from initaudit.checkpoint import pieces
from initaudit.checkpoint.pieces import Source, look, read
from initaudit.checkpoint.stored import CheckpointError

PAGE = 4096


def written(folder: Path, size: int, seed: int = 0) -> tuple[Source, bytes]:
    content = np.random.default_rng(seed).bytes(size)
    path = folder / f"bytes{seed}"
    path.write_bytes(content)
    return look(path), content


@given(
    begin=st.integers(0, 9000),
    length=st.integers(0, 9000),
    step=st.one_of(st.integers(1, 64), st.integers(1, 20_000)),
)
@settings(max_examples=60, deadline=None)
def test_pieces_are_the_bytes_of_the_range(
    tmp_path_factory: pytest.TempPathFactory, begin: int, length: int, step: int
) -> None:
    source, content = written(tmp_path_factory.getbasetemp(), 18_000)
    got = [piece.tobytes() for piece in pieces.pieces(source, begin, begin + length, step)]
    assert b"".join(got) == content[begin : begin + length]
    assert all(len(piece) == step for piece in got[:-1])


@pytest.mark.parametrize("begin", [0, 8, 13, 1000, 4032, 4033, 4064, 4088, 4095, 4096])
def test_pieces_start_on_a_cache_line_clear_of_the_slow_copy(tmp_path: Path, begin: int) -> None:
    source, _ = written(tmp_path, 40_000)
    position = begin
    for piece in pieces.pieces(source, begin, 40_000, 3000):
        address = piece.ctypes.data
        assert address % 64 == 0
        assert not 0 < (address - position) % PAGE < 32
        position += piece.size


def test_two_readings_side_by_side_do_not_share_a_buffer(tmp_path: Path) -> None:
    (one, first), (two, second) = written(tmp_path, 50_000, 1), written(tmp_path, 50_000, 2)
    read_one, read_two = bytearray(), bytearray()
    for left, right in zip(
        pieces.pieces(one, 0, 50_000, 7000), pieces.pieces(two, 0, 50_000, 7000), strict=True
    ):
        read_one += left.tobytes()
        read_two += right.tobytes()
    assert (bytes(read_one), bytes(read_two)) == (first, second)


def test_a_finished_reading_hands_on_its_buffer_and_an_abandoned_one_does_not(
    tmp_path: Path,
) -> None:
    source, content = written(tmp_path, 50_000)
    first = next(pieces.pieces(source, 0, 50_000, 9000))
    for _ in range(8):
        read(source, 10_000, 50_000)
    assert first.tobytes() == content[:9000]
    (finished,) = {piece.ctypes.data // PAGE for piece in pieces.pieces(source, 0, 9000, 9000)}
    (later,) = {piece.ctypes.data // PAGE for piece in pieces.pieces(source, 0, 9000, 9000)}
    assert finished == later


def test_threads_read_the_same(tmp_path: Path) -> None:
    source, content = written(tmp_path, 3 << 20)

    def whole(step: int) -> bytes:
        return b"".join(p.tobytes() for p in pieces.pieces(source, 0, 3 << 20, step))

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(whole, [1 << 16, 1 << 18, 1 << 20, 100_000] * 8))
    assert all(result == content for result in results)


def test_a_piece_has_at_least_one_byte(tmp_path: Path) -> None:
    source, _ = written(tmp_path, 10)
    with pytest.raises(ValueError, match="at least one byte"):
        next(pieces.pieces(source, 0, 10, 0))


def test_notices_bytes_added_while_reading(tmp_path: Path) -> None:
    source, _ = written(tmp_path, 10_000)
    reading = pieces.pieces(source, 0, 10_000, 1000)
    next(reading)
    with Path(source.path).open("ab") as file:
        file.write(b"more")
    with pytest.raises(CheckpointError, match="changed while it was read"):
        next(reading)


def test_notices_other_bytes_of_the_same_size(tmp_path: Path) -> None:
    source, content = written(tmp_path, 10_000)
    path = Path(source.path)
    path.write_bytes(content[::-1])
    os.utime(path, ns=(0, source.stamp[3] + 1))
    with pytest.raises(CheckpointError, match="changed while it was read"):
        read(source, 0, 10)


def test_notices_another_file_in_its_place(tmp_path: Path) -> None:
    source, content = written(tmp_path, 10_000)
    other = tmp_path / "other"
    other.write_bytes(content)
    os.utime(other, ns=(0, source.stamp[3]))
    other.replace(source.path)
    with pytest.raises(CheckpointError, match="changed while it was read"):
        read(source, 0, 10)


def test_notices_a_file_cut_short_while_reading(tmp_path: Path) -> None:
    source, _ = written(tmp_path, 10_000)
    reading = pieces.pieces(source, 0, 10_000, 4000)
    next(reading)
    os.truncate(source.path, 4000)
    with pytest.raises(CheckpointError, match="ends at byte 4000, 10000 were there"):
        next(reading)


def test_notices_a_file_cut_inside_a_piece(tmp_path: Path) -> None:
    source, _ = written(tmp_path, 10_000)
    reading = pieces.pieces(source, 0, 10_000, 4000)
    next(reading)
    os.truncate(source.path, 6000)
    with pytest.raises(CheckpointError, match="cut short while it was read"):
        next(reading)


def test_notices_a_file_that_vanished(tmp_path: Path) -> None:
    source, _ = written(tmp_path, 10_000)
    Path(source.path).unlink()
    with pytest.raises(CheckpointError, match="no such file"):
        read(source, 0, 10)


def test_reports_a_failing_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, _ = written(tmp_path, 10_000)

    def broken(*_: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "preadv", broken)
    with pytest.raises(CheckpointError, match="cannot be read: input/output error"):
        read(source, 0, 10)


def test_a_reading_of_short_reads_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, content = written(tmp_path, 10_000)
    real = os.preadv

    def short(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        return real(descriptor, [buffers[0][:777]], offset)

    monkeypatch.setattr(os, "preadv", short)
    assert read(source, 100, 9100) == content[100:9100]


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    source, _ = written(tmp_path, 20_000)
    before = _descriptors()
    abandoned = [pieces.pieces(source, i, 20_000, 100) for i in range(50)]
    assert all(next(reading).size == 100 for reading in abandoned)
    assert _descriptors() >= before + 50
    abandoned.clear()
    for i in range(2000):
        read(source, i, i + 10)
    assert _descriptors() == before


def _descriptors() -> int:
    limit = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 4096)
    return sum(1 for descriptor in range(limit) if _is_open(descriptor))


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def test_a_file_of_twice_the_address_limit_is_read(tmp_path: Path) -> None:
    path = tmp_path / "holes"
    with path.open("wb") as file:
        file.truncate(512 << 20)
    program = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (256 << 20, 256 << 20))\n"
        "from initaudit.checkpoint.pieces import look, pieces\n"
        "source = look(sys.argv[1])\n"
        "print(sum(piece.size for piece in pieces(source, 0, source.size, 1 << 20)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == (str(512 << 20), "")


def test_refuses_what_is_no_regular_file(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "socket"))
    listening.close()
    for path, kind in (
        (tmp_path, "a folder"),
        (fifo, "a pipe"),
        (tmp_path / "socket", "a socket"),
        (Path("/dev/zero"), "a device"),
    ):
        with pytest.raises(CheckpointError, match=f"is {kind}, not a file"):
            look(path)


def test_refuses_what_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    cases = {
        tmp_path / "missing": "no such file",
        tmp_path / "missing" / "deeper": "no such file",
        loop: "too many levels of symbolic links",
        tmp_path / ("x" * 300): "file name too long",
        Path("a\0b"): "not a path of this system",
    }
    for path, reason in cases.items():
        with pytest.raises(CheckpointError, match=reason):
            look(path)
    secret, _ = written(tmp_path, 10)

    def denied(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(CheckpointError, match="permission denied; make the file readable"):
        look(secret.path)


def test_shows_a_path_that_is_not_utf8(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff\n.safetensors"
    with open(path, "wb") as file:  # noqa: PTH123  (a path of bytes)
        file.write(b"x")
    source = look(os.fsdecode(path))
    assert source.shown == str(tmp_path) + "/\\udcff\\n.safetensors"
    assert read(source, 0, 1) == b"x"
