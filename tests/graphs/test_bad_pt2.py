"""Archives of torch.export that are damaged or hostile; made from a good one, without torch."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from initaudit.checkpoint import reading
from initaudit.checkpoint.stored import CheckpointError
from tests.command import FIXTURES, run
from tests.graphs.seen import read

GOOD = FIXTURES / "graphs" / "cnn.pt2"
Members = dict[str, bytes]
WEIGHTS = "cnn/data/weights/model_weights_config.json"
GRAPH = "cnn/models/model.json"


def members() -> Members:
    with zipfile.ZipFile(GOOD) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def written(folder: Path, content: Members, method: int = zipfile.ZIP_STORED) -> Path:
    path = folder / "m.pt2"
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def changed(folder: Path, name: str, change: Callable[[Any], object]) -> Path:
    """Write the archive with one of its JSON members changed in place."""
    content = members()
    document = json.loads(content[name])
    change(document)
    content[name] = json.dumps(document).encode()
    return written(folder, content)


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        reading.read_checkpoint(path)
    assert "\n" not in caught.value.reason
    return caught.value.reason


def test_the_archive_rewritten_is_read(tmp_path: Path) -> None:
    one = read(written(tmp_path, members()))
    assert one.reasons == ()
    assert one.network.layer("5").op == "linear"


def test_pickled_weights_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def pickled(document: Any) -> None:
        document["config"]["5.weight"]["use_pickle"] = True

    path = changed(tmp_path, WEIGHTS, pickled)
    ran = run(capsys, path, "--output-format", "json")
    assert ran.code == 2
    (entry,) = ran.report["unread"]
    assert "array 5.weight is stored as a pickle, which is never read" in entry["reason"]
    layers = {x["name"]: x for x in ran.report["networks"][0]["layers"]}
    assert layers["0"]["forward"] is not None


META = {
    "storage past its end": ({"storage_offset": {"as_int": 10**6}}, "its storage has"),
    "stride past its end": ({"strides": [{"as_int": 10**9}, {"as_int": 1}]}, "its storage has"),
    "sizes past its end": ({"sizes": [{"as_int": 10**6}, {"as_int": 10**6}]}, "its storage has"),
    "negative offset": ({"storage_offset": {"as_int": -4}}, "that no tensor can have"),
    "negative stride": ({"strides": [{"as_int": -64}, {"as_int": 1}]}, "that no tensor can have"),
    "too few strides": ({"strides": []}, "that no tensor can have"),
    "unknown dtype": ({"dtype": 99}, "has the unknown dtype code 99"),
    "a size that is none": ({"sizes": [{"as_int": "x"}, {"as_int": 1}]}, "is not described"),
    "a bool for a size": ({"sizes": [{"as_int": True}, {"as_int": 1}]}, "is not described"),
    "repeated without end": (
        {"sizes": [{"as_int": 1 << 20}, {"as_int": 1 << 20}],
         "strides": [{"as_int": 0}, {"as_int": 0}]},
        "is too large to be put in order",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", META)
def test_a_tensor_that_its_storage_cannot_hold_is_told(tmp_path: Path, case: str) -> None:
    entries, reason = META[case]

    def change(document: Any) -> None:
        document["config"]["5.weight"]["tensor_meta"].update(entries)

    checkpoint = reading.read_checkpoint(changed(tmp_path, WEIGHTS, change))
    (unread,) = checkpoint.unread
    assert reason in unread.reason
    assert "0.weight" in {stored.name for stored in checkpoint.arrays}


def test_a_transposed_tensor_is_put_in_order(tmp_path: Path) -> None:
    straight = read(GOOD).arrays("5.weight")

    def turned(document: Any) -> None:
        meta = document["config"]["5.weight"]["tensor_meta"]
        meta["sizes"], meta["strides"] = meta["sizes"][::-1], meta["strides"][::-1]

    checkpoint = reading.read_checkpoint(changed(tmp_path, WEIGHTS, turned))
    stored = next(s for s in checkpoint.arrays if s.name == "5.weight")
    np.testing.assert_array_equal(reading.array(stored), straight.T)


def test_a_member_without_a_name_is_passed_over(tmp_path: Path) -> None:
    content = {**members(), "unnamed": b"x"}
    path = written(tmp_path, content)
    raw = path.read_bytes()
    # Its entry of the directory: lengths of name, extra field and comment, which takes the name.
    at = raw.rindex(b"unnamed") - 18
    assert raw[at : at + 6] == b"\x07\0\0\0\0\0"
    path.write_bytes(raw[:at] + b"\0\0\0\0\x07\0" + raw[at + 6 :])
    assert read(path).reasons == ()


def test_compressed_members_are_refused(tmp_path: Path) -> None:
    assert "is compressed, which torch.export.save never does" in refusal(
        written(tmp_path, members(), zipfile.ZIP_DEFLATED)
    )


def test_a_bomb_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "m.pt2"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members().items():
            kind = zipfile.ZIP_DEFLATED if name.endswith("weight_0") else zipfile.ZIP_STORED
            content = bytes(1 << 24) if name.endswith("weight_0") else data
            archive.writestr(name, content, compress_type=kind)
    ran = run(capsys, path, "--output-format", "json")
    assert ran.code == 2
    assert any("is compressed" in entry["reason"] for entry in ran.report["unread"])


def test_a_missing_member_is_told(tmp_path: Path) -> None:
    content = members()
    del content["cnn/data/weights/weight_0"]
    (unread,) = reading.read_checkpoint(written(tmp_path, content)).unread
    assert "is not in the archive" in unread.reason


def test_an_archive_of_pickles_is_refused(tmp_path: Path) -> None:
    content = {"m/serialized_exported_program.json": b"{}", "m/serialized_state_dict.pt": b"x"}
    assert "keeps its weights as a pickle" in refusal(written(tmp_path, content))


def test_an_archive_without_a_graph_is_refused(tmp_path: Path) -> None:
    assert "holds no models/model.json" in refusal(written(tmp_path, {"m/x": b""}))


def test_big_endian_numbers_are_refused(tmp_path: Path) -> None:
    content = members()
    content["cnn/byteorder"] = b"big"
    assert "big-endian" in refusal(written(tmp_path, content))


@pytest.mark.parametrize("text", [b"{", b"[]", b"{}", b'{"graph_module": {}}', b"[" * 50000])
def test_a_graph_that_is_no_graph_is_refused(tmp_path: Path, text: bytes) -> None:
    content = members()
    content[GRAPH] = text
    assert "model.json" in refusal(written(tmp_path, content))


@pytest.mark.parametrize("share", [0.3, 0.95])
def test_a_truncated_archive_is_refused(tmp_path: Path, share: float) -> None:
    whole = GOOD.read_bytes()
    path = tmp_path / "m.pt2"
    path.write_bytes(whole[: int(len(whole) * share)])
    assert "is not a readable zip archive" in refusal(path)


def graph(change: Callable[[Any], object]) -> Callable[[Any], object]:
    return lambda document: change(document["graph_module"]["graph"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda g: g["nodes"].pop(0), "its graph is dangling"),
        (lambda g: g["nodes"][0].pop("inputs"), "its graph is damaged"),
        (lambda g: g["nodes"].append(g["nodes"][0]), "makes the value"),
    ],
)
def test_a_graph_that_does_not_hold_together_is_told(
    tmp_path: Path,
    change: Callable[[Any], object],
    reason: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = changed(tmp_path, GRAPH, graph(change))
    ran = run(capsys, path, "--output-format", "json")
    assert ran.code == 2
    (entry,) = ran.report["unread"]
    assert reason in entry["reason"]
    assert entry["reason"].endswith("its weights are judged by their names")
    assert ran.report["networks"]


def test_an_operator_that_is_not_known_ends_the_path(tmp_path: Path) -> None:
    def strange(document: Any) -> None:
        document["nodes"][2]["target"] = "torch.ops.mine.swirl.default"

    one = read(changed(tmp_path, GRAPH, graph(strange)))
    texts = [a.text for a in one.network.assumptions]
    assert texts == ["the operator mine.swirl (1 node) is not known; nothing behind it is reached"]
    assert one.network.layer("5").op == "linear"
