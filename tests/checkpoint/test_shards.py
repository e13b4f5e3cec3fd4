from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from initaudit.checkpoint.shards import read_file, read_index
from initaudit.checkpoint.stored import Checkpoint, CheckpointError

ONE, TWO = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
WHERE = {"a.weight": ONE, "a.bias": ONE, "b.weight": TWO, "b.bias": TWO}


def saved(path: Path, *names: str, metadata: dict[str, str] | None = None) -> None:
    arrays = {name: np.full((2, 3), index, np.float32) for index, name in enumerate(names)}
    save_file(arrays, path, metadata=metadata)


def sharded(folder: Path, where: Mapping[str, Any] = WHERE, **metadata: Any) -> Path:
    saved(folder / ONE, "a.weight", "a.bias")
    saved(folder / TWO, "b.weight", "b.bias")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": metadata, "weight_map": where}))
    return index


def names(checkpoint: Checkpoint) -> set[str]:
    return {array.name for array in checkpoint.arrays}


def reasons(checkpoint: Checkpoint) -> list[str]:
    return [unread.reason for unread in checkpoint.unread]


def test_reads_one_file_with_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    saved(path, "x", "y", metadata={"format": "np"})
    checkpoint = read_file(path)
    assert [(a.name, a.dtype, a.shape, a.path) for a in checkpoint.arrays] == [
        ("x", "F32", (2, 3), str(path)),
        ("y", "F32", (2, 3), str(path)),
    ]
    (piece,) = checkpoint.arrays[1].pieces(1 << 20)
    assert piece.view(np.float32).tolist() == [1.0] * 6
    assert (checkpoint.unread, checkpoint.aliases) == ((), {})
    assert checkpoint.metadata == {"format": "np"}


def test_metadata_that_names_a_kept_tensor_is_an_alias(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    metadata = {"lm_head.weight": "embed.weight", "pt": "embed.weight", "note": "hello"}
    saved(path, "embed.weight", "pt", metadata=metadata)
    assert read_file(path).aliases == {"lm_head.weight": "embed.weight"}


@pytest.mark.oracle
def test_aliases_are_those_that_save_model_writes(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_model

    class Tied(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.embed = torch.nn.Embedding(5, 3)
            self.head = torch.nn.Linear(3, 5, bias=False)
            self.head.weight = self.embed.weight

    save_model(Tied(), str(tmp_path / "model.safetensors"))
    checkpoint = read_file(tmp_path / "model.safetensors")
    assert len(checkpoint.arrays) == 1
    assert {*checkpoint.aliases, *names(checkpoint)} == {"embed.weight", "head.weight"}


def test_a_shape_no_array_can_have_is_unread_and_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    described = {
        "deep": {"dtype": "U8", "shape": [1] * 70, "data_offsets": [0, 1]},
        "fine": {"dtype": "U8", "shape": [1] * 10, "data_offsets": [1, 2]},
        "wide": {"dtype": "U8", "shape": [0, 2**63], "data_offsets": [2, 2]},
    }
    text = json.dumps(described).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"\1\2")
    checkpoint = read_file(path)
    assert names(checkpoint) == {"fine"}
    assert [unread.site.tensor for unread in checkpoint.unread] == ["deep", "wide"]


def test_reads_all_shards_of_an_index(tmp_path: Path) -> None:
    checkpoint = read_index(sharded(tmp_path, total_size=96))
    assert names(checkpoint) == set(WHERE)
    assert checkpoint.unread == ()
    assert checkpoint.path == str(tmp_path / "model.safetensors.index.json")
    assert {a.path for a in checkpoint.arrays} == {str(tmp_path / ONE), str(tmp_path / TWO)}


def test_reads_shards_numbered_from_zero_and_an_index_without_metadata(tmp_path: Path) -> None:
    zero = "model-00000-of-00001.safetensors"
    saved(tmp_path / zero, "x")
    index = tmp_path / "other.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"x": zero}}))
    assert names(read_index(index)) == {"x"}


def test_follows_the_links_of_a_hub_cache(tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "rev"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    index = sharded(blobs)
    for number, file in enumerate((ONE, TWO, index.name)):
        (blobs / file).rename(blobs / f"sha{number}")
        (snapshot / file).symlink_to(Path("../../blobs") / f"sha{number}")
    checkpoint = read_index(snapshot / index.name)
    assert (names(checkpoint), checkpoint.unread) == (set(WHERE), ())


def test_a_missing_shard_is_unread_and_the_rest_is_read(tmp_path: Path) -> None:
    index = sharded(tmp_path, total_size=96)
    (tmp_path / TWO).unlink()
    checkpoint = read_index(index)
    assert names(checkpoint) == {"a.weight", "a.bias"}
    (unread,) = checkpoint.unread
    assert unread.site.path == str(tmp_path / TWO)
    assert unread.reason == (
        "no such file; check the path; not judged: 2 tensors (b.weight, b.bias)"
    )


def test_a_truncated_shard_is_unread_and_the_rest_is_read(tmp_path: Path) -> None:
    index = sharded(tmp_path)
    os.truncate(tmp_path / ONE, (tmp_path / ONE).stat().st_size - 8)
    checkpoint = read_index(index)
    assert names(checkpoint) == {"b.weight", "b.bias"}
    (reason,) = reasons(checkpoint)
    assert "it is truncated" in reason
    assert "not judged: 2 tensors (a.weight, a.bias)" in reason


def test_a_listed_tensor_that_its_shard_lacks_is_unread(tmp_path: Path) -> None:
    checkpoint = read_index(sharded(tmp_path, {**WHERE, "c.weight": TWO}))
    assert names(checkpoint) == set(WHERE)
    (unread,) = checkpoint.unread
    assert unread.site.tensor == "c.weight"
    assert unread.reason == (f"{TWO} lacks 1 tensor (c.weight) that the index lists there")


def test_a_tensor_the_index_does_not_list_is_unread(tmp_path: Path) -> None:
    listed = {name: shard for name, shard in WHERE.items() if name != "b.bias"}
    checkpoint = read_index(sharded(tmp_path, listed))
    assert names(checkpoint) == set(listed)
    (unread,) = checkpoint.unread
    assert (unread.site.path, unread.site.tensor) == (str(tmp_path / TWO), "b.bias")
    assert unread.reason == "holds 1 tensor (b.bias) that the index does not list here; not judged"


def test_of_a_tensor_in_two_shards_the_listed_one_is_read(tmp_path: Path) -> None:
    index = sharded(tmp_path)
    saved(tmp_path / TWO, "b.weight", "b.bias", "a.weight")
    checkpoint = read_index(index)
    assert [a.path for a in checkpoint.arrays if a.name == "a.weight"] == [str(tmp_path / ONE)]
    assert "1 tensor (a.weight) that the index does not list here" in reasons(checkpoint)[0]


def test_a_listed_name_that_its_shard_holds_under_another_is_no_fault(tmp_path: Path) -> None:
    index = sharded(tmp_path, {**WHERE, "head.weight": ONE})
    saved(tmp_path / ONE, "a.weight", "a.bias", metadata={"head.weight": "a.weight"})
    checkpoint = read_index(index)
    assert (checkpoint.unread, checkpoint.aliases) == ((), {"head.weight": "a.weight"})


def test_a_tensor_listed_under_its_other_name_only_is_read(tmp_path: Path) -> None:
    index = sharded(tmp_path, {"head.weight": ONE, "a.bias": ONE, "b.weight": TWO, "b.bias": TWO})
    saved(tmp_path / ONE, "a.weight", "a.bias", metadata={"head.weight": "a.weight"})
    checkpoint = read_index(index)
    assert (names(checkpoint), checkpoint.unread) == (set(WHERE), ())
    assert checkpoint.aliases == {"head.weight": "a.weight"}


def test_no_alias_of_a_tensor_that_is_not_read(tmp_path: Path) -> None:
    index = sharded(tmp_path, {"a.bias": ONE})
    saved(tmp_path / ONE, "a.weight", "a.bias", metadata={"head.weight": "a.weight"})
    checkpoint = read_index(index)
    assert (names(checkpoint), checkpoint.aliases) == ({"a.bias"}, {})


@pytest.mark.parametrize("total", [95, 97, 1e30])
def test_a_wrong_total_size_is_said(tmp_path: Path, total: float) -> None:
    checkpoint = read_index(sharded(tmp_path, total_size=total))
    assert names(checkpoint) == set(WHERE)
    assert reasons(checkpoint) == [
        f"the index says total_size {total:.0f}, its shards hold 96 bytes; parts may be missing"
    ]


@pytest.mark.parametrize("total", [96, 96.0, None, "96", True])
def test_a_right_or_unusable_total_size_is_no_fault(tmp_path: Path, total: object) -> None:
    assert read_index(sharded(tmp_path, total_size=total)).unread == ()


@pytest.mark.parametrize(
    "stray", ["model.safetensors", "model-00003-of-00003.safetensors"], ids=["whole", "older shard"]
)
def test_another_copy_of_the_model_beside_the_index_is_said(tmp_path: Path, stray: str) -> None:
    index = sharded(tmp_path)
    saved(tmp_path / stray, "old")
    saved(tmp_path / "adapter_model.safetensors", "apart")
    checkpoint = read_index(index)
    assert names(checkpoint) == set(WHERE)
    (unread,) = checkpoint.unread
    assert unread.site.path == str(tmp_path / stray)
    assert "does not list it; not judged" in unread.reason


@pytest.mark.parametrize(
    "shard",
    [
        "../x.safetensors", "..", ".", "/etc/x.safetensors", "sub/x.safetensors",
        "..\\x.safetensors", "C:\\x.safetensors", "x\0.safetensors", "x\n.safetensors", "",
        "x.bin", 7, None, ["x.safetensors"],
    ],
)  # fmt: skip
def test_refuses_an_index_that_names_no_file_of_its_folder(tmp_path: Path, shard: object) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    saved(tmp_path / "x.safetensors", "c.weight")
    with pytest.raises(CheckpointError, match=r"places tensor c\.weight in ") as caught:
        read_index(sharded(folder, {**WHERE, "c.weight": shard}))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"{", "is not a JSON index"),
        (b"\xff", "is not a JSON index"),
        (b"[" * 100_000, "is not a JSON index"),
        (b"[]", 'has no "weight_map"'),
        (b"{}", 'has no "weight_map"'),
        (b'{"weight_map": []}', 'has no "weight_map"'),
        (b'{"weight_map": {"a": "x.safetensors", "a": "y.safetensors"}}', "key a stands twice"),
    ],
)
def test_refuses_a_malformed_index(tmp_path: Path, content: bytes, reason: str) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_bytes(content)
    with pytest.raises(CheckpointError, match=reason) as caught:
        read_index(index)
    assert str(caught.value).isprintable()


def test_refuses_an_index_none_of_whose_shards_can_be_read(tmp_path: Path) -> None:
    index = sharded(tmp_path)
    (tmp_path / ONE).unlink()
    (tmp_path / TWO).write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"none of its 2 shards could be read; the first is"):
        read_index(index)


def test_what_many_tensors_share_is_said_once(tmp_path: Path) -> None:
    where = {f"layer{i}": ONE for i in range(500)}
    (absent, unlisted, _) = read_index(sharded(tmp_path, {**where, "b.bias": TWO})).unread
    assert absent.reason.startswith(f"{ONE} lacks 500 tensors (layer0, layer1, layer2, ...)")
    assert unlisted.reason.startswith("holds 2 tensors (a.bias, a.weight) that")
