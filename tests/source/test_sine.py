"""Networks of sines: what in a file keeps the rule silent, and what torch's default does to one."""

from __future__ import annotations

import math
from typing import Any

import pytest

from initaudit.catalogue import load as load_catalogue
from initaudit.finding import Finding
from initaudit.rulebook import load
from initaudit.source.linting import check_text, settle

RULES = load()
CATALOGUE = load_catalogue()
HEAD = """\
import math
import torch
import torch.nn as nn


class SineLayer(nn.Module):
    def __init__(self, inputs, outputs, first=False, omega=30.0):
        super().__init__()
        self.omega, self.first = omega, first
        self.inputs = inputs
        self.linear = nn.Linear(inputs, outputs)
"""
TAIL = """
    def forward(self, x):
        return torch.sin({} * self.linear(x))


def field(n):
    return nn.Sequential(SineLayer(2, n, first=True), SineLayer(n, n), nn.Linear(n, 1))
"""


def found(*lines: str, after: str = "", omega: str = "30.0") -> list[Finding]:
    body = "".join(f"        {line}\n" for line in lines)
    text = HEAD + body + TAIL.format(omega) + after
    checked = check_text(text, "net.py", RULES, CATALOGUE)
    assert not checked.unread
    return [f for f in settle([checked], RULES) if f.rule == "IA430"]


def test_the_default_of_a_layer_is_found_under_a_fast_sine_only() -> None:
    (one,) = found()
    assert one.site.line == HEAD.count("\n")
    assert one.facts["phase"] == pytest.approx(30 / math.sqrt(6))
    assert found(omega="7.0") == []
    assert found(omega="-30.0")[0].facts["omega"] == 30


@pytest.mark.parametrize(
    ("line", "phase"),
    [
        ("nn.init.xavier_uniform_(self.linear.weight)", 30 * math.sqrt(0.5)),
        ("nn.init.kaiming_normal_(self.linear.weight)", 30.0),
        ("nn.init.zeros_(self.linear.bias)", 30 / math.sqrt(6)),
    ],
)
def test_initialisers_that_know_of_no_frequency_are_found(line: str, phase: float) -> None:
    (one,) = found(line)
    assert one.facts["phase"] == pytest.approx(phase, rel=0.01)


SILENT = {
    "SIREN's bounds": ("b = math.sqrt(6 / inputs) / omega",
                       "nn.init.uniform_(self.linear.weight, -b, b)"),
    "a method of its own": ("self.init_weights()",),
    "a branch for the first": ("if first: self.linear.weight.data.uniform_(-1, 1)",
                               "else: self.linear.weight.data.uniform_(-0.01, 0.01)"),
    "a weight that is scaled": ("self.linear.weight.data /= omega",),
    "a weight that is copied": ("self.linear.weight.data.copy_(inputs)",),
    "a loop over parameters": ("for p in self.parameters(): p.data.uniform_(-0.01, 0.01)",),
    "a function from elsewhere": ("sine_init(self.linear)",),
    "an initialiser that is handed over": ("self.apply(inputs)",),
}  # fmt: skip


@pytest.mark.parametrize("case", SILENT)
def test_whatever_may_set_the_scale_keeps_it_silent(case: str) -> None:
    assert found(*SILENT[case]) == []


@pytest.mark.parametrize(
    "after",
    [
        "\n\ndef sine_init(m):\n    m.linear.weight.data.uniform_(-0.01, 0.01)\n",
        "\n\ndef fill(m):\n    if isinstance(m, SineLayer):\n"
        "        nn.init.uniform_(m.linear.weight, -0.01, 0.01)\n",
        "\n\nnet = field(8)\nnet.apply(torch.anything)\n",
        "\n\nclass Better(SineLayer):\n    pass\n",
    ],
)
def test_what_stands_outside_of_the_class_counts(after: str) -> None:
    assert found(after=after) == []


def test_a_frequency_that_one_construction_does_not_tell_is_unknown() -> None:
    assert found(omega="self.omega") == []
    more = "\n\ndef other(n, w):\n    return SineLayer(n, n, omega=w)\n"
    text = HEAD.replace("self.omega, self.first = omega, first", "self.omega = omega")
    tail = TAIL.format("self.omega")
    for end, number in (("", 1), (more, 0)):
        checked = check_text(text + tail + end, "net.py", RULES, CATALOGUE)
        assert len([f for f in settle([checked], RULES) if f.rule == "IA430"]) == number


@pytest.mark.oracle
def test_torch_spreads_the_phase_as_far_as_the_rule_says() -> None:
    torch: Any = pytest.importorskip("torch")
    torch.manual_seed(0)
    width, omega = 256, 30.0
    phases = {}
    for name in ("default", "siren"):
        x = torch.rand(512, 2) * 2 - 1
        for inputs in (2, width, width):
            layer = torch.nn.Linear(inputs, width)
            if name == "siren":
                bound = 1 / inputs if inputs == 2 else math.sqrt(6 / inputs) / omega
                torch.nn.init.uniform_(layer.weight, -bound, bound)
            phase = omega * (x @ layer.weight.T)
            x = torch.sin(omega * layer(x))
        phases[name] = float(phase.detach().std())
    assert phases["default"] == pytest.approx(30 / math.sqrt(6), rel=0.1)
    assert phases["siren"] == pytest.approx(1, rel=0.1)
