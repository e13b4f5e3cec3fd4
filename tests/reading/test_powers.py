"""Second moments by arithmetic: against the replica, and where only bounds can be told."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from initaudit import declaring
from initaudit.checkpoint.reading import array
from initaudit.declaring.predicted import beside
from initaudit.finding import NetworkReport
from initaudit.graph import WEIGHTED
from initaudit.network import Interval, Layer
from initaudit.options import Options, rules_for
from initaudit.reading import borders, choosing, model, passing
from initaudit.reading.intervals import ANY, hull, over, times
from initaudit.reading.powers import moment, powers
from initaudit.reading.state import State
from initaudit.reading.units import Files
from initaudit.replica.run import run
from initaudit.signal import ACTIVATIONS
from tests.benchmarks.predicted_spread import pairs
from tests.declared import catalogue, classes, ids

HEAD = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n\n"
TORCH = classes("torch_*.py")
SEEDS = 3


def read(tmp_path: Path, text: str) -> model.Model:
    file = tmp_path / "net.py"
    file.write_text(HEAD + text)
    files = Files()
    unit = choosing.unit_of(files, file)
    return model.read(files, catalogue(), choosing.find(State(files, catalogue()), unit, "Net"))


def told(
    made: model.Model, shape: tuple[int, ...]
) -> tuple[dict[str, Interval], dict[str, float], dict[str, str]]:
    """Return what is predicted and, over some seeds, realised; and the operations."""
    reading = passing.follow(made, passing.declared(made, 0)[1], shape)
    assert not reading.stopped
    network = passing.planned(made, reading)[0].network(())
    found = powers(network, made.parameters, passing.shapes(reading))
    sums: dict[str, list[float]] = {}
    for seed in range(6):
        realised, _ = passing.declared(made, seed)
        arrays = {key: array(realised.stored(key, made.path)) for key in made.parameters}
        trace = run(network, arrays.__getitem__, samples=128, seed=seed, batch_statistics=True)
        for key, signal in trace.signals.items():
            sums.setdefault(key, []).append(signal.second_moment or 0.0)
    return (
        {key: power.q for key, power in found.items()},
        {key: float(np.mean(values)) for key, values in sums.items()},
        {layer.name: layer.op for layer in network.layers},
    )


@pytest.mark.parametrize(("path", "name"), TORCH, ids=ids(TORCH))
def test_no_layer_of_a_fixture_lies_beyond_what_finite_widths_explain(
    path: Path, name: str
) -> None:
    found = list(pairs(path, name, SEEDS))
    assert found
    narrow = sum(pair.told for pair in found)
    for pair in found:
        # Deeper and narrower than these only the mean over many networks is told.
        slack = 1.25**2 if len(found) <= 10 else 3.0
        assert pair.predicted.lo / slack <= pair.realised <= pair.predicted.hi * slack, pair
    if name in {"DefaultShallow", "DefaultDeep", "HeDeep", "LeNet", "TinyConv", "Mixer"}:
        assert narrow


PARTS = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.wide = nn.Linear(96, 192)
        nn.init.orthogonal_(self.wide.weight, 1.5)
        nn.init.constant_(self.wide.bias, 0.5)
        self.back = nn.Linear(192, 96, bias=False)
        nn.init.normal_(self.back.weight, 0.0, 0.1)
        self.out = nn.Linear(96, 96)

    def forward(self, x):
        return self.out(F.leaky_relu(x + self.back(self.wide(x)), 0.2))
"""


def test_orthogonal_columns_constant_biases_and_skips_are_told_as_they_are(tmp_path: Path) -> None:
    found, realised, _ = told(read(tmp_path, PARTS), (96,))
    wide, back = 1.5**2 / 2 + 0.25, 1.92 * (1.5**2 / 2 + 0.25)
    for key, value in (("wide", wide), ("back", back), ("add", 1.0 + back)):
        assert found[key].lo == pytest.approx(value)
        assert found[key].hi == pytest.approx(value)
        assert realised[key] == pytest.approx(value, rel=0.05)
    assert found["out"].lo == pytest.approx((1.0 + back) * 0.52 / 3 + 1 / 288)
    assert realised["out"] == pytest.approx(found["out"].lo, rel=0.08)


IMAGES = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(8, 32, 3, padding=1)
        self.b = nn.Conv2d(32, 32, 5, stride=2, padding=2, groups=4, bias=False)
        self.c = nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1, groups=2)
        for m in (self.a, self.b, self.c):
            nn.init.normal_(m.weight, 0.0, 0.1)

    def forward(self, x):
        return self.c(torch.tanh(self.b(F.relu(self.a(x)))))
"""


def test_borders_strides_groups_and_transposed_convolutions_are_counted(tmp_path: Path) -> None:
    found, realised, ops = told(read(tmp_path, IMAGES), (8, 12, 12))
    weighted = [key for key, op in ops.items() if op in WEIGHTED]
    assert len(weighted) == 3
    for key in weighted:
        assert found[key].lo == found[key].hi
        assert realised[key] == pytest.approx(found[key].hi, rel=0.1), key


def test_a_border_is_the_share_of_taps_that_meet_the_image() -> None:
    attributes = {"stride": (1,), "padding": (1,), "dilation": (1,)}
    conv = Layer("c", "conv", ("x",), attributes=attributes)
    shapes = {"x": (3, 2, 5), "c": (3, 4, 5)}
    assert borders.share(conv, (4, 2, 3), shapes) == Interval.point(13 / 15)
    assert borders.share(conv, (4, 2, 3), {}) == Interval(0.0, 1.0)
    plain = replace(conv, attributes={**attributes, "padding": (0,)})
    assert borders.share(plain, (4, 2, 3), {}) == Interval.point(1.0)


TIED = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(64, 64)

    def forward(self, x):
        return self.fc(torch.tanh(self.fc(x)))
"""


def test_weights_that_the_signal_met_before_tell_nothing(tmp_path: Path) -> None:
    made = read(tmp_path, TIED)
    reading = passing.follow(made, passing.declared(made, 0)[1], (64,))
    network = passing.planned(made, reading)[0].network(())
    found = [x for x in network.layers if x.op == "linear"]
    qs = powers(network, made.parameters)
    assert qs[found[0].name].q.lo == pytest.approx(1 / 3 + 1 / 192)
    assert qs[found[1].name].q == ANY


def test_a_sum_of_what_may_be_correlated_is_only_bounded(tmp_path: Path) -> None:
    same = PARTS.replace("x + self.back(self.wide(x))", "self.wide(x) + torch.tanh(self.wide(x))")
    same = same.replace("self.out(", "self.back(")
    found, realised, ops = told(read(tmp_path, same), (96,))
    key = next(key for key, op in ops.items() if op == "add")
    assert found[key].lo < realised[key] < found[key].hi


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"exp"}))
def test_a_moment_over_an_interval_holds_all_within(name: str) -> None:
    activation, q = ACTIVATIONS[name], Interval(0.05, 20.0)
    for slope in (False, True):
        whole = moment(activation, q, slope=slope)
        for inner in np.geomspace(q.lo, q.hi, 7):
            value = moment(activation, Interval.point(float(inner)), slope=slope).lo
            assert whole.lo * 0.98 <= value <= whole.hi * 1.02


def test_intervals_keep_their_ends() -> None:
    assert times(Interval(0.0, 2.0), ANY) == ANY
    assert over(Interval(1.0, 2.0), Interval(0.0, 4.0)) == Interval(0.25, math.inf)
    assert hull(Interval(1.0, 2.0), Interval.point(0.5)) == Interval(0.5, 2.0)


def reported(tmp_path: Path, text: str, name: str = "Net") -> NetworkReport:
    (tmp_path / "net.py").write_text(HEAD + text)
    options = Options(input_shape=(96,))
    report = declaring.audit_declared(f"{tmp_path}/net.py:{name}", options, rules_for(options))
    return report.networks[0]


def test_a_report_holds_both_and_says_nothing_where_they_agree(tmp_path: Path) -> None:
    network = reported(tmp_path, PARTS)
    layers = {x.name: x for x in network.layers}
    assert layers["wide"].predicted is not None
    assert layers["wide"].forward is not None
    assert not any("arithmetic" in text for text in network.assumptions)


@pytest.mark.parametrize("factor", [0.0, 1e-3, 1e4])
def test_a_disagreement_is_told_once_and_is_no_finding(factor: float, tmp_path: Path) -> None:
    made = read(tmp_path, PARTS)
    reading = passing.follow(made, passing.declared(made, 0)[1], (96,))
    network = passing.planned(made, reading)[0].network(())
    before = reported(tmp_path, PARTS)
    layers = tuple(
        replace(x, forward=replace(x.forward, second_moment=factor * x.forward.second_moment))
        if x.forward is not None and x.forward.second_moment is not None and x.op == "linear"
        else x
        for x in before.layers
    )
    after = beside(replace(before, layers=layers, assumptions=()), network, made, reading)
    assert len(after.assumptions) == 1
    assert after.assumptions[0].startswith("arithmetic puts the RMS of wide at 1.17, the realised")
    assert "2 further layers differ" in after.assumptions[0]
    assert after.verdict == before.verdict
