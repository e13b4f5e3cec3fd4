"""Parameters filled by way of a view: what they start from is told exactly, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from initaudit.network import Interval
from initaudit.reading import realising
from initaudit.reading.realising import Realised
from initaudit.reading.values import Parameter
from tests.reading.test_reading import read

HEAD = "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
TAIL = "\n    def forward(self, x):\n        return self.fc(x)\n"
UNTOUCHED = [
    "self.fc.weight.clone().zero_()",
    "y = self.fc.weight.view(-1).sum()",
    "self.fc.weight.view(-1).requires_grad_(False)",
    "assert self.fc.weight.t().shape[0] == 8",
]
UNKNOWN = [
    "self.fc.weight.view(-1).fill_(0.0)",
    "self.fc.weight.data.view(8, 8).zero_()",
    "self.fc.weight.data[0][1:3].fill_(9.0)",
    "self.fc.weight.data.t().normal_(0, 0.5)",
    "self.fc.weight.T.fill_(1.0)",
    "self.fc.weight.unbind(0)[1].zero_()",
    "nn.init.zeros_(self.fc.weight.narrow(0, 0, 4))",
    "nn.init.zeros_(self.fc.weight[0:4][0])",
    "self.fc.weight.data[0][1] = 3.0",
    "self.fc.weight.data.view(-1)[1] = 3.0",
    "self.fc.weight.data.view(-1)[1:3] *= 3.0",
    "a, b = self.fc.weight.data.split(4)\n        a.zero_()",
    "self.fc.weight.data.diagonal().fill_(1.0)",
    "torch._foreach_zero_(list(self.parameters()))",
    "torch.fill_(self.fc.weight.data, 0.0)",
    "torch.nn.utils.vector_to_parameters(torch.zeros(72), self.fc.parameters())",
]


def made(tmp_path: Path, line: str) -> Mapping[str, Parameter]:
    model = read(tmp_path, f"{HEAD}        self.fc = nn.Linear(8, 8)\n        {line}\n{TAIL}")
    assert not model.doubts
    return model.parameters


@pytest.mark.parametrize("line", UNTOUCHED)
def test_what_only_looks_changes_nothing(tmp_path: Path, line: str) -> None:
    found = made(tmp_path, line)
    assert [event.weights.law for event in found["fc.weight"].chain] == ["uniform"]
    assert realising.obstacle(found) is None


@pytest.mark.parametrize("line", UNKNOWN)
def test_a_fill_through_a_view_makes_the_law_unknown(tmp_path: Path, line: str) -> None:
    found = made(tmp_path, line)
    last = found["fc.weight"].chain[-1]
    assert last.weights.law == "unknown"
    assert not last.whole
    blocked = realising.obstacle(found)
    assert blocked is not None
    assert "what fc.weight starts from is not told" in blocked[0]


def test_a_fill_of_a_row_is_drawn_but_tells_no_law_of_the_whole(tmp_path: Path) -> None:
    found = made(tmp_path, "self.fc.weight[0].zero_()")
    assert not found["fc.weight"].chain[-1].whole
    array = Realised(found).array("fc.weight")
    assert not array[0].any()
    assert array[1:].all()


def test_a_copy_is_a_parameter_of_its_own(tmp_path: Path) -> None:
    body = """        self.fc = nn.Linear(8, 8)
        self.other = nn.Parameter(self.fc.weight.clone())
        nn.init.constant_(self.fc.weight, 0.5)
        self.bias = nn.Linear(8, 8)
        self.bias.weight.data.copy_(self.other)
"""
    model = read(tmp_path, HEAD + body + TAIL)
    assert not model.aliases
    realised = Realised(model.parameters)
    assert np.array_equal(realised.array("fc.weight"), np.full((8, 8), 0.5, np.float32))
    assert realised.array("other").std() > 0.1
    assert np.array_equal(realised.array("bias.weight"), realised.array("other"))
    assert model.parameters["other"].chain[0].weights.mean == Interval.point(0.0)
