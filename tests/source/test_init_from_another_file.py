"""A function of another file applied to wrapped layers: only that file tells what it fills."""

from __future__ import annotations

import pytest

from initaudit.catalogue import load as load_catalogue
from initaudit.rulebook import load
from initaudit.source.linting import check_text, settle

RULES = {"IA402": load()["IA402"]}
CATALOGUE = load_catalogue()
MODEL = """\
import torch.nn as nn
from torch.nn.utils import weight_norm
from .commons import init_weights

class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.ups = nn.ModuleList()
        for i in range(4):
            self.ups.append(weight_norm(nn.ConvTranspose1d(8, 8, 4)))
        self.ups.apply(init_weights)
"""


def helper(test: str, target: str = "m.weight") -> str:
    return (
        "import torch.nn as nn\n\n"
        f"def init_weights(m, std=0.01):\n    if {test}:\n        {target}.data.normal_(0, std)\n"
    )


def lines(*texts: str) -> list[int | None]:
    checked = [check_text(t, f"f{i}.py", RULES, CATALOGUE) for i, t in enumerate(texts)]
    return [f.site.line for f in settle(checked, RULES)]


@pytest.mark.parametrize(
    "test",
    [
        "isinstance(m, nn.ConvTranspose1d)",
        "isinstance(m, (nn.Conv1d, nn.ConvTranspose1d))",
        "m.__class__.__name__.find('Conv') != -1",
        "hasattr(m, 'weight')",
    ],
)
def test_a_function_that_fills_such_layers_is_found_where_it_is_applied(test: str) -> None:
    assert lines(MODEL, helper(test)) == [11]


@pytest.mark.parametrize(
    "test", ["isinstance(m, nn.Linear)", "m.__class__.__name__.find('Linear') != -1"]
)
def test_a_function_for_other_layers_is_no_fault(test: str) -> None:
    assert lines(MODEL, helper(test)) == []


def test_a_function_that_fills_the_bias_is_no_fault() -> None:
    assert lines(MODEL, helper("isinstance(m, nn.ConvTranspose1d)", "m.bias")) == []


def test_a_function_that_no_file_defines_is_not_judged() -> None:
    assert lines(MODEL) == []


def test_two_functions_of_one_name_must_agree() -> None:
    fills, other = helper("isinstance(m, nn.ConvTranspose1d)"), helper("isinstance(m, nn.Linear)")
    assert lines(MODEL, fills, fills) == [11]
    assert lines(MODEL, fills, other) == []
