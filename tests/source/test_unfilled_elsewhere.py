"""What other files of a run say of a parameter that nothing fills, and of a repeated layer."""

from __future__ import annotations

import pytest

from initaudit.catalogue import load as load_catalogue
from initaudit.rulebook import load
from initaudit.source.linting import check_bytes, settle

RULES = {key: rule for key, rule in load().items() if key in {"IA405", "IA410"}}
CATALOGUE = load_catalogue()

TORCH = "import torch\nimport torch.nn as nn\n"
NET = (
    f"{TORCH}from .base import Base\n\n\nclass Net(Base):\n    def __init__(self, dim):\n"
    "        super().__init__()\n        self.scores = nn.Parameter(torch.empty(dim, dim))\n\n"
    "    def forward(self, x):\n        return x @ self.scores\n"
)
BASE = f"{TORCH}\n\nclass Base(nn.Module):\n    def _init_weights(self, m):\n"
PLAIN = f"{BASE}        nn.init.zeros_(m.bias)\n"


def found(*texts: str) -> list[int | None]:
    checked = [
        check_bytes(text.encode(), f"f{i}.py", RULES, CATALOGUE) for i, text in enumerate(texts)
    ]
    return [finding.site.line for finding in settle(checked, RULES)]


def test_a_base_in_another_file_is_followed() -> None:
    assert found(NET, PLAIN) == [9]
    assert found(NET) == []


@pytest.mark.parametrize(
    "base",
    [
        pytest.param(f"{BASE}        nn.init.zeros_(m.scores)\n", id="fills it"),
        pytest.param(
            f"{BASE}        for p in m.parameters():\n            nn.init.zeros_(p)\n",
            id="fills all",
        ),
        pytest.param(
            f"{BASE}        if isinstance(m, Net):\n            fill(m)\n", id="hands it on"
        ),
        pytest.param(
            f"{BASE}        if isinstance(m, Base):\n            for p in m.parameters():\n"
            "                nn.init.zeros_(p)\n",
            id="fills all of its own kind",
        ),
        pytest.param(PLAIN.replace("nn.Module", "nn.Module, Unknown"), id="has an unknown base"),
        pytest.param(PLAIN.replace("nn.Module", "Wrapped"), id="is no known module"),
    ],
)
def test_a_base_that_may_fill_it_is_enough(base: str) -> None:
    assert found(NET, base) == []


@pytest.mark.parametrize(
    ("branch", "lines"),
    [
        pytest.param("nn.init.zeros_(m.fc.weight)", [9], id="another attribute"),
        pytest.param("start(m.scores)", [], id="the attribute"),
        pytest.param("m.apply(start)", [], id="all of it"),
        pytest.param("start(getattr(m, 'scores'))", [], id="a string"),
        pytest.param("start(getattr(m, name))", [], id="any name"),
    ],
)
def test_a_branch_for_the_class_counts_where_it_speaks_of_the_attribute(
    branch: str, lines: list[int]
) -> None:
    assert found(NET, f"{BASE}        if isinstance(m, Net):\n            {branch}\n") == lines


def test_a_loop_for_other_classes_is_not_about_this_one() -> None:
    loop = "            for p in m.parameters():\n                nn.init.zeros_(p)\n"
    assert found(NET, f"{BASE}        if isinstance(m, nn.LSTM):\n{loop}") == [9]


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        pytest.param("self.fc = nn.Linear(2, 2)", [9], id="adds a layer"),
        pytest.param("start(self.scores)", [], id="hands it on"),
        pytest.param("self.scores.data = start()", [], id="writes its data"),
        pytest.param("self.scores.set_(start())", [], id="calls a method"),
    ],
)
def test_a_class_that_derives_counts_where_it_may_fill_it(body: str, lines: list[int]) -> None:
    heir = (
        f"{TORCH}from .net import Net\n\n\nclass Heir(Net):\n    def __init__(self):\n"
        f"        super().__init__(2)\n        {body}\n"
    )
    assert found(NET, PLAIN, heir) == lines


STACK = (
    f"{TORCH}from .parts import Part\n\n\nclass Own(Part):\n    pass\n\n\n"
    "class Stack(nn.Module):\n    def __init__(self, n):\n        super().__init__()\n"
    "        self.a = nn.ModuleList([Own(4)] * n)\n        self.b = nn.ModuleList([Part(4)] * n)\n"
    "        self.c = nn.Linear(4, 4)\n"
)
PART = (
    f"{TORCH}\n\nclass Part(nn.Module):\n    def __init__(self, dim):\n"
    "        super().__init__()\n        self.fc = nn.Linear(dim, dim)\n"
)


def test_a_repeated_layer_of_another_file_is_known_by_its_weights() -> None:
    assert found(STACK, PART) == [13, 14]
    assert found(STACK) == []
    assert found(STACK, PART.replace("nn.Linear(dim, dim)", "nn.ReLU()")) == []
    assert found(STACK, PART.replace("nn.Module", "Spec")) == []
