"""What cannot be judged gets one line that names it, and exit code 2; the rest is judged."""

from __future__ import annotations

import json
import os
import resource
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from initaudit import sending
from initaudit.checkpoint import statistics
from initaudit.checkpoint.stored import BITS, FLOATS
from tests.checkpoint.test_header import REFUSED
from tests.command import ROOT, Ran, framed, good, process, run, saved, stored
from tests.nets import Array, Arrays, he, mlp, normal

QUICK = ("--no-probe", "--samples", "16")
AS_JSON = ("--output-format", "json", *QUICK)
ONE, TWO = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
INDEX = "model.safetensors.index.json"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "1000")


def said(ran: Ran) -> list[str]:
    """Return the lines of the text report below "Not read"."""
    lines = iter(ran.out.splitlines())
    for line in lines:
        if line == "Not read":
            break
    found = []
    for line in lines:
        if not line:
            break
        found.append(line.removeprefix("  - "))
    return found


def refused(capsys: pytest.CaptureFixture[str], path: object, reason: str) -> None:
    """Hold that an input is refused in one line, and that the one behind it is judged."""
    beside = good(Path("beside.safetensors"))
    ran = run(capsys, path, beside, *QUICK)
    assert ran.code == 2
    assert ran.err == ""
    (line,) = said(ran)
    assert line.startswith(f"{path}")
    assert reason in line
    assert "Traceback" not in ran.out
    ran = run(capsys, path, beside, *AS_JSON)
    assert ran.code == 2
    assert [n["path"] for n in ran.report["networks"]] == [str(beside)]
    (only,) = ran.report["unread"]
    assert reason in only["reason"]
    assert "\n" not in only["reason"]


# A. Headers: all that the library refuses, and what it accepts that nobody should


def test_every_bad_header_gets_its_own_line_and_the_good_file_is_judged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    paths: dict[str, str] = {}
    for i, (content, reason) in enumerate(REFUSED.values()):
        path = Path(f"bad{i:03}.safetensors")
        path.write_bytes(content)
        paths[str(path)] = reason
    beside = good(Path("good.safetensors"))
    ran = run(capsys, *paths, beside, *AS_JSON)
    assert ran.code == 2
    assert ran.unread.keys() == paths.keys()
    for named, reason in paths.items():
        (line,) = ran.unread[named]
        assert reason in line
        assert "\n" not in line
    assert [n["path"] for n in ran.report["networks"]] == [str(beside)]
    text = run(capsys, *paths, beside, *QUICK)
    assert text.code == 2
    assert [text.out.count(path) for path in paths] == [1] * len(paths)


TENSOR = '{"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}'
BYTES = bytes(8)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (framed(f'{{"a": {TENSOR}, "a": {TENSOR}}}', BYTES), "twice"),
        (framed('{"__metadata__": {"a": "b", "a": "c"}}'), "twice"),
        (framed("{}"), "no weight matrix"),
        (framed(" \n{}"), "no weight matrix"),
        (
            framed('{"a": {"dtype": "F32", "shape": [0, 9223372036854775808],'
                   ' "data_offsets": [0, 0]}}'),
            "which no array in memory can have",
        ),
        (
            framed('{"a": {"dtype": "F32", "shape": [' + ",".join(["1"] * 70) + "],"
                   ' "data_offsets": [0, 4]}}', bytes(4)),
            "which no array in memory can have",
        ),
    ],
    ids=["a tensor twice", "metadata twice", "no tensors", "white space", "2^63", "70 axes"],
)  # fmt: skip
def test_what_the_library_accepts_and_nobody_should(
    capsys: pytest.CaptureFixture[str], content: bytes, reason: str
) -> None:
    Path("bad.safetensors").write_bytes(content)
    beside = good(Path("good.safetensors"))
    ran = run(capsys, "bad.safetensors", beside, *AS_JSON)
    assert ran.code == 2
    assert any(reason in line for line in ran.unread["bad.safetensors"])
    assert [n["path"] for n in ran.report["networks"]][-1] == str(beside)


def with_header(change: Callable[[dict[str, Any]], None], lead: str = "") -> bytes:
    arrays = mlp(np.random.default_rng(0), [16, 24, 24, 4], he)
    header: dict[str, Any] = {}
    data = b""
    for name, array in arrays.items():
        content = array.tobytes()
        header[name] = {"dtype": "F32", "shape": list(array.shape),
                        "data_offsets": [len(data), len(data) + len(content)]}  # fmt: skip
        data += content
    change(header)
    return framed(lead + json.dumps(header), data)


def renamed(name: str) -> Callable[[dict[str, Any]], None]:
    def change(header: dict[str, Any]) -> None:
        header[name] = header.pop("fc2.weight")

    return change


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (with_header(lambda h: None, lead=" \n\t"), "fc2"),
        (with_header(lambda h: h["fc1.bias"].update(extra=[1, {"a": None}])), "fc2"),
        (with_header(lambda h: h.update(__metadata__={"long": "x" * 5_000_000})), "fc2"),
        (with_header(renamed("")), None),
        (with_header(renamed("a\0b.weight")), "a\\x00b"),
        (with_header(renamed("a\x1b[31mred.weight")), "a\\x1b[31mred"),
        (with_header(renamed("a\nb\r\x85\u202ec.weight")), "a\\nb\\r\\x85\\u202ec"),
        (with_header(renamed("../../etc/passwd")), "../../etc/passwd"),
        (with_header(renamed("::error file=x::stop.weight")), "\\x3a:error"),
        (with_header(renamed("x" * 10_000 + ".weight")), "xxx"),
    ],
    ids=["white space", "an extra field", "5 MB of metadata", "no name", "NUL", "ANSI", "newlines",
         "dots", "a workflow command", "a long name"],
)  # fmt: skip
def test_what_is_odd_and_legal_is_judged_and_shown_escaped(
    capsys: pytest.CaptureFixture[str], content: bytes, shown: str | None
) -> None:
    Path("odd.safetensors").write_bytes(content)
    text = run(capsys, "odd.safetensors", *QUICK, "-v")
    assert text.code == 0
    assert text.err == ""
    printable = text.out.replace("\n", "")
    assert printable.isprintable()
    assert shown is None or shown in text.out
    assert not any(line.lstrip().startswith("::") for line in text.out.splitlines())
    ran = run(capsys, "odd.safetensors", *AS_JSON)
    assert ran.out.isascii()
    assert ran.report["networks"]
    assert ran.report["unread"] == []


# The list of the issue


def cut(path: Path) -> Path:
    whole = good(path).read_bytes()
    path.write_bytes(whole[:-100])
    return path


def test_no_such_file(capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, "absent.safetensors", "no such file")
    refused(capsys, "absent", "no such file")
    refused(capsys, "absent/folder/m.npz", "no such file")


def test_a_folder_without_checkpoint(capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty/inner").mkdir(parents=True)
    refused(capsys, "empty", "holds no")
    Path("empty/inner/pytorch_model.bin").write_bytes(b"\x80\x02.")
    refused(capsys, "empty", "pytorch_model.bin is a pickle")


def test_an_empty_file(capsys: pytest.CaptureFixture[str]) -> None:
    for ending in ("safetensors", "npz", "npy", INDEX.partition(".")[2]):
        path = Path(f"empty.{ending}")
        path.write_bytes(b"")
        refused(capsys, path, "not a readable" if ending == "npz" else "is empty")
        path.unlink()


def test_a_truncated_file(capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, cut(Path("cut.safetensors")), "it is truncated")
    np.savez("cut.npz", a=np.eye(50))
    Path("cut.npz").write_bytes(Path("cut.npz").read_bytes()[:-50])
    refused(capsys, "cut.npz", "")


def test_a_checkpoint_without_weight_matrix(capsys: pytest.CaptureFixture[str]) -> None:
    arrays: Arrays = {"bias": np.ones(3, np.float32), "ids": np.eye(4, dtype=np.int64),
                      "empty.weight": np.zeros((0, 4), np.float32)}  # fmt: skip
    refused(capsys, saved(Path("vectors.safetensors"), arrays), "holds no weight matrix")


def test_what_is_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo("pipe.safetensors")
    refused(capsys, "pipe.safetensors", "is a pipe")
    refused(capsys, "/dev/zero", "is a device")
    refused(capsys, "/dev/null", "is a device")
    Path("loop.safetensors").symlink_to("loop.safetensors")
    refused(capsys, "loop.safetensors", "symbolic links")
    Path("dangling.safetensors").symlink_to("nothing")
    refused(capsys, "dangling.safetensors", "no such file")


def test_a_path_that_is_too_long(capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(capsys, "x" * 300 + ".safetensors", good(Path("m.safetensors")), *QUICK)
    assert ran.code == 2
    (line,) = said(ran)
    assert line.startswith("xxx")
    assert "file name too long" in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    path = good(Path("secret.safetensors"))
    path.chmod(0)
    refused(capsys, path, "permission denied")


def test_other_formats_are_refused_unopened(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, reason in (
        ("model.pt", "is a pickle"),
        ("pytorch_model.bin", "is a pickle"),
        ("model.h5", "is of a format that is not read"),
        ("model.gguf", "is of a format that is not read"),
        ("model.weights", "is not a checkpoint that is read"),
    ):
        Path(name).write_bytes(b"cos\nsystem\n(S'touch touched'\ntR.")
        refused(capsys, name, reason)
    assert not Path("touched").exists()


def test_a_path_that_is_not_utf8(tmp_path: Path) -> None:
    name = b"caf\xe9.safetensors"
    good(tmp_path / "m.safetensors")
    Path("m.safetensors").rename(os.fsdecode(name))
    for words in ([name], [name, b"absent\xff.safetensors"]):
        ran = subprocess.run(
            [sys.executable.encode(), b"-m", b"initaudit", *words, *(w.encode() for w in AS_JSON)],
            env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=False,
        )  # fmt: skip
        assert ran.returncode == (0 if len(words) == 1 else 2)
        assert ran.stderr == b""
        document = json.loads(ran.stdout)
        assert len(document["networks"]) == 1
        assert "udce9" in document["networks"][0]["path"]


def test_a_path_with_escapes_cannot_act_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("\x1b[2Jcleared", "two\nlines", "back\rwards"):
        good(Path(f"{name}.safetensors"))
        Path(f"{name}2.safetensors").write_bytes(b"")
        ran = run(capsys, f"{name}.safetensors", f"{name}2.safetensors", *QUICK)
        assert ran.code == 2
        assert ran.out.replace("\n", "").isprintable()
        assert name not in ran.out


# Files that change while they are read


def changed(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(-4, os.SEEK_END)
        file.write(b"\0\0\0\1")
    os.utime(path, ns=(1, 1))


def replaced(path: Path) -> None:
    copy = Path(f"{path}.new")
    shutil.copy(path, copy)
    copy.replace(path)


def made_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "vanishes": (lambda path: path.unlink(), "no such file"),
    "shrinks": (lambda path: os.truncate(path, 200), "changed while it was read"),
    "changes": (changed, "changed while it was read"),
    "is replaced": (replaced, "changed while it was read"),
    "becomes a pipe": (made_a_pipe, "changed while it was read"),
}


@pytest.mark.parametrize("step", ["measure_all", "propagate"])
@pytest.mark.parametrize("what", CHANGES)
def test_a_file_that_changes_under_the_audit(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, what: str, step: str
) -> None:
    change, reason = CHANGES[what]
    path, beside = good(Path("m.safetensors")), good(Path("beside.safetensors"))
    owner: Any = statistics if step == "measure_all" else sending
    original = getattr(owner, step)
    touched: list[bool] = []

    def interfering(*args: Any, **options: Any) -> Any:
        if not touched:
            touched.append(True)
            change(path)
        return original(*args, **options)

    monkeypatch.setattr(owner, step, interfering)
    ran = run(capsys, path, beside, *AS_JSON)
    assert ran.code == 2
    assert any(reason in line for line in ran.unread["m.safetensors"])
    assert {n["path"] for n in ran.report["networks"]} >= {str(beside)}
    assert not any("unexpected" in line for line in ran.unread["m.safetensors"])


# D. Shards


def sharded(where: dict[str, Any] | None = None, **metadata: Any) -> Path:
    arrays = mlp(np.random.default_rng(0), [16, 24, 24, 4], he)
    first = {k: v for k, v in arrays.items() if not k.startswith("fc3")}
    second = {k: v for k, v in arrays.items() if k.startswith("fc3")}
    save_file(first, ONE)
    save_file(second, TWO)
    listed = {**dict.fromkeys(first, ONE), **dict.fromkeys(second, TWO)}
    listed = listed if where is None else {**listed, **where}
    Path(INDEX).write_text(json.dumps({"metadata": metadata, "weight_map": listed}))
    return Path(INDEX)


def test_shards_are_one_network_by_index_and_by_folder(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for path in (sharded(), "."):
        ran = run(capsys, path, *AS_JSON)
        assert (ran.code, ran.report["unread"]) == (0, [])
        (network,) = ran.report["networks"]
        assert network["coverage"] == 1
        assert [x["name"] for x in network["layers"] if x["op"] == "linear"] == [
            "fc1", "fc2", "fc3",
        ]  # fmt: skip


def test_shards_numbered_from_zero(capsys: pytest.CaptureFixture[str]) -> None:
    index = sharded()
    text = index.read_text().replace("00001-of", "00000-of")
    index.write_text(text)
    Path(ONE).rename("model-00000-of-00002.safetensors")
    assert run(capsys, index, *QUICK).code == 0


def test_a_missing_shard_leaves_the_rest_judged(capsys: pytest.CaptureFixture[str]) -> None:
    sharded()
    Path(TWO).unlink()
    for path in (INDEX, "."):
        ran = run(capsys, path, *AS_JSON)
        assert ran.code == 2
        (line,) = ran.unread[TWO]
        assert "no such file" in line
        assert "fc3.weight" in line
        assert len(ran.report["networks"]) == 1


def test_a_truncated_shard_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    sharded()
    Path(TWO).write_bytes(Path(TWO).read_bytes()[:-8])
    ran = run(capsys, INDEX, *AS_JSON)
    assert ran.code == 2
    assert "truncated" in ran.unread[TWO][0]


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ({"fc9.weight": TWO}, "fc9.weight"),
        ({"fc9.weight": "../outside.safetensors"}, "../outside.safetensors"),
        ({"fc9.weight": "/etc/passwd"}, "/etc/passwd"),
        ({"fc9.weight": "a\\b.safetensors"}, "b.safetensors"),
        ({"fc9.weight": "a\0b.safetensors"}, "b.safetensors"),
        ({"fc9.weight": ".."}, ".."),
        ({"fc9.weight": ""}, "fc9.weight"),
        ({"fc9.weight": 7}, "fc9.weight"),
        ({"fc9.weight": None}, "fc9.weight"),
        ({"fc9.weight": "absent.safetensors"}, "no such file"),
    ],
    ids=str,
)
def test_an_index_and_its_shards_must_agree(
    capsys: pytest.CaptureFixture[str], where: dict[str, Any], reason: str
) -> None:
    Path("../outside.safetensors").write_bytes(b"")
    beside = good(Path("zz.safetensors"))
    ran = run(capsys, sharded(where), beside, *AS_JSON)
    assert ran.code == 2
    lines = [f"{path}: {line}" for path, found in ran.unread.items() for line in found]
    assert any(reason in line for line in lines)
    assert all("unexpected" not in line for line in lines)
    assert str(beside) in {n["path"] for n in ran.report["networks"]}


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b'{"weight_map": []}', b'{"weight_map": {}}', b"\xff", b"null",
     b'{"weight_map": {"a": "x.safetensors", "a": "y.safetensors"}}', b"{" * 10_000],
)  # fmt: skip
def test_a_malformed_index(capsys: pytest.CaptureFixture[str], content: bytes) -> None:
    Path(INDEX).write_bytes(content)
    refused(capsys, INDEX, "")


def test_a_tensor_that_no_index_lists_and_one_in_two_shards(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sharded()
    extra = {"extra.weight": np.eye(4, dtype=np.float32)}
    with_extra = {"fc3.bias": np.zeros(4, np.float32), **extra}
    weight = he(np.random.default_rng(1), (4, 24)).astype(np.float32)
    save_file({"fc3.weight": weight, **with_extra}, TWO)
    ran = run(capsys, INDEX, *AS_JSON)
    assert ran.code == 2
    assert any("extra.weight" in line for line in ran.unread[TWO])


def test_a_copy_beside_the_index_is_said_and_no_failure(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sharded()
    good(Path("model.safetensors"))
    ran = run(capsys, ".", *AS_JSON)
    assert ran.code == 0
    assert len(ran.report["networks"]) == 1
    assert any("model.safetensors" in path for path in ran.unread)


def test_a_wrong_total_is_said_and_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(capsys, sharded(total_size=12), *AS_JSON)
    assert any("12" in line for lines in ran.unread.values() for line in lines)
    assert len(ran.report["networks"]) == 1


def test_the_links_of_a_hub_cache_are_followed(capsys: pytest.CaptureFixture[str]) -> None:
    sharded()
    Path("blobs").mkdir()
    snapshot = Path("snapshots/main")
    snapshot.mkdir(parents=True)
    for i, name in enumerate((ONE, TWO, INDEX)):
        Path(name).rename(f"blobs/{i}")
        (snapshot / name).symlink_to(f"../../blobs/{i}")
    for path in (snapshot / INDEX, snapshot):
        ran = run(capsys, path, *AS_JSON)
        assert (ran.code, ran.report["unread"]) == (0, [])
        assert ran.report["networks"][0]["coverage"] == 1


# Settings beside the weights


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"a": NaN}'])
def test_settings_that_cannot_be_read_do_not_stop_the_audit(
    capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    good(Path("m.safetensors"))
    Path("config.json").write_bytes(content)
    ran = run(capsys, "m.safetensors", *AS_JSON)
    assert ran.code == 0
    assert len(ran.report["networks"]) == 1
    assert (content == b'{"a": NaN}') or "config.json" in ran.unread


# E. Containers


def test_archives_that_lie(capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("objects.npz", a=np.array([{}, None], object), b=he(np.random.default_rng(0), (8, 8)))
    ran = run(capsys, "objects.npz", *AS_JSON)
    assert ran.code == 2
    assert len(ran.report["networks"]) == 1
    assert any("a" in line for line in ran.unread["objects.npz"])
    np.savez_compressed("bomb.npz", a=np.zeros((4096, 8192), np.float32), b=np.eye(4))
    assert run(capsys, "bomb.npz", *QUICK).code in (0, 1, 2)
    Path("fake.npz").write_bytes(b"PK\x03\x04 not a zip")
    refused(capsys, "fake.npz", "")


# B. Values


BOUNDS = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn, "F8_E5M2": ml_dtypes.float8_e5m2,
    "F8_E4M3FNUZ": ml_dtypes.float8_e4m3fnuz, "F8_E5M2FNUZ": ml_dtypes.float8_e5m2fnuz,
}  # fmt: skip
INFINITE = ("F64", "F32", "F16", "BF16", "F8_E5M2")
SIZE = (640, 700)


def planted(dtype: Any, value: float, place: int) -> Array:
    rng = np.random.default_rng(3)
    weight = rng.normal(0, 0.1, SIZE).astype(dtype)
    weight.reshape(-1)[place] = value
    return np.asarray(weight)


def one_tensor(path: Path, dtype: str, array: Array) -> Path:
    return stored(path, {"fc.weight": (dtype, array.shape, array.tobytes())})


@pytest.mark.parametrize("dtype", BOUNDS)
def test_one_bad_value_is_found_wherever_it_stands(
    capsys: pytest.CaptureFixture[str], dtype: str
) -> None:
    count = SIZE[0] * SIZE[1]
    size = np.dtype(BOUNDS[dtype]).itemsize
    edge = (1 << 18) // size
    for place in (0, count - 1, edge - 1, edge, edge + 1):
        for value in (np.nan, np.inf, -np.inf) if dtype in INFINITE else (np.nan,):
            path = one_tensor(Path("m.safetensors"), dtype, planted(BOUNDS[dtype], value, place))
            ran = run(capsys, path, *AS_JSON, "--select", "IA301")
            (found,) = ran.report["findings"]
            assert ran.code == 1
            facts = found["facts"]
            assert (facts["nans"], facts["infs"]) == ((1, 0) if value != value else (0, 1))


@pytest.mark.parametrize("part", [complex(np.nan, 0), complex(0, np.nan), complex(np.inf, 0)])
def test_a_bad_part_of_a_complex_number_is_found(
    capsys: pytest.CaptureFixture[str], part: complex
) -> None:
    rng = np.random.default_rng(0)
    weight = (rng.normal(0, 1, (32, 32)) + 1j * rng.normal(0, 1, (32, 32))).astype(np.complex64)
    weight[7, 5] = part
    ran = run(capsys, one_tensor(Path("m.safetensors"), "C64", weight), *AS_JSON)
    assert ran.code == 1
    assert [f["rule"] for f in ran.report["findings"]] == ["IA301"]


def test_a_bad_scale_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    codes = np.full((32, 32), 127, np.uint8)
    codes[0, 0] = 255
    path = one_tensor(Path("m.safetensors"), "F8_E8M0", codes)
    assert "IA301" in {f["rule"] for f in run(capsys, path, *AS_JSON).report["findings"]}


SHAPES: tuple[tuple[int, ...], ...] = ((), (0,), (1,), (24,), (8, 24), (2, 2, 3, 2, 2), (0, 5))


@pytest.mark.parametrize("dtype", sorted(BITS))
def test_every_dtype_and_shape_is_judged_beside_a_network(
    capsys: pytest.CaptureFixture[str], dtype: str
) -> None:
    arrays = mlp(np.random.default_rng(0), [16, 24, 24, 4], he)
    content = {name: ("F32", a.shape, a.tobytes()) for name, a in arrays.items()}
    for i, shape in enumerate(SHAPES):
        bits = int(np.prod(shape, dtype=int)) * BITS[dtype]
        # The library refuses a tensor that ends within a byte.
        if bits % 8 == 0:
            codes = np.resize(np.array([1, 0, 0, 1, 1, 0, 1], np.uint8), bits // 8).tobytes()
            content[f"extra{i}.scale"] = (dtype, shape, codes)
    ran = run(capsys, stored(Path("m.safetensors"), content), *AS_JSON)
    assert ran.code in (0, 1)
    assert ran.err == ""
    assert ran.report["unread"] == []
    assert len(ran.report["networks"]) == 1
    assert all(f["severity"] == "note" for f in ran.report["findings"]) or dtype in FLOATS


def test_booleans_that_are_neither_0_nor_1_are_judged(capsys: pytest.CaptureFixture[str]) -> None:
    arrays = mlp(np.random.default_rng(0), [16, 24, 24, 4], he)
    content = {name: ("F32", a.shape, a.tobytes()) for name, a in arrays.items()}
    path = stored(Path("m.safetensors"), {**content, "mask": ("BOOL", (2, 2), b"\0\1\2\xff")})
    assert run(capsys, path, *QUICK).code == 0


@pytest.mark.parametrize("value", [np.finfo(np.float32).max, 1e-45, -0.0, 1e-38, 3e38])
def test_extreme_values_are_judged_without_a_warning_of_numpy(
    capsys: pytest.CaptureFixture[str], value: float
) -> None:
    rng = np.random.default_rng(0)
    arrays = mlp(rng, [16, 24, 24, 4], he)
    arrays["fc2.weight"] = (rng.choice([-1, 1], (24, 24)) * value).astype(np.float32)
    ran = run(capsys, saved(Path("m.safetensors"), arrays), "--output-format", "json")
    assert ran.code == 1
    assert ran.err == ""
    assert ran.report["unread"] == []


def test_doubles_beyond_single_precision_are_judged(capsys: pytest.CaptureFixture[str]) -> None:
    for scale, code in ((1e150, 1), (1e-150, 1), (1e-300, 1), (1e300, 0)):
        rng = np.random.default_rng(0)
        arrays = mlp(rng, [16, 24, 24, 4], normal(scale), dtype=np.float64)
        ran = run(capsys, saved(Path("m.safetensors"), arrays), "--output-format", "json")
        assert (ran.code, ran.err) == (code, "")
        assert ran.report["unread"] == []


# Legal: small, empty, many


def test_twenty_thousand_tensors_are_judged(capsys: pytest.CaptureFixture[str]) -> None:
    header, data = {}, b""
    vector = np.zeros(4, np.float32).tobytes()
    for i in range(20_000):
        header[f"blocks.{i}.norm.bias"] = {
            "dtype": "F32", "shape": [4], "data_offsets": [len(vector) * i, len(vector) * (i + 1)],
        }  # fmt: skip
    data = vector * 20_000
    arrays = mlp(np.random.default_rng(0), [16, 24, 24, 4], he)
    for name, array in arrays.items():
        content = array.tobytes()
        span = [len(data), len(data) + len(content)]
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": span}
        data += content
    Path("m.safetensors").write_bytes(framed(json.dumps(header), data))
    ran = run(capsys, "m.safetensors", *AS_JSON)
    assert ran.code == 0
    (network,) = ran.report["networks"]
    assert network["coverage"] > 0


def test_0d_empty_and_10d_tensors_are_judged(capsys: pytest.CaptureFixture[str]) -> None:
    arrays = mlp(np.random.default_rng(0), [16, 24, 24, 4], he) | {
        "bn.num_batches_tracked": np.array(3, np.int64),
        "scale": np.array(1.5, np.float32),
        "nothing": np.zeros((0, 7), np.float32),
        "state": np.random.default_rng(1).normal(0, 1, (1, 2) * 5).astype(np.float32),
    }
    ran = run(capsys, saved(Path("m.safetensors"), arrays), *AS_JSON)
    assert (ran.code, ran.report["unread"]) == (0, [])


# F. The environment


def test_a_file_larger_than_the_memory_allowed_is_judged() -> None:
    """640 MiB, sparse on the disk, under an address space of 256 MiB."""
    matrices, width = 10, 4096
    size = width * width * 4
    header = {
        f"layers.{i}.mlp.up_proj.weight": {
            "dtype": "F32", "shape": [width, width], "data_offsets": [i * size, (i + 1) * size],
        }
        for i in range(matrices)
    }  # fmt: skip
    text = json.dumps(header).encode()
    with Path("large.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + matrices * size)

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (256 << 20, 256 << 20))

    ran = process("large.safetensors", *AS_JSON, preexec_fn=limited)
    assert ran.stderr == ""
    assert ran.returncode in (0, 1)
    document = json.loads(ran.stdout)
    assert document["unread"] == []
    assert [f["rule"] for f in document["findings"]] == ["IA101"]
    assert "memory" in document["networks"][0]["stopped"][0]["reason"]


def test_a_network_that_does_not_fit_in_memory_is_judged_by_its_weights(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_room(*_: Any, **__: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(sending, "propagate", without_room)
    arrays = mlp(np.random.default_rng(0), [64, *[64] * 6, 4], lambda r, s: r.normal(0, 1e-3, s))
    path, beside = saved(Path("m.safetensors"), arrays), good(Path("beside.safetensors"))
    ran = run(capsys, path, beside, *AS_JSON, "--activation", "relu")
    assert "IA103" in {f["rule"] for f in ran.report["findings"]}
    assert ran.code == 1
    for network in ran.report["networks"]:
        assert "memory" in network["stopped"][0]["reason"]


def test_nothing_on_disk_changes_whatever_the_input(capsys: pytest.CaptureFixture[str]) -> None:
    sharded()
    cut(Path("cut.safetensors"))
    Path("config.json").write_text('{"hidden_act": "relu"}')
    np.savez("a.npz", a=np.eye(3))
    before = {
        p: (p.stat().st_mtime_ns, p.stat().st_size, p.stat().st_ino) for p in Path().iterdir()
    }
    run(capsys, ".", INDEX, "cut.safetensors", "absent", *QUICK)
    after = {p: (p.stat().st_mtime_ns, p.stat().st_size, p.stat().st_ino) for p in Path().iterdir()}
    assert after == before
