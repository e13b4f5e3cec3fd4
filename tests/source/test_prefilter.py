"""Files that hold nothing which a rule speaks of are not parsed, and no others are left out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from initaudit.catalogue import Initialiser, load
from initaudit.catalogue.lookup import all_entries
from initaudit.rulebook import load as load_rules
from initaudit.source.prefilter import worth_parsing

FIXTURES = Path(__file__).parents[2] / "fixtures" / "source"
TORCH = all_entries(load())["torch.toml"]
_BLOCK = re.compile(r"^```python source\n(.*?)^```$", re.DOTALL | re.MULTILINE)

NET = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.fc = nn.Linear(config.dim, config.dim)
        self.scale = nn.Parameter(torch.ones(config.dim))

    def forward(self, x):
        if self.training and x.ndim > 2 or isinstance(x, Wrapped):
            x = x * torch.sin(x)
        return self.fc(x * self.scale)
"""


def worth(text: str) -> bool:
    return worth_parsing(text.encode())


@pytest.mark.parametrize("path", sorted(FIXTURES.rglob("*.py")), ids=lambda path: path.stem)
def test_a_fixture_is_parsed(path: Path) -> None:
    assert worth_parsing(path.read_bytes())


def bad_examples() -> list[Any]:
    return [
        pytest.param(code, id=f"{rule.id}-{number}")
        for rule in load_rules().values()
        for number, code in enumerate(_BLOCK.findall(rule.sections["Bad"]))
    ]


@pytest.mark.parametrize("code", bad_examples())
def test_what_a_page_calls_bad_is_parsed(code: str) -> None:
    assert worth(code), "initaudit/source/prefilter.py lacks a form of it"


def filling() -> list[Any]:
    named = {**TORCH.initialisers, **{f"w.{n}": m for n, m in TORCH.methods.items()}}
    found = ((n, i) for n, i in named.items() if i.form in {"inplace", "method"})
    return [pytest.param(n, i, id=n) for n, i in found if i.law != "data"]


@pytest.mark.parametrize(("name", "initialiser"), filling())
def test_what_fills_a_tensor_is_a_reason_to_parse(name: str, initialiser: Initialiser) -> None:
    call = f"{name}(w, 0.5)" if initialiser.form == "inplace" else f"{name}(0.5)"
    assert worth(f"import torch\n{call}\n")
    assert worth(f"{NET}{call}\n")


# A base class and a buffer have no parameters of their own.
LAYERS = [n for n, s in TORCH.layers.items() if s.weights and s.op not in {"module", "buffer"}]


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_in_a_forward_pass_is_a_reason_to_parse(name: str) -> None:
    text = (
        "import torch\n\n\nclass Net(torch.nn.Module):\n    def forward(self, x):\n"
        f"        return {name}(4, 4)(x)\n"
    )
    assert worth(text)


@pytest.mark.parametrize(
    "line",
    [
        "w = init.xavier_uniform(w)",
        "layer = Layer(3, kernel_init=fill)",
        "    self.init_weights",
        "layer = Layer(3, initializer=fill)",
        "self.reset_parameters",
        "torch.manual_seed(3)",
        "x = torch.tensor(0.0, requires_grad=True)",
        "w = nn.Parameter(torch.empty(3, 3))",
        "w = nn.Parameter(torch.randn(3, 3) * 0.1)",
        "w = nn.Parameter(\n    torch.empty(3, 3))",
        "self.head.weight = self.embed.weight",
        "layers = nn.ModuleList([Layer(3)] * 4)",
        "layers = nn.ModuleList(4 * [Layer(3)])",
        "layers = nn.Sequential(*(Layer(3), nn.Tanh()) * 4)",
        "layer = nn.Linear(3, 3)\nlayers = nn.ModuleList([layer] * 4)",
        "layers = [layer for _ in range(4)]",
        "layers = [copy.deepcopy(layer) for _ in range(4)]",
        "encoder = nn.TransformerEncoder(layer, 4)",
        "y = torch.sin(omega * self.fc(x))",
        "if isinstance(m, nn.Linear and nn.Conv2d): pass",
        "if isinstance(m, nn.Linear or nn.Conv2d): pass",
        "if isinstance(m, nn.Linear) or nn.Conv2d: pass",
        'if "weight" or "bias" in name: pass',
        "a = nn.Parameter(torch.zeros(3, 3))\nb = nn.Parameter(torch.zeros(3, 3))",
        "self.conv = weight_norm(self.conv)",
    ],
)
def test_every_form_that_a_rule_speaks_of_is_a_reason_to_parse(line: str) -> None:
    assert not worth(NET)
    assert worth(f"{NET}\n\ndef f(self):\n    {line}\n") or worth(f"{NET}\n{line}\n")


@pytest.mark.parametrize(
    "text",
    [
        "import numpy as np\n\nW = np.zeros((3, 3))\ny = np.dot(x, W)\n",
        "import cupy as cp\n\nW = cp.random.randn(3, 3)\ny = x @ W\n",
        "import torch\n\n\ndef f(self, x):\n    self.w = torch.zeros(3)\n    return x @ self.w\n",
        "import keras\n\nlayer = keras.layers.Dense(3)\n",
        "from flax import linen as nn\n\nlayer = nn.Dense(3)\n",
        "import jax\n\nkey = jax.random.PRNGKey(0)\n",
        "from ..backend import initialization as init\n\ninit.zeros_(w)\n",
    ],
)
def test_other_frameworks_and_arrays_are_a_reason_to_parse(text: str) -> None:
    assert worth(text)


@pytest.mark.parametrize(
    "text",
    [
        "W.zero_()\ninit.xavier_uniform_(w)\n",
        "import numpy as np\n\nmean = np.zeros(3)\n",
        "from torch import nn\n\n\nclass Config:\n    initializer_range = 0.02\n",
        "import torch\n\nmask = scores.masked_fill_(mask, 0)\n",
        "import torch\n\n# nn.Linear(3, 3) is made here\nx = torch.zeros(3)\n",
    ],
)
def test_a_file_with_nothing_to_judge_is_not_parsed(text: str) -> None:
    assert not worth(text)
