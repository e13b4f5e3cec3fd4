"""Recurrent layers of ONNX hold their gates in another order: they are judged all the same."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.command import run
from tests.graphs.make import model, node, random, saved
from tests.graphs.seen import read

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

pytestmark = pytest.mark.filterwarnings("ignore")


class Net(torch.nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.cells = getattr(torch.nn, kind)(24, 32, batch_first=True, bidirectional=True)
        self.head = torch.nn.Linear(64, 10)

    def forward(self, x: Any) -> Any:
        y, _ = self.cells(x)
        return self.head(y[:, -1])


FAULTS: dict[str, Callable[[Any], object]] = {
    "zero": torch.nn.init.zeros_,
    "normal": torch.nn.init.normal_,
    "positive": torch.nn.init.uniform_,
    "tiny": lambda w: torch.nn.init.normal_(w, 0.0, 1e-6),
    "as torch makes it": lambda w: w,
}
FAULTY = {"zero", "positive"}
"""What a rule of IA1xx or IA2xx finds; neither form of the network has the others judged."""


def written(form: str, net: Any, folder: Path) -> Path:
    from safetensors.numpy import save_file

    if form == "safetensors":
        path = folder / "net.safetensors"
        save_file({k: v.numpy() for k, v in net.state_dict().items()}, path)
        return path
    path = folder / f"{form}.onnx"
    x = torch.zeros(2, 35, 24)
    if form == "dynamo":
        pytest.importorskip("onnxscript")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        more = {"verbose": False} if form == "dynamo" else {}
        torch.onnx.export(net, (x,), str(path), dynamo=form == "dynamo", **more)
    return path


def found(capsys: pytest.CaptureFixture[str], path: Path) -> set[tuple[str, str]]:
    report = run(capsys, path, "--output-format", "json").report
    return {
        (f["rule"], f["severity"])
        for f in report["findings"]
        if f["rule"][:3] in {"IA1", "IA2"} and f["severity"] != "note"
    }


@pytest.mark.parametrize(
    ("form", "kind", "fault"),
    [*(("legacy", kind, fault) for kind in ("LSTM", "GRU") for fault in FAULTS),
     ("dynamo", "LSTM", "zero"), ("dynamo", "GRU", "positive")],
)  # fmt: skip
def test_an_export_is_judged_as_its_network(
    form: str, kind: str, fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    net = Net(kind).eval()
    with torch.no_grad():
        for weight in net.cells.parameters():
            FAULTS[fault](weight)
    theirs = found(capsys, written("safetensors", net, tmp_path))
    assert bool(theirs) == (fault in FAULTY)
    assert found(capsys, written(form, net, tmp_path)) == theirs


def test_gates_have_the_statistics_and_the_name_of_the_stored_array(tmp_path: Path) -> None:
    arrays = {"W": random(1, 16, 8), "R": random(1, 16, 4, seed=1), "B": random(1, 32, seed=2)}
    made = model([node("LSTM", ["x", *arrays], hidden_size=4, layout=1)], arrays, ("n", 5, 8))
    one = read(saved(made, tmp_path / "m.onnx"))
    (layer,) = (x for x in one.network.layers if x.op == "lstm")
    told = {p.name: p.tensor for p in layer.params}
    names = {role: t.name for role, t in told.items() if t is not None}
    assert names == {
        "weight_ih": "W[0]", "weight_hh": "R[0]", "bias_ih": "B[0, :16]", "bias_hh": "B[0, 16:]"
    }  # fmt: skip
    held = told["weight_ih"]
    assert held is not None
    assert held.mean == pytest.approx(arrays["W"].astype(np.float64).mean())
    assert held.variance == pytest.approx(arrays["W"].astype(np.float64).var())
    # Gates i, o, f, g of ONNX stand as i, f, g, o.
    assert (one.arrays("W[0]")[4:8] == arrays["W"][0, 8:12]).all()
