"""What norms, strides and pools leave of findings about scale, gradients and chaos."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import initaudit
from initaudit.checks.signal import chaotic, vanishing_gradient
from initaudit.judge import Sent
from initaudit.network import Interval, Layer, Network, Origin, Param, Site, Weights
from initaudit.replica.trace import Signal, Trace


def found(*, norm: bool) -> set[str]:
    """The rules that five layers of N(0, 0.02^2) break, with a layer norm behind the second."""
    random = np.random.default_rng(0)
    state: dict[str, Any] = {
        f"net.{i}.weight": random.normal(0.0, 0.02, (64, 64)).astype(np.float32)
        for i in (0, 2, 5, 7, 9)
    }
    if norm:
        state |= {"net.3.weight": np.ones(64, np.float32), "net.3.bias": np.zeros(64, np.float32)}
    report = initaudit.audit(state, activation="relu", probe=False)
    return {finding.rule for finding in report.findings}


def test_a_norm_on_every_path_starts_the_power_afresh() -> None:
    assert "IA103" in found(norm=False)
    assert "IA103" not in found(norm=True)


def sent(shape: tuple[int, ...], norm: str, trace: Trace) -> Sent:
    """Two convolutions and a head; the first hidden output has a shape, the second one place."""
    weight = (
        Param("weight", (8, 8, 3, 3), Weights("empirical", Interval.unknown(), Interval.unknown())),
    )
    layers = (
        Layer("input", "input", attributes={"shape": (8, 4, 4)}),
        Layer("first", "conv", ("input",), weight),
        Layer("norm", norm, ("first",)),
        Layer("last", "conv", ("norm",), weight),
        Layer("head", "conv", ("last",), weight),
    )
    signals = {"first": Signal(shape, 8), "last": Signal((8, 1, 1), 8)}
    network = Network("net", layers, Origin.MEASURED, "graph", Site("net"))
    return Sent(network, replace(trace, signals=signals), None)


@pytest.mark.parametrize(("shape", "note"), [((8, 40, 40), True), ((8, 2, 2), False)])
def test_a_gradient_spread_over_places_is_a_note(shape: tuple[int, ...], note: bool) -> None:
    subject = sent(shape, "identity", Trace(signals={}, samples=64, backward_ratio=1e-7))
    (hit,) = vanishing_gradient(subject, {"ratio": 1e-5})
    assert (hit.severity is not None) == note


@pytest.mark.parametrize(("norm", "note"), [("batch_norm", True), ("layer_norm", False)])
def test_chaos_under_batch_norms_is_a_note(norm: str, note: bool) -> None:
    subject = sent((8, 4, 4), norm, Trace(signals={}, samples=64, sensitivity=1e4))
    (hit,) = chaotic(subject, {"sensitivity": 1e3})
    assert (hit.severity is not None) == note
