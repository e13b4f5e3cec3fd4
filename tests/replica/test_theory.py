"""What trains and what does not, as the limits of the rules see it through the replica.

Networks of 64 inputs and 64 units a hidden layer, 10 outputs, 256 Gaussian inputs. The limits are
those of the rule pages: rank 1.05 and 1.1, sensitivity 1e3, gradient power 1e5 either way, second
moment 1e8 either way.
"""

from __future__ import annotations

import math
from statistics import median, stdev

import pytest

from initaudit.replica.probe import probe
from initaudit.replica.run import run
from initaudit.replica.trace import Trace
from initaudit.signal import ACTIVATIONS, fixed_point
from tests.replica.build import (
    HE,
    LECUN,
    Builder,
    Draw,
    filled,
    mlp,
    normal,
    plain,
    positive,
    torch_default,
    torch_default_bias,
    xavier,
)

SEEDS = range(3)


def verdict(built: Builder, seed: int) -> str:
    trace = run(built.network, built.load, seed=seed)
    probed = probe(built.network, built.load, seed=seed)
    assert probed is not None
    if rank(trace) <= 1.05 and rank(probed) <= 1.05:
        return "error"
    assert trace.backward_ratio is not None
    assert trace.forward_ratio is not None
    flags = [
        rank(probed) <= 1.1,
        (trace.sensitivity or 0.0) > 1e3,
        not 1e-5 <= trace.backward_ratio <= 1e5,
        not 1e-8 <= trace.forward_ratio <= 1e8,
    ]
    return "warning" if any(flags) else "clean"


def rank(trace: Trace) -> float:
    assert trace.effective_rank_min is not None
    return trace.effective_rank_min


def deep(function: str, draw: Draw, seed: int, hidden: int = 10) -> Builder:
    return mlp((64, *[64] * hidden, 10), function, draw, seed)


@pytest.mark.parametrize(
    ("function", "draw", "hidden"),
    [
        pytest.param("tanh", xavier(), 10, id="Xavier tanh"),
        pytest.param("relu", HE, 10, id="He ReLU"),
        pytest.param("selu", LECUN, 10, id="LeCun SELU"),
        pytest.param("sigmoid", xavier(), 4, id="Xavier sigmoid, 4 layers"),
        pytest.param("sigmoid", xavier(4.0), 10, id="4x Xavier sigmoid"),
    ],
)
@pytest.mark.parametrize("seed", SEEDS)
def test_what_trains_is_clean(function: str, draw: Draw, hidden: int, seed: int) -> None:
    assert verdict(deep(function, draw, seed, hidden), seed) == "clean"


@pytest.mark.parametrize(
    ("function", "draw"),
    [
        *(
            pytest.param(function, draw, id=f"{name} {function}")
            for function in ("tanh", "relu", "sigmoid")
            for name, draw in (
                ("U[0, 1]", positive),
                ("constant 0.5", filled(0.5)),
                ("zeros", filled(0.0)),
            )
        ),
        pytest.param("sigmoid", plain(0.01), id="N(0, 0.01^2) sigmoid"),
    ],
)
@pytest.mark.parametrize("seed", SEEDS)
def test_what_collapses_is_an_error(function: str, draw: Draw, seed: int) -> None:
    assert verdict(deep(function, draw, seed), seed) == "error"


@pytest.mark.parametrize("seed", SEEDS)
def test_xavier_sigmoid_of_ten_layers_collapses(seed: int) -> None:
    assert verdict(deep("sigmoid", xavier(), seed), seed) == "error"


@pytest.mark.parametrize("function", ["tanh", "relu"])
@pytest.mark.parametrize("seed", SEEDS)
def test_too_small_weights_are_a_warning(function: str, seed: int) -> None:
    built = deep(function, plain(0.01), seed)
    assert verdict(built, seed) == "warning"
    assert (run(built.network, built.load, seed=seed).forward_ratio or 0.0) < 1e-19


def test_at_the_limit_verdicts_flip_with_the_seed() -> None:
    found = [
        verdict(
            mlp((64, *[64] * 10, 10), "tanh", torch_default, seed, bias=torch_default_bias), seed
        )
        for seed in range(10)
    ]
    assert set(found) == {"clean", "warning"}


@pytest.mark.parametrize(
    ("function", "draw", "sw2"),
    [
        ("tanh", xavier(), 1.0),
        ("tanh", normal(math.sqrt(2)), 2.0),
        ("sigmoid", xavier(), 1.0),
        ("gelu", HE, 2.0),
        ("silu", HE, 2.0),
        ("softplus", xavier(), 1.0),
        ("selu", LECUN, 1.0),
    ],
)
def test_wide_layers_follow_the_variance_map(function: str, draw: Draw, sw2: float) -> None:
    found = []
    for seed in range(5):
        built = mlp((300, *[300] * 6, 4), function, draw, seed)
        second = run(built.network, built.load, samples=64).signals["fc5"].second_moment
        assert second is not None
        found.append(second)
    expected = fixed_point(ACTIVATIONS[function], sw2, 0.0, layers=5)
    assert median(found) == pytest.approx(expected, rel=0.2)


@pytest.mark.parametrize(("width", "layers"), [(20, 20), (40, 20)])
def test_narrow_relu_networks_shrink_in_the_median(width: int, layers: int) -> None:
    # ln q ~ N(-2.5 beta, 5 beta) with beta = sum 1 / n behind the first layer (Hanin 2018).
    networks = 250
    logs = []
    for seed in range(networks):
        built = mlp((width, *[width] * layers, 2), "relu", HE, seed)
        ratio = run(built.network, built.load, samples=1, seed=seed).forward_ratio
        assert ratio
        logs.append(math.log(ratio))
    beta = (layers - 1) / width
    spread = math.sqrt(5 * beta)
    error = 1.25 * spread / math.sqrt(networks)
    assert median(logs) == pytest.approx(-2.5 * beta, abs=4 * error)
    assert stdev(logs) == pytest.approx(spread, rel=0.25)
