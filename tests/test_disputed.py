"""What is measured of fresh networks that their authors would not call a fault."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import initaudit
from initaudit.claims import registered
from initaudit.judge import Sent
from initaudit.network import Lines, Network
from initaudit.replica.inputs import draw, generator
from initaudit.replica.loading import loader
from initaudit.replica.trace import Trace
from initaudit.rulebook import Severity
from tests.replica.build import Builder

WIDTH, DEPTH, VOCABULARY = 32, 8, 100


def llama(*, padded: bool) -> dict[str, Any]:
    """A Llama as transformers draws it; the row of a padding token holds zeros."""
    random = np.random.default_rng(0)
    shapes = dict.fromkeys((f"self_attn.{x}_proj" for x in "qkvo"), (WIDTH, WIDTH))
    shapes |= {"mlp.gate_proj": (80, WIDTH), "mlp.up_proj": (80, WIDTH),
               "mlp.down_proj": (WIDTH, 80)}  # fmt: skip
    held = {"model.embed_tokens.weight": random.normal(0, 0.02, (VOCABULARY, WIDTH))}
    for i in range(DEPTH):
        for name, shape in shapes.items():
            held[f"model.layers.{i}.{name}.weight"] = random.normal(0, 0.02, shape)
        for norm in ("input_layernorm", "post_attention_layernorm"):
            held[f"model.layers.{i}.{norm}.weight"] = np.ones(WIDTH)
    held["model.norm.weight"] = np.ones(WIDTH)
    held["lm_head.weight"] = random.normal(0, 0.02, (VOCABULARY, WIDTH))
    if padded:
        held["model.embed_tokens.weight"][0] = 0
    return {name: array.astype(np.float32) for name, array in held.items()}


@pytest.mark.parametrize("padded", [False, True])
def test_padding_is_not_sent_through(padded: bool) -> None:
    report = initaudit.audit(llama(padded=padded))
    assert [f for f in report.findings if f.severity >= Severity.WARNING] == []
    ratio = report.networks[0].backward_ratio
    assert ratio is not None
    assert 0.1 < ratio < 10


def embedded(dead: int, *, known: bool = True) -> tuple[Network, Any]:
    table = np.ones((10, 3))
    table[:dead] = 0
    built = Builder((500,), tokens=10).add("table", "embedding", {"weight": table})
    layer = built.layers[-1]
    (param,) = layer.params
    assert param.tensor is not None
    rows = Lines(10, dead, 10, 10) if known else None
    param = replace(param, tensor=replace(param.tensor, rows=rows))
    built.layers[-1] = replace(layer, params=(param,))
    return built.network, loader(built.arrays.__getitem__)


@pytest.mark.parametrize(
    ("dead", "known", "expected"),
    [
        pytest.param(0, True, set(range(10)), id="all are tokens"),
        pytest.param(2, True, set(range(2, 10)), id="rows of zeros are padding"),
        pytest.param(2, False, set(range(10)), id="rows that were not compared"),
        pytest.param(5, True, set(range(10)), id="half a table is no padding"),
        pytest.param(10, True, set(range(10)), id="nor is a whole one"),
    ],
)
def test_drawn_tokens(dead: int, known: bool, expected: set[int]) -> None:
    network, load = embedded(dead, known=known)
    assert set(draw(network, 4, generator(0), load=load)["input"].ravel()) == expected


def sent(network: Network, probed: Trace | None = None, **measured: Any) -> Sent:
    return Sent(network, Trace({}, 1, **measured), probed)


def severity(rule: str, subject: Sent, **limits: float) -> list[Severity | None]:
    return [hit.severity for hit in registered()[rule, "signal"](subject, limits)]


def stack(*, norms: bool, outputs: int = 3) -> Network:
    built = Builder((4,))
    for i in range(3):
        built.add(f"fc{i}", "linear", {"weight": np.ones((4, 4))})
        if norms:
            built.add(f"norm{i}", "batch_norm")
        built.add(f"act{i}", "activation", function="relu")
    return built.add("head", "linear", {"weight": np.ones((outputs, 4))}).network


@pytest.mark.parametrize(("norms", "expected"), [(False, None), (True, Severity.NOTE)])
def test_sensitivity_that_no_scale_of_the_weights_changes_is_a_note(
    norms: bool, expected: Severity | None
) -> None:
    subject = sent(stack(norms=norms), sensitivity=1e5)
    assert severity("IA209", subject, sensitivity=1e3) == [expected]


@pytest.mark.parametrize(
    ("outputs", "now", "expected"),
    [
        pytest.param(10, 9.0, Severity.WARNING, id="ten classes pull ten ways"),
        pytest.param(2, 9.0, Severity.NOTE, id="two classes pull one way"),
        pytest.param(1, 9.0, Severity.NOTE, id="one output too"),
        pytest.param(2, 1.0, None, id="collapsed from the start"),
    ],
)
def test_a_rank_lost_in_the_probe(outputs: int, now: float, expected: Severity | None) -> None:
    probed = Trace({}, 1, effective_rank_min=1.0)
    subject = sent(stack(norms=False, outputs=outputs), probed, effective_rank_min=now)
    assert severity("IA202", subject, rank=1.05, rank_probe=1.1) == [expected]


def test_a_chaotic_recurrent_network_is_named() -> None:
    random = np.random.default_rng(0)
    built = Builder((6,), tokens=9)
    built.add("table", "embedding", {"weight": random.normal(0, 1, (9, 4))})
    built.add("gru", "gru", {"weight_ih": np.ones((12, 4)), "weight_hh": np.ones((12, 4))})
    network = built.add("head", "linear", {"weight": np.ones((3, 4))}).network
    subject = sent(network, sensitivity=1e5, hidden=("gru",))
    (hit,) = registered()["IA209", "signal"](subject, {"sensitivity": 1e3})
    assert hit.severity is None
    assert hit.site.layer == "gru"
    assert hit.facts["hidden_layers"] == 1


def recurrent(low: float, high: float) -> dict[str, Any]:
    """An embedding, a GRU and a head, the GRU's matrices uniform within bounds."""
    random = np.random.default_rng(0)
    shapes = {"weight_ih_l0": (96, 24), "weight_hh_l0": (96, 32)}
    held = {f"gru.{n}": random.uniform(low, high, shape) for n, shape in shapes.items()}
    held |= {f"gru.{n}": np.zeros(96) for n in ("bias_ih_l0", "bias_hh_l0")}
    held |= {
        "embedding.weight": random.standard_normal((50, 24)),
        "fc.weight": random.uniform(-0.18, 0.18, (10, 32)),
        "fc.bias": np.zeros(10),
    }
    return {name: array.astype(np.float32) for name, array in held.items()}


@pytest.mark.parametrize(("low", "named"), [(0.0, True), (-0.18, False)])
def test_one_sided_recurrent_weights_are_named(low: float, named: bool) -> None:
    report = initaudit.audit(recurrent(low, 0.18), probe=False)
    assert ("IA105" in {f.rule for f in report.findings}) is named
    assert any(layer.op == "gru" for layer in report.networks[0].layers)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("std", "named"),
    [
        pytest.param(1.0, True, id="takes 3 to 8 times the steps, and a rate that is just right"),
        pytest.param(0.18, False, id="1 / sqrt(32)"),
    ],
)
def test_gates_of_weights_far_too_large_make_a_sequence_chaotic(
    seed: int, std: float, named: bool
) -> None:
    random = np.random.default_rng(seed)
    held = {"embedding.weight": random.standard_normal((100, 24)),
            "fc.weight": random.uniform(-0.18, 0.18, (10, 32)),
            "fc.bias": np.zeros(10)}  # fmt: skip
    for layer, into in enumerate((24, 32)):
        held[f"lstm.weight_ih_l{layer}"] = random.normal(0, std, (128, into))
        held[f"lstm.weight_hh_l{layer}"] = random.normal(0, std, (128, 32))
        held |= {f"lstm.bias_{side}_l{layer}": np.zeros(128) for side in ("ih", "hh")}
    report = initaudit.audit(held, probe=False, samples=64, seed=seed)
    found = {f.rule for f in report.findings if f.severity >= Severity.WARNING}
    assert found == ({"IA209"} if named else set())


@pytest.mark.parametrize(("times_eps", "severity"), [(0.7, "NOTE"), (0.05, "WARNING")])
def test_an_eps_that_sets_half_the_scale_is_a_note(times_eps: float, severity: str) -> None:
    random = np.random.default_rng(0)
    state = {
        "fc0.weight": random.normal(0, np.sqrt(times_eps * 1e-5 / 64), (64, 64)),
        "norm0.weight": np.ones(64),
        "norm0.bias": np.zeros(64),
        "head.weight": random.normal(0, 0.1, (10, 64)),
    }
    report = initaudit.audit({k: v.astype(np.float32) for k, v in state.items()})
    (found,) = [f for f in report.findings if f.rule == "IA210"]
    assert found.severity.name == severity
