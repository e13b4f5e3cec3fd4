"""ONNX files that are damaged, hostile or beyond what is known: one clear line, no more is lost."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import initaudit
from initaudit.checkpoint import reading
from initaudit.checkpoint.stored import CheckpointError
from tests.command import run
from tests.graphs.make import mlp, model, node, random, saved
from tests.graphs.seen import read, sent

pytest.importorskip("onnx")


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        reading.read_checkpoint(path)
    assert "\n" not in caught.value.reason
    return caught.value.reason


def outside(made: Any, folder: Path, data: bytes, **entries: str) -> Path:
    """Write a model whose first weight is kept in another file."""
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = 1
    for key, value in entries.items():
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    (folder / "weights.bin").write_bytes(data)
    return saved(made, folder / "m.onnx")


def test_without_the_package_one_line_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = saved(mlp(), tmp_path / "m.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert refusal(path) == (
        'needs the package onnx, which is not installed: pip install "initaudit[onnx]"'
    )
    assert run(capsys, path).code == 2


@pytest.mark.parametrize("size", [1, 40, 300])
def test_a_truncated_model_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], size: int
) -> None:
    whole = mlp().SerializeToString()
    (tmp_path / "m.onnx").write_bytes(whole[:size])
    assert "is not a readable ONNX model" in refusal(tmp_path / "m.onnx")
    ran = run(capsys, tmp_path / "m.onnx")
    assert ran.code == 2
    assert "Traceback" not in ran.out + ran.err


@pytest.mark.parametrize("content", [b"", b"\x00" * 64, b"hello", b"\x08\x0a"])
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "m.onnx").write_bytes(content)
    assert refusal(tmp_path / "m.onnx").startswith(("is ", "holds no graph"))


@pytest.mark.parametrize(
    "location", ["../weights.bin", "/etc/passwd", "a/../../weights.bin", "C:\\w", "..\\w", ""]
)
def test_external_data_outside_of_the_folder_is_refused(
    tmp_path: Path, location: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    (tmp_path / "weights.bin").write_bytes(bytes(1000))
    path = outside(mlp(), folder, bytes(1000), location=location)
    ran = run(capsys, path, "--output-format", "json")
    assert ran.code == 2
    reasons = [entry["reason"] for entry in ran.report["unread"]]
    assert any("outside of the model's folder and is not read" in r for r in reasons)
    # The other weight is still judged.
    (network,) = ran.report["networks"]
    assert "fc2" in {layer["name"] for layer in network["layers"]}


def test_a_location_of_any_length_is_told_in_one_short_line(tmp_path: Path) -> None:
    path = outside(mlp(), tmp_path, bytes(1000), location="a" * 5000)
    (told,) = read(path).reasons
    assert "has a name of 5000 characters" in told
    assert len(told) < 400


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    path = outside(mlp(), folder, b"", location="weights.bin")
    (folder / "weights.bin").unlink()
    (tmp_path / "secret").write_bytes(bytes(1000))
    (folder / "weights.bin").symlink_to(tmp_path / "secret")
    (unread,) = reading.read_checkpoint(path).unread
    assert "is a link out of the model's folder" in unread.reason


def test_links_of_a_download_cache_are_followed(tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots"
    blobs.mkdir()
    snapshot.mkdir()
    weight = random(6, 8)
    path = outside(mlp(), blobs, weight.tobytes(), location="weights.bin")
    for name in ("m.onnx", "weights.bin"):
        (snapshot / name).symlink_to(blobs / name)
    path = snapshot / "m.onnx"
    one = read(path)
    assert one.reasons == ()
    np.testing.assert_array_equal(one.arrays("fc1.weight"), weight)


@pytest.mark.parametrize(
    ("entries", "size", "reason"),
    [
        ({}, 100, "has 100 bytes, an array is said to end at 192"),
        ({"offset": "900"}, 1000, "an array is said to end at 1092"),
        ({"offset": "-4"}, 1000, "its offset -4 is no whole number from 0"),
        ({"length": "8"}, 1000, "holds 8 bytes for an array whose shape needs 192"),
        ({"offset": "9" * 30}, 1000, "is no whole number from 0"),
    ],
)
def test_external_data_that_does_not_fit_its_file_is_told(
    tmp_path: Path, entries: dict[str, str], size: int, reason: str
) -> None:
    path = outside(mlp(), tmp_path, bytes(size), location="weights.bin", **entries)
    checkpoint = reading.read_checkpoint(path)
    (unread,) = checkpoint.unread
    assert reason in unread.reason
    assert [stored.name for stored in checkpoint.arrays] == ["fc2.weight"]


def test_missing_external_data_is_told(tmp_path: Path) -> None:
    path = outside(mlp(), tmp_path, b"", location="gone.bin")
    (unread,) = reading.read_checkpoint(path).unread
    assert "gone.bin: no such file" in unread.reason


def test_external_data_is_read_in_pieces(tmp_path: Path) -> None:
    weight = random(6, 8)
    data = b"\xff" * 64 + weight.tobytes()
    path = outside(mlp(), tmp_path, data, location="weights.bin", offset="64", length="192")
    checkpoint = reading.read_checkpoint(path)
    assert not checkpoint.unread
    stored = next(s for s in checkpoint.arrays if s.name == "fc1.weight")
    assert stored.path == str(tmp_path / "weights.bin")
    np.testing.assert_array_equal(reading.array(stored), weight)


def test_weights_are_still_judged_behind_an_operator_that_is_not_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = mlp()
    made.graph.node[1].op_type, made.graph.node[1].domain = "Swirl", "my.own"
    made.graph.initializer[1].raw_data = bytes(96)
    path = saved(made, tmp_path / "m.onnx")
    ran = run(capsys, path, "--output-format", "json")
    (network,) = ran.report["networks"]
    texts = " ".join(network["assumptions"])
    assert "the operator my.own.Swirl (1 node) is not known; nothing behind it" in texts
    layers = {layer["name"]: layer for layer in network["layers"]}
    assert layers["fc1"]["forward"] is not None
    assert layers["fc2"]["forward"] is None
    assert not ran.report["unread"]


@pytest.mark.parametrize(
    ("operator", "name"), [("LeakyRelu", "alpha"), ("HardSigmoid", "beta"), ("Elu", "alpha")]
)
def test_an_attribute_that_is_no_number_ends_the_path(
    operator: str, name: str, tmp_path: Path
) -> None:
    arrays = {"fc1.weight": random(4, 4), "fc2.weight": random(4, 3)}
    made = model(
        [node("MatMul", ["x", "fc1.weight"], "a"), node(operator, ["a"], "b", **{name: np.nan}),
         node("MatMul", ["b", "fc2.weight"])],
        arrays, ("n", 4),
    )  # fmt: skip
    one = read(saved(made, tmp_path / "m.onnx"))
    said = f"cannot be followed: its {name} is not a number"
    assert any(f"{operator} (1 node) {said}" in a.text for a in one.network.assumptions)
    assert "fc2" not in sent(one, random(2, 4).astype(np.float64)).outputs


@pytest.mark.parametrize("outputs", [("y",), ("y", "z")])
def test_an_operator_that_is_not_known_holds_its_weights(
    tmp_path: Path, outputs: tuple[str, ...]
) -> None:
    from onnx import helper

    swirl = helper.make_node("Swirl", ["x", "w"], list(outputs))
    one = read(saved(model([swirl], {"w": random(4, 4)}, ("n", 4)), tmp_path / "m.onnx"))
    (layer,) = (x for x in one.network.layers if x.op != "input")
    assert layer.op == "Swirl"
    assert [p.tensor.name for p in layer.params if p.tensor] == ["w"]


def test_a_circle_is_told_and_the_weights_are_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = mlp()
    made.graph.node[0].input[0] = "b"
    ran = run(capsys, saved(made, tmp_path / "m.onnx"), "--output-format", "json")
    assert ran.code == 2
    (entry,) = ran.report["unread"]
    assert "its graph runs in a circle through" in entry["reason"]
    assert entry["reason"].endswith("its weights are judged by their names")
    (network,) = ran.report["networks"]
    assert {"fc1", "fc2"} <= {layer["name"] for layer in network["layers"]}


@pytest.mark.parametrize(
    ("place", "name", "reason"),
    [
        ("input", "nowhere", "is dangling: Relu reads nowhere, which nothing gives"),
        ("graph", "nowhere", "is dangling: nothing gives its output nowhere"),
        ("output", "a", "makes the value a twice"),
    ],
)
def test_a_graph_whose_ends_do_not_meet_is_told(
    tmp_path: Path, place: str, name: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = mlp()
    if place == "graph":
        made.graph.output[0].name = name
    else:
        getattr(made.graph.node[1], place)[0] = name
    ran = run(capsys, saved(made, tmp_path / "m.onnx"), "--output-format", "json")
    assert ran.code == 2
    assert reason in ran.report["unread"][0]["reason"]
    assert ran.report["networks"]


def test_a_sparse_array_is_told(tmp_path: Path) -> None:
    from onnx import helper, numpy_helper

    made = mlp()
    values = numpy_helper.from_array(np.ones(1, np.float32), "fc1.weight")
    places = numpy_helper.from_array(np.zeros(1, np.int64), "places")
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [6, 8]))
    del made.graph.initializer[0]
    path = saved(made, tmp_path / "m.onnx")
    (unread,) = reading.read_checkpoint(path).unread
    assert "is stored as a sparse tensor, which is not read" in unread.reason
    report = initaudit.audit(path)
    assert report.failed
    assert report.networks


def test_raw_bytes_that_do_not_fit_a_shape_are_told(tmp_path: Path) -> None:
    made = mlp()
    made.graph.initializer[0].raw_data = bytes(10)
    (unread,) = reading.read_checkpoint(saved(made, tmp_path / "m.onnx")).unread
    assert "it has 10 bytes, its shape needs 192" in unread.reason


@pytest.mark.parametrize("kind", ["FLOAT16", "BFLOAT16", "FLOAT", "DOUBLE"])
def test_numbers_in_the_field_of_their_type_are_read(tmp_path: Path, kind: str) -> None:
    from onnx import TensorProto, helper

    numbers = [0.5, -2.0, 1.0, 3.0]
    tensor = helper.make_tensor("fc.weight", getattr(TensorProto, kind), [2, 2], numbers)
    made = model([node("MatMul", ["x", "fc.weight"])], {}, ("n", 2))
    made.graph.initializer.append(tensor)
    one = read(saved(made, tmp_path / "m.onnx"))
    np.testing.assert_array_equal(one.arrays("fc.weight").ravel(), numbers)


def test_a_constant_node_holds_a_weight(tmp_path: Path) -> None:
    from onnx import numpy_helper

    value = numpy_helper.from_array(random(4, 3))
    made = model([node("Constant", [], "fc.weight", value=value),
                  node("MatMul", ["x", "fc.weight"])], {}, ("n", 4))  # fmt: skip
    path = saved(made, tmp_path / "m.onnx")
    assert [s.name for s in reading.read_checkpoint(path).arrays] == ["fc.weight"]
    assert read(path).network.layer("fc").op == "linear"


def test_functions_of_the_model_are_followed(tmp_path: Path) -> None:
    from onnx import helper

    made = model([helper.make_node("Twice", ["x"], ["a"], domain="own"),
                  node("MatMul", ["a", "fc.weight"])], {"fc.weight": random(4, 3)},
                 ("n", 4), opset=21)  # fmt: skip
    body = helper.make_function(
        "own", "Twice", ["p"], ["q"], [helper.make_node("Add", ["p", "p"], ["q"])],
        [helper.make_opsetid("", 21)],
    )  # fmt: skip
    made.functions.append(body)
    made.opset_import.append(helper.make_opsetid("own", 1))
    one = read(saved(made, tmp_path / "m.onnx"))
    assert [x.op for x in one.network.layers] == ["input", "add", "linear"]


def test_a_mask_is_no_weight(tmp_path: Path) -> None:
    mask = np.triu(np.full((4, 4), -np.inf, np.float32), 1)
    made = model([node("MatMul", ["x", "fc.weight"], "a"), node("Add", ["a", "mask"], "b"),
                  node("Softmax", ["b"])],
                 {"fc.weight": random(4, 4), "mask": mask}, ("n", 4, 4))  # fmt: skip
    report = initaudit.audit(saved(made, tmp_path / "m.onnx"))
    assert "IA301" not in {f.rule for f in report.findings}


@pytest.mark.parametrize("shape", [("n", 10**9, 4), (10**9, 4), (2**31, 2**31, 4)])
def test_a_huge_input_is_not_made(
    shape: tuple[int | str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from onnx import TensorProto, helper

    made = model([node("MatMul", ["x", "fc.weight"])], {"fc.weight": random(4, 4)}, shape)
    mask = helper.make_tensor_value_info("attention_mask", TensorProto.INT64, shape[:2])
    made.graph.input.append(mask)
    path = saved(made, tmp_path / "m.onnx")
    ran = run(capsys, path, "--output-format", "json")
    (reason,) = ran.unread[str(path)]
    assert "its input x of shape" in reason
    assert reason.endswith("its weights are judged by their names")
    assert "\n" not in reason
    (network,) = ran.report["networks"]
    assert [layer["name"] for layer in network["layers"]] == ["fc"]


def test_one_bad_model_does_not_stop_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"\xff" * 20)
    good = saved(mlp(width=16), tmp_path / "good.onnx")
    ran = run(capsys, tmp_path / "bad.onnx", good, "--output-format", "json")
    assert ran.code == 2
    assert [n["path"] for n in ran.report["networks"]] == [str(good)]
    assert set(ran.unread) == {str(tmp_path / "bad.onnx")}


def test_faults_in_a_graph_are_found(tmp_path: Path) -> None:
    made = mlp(width=16)
    for tensor in made.graph.initializer:
        tensor.raw_data = bytes(len(tensor.raw_data))
    report = initaudit.audit(saved(made, tmp_path / "m.onnx"))
    assert "IA101" in {f.rule for f in report.findings}
