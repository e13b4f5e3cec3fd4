"""Networks rebuilt from names and shapes compute what the torch modules compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from initaudit.checkpoint.memory import from_mapping
from initaudit.checkpoint.orientation import out_axes
from initaudit.checkpoint.statistics import measure_all
from initaudit.checkpoint.topology import build
from initaudit.replica.engine import forward, loader

torch = pytest.importorskip("torch")
nn = torch.nn
pytestmark = pytest.mark.oracle

Build = Callable[[], Any]


def plain(*layers: Any) -> Any:
    """Put a ReLU between the layers."""
    pairs = [module for layer in layers for module in (layer, nn.ReLU())]
    return nn.Sequential(*pairs[:-1])


def ended(*layers: Any, out: Any) -> Any:
    """Flatten what the layers give in front of a linear head."""
    return nn.Sequential(*plain(*layers), nn.ReLU(), nn.Flatten(), out)


def averaged(*layers: Any, out: Any) -> Any:
    return nn.Sequential(*plain(*layers), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), out)


def pooled(kernel: int, padding: int, read: int, norm: bool) -> Any:
    layers: list[Any] = []
    for fan, width in ((3, 8), (8, 16)):
        layers += [nn.Conv2d(fan, width, kernel, padding=padding)]
        layers += [nn.BatchNorm2d(width)] if norm else []
        layers += [nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(read, 10))


CASES: list[tuple[str, Build, tuple[int, ...], tuple[int, ...] | None]] = [
    ("an MLP", lambda: plain(nn.Linear(10, 20), nn.Linear(20, 20), nn.Linear(20, 3)), (10,), None),
    ("a layer norm in front of the activation",
     lambda: nn.Sequential(nn.Linear(9, 20), nn.LayerNorm(20), nn.ReLU(), nn.Linear(20, 3)),
     (9,), None),
    ("a batch norm behind the activation",
     lambda: nn.Sequential(nn.Linear(9, 20), nn.ReLU(), nn.BatchNorm1d(20), nn.Linear(20, 3)),
     (9,), None),
    ("a PReLU", lambda: nn.Sequential(nn.Linear(9, 20), nn.PReLU(), nn.Linear(20, 3)), (9,), None),
    ("two layers without an activation between",
     lambda: nn.Sequential(nn.Linear(9, 8), nn.Linear(8, 7), nn.ReLU(), nn.Linear(7, 3)),
     (9,), None),
    ("pools without padding", lambda: pooled(5, 0, 400, norm=False), (3, 32, 32), (3, 32, 32)),
    ("pools and norms with padding", lambda: pooled(3, 1, 1024, norm=True), (3, 32, 32),
     (3, 32, 32)),
    ("an average over all places",
     lambda: averaged(nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 6, 1), out=nn.Linear(6, 4)),
     (3, 16, 16), None),
    ("a depthwise convolution",
     lambda: plain(nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1, groups=8),
                   nn.Conv2d(8, 6, 1)), (3, 16, 16), None),
    ("a grouped convolution",
     lambda: plain(nn.Conv2d(8, 16, 3, padding=1), nn.Conv2d(16, 32, 3, padding=1, groups=4)),
     (8, 16, 16), None),
    ("a transposed generator",
     lambda: nn.Sequential(nn.ConvTranspose2d(12, 16, 4, 2, 1, bias=False), nn.BatchNorm2d(16),
                           nn.ReLU(), nn.ConvTranspose2d(16, 3, 4, 2, 1, bias=False)),
     (12, 4, 4), None),
    ("strided convolutions",
     lambda: plain(nn.Conv2d(3, 8, 4, 2, 1), nn.Conv2d(8, 6, 4, 2, 1)), (3, 16, 16), None),
    ("an autoencoder",
     lambda: plain(nn.Conv2d(1, 8, 3, padding=1), nn.ConvTranspose2d(8, 4, 2, 2)), (1, 8, 8), None),
    ("one dimension", lambda: ended(nn.Conv1d(2, 8, 5, padding=2), out=nn.Linear(80, 3)),
     (2, 10), None),
    ("three dimensions", lambda: ended(nn.Conv3d(2, 8, 3, padding=1), out=nn.Linear(64, 3)),
     (2, 2, 2, 2), None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "shape", "given"), [pytest.param(*case, id=name) for name, *case in CASES]
)
def test_a_rebuilt_network_gives_what_torch_gives(
    make: Build, shape: tuple[int, ...], given: tuple[int, ...] | None
) -> None:
    torch.manual_seed(0)
    model = make().double()
    stored = {name: value.numpy() for name, value in model.state_dict().items()}
    arrays = from_mapping(stored, "model").arrays
    tensors, _ = measure_all(arrays, out_axes((a.name, a.shape) for a in arrays))
    found = build(tensors, name="model", path="model", input_shape=given, activation="relu")
    inputs = torch.randn(4, *shape, dtype=torch.float64)
    tape = forward(found, loader(stored.__getitem__), {"input": inputs.numpy()})
    assert tape.stopped == {}
    assert found.layers[0].attributes["shape"] == shape
    end = [layer.name for layer in found.layers if layer.name not in dict(found.apart)][-1]
    np.testing.assert_allclose(tape.outputs[end], model(inputs).detach().numpy(), rtol=1e-9)
