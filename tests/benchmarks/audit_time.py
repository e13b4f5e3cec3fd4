"""How long an audit takes, beside one forward and backward pass of the same model in PyTorch.

Run ``python tests/benchmarks/audit_time.py [--samples 256] [--only gpt2] [--budget]``. GPT-2 small,
BERT base, ResNet-50 and ViT-B/16 are built from their configurations by transformers, saved with
``save_pretrained``, and audited with random inputs: reading, statistics, forward, backward,
sensitivity, probe where it has one, report. Next to it PyTorch takes the same number of inputs of
the same shape forward and backward, by the same number of threads; its better run of two counts.

An audit takes fewer inputs of a large network than it is asked for. Here it is made to take as many
as PyTorch does; ``--budget`` leaves it its own choice, and PyTorch then takes that many too.
Exits 1 where a ratio is above 2.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

MOST = 2.0
THREADS = 2


@dataclass(frozen=True, slots=True)
class Model:
    """A model of transformers: how it is built, and the shape of its inputs."""

    build: Callable[[Any], Any]
    shape: tuple[int, ...]
    tokens: int | None = None


IMAGE = (3, 224, 224)
MODELS = {
    "gpt2": Model(lambda t: t.GPT2LMHeadModel(t.GPT2Config()), (32,), 50257),
    "bert": Model(lambda t: t.BertForMaskedLM(t.BertConfig()), (32,), 30522),
    "resnet50": Model(lambda t: t.ResNetForImageClassification(t.ResNetConfig()), IMAGE),
    "vit": Model(lambda t: t.ViTForImageClassification(t.ViTConfig(num_labels=1000)), IMAGE),
}


@contextmanager
def unlimited(wanted: bool) -> Iterator[None]:
    """Lift the budget of samples."""
    if not wanted:
        yield
        return
    from initaudit.replica import inputs

    limits = {"_PRODUCTS": float("inf"), "_BYTES": float("inf")}
    with (
        patch.multiple(inputs, **limits),
        patch.object(inputs.Size, "samples", lambda self, wanted, passes=1: wanted),
    ):
        yield


def audited(
    folder: Path, samples: int, shape: tuple[int, ...], *, budget: bool
) -> tuple[float, int, Any]:
    """Return the seconds of an audit, the inputs that it took, and its report."""
    import initaudit
    from initaudit import propagate
    from initaudit.replica.run import run

    taken: list[int] = []

    def counted(*args: Any, **settings: Any) -> Any:
        trace = run(*args, **settings)
        taken.append(trace.samples)
        return trace

    with unlimited(not budget), patch.object(propagate, "run", counted):
        began = time.perf_counter()
        report = initaudit.audit(folder, samples=samples, input_shape=shape)
        return time.perf_counter() - began, sum(taken), report


def trained(torch: Any, model: Any, case: Model, samples: int) -> float:
    """Return the seconds of a forward and backward pass, the better of two."""
    best = float("inf")
    for _ in range(2):
        if case.tokens is None:
            x = torch.randn(samples, *case.shape)
        else:
            x = torch.randint(0, case.tokens, (samples, *case.shape))
        began = time.perf_counter()
        logits = model(x).logits
        logits.backward(torch.randn_like(logits))
        best = min(best, time.perf_counter() - began)
        model.zero_grad()
        del logits
    return best


def main() -> int:
    """Time the models; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=256)
    parser.add_argument("--only", nargs="+", choices=tuple(MODELS), default=tuple(MODELS))
    parser.add_argument("--budget", action="store_true", help="let the audit choose")
    options = parser.parse_args()
    import torch
    import transformers

    torch.set_num_threads(THREADS)
    print(f"{'model':<10} {'inputs':>6} {'audit s':>8} {'torch s':>8} {'ratio':>6}   "
          f"(load {os.getloadavg()[0]:.1f})")  # fmt: skip
    missed = False
    for name in options.only:
        case = MODELS[name]
        model = case.build(transformers).train()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder, safe_serialization=True)
            seconds, count, report = audited(
                Path(folder), options.samples, case.shape, budget=options.budget
            )
        base = trained(torch, model, case, count or options.samples)
        ratio = seconds / base
        missed |= ratio > MOST
        print(f"{name:<10} {count:>6} {seconds:>8.1f} {base:>8.1f} {ratio:>6.2f}", flush=True)
        for network in report.networks:
            for layer, reason in network.stopped[:3]:
                print(f"  stopped: {layer}: {reason}")
        for unread in report.unread:
            print(f"  unread: {unread.reason}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
