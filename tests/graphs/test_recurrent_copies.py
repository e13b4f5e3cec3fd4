"""Recurrent weights that an ONNX file keeps with their gates in another order are judged too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from initaudit.auditing import open_network
from initaudit.checkpoint.reading import read_checkpoint
from initaudit.options import Options
from initaudit.running import run

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("std", [None, 1.0])
def test_an_export_is_judged_as_its_state_dict(
    kind: str, std: float | None, tmp_path: Path
) -> None:
    torch: Any = pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from safetensors.torch import save_file

    class Net(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.rnn = getattr(torch.nn, kind)(16, 32, 2, batch_first=True)
            self.head = torch.nn.Linear(32, 4)

        def forward(self, x: Any) -> Any:
            return self.head(self.rnn(x)[0][:, -1])

    torch.manual_seed(0)
    model = Net().eval()
    weights = {k: p for k, p in model.named_parameters() if k.startswith("rnn.weight")}
    if std is not None:
        for p in weights.values():
            torch.nn.init.normal_(p, 0.0, std)
    save_file(model.state_dict(), tmp_path / "m.safetensors")
    torch.onnx.export(
        model, (torch.zeros(2, 35, 16),), str(tmp_path / "m.onnx"), dynamo=False,
        input_names=["x"], dynamic_axes={"x": {0: "batch"}},
    )  # fmt: skip
    stored, exact = (run([tmp_path / f"m.{end}"], Options()) for end in ("safetensors", "onnx"))
    rules = {f.rule for f in stored.findings}
    assert rules == (set() if std is None else {"IA209"})
    assert {f.rule for f in exact.findings} == rules
    network = open_network(read_checkpoint(tmp_path / "m.onnx"), Options()).network
    spreads = sorted(float(np.std(p.detach().numpy())) for p in weights.values())
    seen = sorted(
        param.tensor.std or 0.0
        for layer in network.layers
        for param in layer.params
        if layer.op == kind.lower() and param.tensor is not None and "weight" in param.name
    )
    assert seen == pytest.approx(spreads, rel=1e-6)
