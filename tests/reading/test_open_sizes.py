"""Models whose sizes the source leaves open: what holds for any number, and nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from initaudit.declaring.source import audit_declared
from initaudit.finding import NetworkReport, Report
from initaudit.network import Interval
from initaudit.options import Options, rules_for
from initaudit.report import Style, html
from initaudit.report.json import document
from initaudit.report.sections import sections
from initaudit.rulebook import Severity

STYLE = Style(width=100, colour=False)
STACK = """
import torch.nn as nn


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range({depth})])
        {then}

    def forward(self, x):
        for layer in self.layers:
            x = layer(x).relu()
        return x
"""
HE = "[nn.init.kaiming_normal_(x.weight, nonlinearity='relu') for x in self.layers]"
HE += "\n        [nn.init.zeros_(x.bias) for x in self.layers]"
IMAGES = """
import torch.nn as nn


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.a = nn.Conv2d(3, width, 3)
        self.b = nn.Conv2d(width, width, 3)
        self.norm = nn.BatchNorm2d(width)
        self.fc = nn.Linear(width, 10)
        {then}

    def forward(self, x):
        x = self.norm(self.b(self.a(x).relu())).relu()
        return self.fc(x.mean((2, 3)))
"""
ZEROS = "[nn.init.zeros_(x.weight) for x in (self.a, self.b)]"


def told(tmp_path: Path, text: str) -> tuple[Report, NetworkReport]:
    file = tmp_path / "net.py"
    file.write_text(text)
    options = Options()
    report = audit_declared(f"{file}:Net", options, rules_for(options))
    (network,) = report.networks
    return report, network


def ends(interval: Interval | None) -> tuple[float, float]:
    assert interval is not None
    return interval.lo, interval.hi


def test_a_stack_that_carries_at_any_width_is_clean(tmp_path: Path) -> None:
    report, network = told(tmp_path, STACK.format(depth=6, then=HE))
    assert (network.verdict, report.findings, report.unread) == ("clean", (), ())
    assert network.arithmetic is not None
    assert ends(network.arithmetic.forward) == pytest.approx((1.0, 1.0))
    layers = [x for x in network.layers if x.op == "linear"]
    assert [x.shape for x in layers] == [(None, None)] * 6
    assert all(x.law is not None and x.law.label == "normal, variance 2 / fan_in" for x in layers)
    assert all(ends(x.predicted) == pytest.approx((2.0, 2.0)) for x in layers)


def test_one_that_vanishes_at_any_width_is_told_with_its_line(tmp_path: Path) -> None:
    report, network = told(tmp_path, STACK.format(depth=30, then=""))
    assert network.verdict == "warning"
    (found,) = report.findings
    assert (found.rule, found.severity, found.site.line) == ("IA205", Severity.WARNING, 8)


def test_what_the_width_decides_is_not_judged(tmp_path: Path) -> None:
    then = "[nn.init.normal_(x.weight, std=0.02) for x in self.layers]"
    report, network = told(tmp_path, STACK.format(depth=6, then=then))
    assert (network.verdict, report.findings) == ("unjudged", ())
    assert "arithmetic does not settle its signal" in report.unread[0].reason
    assert not report.failed


def test_no_number_of_the_stand_in_sizes_is_told(tmp_path: Path) -> None:
    report, network = told(tmp_path, IMAGES.format(then=ZEROS))
    assert network.parameters is None
    assert [x.shape for x in network.layers if x.op == "conv"] == [
        (None, 3, 3, 3), (None, None, 3, 3),
    ]  # fmt: skip
    for layer in network.layers:
        assert (layer.tensor, layer.gain, layer.forward, layer.backward) == (None,) * 4
    text = sections(report, STYLE, 100)
    # The folder of the test may have a number, too.
    number = re.compile(r"(?<![\w-])64(?!\w)")
    assert number.search("a gain of 64.0") is not None
    assert number.search(text) is None
    assert number.search(json.dumps(document(report)["networks"])) is None
    page = html.render(report, STYLE)
    assert "An open number of parameters" in page
    assert "nan" not in page


def test_zeros_that_multiply_are_found_whatever_the_sizes(tmp_path: Path) -> None:
    report, network = told(tmp_path, IMAGES.format(then=ZEROS))
    (found,) = report.findings
    assert found.rule == "IA101"
    assert "its gain / sqrt(fan_in)" in found.cure
    assert network.verdict == found.severity.name.lower()


def test_what_is_no_plain_stack_is_shown_but_not_judged(tmp_path: Path) -> None:
    report, network = told(tmp_path, IMAGES.format(then=""))
    assert (network.verdict, report.findings, report.failed) == ("unjudged", (), True)
    assert "width left open, and it is no plain stack of layers" in report.unread[0].reason
    bounds = {x.name: x.predicted for x in network.layers}
    # At most 1/3 from the weights, and of biases that are drawn by an open fan no more than that.
    assert ends(bounds["a"]) == pytest.approx((1 / 3, 2 / 3))


def test_the_checklist_and_the_table_of_a_declared_network_tell_its_findings(
    tmp_path: Path,
) -> None:
    report, _ = told(tmp_path, STACK.format(depth=30, then=""))
    text = sections(report, STYLE, 100)
    assert "Too small?     yes  IA205" in text
    assert "\nW layers.0 " in text
    assert "it may not train well (1 warning)." in text


def test_layers_made_in_one_line_are_listed_once(tmp_path: Path) -> None:
    text = STACK.replace("(self, width)", "(self, width=64)").format(depth=12, then="")
    report, _ = told(tmp_path, text)
    shown = sections(report, STYLE, 100)
    assert "also here: layers.2.weight, layers.3.weight" in shown
    assert shown.count("self.layers = nn.ModuleList") == len(report.findings)


def test_a_bias_whose_fan_is_open_has_no_least_power(tmp_path: Path) -> None:
    text = """
import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.a = nn.Linear(width, width)
        self.b = nn.Linear(width, 4)

    def forward(self, x):
        y = self.a(x)
        return self.b(y * torch.tanh(y))
"""
    _, network = told(tmp_path, text)
    last = next(layer for layer in network.layers if layer.name == "b")
    assert last.predicted is None or last.predicted.lo == 0.0


def test_gates_of_an_open_width_are_open(tmp_path: Path) -> None:
    text = """
import torch.nn as nn


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.lstm = nn.LSTM(8, width, num_layers=2, bidirectional=True, batch_first=True)

    def forward(self, x):
        return self.lstm(x)[0]
"""
    _, network = told(tmp_path, text)
    shapes = [layer.shape for layer in network.layers if layer.op == "lstm"]
    assert shapes[0] == (None, 8)
    assert set(shapes[2:]) == {(None, None)}


def test_keras_layers_of_an_open_width_are_not_judged_at_the_stand_in(tmp_path: Path) -> None:
    text = """
import keras
from keras import layers


class Net(keras.Model):
    def __init__(self, units):
        super().__init__()
        self.a = layers.Dense(units, activation="relu")
        self.b = layers.Dense(units)

    def call(self, x):
        return self.b(self.a(x))
"""
    file = tmp_path / "net.py"
    file.write_text(text)
    options = Options(input_shape=(8,))
    report = audit_declared(f"{file}:Net", options, rules_for(options))
    assert (report.networks, report.findings, report.failed) == ((), (), True)
    assert "units left open" in report.unread[0].reason
