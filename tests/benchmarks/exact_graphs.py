"""What is read of the files that torch's exporters make of every family, against torch itself.

    python -m tests.benchmarks.exact_graphs [--only NAME] [--form dynamo|legacy|pt2] [--keep FOLDER]

Each family of tests/architectures is built at a small width, runs of alike blocks cut to two, and
exported as its user would do it: ``torch.onnx.export`` with and without ``dynamo``, and
``torch.export.save``. For each file it prints how many of the model's matrices an operation of the
network reads, how many of those lie on a path that the signal reaches, the worst relative error of
the standard deviation of what modules give (forward hooks, float64), that of the mean square of the
weights' gradients (autograd), and of the output, and which operators end a path.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import re
import tempfile
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from initaudit.checkpoint.stored import CheckpointError, PlanError
from initaudit.replica.engine import Tape, forward, loader
from tests.architectures.library import hush
from tests.architectures.zoo import EXAMPLES
from tests.graphs.seen import Read, end, gradients, hooked, read

Array = NDArray[Any]

FAMILIES = (
    "gpt2", "gpt_neox", "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "phi", "phi3",
    "mixtral", "bert", "roberta", "distilbert", "electra", "t5", "t5_encoder", "vit", "deit",
    "swin", "clip", "whisper", "torch_pre_norm", "torch_post_norm", "tv_resnet18", "tv_resnet50",
    "tv_vgg11", "tv_vgg16_bn", "tv_alexnet", "tv_densenet121", "tv_mobilenet_v2",
    "tv_mobilenet_v3_large", "tv_efficientnet_b0", "tv_convnext_tiny", "convnext", "unet",
    "unet_bilinear", "lstm", "lstm_bidirectional", "gru",
)  # fmt: skip
FORMS = ("dynamo", "legacy", "pt2")
_ROUNDING = 1e-9
_TINY = 1e-6


class Whole(nn.Module):  # type: ignore[misc]
    """A model by the names of its inputs, that gives its first output."""

    def __init__(self, model: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.names = model, names
        config = getattr(model, "config", None)
        self.more = {} if config is None else {"return_dict": False}
        if hasattr(config, "use_cache"):
            self.more["use_cache"] = False

    def forward(self, *given: Any) -> Any:
        made = self.model(**dict(zip(self.names, given, strict=True)), **self.more)
        return made[0] if isinstance(made, tuple) else made


@dataclass(frozen=True)
class Row:
    """What came of one file; errors are None where nothing can be compared."""

    name: str
    form: str
    matrices: int
    read: int = 0
    reached: int = 0
    modules: int = 0
    forward: float | None = None
    gradient: float | None = None
    output: float | None = None
    ends: tuple[str, ...] = ()
    failed: str = ""

    def __str__(self) -> str:
        head = f"{self.name:<22} {self.form:<7} {self.matrices:>4}"
        if self.failed:
            return f"{head} {self.failed}"
        errors = " ".join(f"{_short(e):>8}" for e in (self.forward, self.gradient, self.output))
        told = "; ".join(self.ends)
        line = f"{head} {self.read:>4} {self.reached:>7} {self.modules:>7} {errors}  {told}"
        return line.rstrip()


def _short(error: float | None) -> str:
    return "-" if error is None else f"{error:.0e}"


HEAD = (
    f"{'family':<22} {'form':<7} {'have':>4} {'read':>4} {'reached':>7} {'modules':>7}"
    f" {'forward':>8} {'gradient':>8} {'output':>8}  what ends a path"
)


def cut(model: nn.Module) -> nn.Module:
    """Keep two of each run of blocks that are alike."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.ModuleList) and len(child) > 2 and _alike(child):
                setattr(module, name, child[:2])
    return model


def _alike(blocks: nn.ModuleList) -> bool:
    shapes = [[(k, tuple(v.shape)) for k, v in block.state_dict().items()] for block in blocks]
    # The first block of T5 holds the table of relative positions.
    return all(s == shapes[1] for s in shapes[1:]) and bool(shapes[1])


def export(model: nn.Module, given: tuple[Any, ...], form: str, path: Path, names: Any) -> None:
    """Write a file as a user would: nothing but the names of the inputs is set."""
    if form == "pt2":
        torch.export.save(torch.export.export(model, given, strict=False), path)
        return
    more: dict[str, Any] = {"dynamo": form == "dynamo", "input_names": list(names)}
    if form == "dynamo":
        more |= {"verbose": False}
    torch.onnx.export(model, given, str(path), **more)


def row(name: str, form: str, folder: Path) -> Row:
    """Build, export, read and compare one family."""
    example = EXAMPLES[name]
    feed = example.feed(0)
    model = Whole(cut(example.build()), tuple(feed)).eval()
    have = {id(p): p for p in model.parameters() if p.ndim > 1}
    arrays = tuple(
        torch.tensor(a, dtype=torch.float32 if a.dtype.kind == "f" else torch.int64)
        for a in feed.values()
    )
    path = folder / f"{name}.{form}{'.pt2' if form == 'pt2' else '.onnx'}"
    if not path.exists():
        try:
            with quiet():
                export(model, arrays, form, path, tuple(feed))
        except Exception as fault:
            path.unlink(missing_ok=True)
            said = re.sub(r"\x1b\[[0-9;]*m", "", str(fault)).strip().splitlines() or [""]
            return Row(name, form, len(have), failed=f"torch does not export it: {said[0][:90]}")
    try:
        one = read(path)
    except (CheckpointError, PlanError) as fault:
        return Row(name, form, len(have), failed=f"is not read: {fault}")
    return compared(name, form, one, model, arrays, len(have))


def compared(
    name: str, form: str, one: Read, model: nn.Module, arrays: tuple[Any, ...], have: int
) -> Row:
    """Send the same input through the model and through what was read of its file."""
    model = model.double()
    given = tuple(a.double() if a.is_floating_point() else a for a in arrays)
    tape = sent(one, [a.numpy() for a in given])
    read_, reached = _matrices(one, None), _matrices(one, tape)
    # What stops for want of a layer behind which nothing is reached is told once, by that layer.
    stopped = (f"{k}: {v}" for k, v in tape.stopped.items()
               if not v.startswith("not reached") and "is not known" not in v)  # fmt: skip
    ends = [*_ends(one), *stopped, *one.reasons]
    last = end(one, tape)
    theirs, grads, output = hooked(model, given, None)
    ours = tape.outputs
    shared = [k for k, y in theirs.items() if k in ours and _comparable(k, model, one)]
    scale = max((float(y.std()) for y in theirs.values()), default=1.0)
    errors = [_relative(float(ours[k].std()), float(theirs[k].std()), scale * _ROUNDING)
              for k in shared]  # fmt: skip
    whole = ours[last]
    same = whole.size == output.size and not ends
    error = None
    steepest = None
    if same:
        error = float(np.abs(whole.reshape(output.shape) - output).max() / np.abs(output).max())
        cotangent = np.random.default_rng(0).standard_normal(output.shape)
        _, grads, _ = hooked(model, given, cotangent)
        made = gradients(one, tape, last, cotangent.reshape(whole.shape))
        steep = [
            _relative(float(np.square(made[k]).mean()), float(np.square(g).mean()), _ROUNDING**2)
            for k, g in grads.items()
            if k in made and made[k].size == g.size and _comparable(_module(k), model, one)
        ]
        steepest = max(steep, default=None)
    return Row(
        name, form, have, len(read_), len(reached), len(shared), max(errors, default=None),
        steepest, error, tuple(ends),
    )  # fmt: skip


def _module(weight: str) -> str:
    return weight.rpartition(".")[0]


def _relative(ours: float, theirs: float, floor: float) -> float:
    return abs(ours - theirs) / max(abs(theirs), floor)


def _comparable(name: str, model: nn.Module, one: Read) -> bool:
    """Whether a module gives what its layer gives: not where a batch norm was folded into it."""
    module = model.get_submodule(name)
    norms = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules())
    kept = any(layer.op == "batch_norm" for layer in one.network.layers)
    return not (norms and not kept and isinstance(module, nn.modules.conv._ConvNd | nn.Linear))


def _matrices(one: Read, tape: Tape | None) -> set[str]:
    """Return the arrays of two axes and more that layers hold, or that reached layers hold."""
    return {
        p.tensor.name
        for layer in one.network.layers
        for p in layer.params
        if p.tensor is not None and len(p.shape) > 1 and p.name != "value"
        and (tape is None or layer.name in tape.outputs)
    }  # fmt: skip


def _ends(one: Read) -> Iterator[str]:
    for assumption in one.network.assumptions:
        if assumption.text.endswith("nothing behind it is reached"):
            yield assumption.text.removeprefix("the operator ").partition(";")[0]


def sent(one: Read, given: list[Array]) -> Tape:
    """Return what a network makes of arrays, in the order of its inputs; token types are all 0."""
    entering: dict[str, Array] = {}
    waiting = list(given)
    for layer in one.network.layers:
        if layer.op == "input":
            shape = layer.attributes["shape"]
            types = layer.attributes.get("tokens") == 1
            if types and shape not in [a.shape[1:] for a in waiting]:
                assert isinstance(shape, tuple)
                entering[layer.name] = np.zeros((len(given[0]), *shape), np.int64)
            else:
                entering[layer.name] = waiting.pop(0)
    return forward(one.network, loader(one.arrays), entering, batch_statistics=False)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the exporters' advice from the terminal."""
    out = io.StringIO()
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(out),
    ):
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        yield


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.exact_graphs")
    parser.add_argument("--only", action="append", metavar="NAME", choices=list(EXAMPLES))
    parser.add_argument("--form", action="append", choices=FORMS)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep files, use those kept")
    options = parser.parse_args()
    hush()
    started = time.perf_counter()
    print(HEAD)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(exist_ok=True)
        rows = []
        for name in options.only or FAMILIES:
            for form in options.form or FORMS:
                rows.append(row(name, form, folder))
                print(rows[-1], flush=True)
    made = [r for r in rows if not r.failed]
    whole = [r for r in made if r.output is not None and r.output < 1e-4]
    print(
        f"{len(made)} of {len(rows)} files exported and read, {len(whole)} followed to an output"
        f" that agrees to 1e-4, in {time.perf_counter() - started:.0f} s"
    )


if __name__ == "__main__":
    main()
