"""Images resized by cubic and linear weights, exported by torch's three ways, against torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.graphs.make import model, node, random, saved
from tests.graphs.seen import end, gradients, hooked, read, sent
from tests.graphs.test_parity import exported

pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore")]


@pytest.mark.parametrize("form", ["pt2", "dynamo", "legacy"])
def test_an_export_resizes_as_torch(form: str, tmp_path: Path) -> None:
    torch: Any = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    interpolate = torch.nn.functional.interpolate

    class Net(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.stem = torch.nn.Conv2d(3, 4, 3, stride=2)
            self.head = torch.nn.Conv2d(4, 5, 3)

        def forward(self, x: Any) -> Any:
            y = interpolate(self.stem(x), scale_factor=2, mode="bicubic")
            y = interpolate(self.head(y), size=(7, 20), mode="bicubic", align_corners=True)
            return interpolate(y, size=(9, 5), mode="bilinear")

    torch.manual_seed(0)
    net, x = Net().eval(), torch.randn(3, 3, 16, 14)
    one = read(exported(net, x, "resizing", form, tmp_path), tuple(x.shape[1:]))
    tape = sent(one, x.double().numpy())
    assert tape.stopped == {}
    last = end(one, tape)
    cotangent = np.random.default_rng(0).standard_normal(tape.outputs[last].shape)
    _, theirs, output = hooked(net.double(), x.double(), cotangent)
    np.testing.assert_allclose(tape.outputs[last], output, rtol=1e-4, atol=1e-6)
    ours = gradients(one, tape, last, cotangent)
    for key in ("stem.weight", "head.weight"):
        np.testing.assert_allclose(ours[key], theirs[key], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "scales", "said"),
    [
        ({"mode": "cubic", "cubic_coeff_a": -0.5}, [1, 1, 2, 2], "not that of a = -0.75"),
        ({"mode": "cubic", "exclude_outside": 1}, [1, 1, 2, 2], "leaves out what lies beyond"),
        ({"mode": "linear", "antialias": 1}, [1, 1, 0.5, 0.5], "smooths what it makes smaller"),
        ({"mode": "linear"}, [1, 2, 2, 2], "resizes what is not space"),
        ({"mode": "linear"}, [1, 1, 1.3, 1.3], "not by a whole factor"),
        ({"mode": "nearest"}, [1, 1, 1.5, 1.5], "not by a whole factor"),
        ({"mode": "linear"}, [1, 1, float("nan"), 1], "do not fit each other"),
    ],
)
def test_what_is_resized_otherwise_ends_the_path(
    settings: dict[str, Any], scales: list[float], said: str, tmp_path: Path
) -> None:
    pytest.importorskip("onnx")
    arrays = {"m.weight": random(4, 3, 3, 3), "none": random(0),
              "scales": np.array(scales, np.float32)}  # fmt: skip
    nodes = [node("Conv", ["x", "m.weight"], "a"), node("Resize", ["a", "none", "scales"],
                                                        **settings)]  # fmt: skip
    one = read(saved(model(nodes, arrays, ("n", 3, 6, 6)), tmp_path / "m.onnx"))
    assert any("Resize" in a.text and said in a.text for a in one.network.assumptions)
    tape = sent(one, random(2, 3, 6, 6).astype(np.float64))
    assert not any(layer.op.startswith("Resize") for layer in one.network.layers
                   if layer.name in tape.outputs)  # fmt: skip
