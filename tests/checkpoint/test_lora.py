"""Adapters as peft stores them: what is silent, what is said, what is an error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from initaudit import audit
from initaudit.finding import Report
from initaudit.network import Origin
from initaudit.rulebook import Severity
from tests.nets import Arrays

WIDTH, RANK, DEPTH, VOCABULARY = 64, 4, 3, 50
FILE = "adapter_model.safetensors"
CONFIG: dict[str, Any] = {
    "peft_type": "LORA", "r": RANK, "lora_alpha": 8, "use_rslora": False,
    "init_lora_weights": True, "target_modules": ["q_proj", "v_proj"],
}  # fmt: skip
FRESH = "fresh LoRA: delta is zero, one factor of each pair holds zeros"


def adapter(*, a: str = "he", b: str = "zero", rank: int = RANK) -> Arrays:
    """The pairs of some projections, each factor zero, he (uniform, a = sqrt 5) or normal."""
    random = np.random.default_rng(0)

    def made(how: str, shape: tuple[int, int]) -> Any:
        bound = 1 / np.sqrt(shape[1])
        drawn = {"he": random.uniform(-bound, bound, shape), "normal": random.normal(0, 1, shape)}
        return drawn.get(how, np.zeros(shape)).astype(np.float32)

    held: Arrays = {}
    for i in range(DEPTH):
        for name in ("q_proj", "v_proj"):
            place = f"base_model.model.model.layers.{i}.self_attn.{name}"
            held[f"{place}.lora_A.weight"] = made(a, (rank, WIDTH))
            held[f"{place}.lora_B.weight"] = made(b, (WIDTH, rank))
    return held


def embedding(*, a: float = 0.0, b: float = 1.0) -> Arrays:
    """The pair of an embedding: peft starts A at zero and B at N(0, 1)."""
    random, place = np.random.default_rng(0), "base_model.model.model.embed_tokens"
    return {
        f"{place}.lora_embedding_A": a * random.standard_normal((RANK, VOCABULARY), np.float32),
        f"{place}.lora_embedding_B": b * random.standard_normal((WIDTH, RANK), np.float32),
    }


def audited(folder: Path, held: Arrays, config: dict[str, Any] | str | None = None) -> Report:
    save_file(held, folder / FILE)
    if config is not None:
        text = config if isinstance(config, str) else json.dumps(CONFIG | config)
        (folder / "adapter_config.json").write_text(text)
    return audit(folder)


def assumed(report: Report) -> tuple[str, ...]:
    return report.networks[0].assumptions


@pytest.mark.parametrize(
    ("held", "config"),
    [
        pytest.param(adapter(), {}, id="peft's default"),
        pytest.param(adapter(), None, id="without a configuration"),
        pytest.param(adapter(a="normal"), {"init_lora_weights": "gaussian"}, id="gaussian"),
        pytest.param(embedding(), {"target_modules": ["embed_tokens"]}, id="an embedding"),
        pytest.param(adapter(a="zero", b="normal"), {}, id="A at zero trains as well"),
    ],
)
def test_a_fresh_adapter_is_silent_and_said_to_change_nothing(
    tmp_path: Path, held: Arrays, config: dict[str, Any] | None
) -> None:
    report = audited(tmp_path, held, config)
    assert report.findings == ()
    assert report.networks[0].origin is Origin.MEASURED
    assert FRESH in assumed(report)
    assert any(text.startswith("LoRA pairs: ") for text in report.networks[0].evidence)


@pytest.mark.parametrize(
    ("held", "layers"),
    [(adapter(a="zero"), 2 * 2 * DEPTH), (embedding(b=0.0), 2)],
    ids=["linear", "embedding"],
)
def test_two_factors_of_zero_are_an_error(tmp_path: Path, held: Arrays, layers: int) -> None:
    report = audited(tmp_path, held, {})
    (found,) = report.findings
    assert (found.rule, found.severity) == ("IA101", Severity.ERROR)
    assert found.facts["layers"] == layers
    assert FRESH not in assumed(report)


@pytest.mark.parametrize(
    ("way", "said"),
    [
        (True, "trained, or drawn in a way that is not told"),
        (False, "trained, or drawn at random (init_lora_weights is false)"),
        ("pissa_niter_4", "trained, or as pissa_niter_4 makes them"),
    ],
)
def test_two_factors_that_are_not_zero_get_no_warning(
    tmp_path: Path, way: bool | str, said: str
) -> None:
    report = audited(tmp_path, adapter(b="normal"), {"init_lora_weights": way})
    assert report.findings == ()
    assert f"LoRA: neither factor is zero in {2 * DEPTH} of {2 * DEPTH} adapters: {said}" in (
        assumed(report)
    )
    voted = any(text.startswith("LoRA pairs: 0 of") for text in report.networks[0].evidence)
    assert voted == (way is True)


def test_some_adapters_moved(tmp_path: Path) -> None:
    held = adapter() | {k: v for k, v in adapter(b="normal").items() if ".layers.0." in k}
    said = assumed(audited(tmp_path, held, {}))
    assert any(text.startswith("fresh LoRA: delta is zero in 4 of 6 adapters") for text in said)
    assert any(text.startswith("LoRA: neither factor is zero in 2 of 6") for text in said)


@pytest.mark.parametrize(("rooted", "scale"), [(False, "r = 2"), (True, "sqrt(r) = 4")])
def test_the_scale_of_the_product_is_said(tmp_path: Path, rooted: bool, scale: str) -> None:
    said = assumed(audited(tmp_path, adapter(), {"use_rslora": rooted}))
    assert f"LoRA: 6 adapters of rank 4, scaled by lora_alpha / {scale}" in said


def test_weights_of_another_rank_are_believed(tmp_path: Path) -> None:
    report = audited(tmp_path, adapter(rank=8), {})
    assert "adapter_config.json says r = 4, weights have 8: the weights are believed" in (
        assumed(report)
    )
    assert "LoRA: 6 adapters of rank 8, scaled by lora_alpha / r = 1" in assumed(report)
    assert not any("says r" in t for t in assumed(audited(tmp_path, adapter(rank=8), {"r": 8})))
    patterns = {"rank_pattern": {"q_proj": 8}}
    assert not any("says r" in t for t in assumed(audited(tmp_path, adapter(rank=8), patterns)))


def test_targets_that_are_not_stored_are_said(tmp_path: Path) -> None:
    report = audited(tmp_path, adapter(), {"target_modules": ["q_proj", "v_proj", "k_proj"]})
    said = "adapter_config.json names target_modules k_proj, of which none is stored"
    assert said in assumed(report)


def test_factors_of_different_ranks_are_said(tmp_path: Path) -> None:
    held = adapter()
    name = "base_model.model.model.layers.1.self_attn.v_proj"
    held[f"{name}.lora_B.weight"] = np.zeros((WIDTH, 3), np.float32)
    said = f"the factors of {name} have different ranks: they do not multiply"
    assert said in assumed(audited(tmp_path, held, {}))


def test_magnitudes_of_dora_are_no_fault(tmp_path: Path) -> None:
    held = adapter()
    for i in range(DEPTH):
        name = f"base_model.model.model.layers.{i}.self_attn.q_proj.lora_magnitude_vector"
        held[name] = np.full(WIDTH, 0.9, np.float32)
    report = audited(tmp_path, held, {"use_dora": True})
    assert report.findings == ()
    assert FRESH in assumed(report)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("{", "is not JSON"), ("[1]", "is not a JSON object"), ('{"r": "x", "lora_alpha": []}', "")],
)
def test_a_broken_configuration_leaves_the_weights(tmp_path: Path, text: str, reason: str) -> None:
    report = audited(tmp_path, adapter(), text)
    assert FRESH in assumed(report)
    assert not report.failed
    assert [reason in lost.reason for lost in report.unread] == ([True] if reason else [])


def test_a_nan_in_an_adapter_is_an_error(tmp_path: Path) -> None:
    held = adapter()
    next(iter(held.values()))[0, 0] = np.nan
    assert [f.rule for f in audited(tmp_path, held, {}).findings] == ["IA301"]


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("settings", "fresh"),
    [
        ({}, True),
        ({"init_lora_weights": "gaussian"}, True),
        ({"use_dora": True}, True),
        ({"use_rslora": True}, True),
        ({"target_modules": ["q_proj", "embed_tokens"]}, True),
        ({"init_lora_weights": False}, False),
        ({"init_lora_weights": "pissa"}, False),
        ({"init_lora_weights": "olora"}, False),
    ],
)
def test_what_peft_saves(tmp_path: Path, settings: dict[str, Any], fresh: bool) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    peft = pytest.importorskip("peft")
    from tests.architectures.zoo import EXAMPLES

    usual = {"r": RANK, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]}
    torch.manual_seed(0)
    model = peft.get_peft_model(EXAMPLES["llama"].build(), peft.LoraConfig(**(usual | settings)))
    model.save_pretrained(tmp_path)
    report = audit(tmp_path)
    assert report.findings == ()
    assert (FRESH in assumed(report)) is fresh
    assert any("rank 4, scaled by lora_alpha" in text for text in assumed(report))
    held = load_file(tmp_path / FILE)
    save_file({n: a * 0 if ".lora_" in n else a for n, a in held.items()}, tmp_path / FILE)
    assert "IA101" in {f.rule for f in audit(tmp_path).findings}
