"""Every faulty fixture is named, every healthy one is silent, whatever the seeds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import initaudit
from fixtures.checkpoints.draw import Drawn, draw, faulty, healthy
from fixtures.checkpoints.write import SEED
from initaudit.finding import Report
from initaudit.rulebook import Severity

FOLDER = Path(__file__).parent.parent / "fixtures" / "checkpoints"
SEEDS = range(20)
LARGE = "healthy-residual-zero-norm"
"""As much work as all other healthy fixtures together: drawn anew at every fourth seed."""


def bad(report: Report) -> set[str]:
    return {f.rule for f in report.findings if f.severity >= Severity.WARNING}


def sound(seed: int) -> list[Drawn]:
    return [d for d in healthy(seed) if d.name != LARGE or seed % 4 == 0]


def audited(drawn: Drawn, seed: int, *, told: bool = True) -> Report:
    activation = drawn.config.get("hidden_act") if told else None
    return initaudit.audit(drawn.arrays, activation=activation, seed=seed)


@pytest.mark.parametrize("drawn", draw(SEED), ids=lambda d: d.name)
def test_the_files_are_those_that_the_script_writes(drawn: Drawn) -> None:
    stored = load_file(FOLDER / drawn.name / "model.safetensors")
    assert stored.keys() == drawn.arrays.keys()
    for name, array in drawn.arrays.items():
        np.testing.assert_array_equal(stored[name], array)
    config = FOLDER / drawn.name / "config.json"
    assert (json.loads(config.read_text()) if config.exists() else {}) == drawn.config


@pytest.mark.parametrize("drawn", draw(SEED), ids=lambda d: d.name)
def test_a_file_gets_the_verdict_of_its_arrays(drawn: Drawn) -> None:
    report = initaudit.audit(FOLDER / drawn.name / "model.safetensors")
    assert not report.unread
    assert not report.failed
    assert bool(bad(report)) == bool(drawn.expected)
    assert not drawn.expected or bad(report) & drawn.expected


@pytest.mark.parametrize("drawn", healthy(SEED), ids=lambda d: d.name)
def test_a_healthy_network_is_silent_of_a_signal_that_went_through_it(drawn: Drawn) -> None:
    (network,) = initaudit.audit(FOLDER / drawn.name / "model.safetensors").networks
    if drawn.name == "healthy-lora":
        # The weights that an adapter is added to are not stored with it.
        assert (network.coverage, network.verdict) == (0.0, "unjudged")
    else:
        assert network.coverage == 1.0


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("told", [True, False], ids=["activation told", "activation unknown"])
def test_faulty_networks_are_named(seed: int, told: bool) -> None:
    drawings = faulty(seed)
    if not told:
        # Without its config one fault has the same weights under every activation.
        drawings = drawings[::3]
    missed = {
        d.name: bad(r) for d in drawings if not bad(r := audited(d, seed, told=told)) & d.expected
    }
    assert not missed


@pytest.mark.parametrize("seed", SEEDS)
def test_healthy_networks_are_silent(seed: int) -> None:
    alarms = {d.name: found for d in sound(seed) if (found := bad(audited(d, seed)))}
    assert not alarms


@pytest.mark.parametrize("seed", SEEDS)
def test_healthy_networks_are_silent_without_their_activation(seed: int) -> None:
    alarms = {d.name: found for d in sound(seed) if (found := bad(audited(d, seed, told=False)))}
    assert not alarms
