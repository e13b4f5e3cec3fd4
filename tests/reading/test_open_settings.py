"""Norms whose eps is left open, calls that a layer refuses, vectors divided by their norm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from initaudit.reading import passing
from initaudit.reading.model import Model
from initaudit.reading.passing import Reading
from initaudit.reading.values import StopError
from initaudit.replica.engine import forward, loader
from tests.reading.test_reading import read

HEAD = "class Net(nn.Module):\n    def __init__(self, {}):\n        super().__init__()\n"


def followed(made: Model) -> Reading:
    return passing.follow(made, passing.declared(made, 0)[1])


def sent(made: Model, torch: Any) -> tuple[Any, Any]:
    """What ``fc`` gives for random inputs, in torch, and what the whole model gives."""
    realised, stored = passing.declared(made, 0)
    reading = passing.follow(made, stored, (4, 8))
    assert not reading.stopped
    plan, _ = passing.planned(made, reading)
    network = plan.network(())
    x = np.random.default_rng(0).standard_normal((3, 4, 8)).astype(np.float32)
    entering = {layer.name: x for layer in network.layers if layer.op == "input"}
    names = {name: realised.array(name) for name in made.parameters} | dict(plan.computed)
    tape = forward(network, loader(names.__getitem__), entering, batch_statistics=False)
    weight, bias = (torch.tensor(names[f"fc.{n}"]).float() for n in ("weight", "bias"))
    y = torch.nn.functional.linear(torch.from_numpy(x), weight, bias)
    return y, tape.outputs[network.layers[-1].name]


def act(body: str) -> str:
    return (
        f"def act(kind):\n    {body}\n\n\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.fc = nn.Linear(8, 8)\n"
        "        self.act = act(nn.GELU)\n\n    def forward(self, x):\n"
        "        return self.act(self.fc(x))\n"
    )


REFUSED = "    return kind(inplace=True)\n"


@pytest.mark.parametrize(
    "caught", ["TypeError", "(ValueError, TypeError)", "Exception as error", "ValueError:\n"
               "        return nn.ReLU()\n    except TypeError"]
)  # fmt: skip
def test_a_refused_call_is_made_as_the_handler_says(tmp_path: Path, caught: str) -> None:
    text = act(f"try:\n    {REFUSED}    except {caught}:\n        return kind()")
    reading = followed(read(tmp_path, text))
    assert not reading.stopped
    assert "gelu" in str([s.attributes for s in reading.tape.builder.steps.values()])


@pytest.mark.parametrize(
    "handler", ["except ValueError:\n        return kind()", "finally:\n        pass"]
)
def test_a_refused_call_that_nothing_catches_ends_the_path(tmp_path: Path, handler: str) -> None:
    with pytest.raises(StopError, match="arguments that do not fit"):
        read(tmp_path, act(f"try:\n    {REFUSED}    {handler}"))


@pytest.mark.parametrize("given", ["config.eps", "eps=config.eps"])
def test_an_open_eps_is_the_default_and_told(tmp_path: Path, given: str) -> None:
    text = (
        HEAD.format("config") + f"        self.norm = nn.LayerNorm(8, {given})\n\n"
        "    def forward(self, x):\n        return self.norm(x)\n"
    )
    made = read(tmp_path, text)
    reading = followed(made)
    assert not reading.stopped
    told = passing.told(made, reading)
    assert any("eps of LayerNorm is left open: it is 1e-05" in note for note in told)


@pytest.mark.oracle
@pytest.mark.parametrize("given", [(), (2, -1), (2.0, -1, 0.5), (2, 2, 3.0)])
def test_vectors_are_divided_by_their_norm_as_torch_does(
    tmp_path: Path, given: tuple[float, ...]
) -> None:
    torch = pytest.importorskip("torch")
    text = (
        "import torch.nn.functional as F\n\n\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.fc = nn.Linear(8, 8)\n\n"
        f"    def forward(self, x):\n        return F.normalize(self.fc(x), *{given})\n"
    )
    y, got = sent(read(tmp_path, text), torch)
    wanted = torch.nn.functional.normalize(y, *given)
    np.testing.assert_allclose(got, wanted.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.oracle
@pytest.mark.parametrize(
    "asked",
    ["y.var(dim=(1, 2), keepdim=True)", "y.var(-1, unbiased=False)", "torch.std(y, 2)",
     "torch.var(y, dim=[1, 2], correction=0)", "y.std(dim=1, unbiased=True)"],
)  # fmt: skip
def test_variances_are_those_of_torch(tmp_path: Path, asked: str) -> None:
    torch = pytest.importorskip("torch")
    text = (
        "import torch\n\n\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.fc = nn.Linear(8, 8)\n\n"
        f"    def forward(self, x):\n        y = self.fc(x)\n        return {asked}\n"
    )
    y, got = sent(read(tmp_path, text), torch)
    wanted = eval(asked, {"y": y, "torch": torch})  # noqa: S307
    np.testing.assert_allclose(got, wanted.numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("asked", ["var(-1)", "std(1)", "var(-1, True)", "var(axis=-1)"])
def test_a_variance_of_an_unsaid_divisor_ends_the_path(tmp_path: Path, asked: str) -> None:
    text = (
        "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        "        self.fc = nn.Linear(8, 8)\n\n"
        f"    def forward(self, x):\n        return self.fc(x).{asked}\n"
    )
    made = read(tmp_path, text)
    reading = passing.follow(made, passing.declared(made, 0)[1], (4, 8))
    assert reading.stopped


@pytest.mark.parametrize(("asked", "ends"), [("dim=-1", True), ("-1, unbiased=False", False)])
def test_a_variance_over_an_open_size_needs_no_count(
    tmp_path: Path,
    asked: str,
    ends: bool,
) -> None:
    text = (
        HEAD.format("width") + "        self.fc = nn.Linear(width, width)\n\n"
        f"    def forward(self, x):\n        return self.fc(x).var({asked})\n"
    )
    assert bool(followed(read(tmp_path, text)).stopped) == ends
