from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from safetensors.numpy import save_file

from initaudit.checkpoint import reading
from initaudit.checkpoint.reading import (
    array,
    find_checkpoints,
    from_mapping,
    read_checkpoint,
)
from initaudit.checkpoint.stored import Checkpoint, CheckpointError

NATIVE = ["f8", "f4", "f2", "c8", "?", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1"]


def saved(path: Path, *names: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: np.ones((2, 3), np.float32) for name in names or ("weight",)}, path)
    return path


def indexed(folder: Path, stem: str = "model") -> Path:
    shard = f"{stem}-00001-of-00001.safetensors"
    saved(folder / shard, "weight")
    index = folder / f"{stem}.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"weight": shard}}))
    return index


def refusal(path: str | Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    assert str(caught.value).isprintable()
    return caught.value.reason


def values(checkpoint: Checkpoint) -> dict[str, Any]:
    return {stored.name: array(stored) for stored in checkpoint.arrays}


@given(
    tensors=st.dictionaries(
        st.text(min_size=1, max_size=8).filter(lambda name: name != "__metadata__"),
        st.sampled_from(NATIVE).flatmap(
            lambda kind: arrays_of.arrays(kind, arrays_of.array_shapes(min_dims=0, min_side=0))
        ),
        max_size=5,
    )
)
@settings(max_examples=60, deadline=None)
def test_values_are_those_that_the_library_wrote(
    tmp_path_factory: pytest.TempPathFactory, tensors: dict[str, Any]
) -> None:
    path = tmp_path_factory.getbasetemp() / "written.safetensors"
    save_file(tensors, path)
    found = values(read_checkpoint(path))
    assert found.keys() == tensors.keys()
    for name, expected in tensors.items():
        assert (found[name].dtype, found[name].shape) == (expected.dtype, expected.shape)
        assert found[name].tobytes() == expected.tobytes()


@pytest.mark.oracle
@pytest.mark.parametrize(
    "kind",
    ["bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz",
     "float8_e8m0fnu"],
)  # fmt: skip
def test_values_are_those_that_torch_wrote(tmp_path: Path, kind: str) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file as save_tensors

    width = 16 if kind == "bfloat16" else 8
    bits = np.arange(1 << width, dtype=f"u{width // 8}").reshape(4, -1)
    tensor = torch.from_numpy(bits.view(f"i{width // 8}")).view(getattr(torch, kind))
    save_tensors({"weight": tensor}, tmp_path / "model.safetensors")
    found = values(read_checkpoint(tmp_path))["weight"]
    assert np.array_equal(found, tensor.float().numpy(), equal_nan=True)


def test_reads_every_format_by_its_ending(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", weight=np.ones((2, 3), np.float32))
    np.save(tmp_path / "weight.npy", np.ones((2, 3), np.float32))
    paths = [
        saved(tmp_path / "a.safetensors"), saved(tmp_path / "B.SafeTensors"),
        indexed(tmp_path / "in"), tmp_path / "a.npz", tmp_path / "weight.npy",
    ]  # fmt: skip
    for path in paths:
        checkpoint = read_checkpoint(str(path))
        assert [(a.name, a.dtype, a.shape) for a in checkpoint.arrays] == [
            ("weight", "F32", (2, 3))
        ], path
        assert values(checkpoint)["weight"].tolist() == [[1.0] * 3] * 2


def test_reads_twenty_thousand_tensors(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file({f"layers.{i}.bias": np.full(3, i, np.float32) for i in range(20_000)}, path)
    found = values(read_checkpoint(path))
    assert len(found) == 20_000
    assert all(found[f"layers.{i}.bias"].tolist() == [i] * 3 for i in range(20_000))


def test_settings_come_with_the_weights(tmp_path: Path) -> None:
    saved(tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"hidden_act": "tanh"}')
    for path in (tmp_path, tmp_path / "model.safetensors"):
        config = read_checkpoint(path).config
        assert config is not None
        assert config.activation == "tanh"


def test_broken_settings_do_not_keep_the_weights_from_being_read(tmp_path: Path) -> None:
    saved(tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("{")
    checkpoint = read_checkpoint(tmp_path)
    assert (len(checkpoint.arrays), checkpoint.config) == (1, None)
    assert [unread.site.path for unread in checkpoint.unread] == [str(tmp_path / "config.json")]


@pytest.mark.parametrize(
    "name",
    ["model.bin", "model.pt", "model.PTH", "last.ckpt", "w.pkl", "pytorch_model.bin.index.json"],
)
def test_never_opens_a_pickle(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"cos\nsystem\n(S'touch executed'\ntR.")
    reason = refusal(tmp_path / name)
    assert "is a pickle, and loading one can run code, so it is never read" in reason
    assert "safetensors.torch.save_file" in reason
    assert f"holds no checkpoint that is read; {name} is a pickle" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["w.h5", "w.keras", "w.tflite", "w.gguf", "w.msgpack"])
def test_says_which_formats_are_not_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert "is of a format that is not read; save its weights as" in refusal(tmp_path / name)


def test_says_what_is_read_where_a_name_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    for path in (tmp_path / "notes.txt", tmp_path):
        assert ".safetensors, .npz" in refusal(path)


@pytest.mark.parametrize("ending", [*reading.FORMATS, *reading.REFUSED, ".txt"])
def test_what_is_no_file_is_refused_whatever_its_name(tmp_path: Path, ending: str) -> None:
    assert refusal(tmp_path / f"missing{ending}") == "no such file; check the path"
    fifo = tmp_path / f"fifo{ending}"
    os.mkfifo(fifo)
    assert "is a pipe, not a file" in refusal(fifo)
    loop = tmp_path / f"loop{ending}"
    loop.symlink_to(loop)
    assert "too many levels of symbolic links" in refusal(loop)


@pytest.mark.parametrize("ending", reading.FORMATS)
def test_an_empty_file_is_refused(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"a{ending}").touch()
    assert refusal(tmp_path / f"a{ending}").startswith("is ")


@pytest.mark.parametrize("path", ["/dev/zero", "a\0b", "x" * 5000])
def test_odd_paths_are_refused(path: str) -> None:
    assert refusal(path)


def test_reads_a_path_that_is_not_utf8(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\x1b.safetensors"))
    saved(tmp_path / "a.safetensors").rename(path)
    checkpoint = read_checkpoint(path)
    assert checkpoint.path == str(tmp_path) + "/\\udcff\\x1b.safetensors"
    assert checkpoint.path.encode()
    assert values(checkpoint)["weight"].shape == (2, 3)
    assert find_checkpoints(tmp_path) == [path]


def test_a_folder_prefers_its_index_and_mentions_what_else_it_holds(tmp_path: Path) -> None:
    index = indexed(tmp_path)
    saved(tmp_path / "model.safetensors", "old")
    saved(tmp_path / "adapter.safetensors", "apart")
    checkpoint = read_checkpoint(tmp_path)
    assert checkpoint.path == str(index)
    assert {unread.site.path for unread in checkpoint.unread} == {
        str(tmp_path / "model.safetensors"),
        str(tmp_path / "adapter.safetensors"),
    }


def test_a_folder_prefers_the_main_file(tmp_path: Path) -> None:
    saved(tmp_path / "model.safetensors")
    np.savez(tmp_path / "arrays.npz", x=np.ones(3))
    checkpoint = read_checkpoint(tmp_path)
    assert checkpoint.path == str(tmp_path / "model.safetensors")
    assert [u.site.path for u in checkpoint.unread] == [str(tmp_path / "arrays.npz")]


def test_a_folder_of_several_checkpoints_asks_for_one(tmp_path: Path) -> None:
    saved(tmp_path / "a.safetensors")
    saved(tmp_path / "b.safetensors")
    assert refusal(tmp_path) == (
        "holds 2 checkpoints (a.safetensors, b.safetensors); name one of them"
    )


def test_finds_checkpoints_in_all_folders(tmp_path: Path) -> None:
    expected = {
        indexed(tmp_path), indexed(tmp_path / "deep" / "er", "diffusion"),
        saved(tmp_path / "adapter.safetensors"), saved(tmp_path / "deep" / "model.safetensors"),
    }  # fmt: skip
    saved(tmp_path / "model.safetensors")
    saved(tmp_path / "model-00007-of-00009.safetensors")
    saved(tmp_path / ".hidden" / "model.safetensors")
    np.savez(tmp_path / "deep" / "arrays.npz", x=np.ones(3))
    expected.add(tmp_path / "deep" / "arrays.npz")
    np.save(tmp_path / "deep" / "data.npy", np.ones(3))
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "round").symlink_to(tmp_path)
    (tmp_path / "dangling.safetensors").symlink_to("nowhere")
    expected.add(tmp_path / "dangling.safetensors")
    found = find_checkpoints(str(tmp_path))
    assert found == sorted(expected)


def test_finds_shards_that_no_index_lists(tmp_path: Path) -> None:
    shards = [saved(tmp_path / f"model-0000{i}-of-00002.safetensors") for i in (1, 2)]
    assert find_checkpoints(tmp_path) == shards


def test_a_folder_that_cannot_be_entered_is_found_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    saved(tmp_path / "model.safetensors")
    scandir = os.scandir

    def denied(path: Any) -> Any:
        if Path(path) == closed:
            raise PermissionError(13, "Permission denied", str(closed))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    monkeypatch.setattr(os, "listdir", denied)
    assert find_checkpoints(tmp_path) == [closed, tmp_path / "model.safetensors"]
    assert refusal(closed) == "permission denied; make the file readable"


def test_a_folder_without_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    with pytest.raises(CheckpointError, match="holds no checkpoint; the names of those end in"):
        find_checkpoints(tmp_path)
    (tmp_path / "deep" / "pytorch_model.bin").touch()
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin is a pickle"):
        find_checkpoints(tmp_path)
    with pytest.raises(CheckpointError, match="no such folder"):
        find_checkpoints(tmp_path / "missing")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", NATIVE)
def test_takes_arrays_in_memory(kind: str, order: str) -> None:
    made = np.arange(24).reshape(2, 3, 4).astype(np.dtype(f"{order}{kind}"))
    tensors = {"c": made, "f": np.asfortranarray(made), "s": made[:, ::2], "0": made[0, 0, 0]}
    checkpoint = from_mapping(tensors, "model")
    assert (checkpoint.path, checkpoint.unread, checkpoint.aliases) == ("model", (), {})
    for name, found in values(checkpoint).items():
        assert (found.shape, found.tolist()) == (tensors[name].shape, tensors[name].tolist())


def test_pieces_of_memory_cannot_be_written_through() -> None:
    given = np.ones(4, np.float32)
    (piece,) = from_mapping({"x": given}, "m").arrays[0].pieces(100)
    with pytest.raises(ValueError, match="read-only"):
        piece[:] = 0
    given[:] = 2.0
    assert given.tolist() == [2.0] * 4


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("bfloat16", "BF16"), ("float8_e4m3fn", "F8_E4M3"), ("float8_e5m2", "F8_E5M2"),
        ("float8_e4m3fnuz", "F8_E4M3FNUZ"), ("float8_e5m2fnuz", "F8_E5M2FNUZ"),
        ("float8_e8m0fnu", "F8_E8M0"), ("float6_e2m3fn", "F32"), ("float6_e3m2fn", "F32"),
        ("float4_e2m1fn", "F32"), ("float8_e4m3b11fnuz", "F32"),
    ],
)  # fmt: skip
def test_takes_the_small_floats_of_ml_dtypes(kind: str, dtype: str) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    given = np.array([[0.5, 1.0, 2.0], [4.0, 1.0, 0.5]]).astype(getattr(ml_dtypes, kind))
    (stored,) = from_mapping({"x": given}, "m").arrays
    assert stored.dtype == dtype
    assert array(stored).tolist() == given.astype(np.float32).tolist()


def test_arrays_of_one_memory_are_aliases() -> None:
    given = np.arange(12, dtype=np.float32).reshape(3, 4)
    tensors = {
        "embed": given, "head": given, "view": given[:], "turned": given.T, "part": given[:2],
        "copy": given.copy(), "empty": given[:0], "void": given[:0], "bits": given.view(np.int32),
    }  # fmt: skip
    checkpoint = from_mapping(tensors, "m")
    assert checkpoint.aliases == {"head": "embed", "view": "embed"}
    assert [a.name for a in checkpoint.arrays] == [
        "embed", "turned", "part", "copy", "empty", "void", "bits",
    ]  # fmt: skip


def test_memory_used_again_is_no_alias() -> None:
    class OnDemand(dict[str, object]):
        def items(self) -> Any:
            return ((name, np.full(1000, index)) for index, name in enumerate("abcdef"))

    assert from_mapping(OnDemand(), "m").aliases == {}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "x is a NoneType, not an array"),
        (3, "x is a int, not an array"),
        ([1.0], "x is a list, not an array"),
        ({"y": 1}, "x is a dict, not an array"),
        (np.array([object()]), "x has the dtype object, which is not read"),
        (np.array(["a"]), "x has the dtype str32, which is not read"),
        (np.zeros(2, "c16"), "x has the dtype complex128, which is not read"),
    ],
)
def test_what_is_no_array_of_numbers_is_unread(value: object, reason: str) -> None:
    mapping = {"x": value, "y": np.ones(2), 7: np.ones(2)}
    checkpoint = from_mapping(mapping, "m")  # type: ignore[arg-type]
    assert [a.name for a in checkpoint.arrays] == ["y"]
    assert [u.reason for u in checkpoint.unread] == [
        reason, "7 has the name 7, which is not a string",
    ]  # fmt: skip


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("float64", "F64"), ("float32", "F32"), ("float16", "F16"), ("bfloat16", "BF16"),
        ("float8_e4m3fn", "F8_E4M3"), ("float8_e5m2", "F8_E5M2"), ("int64", "I64"),
        ("bool", "BOOL"), ("complex64", "C64"), ("uint8", "U8"),
    ],
)  # fmt: skip
def test_takes_tensors_of_torch(kind: str, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    made = torch.tensor([[0.0, 1.0, 2.0], [4.0, 1.0, 0.5]]).to(getattr(torch, kind))
    for tensor in (made, made.T):
        (stored,) = from_mapping({"x": tensor}, "m").arrays
        assert (stored.dtype, stored.shape) == (dtype, tuple(tensor.shape))
        expected = tensor.float() if kind.startswith(("bfloat", "float8")) else tensor
        assert array(stored).tolist() == expected.tolist()


@pytest.mark.oracle
def test_takes_the_state_of_a_model_with_tied_weights() -> None:
    torch = pytest.importorskip("torch")
    model = torch.nn.ModuleDict(
        {"embed": torch.nn.Embedding(5, 3), "head": torch.nn.Linear(3, 5, bias=False),
         "norm": torch.nn.BatchNorm1d(3)}
    )  # fmt: skip
    model["head"].weight = model["embed"].weight
    for mapping in (model.state_dict(), dict(model.named_parameters(remove_duplicate=False))):
        checkpoint = from_mapping(mapping, "m")
        assert checkpoint.aliases == {"head.weight": "embed.weight"}
        assert checkpoint.unread == ()
        for name, found in values(checkpoint).items():
            assert found.tolist() == mapping[name].tolist()


@pytest.mark.oracle
def test_a_tensor_without_values_is_unread() -> None:
    torch = pytest.importorskip("torch")
    checkpoint = from_mapping(
        {"a": torch.empty(3, device="meta"), "b": torch.empty(3, device="meta")}, "m"
    )
    assert (checkpoint.arrays, checkpoint.aliases) == ((), {})
    assert all("cannot be turned into an array" in u.reason for u in checkpoint.unread)


class Tensor:
    """What torch's tensors offer, without torch."""

    dtype = "torch.bfloat16"

    def detach(self) -> Tensor:
        return self

    def cpu(self) -> Tensor:
        return self

    def data_ptr(self) -> int:
        return 1

    def float(self) -> Tensor:
        widened = Tensor()
        widened.dtype = "torch.float32"
        return widened

    def numpy(self) -> Any:
        if self.dtype == "torch.bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        return np.array([1.5, 2.5], np.float32)


def test_widens_small_floats_whose_bits_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    (stored,) = from_mapping({"x": Tensor()}, "m").arrays
    assert (stored.dtype, array(stored).tolist()) == ("F32", [1.5, 2.5])


def test_imports_no_framework() -> None:
    program = (
        "import sys\n"
        "import initaudit.checkpoint.reading\n"
        "print(sorted({'torch', 'jax', 'tensorflow', 'ml_dtypes', 'safetensors'} & {*sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
