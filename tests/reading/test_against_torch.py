"""What is read of a torch model against the model itself: names, order, spread of the signal."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from initaudit.checkpoint import reading as stored_reading
from initaudit.reading import passing
from initaudit.replica.run import run
from tests.declared import classes, followed, ids, module, read

pytestmark = pytest.mark.oracle
TORCH = classes("torch_*.py")
SEEDS = 20
SPREAD = [
    (path, name)
    for path, name in TORCH
    if name in {"DefaultShallow", "DefaultDeep", "HeDeep", "XavierTanh", "DeepSigmoid",
                "SeluLecun", "Orthogonal", "LeakyStack", "Autoencoder", "TooSmall", "Mixer",
                "SwiGlu", "ByHandAttention", "LstmTagger", "GruLast", "Signal1d",
                "Concatenated", "Generator", "RandomWeights", "EncoderPost", "EncoderPre",
                "EncoderXavier", "CrossAttention", "WidthsApart", "SequenceFirst", "Translator",
                "DecoderPre", "LstmStack", "RnnStack", "WeightNormed", "WeightNormedAfter",
                "WeightNormedLegacy", "SpectralNormed"}
]  # fmt: skip


def built(path: Path, name: str, seed: int = 0) -> Any:
    torch = pytest.importorskip("torch")
    torch.manual_seed(seed)
    return getattr(module(path), name)()


def example(path: Path, name: str, samples: int) -> Any:
    torch = pytest.importorskip("torch")
    entry = followed(path, name).entries[0]
    size = (samples, *entry.shape)
    return torch.randint(0, 10, size) if entry.tokens else torch.randn(size)


def is_leaf(key: str, inner: Any) -> bool:
    """Return whether a module holds no other, but for what computes its own weight."""
    held = [name for name, _ in inner.named_children() if name != "parametrizations"]
    return not held and "parametrizations" not in key


@pytest.mark.parametrize(("path", "name"), TORCH, ids=ids(TORCH))
def test_names_and_shapes_are_those_of_the_state_dict(path: Path, name: str) -> None:
    made = read(path, name)
    found = {key: tuple(map(int, p.shape)) for key, p in made.parameters.items()}
    wanted = {key: tuple(value.shape) for key, value in built(path, name).state_dict().items()}
    assert {**found, **{a: found[r] for a, r in made.aliases.items()}} == wanted


@pytest.mark.parametrize(("path", "name"), TORCH, ids=ids(TORCH))
def test_layers_with_weights_come_in_the_order_in_which_hooks_fire(path: Path, name: str) -> None:
    net, fired = built(path, name).eval(), []
    known = ("Linear", "Conv", "Norm", "Embedding", "LSTM", "GRU")
    for key, inner in net.named_modules():
        own = type(inner).__module__.startswith("torch.")
        if own and is_leaf(key, inner) and any(word in type(inner).__name__ for word in known):
            inner.register_forward_hook(lambda m, i, o, key=key: fired.append(key))
    net(example(path, name, 2))
    made, reading = read(path, name), followed(path, name)
    assert not reading.stopped
    order: list[str] = []
    for step in reading.tape.builder.steps.values():
        for part in step.parts:
            owner = (part.alias or part.key).rpartition(".")[0]
            owner = step.scope if part.key.startswith("(") else owner
            if owner in fired and (not order or order[-1] != owner):
                order.append(owner)
    assert order == fired
    assert made.parameters


@pytest.mark.parametrize(("path", "name"), SPREAD, ids=ids(SPREAD))
def test_the_spread_of_each_layer_is_within_a_fifth_over_twenty_seeds(
    path: Path, name: str
) -> None:
    made, reading = read(path, name), followed(path, name)
    x = example(path, name, 128)
    measured: dict[str, list[float]] = {}
    for seed in range(SEEDS):
        net = built(path, name, seed)

        def note(key: str, module: Any, given: Any, out: Any) -> None:
            out = out[0] if isinstance(out, tuple) else out
            measured.setdefault(key, []).append(float(out.detach().std(correction=0)))

        for key, inner in net.named_modules():
            if is_leaf(key, inner) and key:
                inner.register_forward_hook(partial(note, key))
        net.train()
        for inner in net.modules():
            if "Dropout" in type(inner).__name__:
                inner.eval()
        net(x)
    plan, _ = passing.planned(made, passing.follow(made, passing.declared(made, 0)[1],
                                               reading.entries[0].shape))  # fmt: skip
    predicted: dict[str, list[float]] = {}
    for seed in range(SEEDS):
        realised, _ = passing.declared(made, seed)
        tensors = [realised.stored(key, made.path) for key in made.parameters]
        arrays = {t.name: stored_reading.array(t) for t in tensors}
        arrays |= plan.computed
        trace = run(plan.network(()), arrays.__getitem__, samples=128, seed=seed)
        for key, signal in trace.signals.items():
            predicted.setdefault(key, []).append(signal.std or 0.0)
    weighted = {x.name for x in plan.network(()).layers if x.op in {"linear", "conv"}}
    compared = [key for key in measured if key in predicted and key in weighted]
    assert compared or name in {"RandomWeights"}
    for key in compared:
        ratio = np.mean(predicted[key]) / np.mean(measured[key])
        assert 0.8 < ratio < 1.25, (key, ratio)
