"""How long an audit takes, beside one forward and backward pass of the same model in PyTorch.

Run ``python -m tests.benchmarks.audit_time [--samples 256] [--only gpt2] [--budget]``. GPT-2 small,
BERT base and ViT-B/16 are built from their configurations by transformers and saved with
``save_pretrained``, ResNet-50 has torchvision's names. Each is audited with random inputs: reading,
statistics, forward, backward, sensitivity, probe where there is one, report. Next to it PyTorch
takes the same number of inputs of the same shape forward and backward, with the same number of
threads; the better of two runs counts.

An audit takes fewer inputs of a large network than it is asked for. Here it is made to take as many
as PyTorch does; ``--budget`` leaves it its own choice, and PyTorch then takes that many too.
``--cpu`` compares CPU seconds of one thread, for a machine that others use. Exits 1 where a ratio
is above 2.
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

Clock = Callable[[], float]

MOST = 2.0
THREADS = 2


@dataclass(frozen=True, slots=True)
class Model:
    """A model of transformers: how it is built, and the shape of its inputs."""

    build: Callable[[Any], Any]
    shape: tuple[int, ...]
    tokens: int | None = None


IMAGE = (3, 224, 224)


def _resnet() -> Any:
    """ResNet-50 by torchvision's names, of which there is no build for every platform."""
    from tests.architectures.vision import Bottleneck, ResNet

    return ResNet(Bottleneck, (3, 4, 6, 3), base=64)


MODELS = {
    "gpt2": Model(lambda t: t.GPT2LMHeadModel(t.GPT2Config()), (32,), 50257),
    "bert": Model(lambda t: t.BertForMaskedLM(t.BertConfig()), (32,), 30522),
    "resnet50": Model(lambda t: _resnet(), IMAGE),
    "vit": Model(lambda t: t.ViTForImageClassification(t.ViTConfig(num_labels=1000)), IMAGE),
}


@contextmanager
def exactly(count: int | None) -> Iterator[None]:
    """Let the replica take this many inputs of a network of any size, and no more."""
    if count is None:
        yield
        return
    from initaudit.replica.inputs import Size

    def samples(size: Size, wanted: int, *, passes: int = 1) -> int:
        return min(wanted, count)

    with patch.object(Size, "samples", samples):
        yield


def audited(
    folder: Path, samples: int, case: Model, clock: Clock, *, budget: bool
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

    with exactly(None if budget else samples), patch.object(propagate, "run", counted):
        began = clock()
        report = initaudit.audit(folder, samples=samples, input_shape=case.shape)
        return clock() - began, max(taken, default=0), report


def saved(model: Any, folder: Path) -> None:
    """Write a checkpoint."""
    if hasattr(model, "save_pretrained"):
        model.save_pretrained(folder, safe_serialization=True)
        return
    from safetensors.torch import save_file

    save_file(model.state_dict(), folder / "model.safetensors")


def trained(model: Any, case: Model, samples: int, clock: Clock) -> float:
    """Return the seconds of a forward and backward pass, the better of two."""
    import torch

    best = float("inf")
    for _ in range(2):
        if case.tokens is None:
            x = torch.randn(samples, *case.shape)
        else:
            x = torch.randint(0, case.tokens, (samples, *case.shape))
        began = clock()
        found = model(x)
        logits = getattr(found, "logits", found)
        logits.backward(torch.randn_like(logits))
        best = min(best, clock() - began)
        model.zero_grad()
        del logits, found
    return best


def main() -> int:
    """Time the models; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=256)
    parser.add_argument("--only", nargs="+", choices=tuple(MODELS), default=tuple(MODELS))
    parser.add_argument("--budget", action="store_true", help="let the audit choose")
    parser.add_argument("--cpu", action="store_true", help="compare CPU seconds of one thread")
    options = parser.parse_args()
    threads = 1 if options.cpu else THREADS
    # Read when NumPy and PyTorch are imported.
    os.environ |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), str(threads))
    clock = time.process_time if options.cpu else time.perf_counter
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(threads)
    print(f"{'model':<10} {'inputs':>6} {'audit s':>8} {'torch s':>8} {'ratio':>6}"
          f"   ({'CPU' if options.cpu else 'wall'}, load {os.getloadavg()[0]:.1f})")  # fmt: skip
    missed = False
    for name in options.only:
        case = MODELS[name]
        model = case.build(transformers).train()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        with tempfile.TemporaryDirectory() as folder:
            saved(model, Path(folder))
            seconds, count, report = audited(
                Path(folder), options.samples, case, clock, budget=options.budget
            )
        base = trained(model, case, count or options.samples, clock)
        missed |= not count or seconds > MOST * base
        print(f"{name:<10} {count:>6} {seconds:>8.1f} {base:>8.1f} {seconds / base:>6.2f}",
              flush=True)  # fmt: skip
        for network in report.networks:
            for layer, reason in network.stopped[:3]:
                print(f"  stopped: {layer}: {reason}")
        for unread in report.unread:
            print(f"  unread: {unread.reason}")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
