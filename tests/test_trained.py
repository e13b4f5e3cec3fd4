"""Networks that were really trained: said to be trained, and without a warning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from initaudit import audit
from initaudit.finding import Report
from initaudit.network import Origin
from initaudit.rulebook import Severity
from tests.nets import Arrays, he, mlp

SAMPLES, RATE, STEPS = 512, 2e-3, 300


def loud(report: Report) -> list[str]:
    return [f.message for f in report.findings if f.severity >= Severity.WARNING]


def logits(held: Arrays, inputs: Any) -> list[Any]:
    """What goes into each layer, and what comes out of the last."""
    seen = [inputs]
    for i in range(1, len(held) // 2 + 1):
        out = seen[-1] @ held[f"fc{i}.weight"].T + held[f"fc{i}.bias"]
        seen.append(np.maximum(out, 0) if f"fc{i + 1}.weight" in held else out)
    return seen


def descent(held: Arrays, inputs: Any, labels: Any) -> dict[str, Any]:
    """The gradient of the mean cross-entropy."""
    *seen, out = logits(held, inputs)
    odds = np.exp(out - out.max(axis=1, keepdims=True))
    back = odds / odds.sum(axis=1, keepdims=True)
    back[np.arange(len(labels)), labels] -= 1
    back /= len(labels)
    found = {}
    for i in range(len(seen), 0, -1):
        found[f"fc{i}.weight"], found[f"fc{i}.bias"] = back.T @ seen[i - 1], back.sum(axis=0)
        back = (back @ held[f"fc{i}.weight"]) * (seen[i - 1] > 0)
    return found


def trained(widths: tuple[int, ...]) -> tuple[Arrays, float]:
    """An MLP after some steps of Adam (Kingma and Ba 2015), and how often it is right."""
    random = np.random.default_rng(0)
    held = mlp(random, widths, he, dtype=np.float64)
    inputs = random.standard_normal((SAMPLES, widths[0]))
    labels = np.argmax(inputs @ random.standard_normal((widths[0], widths[-1])), axis=1)
    first = {name: np.zeros_like(array) for name, array in held.items()}
    second = {name: np.zeros_like(array) for name, array in held.items()}
    for step in range(1, STEPS + 1):
        for name, gradient in descent(held, inputs, labels).items():
            first[name] = 0.9 * first[name] + 0.1 * gradient
            second[name] = 0.999 * second[name] + 0.001 * gradient**2
            mean, power = first[name] / (1 - 0.9**step), second[name] / (1 - 0.999**step)
            held[name] -= RATE * mean / (np.sqrt(power) + 1e-8)
    right = float((logits(held, inputs)[-1].argmax(axis=1) == labels).mean())
    return {name: array.astype(np.float32) for name, array in held.items()}, right


@pytest.mark.parametrize("widths", [(32, 64, 64, 10), (16, 48, 48, 48, 2)])
def test_a_trained_mlp_gets_no_warning(widths: tuple[int, ...]) -> None:
    held, right = trained(widths)
    assert right > 0.95
    report = audit(held)
    assert report.networks[0].origin is Origin.TRAINED
    assert any(sentence.startswith("biases: ") for sentence in report.networks[0].evidence)
    assert loud(report) == []


def test_what_holds_for_any_checkpoint_is_still_found_in_a_trained_one() -> None:
    held, _ = trained((32, 64, 64, 10))
    held["fc2.weight"][3, 5] = np.nan
    report = audit(held)
    assert report.networks[0].origin is Origin.TRAINED
    assert [f.rule for f in report.findings if f.severity is Severity.ERROR] == ["IA301"]


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["nanogpt", "llama", "bert", "lstm", "tv_resnet18"])
def test_a_trained_example_of_an_architecture_gets_no_warning(tmp_path: Path, name: str) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from tests.architectures.zoo import EXAMPLES

    example = EXAMPLES[name]
    model = example.build()
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    losses = []
    for step in range(80):
        feed = {
            key: torch.tensor(array, dtype=None if array.dtype.kind == "i" else torch.float32)
            for key, array in example.feed(step % 4).items()
        }
        output = model(**feed)
        output = output if isinstance(output, torch.Tensor) else output[0]
        # Any target will do that is a function of the input: here numbers drawn once for each.
        target = torch.randn(output.shape, generator=torch.Generator().manual_seed(step % 4))
        loss = (output - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss))
    assert losses[-1] < losses[0]
    example.save(model, tmp_path)
    report = audit(tmp_path)
    assert report.networks[0].origin is Origin.TRAINED
    assert loud(report) == []
