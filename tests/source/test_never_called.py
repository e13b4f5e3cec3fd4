"""Whether a method that fills weights is called can only be told from all files of a run."""

from __future__ import annotations

import pytest

from initaudit.catalogue import load as load_catalogue
from initaudit.rulebook import Severity, load
from initaudit.source.linting import check_bytes, settle

RULES = {"IA408": load()["IA408"]}
CATALOGUE = load_catalogue()

HEAD = "import torch.nn as nn\nfrom .base import Base\n\n\n"
BODY = (
    "    def __init__(self, dim):\n        super().__init__()\n"
    "        self.fc = nn.Linear(dim, 1)\n"
    "\n    def _init_weights(self, m):\n        if isinstance(m, nn.Linear):\n"
    "            nn.init.zeros_(m.bias)\n\n    def forward(self, x):\n        return self.fc(x)\n"
)
NET = f"{HEAD}class Net(nn.Module):\n{BODY}"
DERIVED = f"{HEAD}class Net(Base):\n{BODY}"
SILENT_BASE = "import torch.nn as nn\n\n\nclass Base(nn.Module):\n    pass\n"
CALLING_BASE = SILENT_BASE.replace(
    "pass", "def finish(self):\n        self.apply(self._init_weights)"
)
OTHER_BASE = "from elsewhere import Root\n\n\nclass Base(Root):\n    pass\n"
EMPTY_BASE = SILENT_BASE.replace("pass", "def _init_weights(self, m):\n        pass")


def found(*texts: str) -> list[int | None]:
    checked = [
        check_bytes(text.encode(), f"f{i}.py", RULES, CATALOGUE) for i, text in enumerate(texts)
    ]
    return [finding.site.line for finding in settle(checked, RULES)]


def test_a_method_that_no_file_mentions_is_reported() -> None:
    assert found(NET) == [10]
    assert found(NET, "import torch\n\n\ndef f(net):\n    return net\n") == [10]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param("def f(net):\n    net.apply(net._init_weights)\n", id="handed on"),
        pytest.param("def f(net, m):\n    net._init_weights(m)\n", id="called"),
        pytest.param("def f():\n    return make()._init_weights\n", id="of a result"),
        pytest.param("NAMES = ['_init_weights']\n", id="a string"),
        pytest.param("from .a import Net\n\n\nclass Own(Net):\n    pass\n", id="a derived class"),
    ],
)
@pytest.mark.parametrize("head", ["", "import torch.nn as nn\nnn.init.zeros_\n"])
def test_a_mention_in_another_file_is_enough(other: str, head: str) -> None:
    assert found(NET, head + other) == []


def test_another_number_of_arguments_is_another_method() -> None:
    other = "import torch\n\n\ndef f(net):\n    net._init_weights()\n    torch.zeros(1)\n"
    assert found(NET, other) == [10]


def test_a_class_that_calls_its_own_method_calls_no_other() -> None:
    other = NET.replace("Net", "Other").replace(
        "self.fc = nn", "self.apply(self._init_weights)\n        self.fc = nn"
    )
    assert found(NET, other) == [10]


@pytest.mark.parametrize(
    ("bases", "lines"),
    [
        pytest.param((), [], id="a base that is not there"),
        pytest.param((OTHER_BASE,), [], id="a base of a base that is not there"),
        pytest.param((CALLING_BASE,), [], id="a base that calls"),
        pytest.param((EMPTY_BASE,), [], id="a base that has the method"),
        pytest.param((SILENT_BASE,), [10], id="a base that does not speak of it"),
    ],
)
def test_what_the_bases_do_is_asked_of_their_files(
    bases: tuple[str, ...], lines: list[int]
) -> None:
    assert found(DERIVED, *bases) == lines


def test_a_call_that_is_commented_out_leaves_a_note() -> None:
    line = "        self.fc = nn.Linear(dim, 1)\n"
    texts = {
        Severity.WARNING: NET,
        Severity.NOTE: NET.replace(line, f"{line}        # self.apply(self._init_weights)\n"),
    }
    for severity, text in texts.items():
        checked = check_bytes(text.encode(), "f.py", RULES, CATALOGUE)
        assert [finding.severity for finding in settle([checked], RULES)] == [severity]
