"""A model that one file makes only to load its weights may be made anew by another."""

from __future__ import annotations

import pytest

from initaudit.catalogue import load as load_catalogue
from initaudit.rulebook import load
from initaudit.source.linting import check_bytes, settle

RULES = {"IA421": load()["IA421"]}
CATALOGUE = load_catalogue()

TIED = """import torch
import torch.nn as nn


class Tied(nn.Module):
    def __init__(self, vocab, dim):
        super().__init__()
        self.words = nn.Embedding(vocab, dim)
        self.head = nn.Linear(dim, vocab, bias=False)
        self.head.weight = self.words.weight
"""
LOADED = f"""{TIED}

def load(path):
    model = Tied(100, 8)
    model.load_state_dict(torch.load(path))
    return model
"""
MAKES = "import torch\nfrom .f0 import Tied\n\n\ndef start():\n    return Tied(100, 8)\n"


def found(*texts: str) -> list[int | None]:
    checked = [
        check_bytes(text.encode(), f"f{i}.py", RULES, CATALOGUE) for i, text in enumerate(texts)
    ]
    return [finding.site.line for finding in settle(checked, RULES)]


def test_a_model_that_its_file_only_loads_is_left_alone() -> None:
    assert found(LOADED) == []
    assert found(LOADED, "import torch\n\nx = torch.zeros(1)\n") == []


@pytest.mark.parametrize("texts", [(TIED,), (LOADED, MAKES)], ids=["not made", "made elsewhere"])
def test_a_model_that_may_start_anew_is_reported(texts: tuple[str, ...]) -> None:
    assert found(*texts) == [10]
