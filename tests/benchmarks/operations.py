"""How long the replica's operations take next to PyTorch's, forward and backward, in float32.

Prints for each operation, at a size of BERT, GPT-2 or ResNet-50, milliseconds of both and their
ratio (best of a few runs, both on two threads), and exits 1 where the sum over a network's
operations, each as often as the network holds it, is beyond 2. With one thread, processor time is
measured: on a machine that does other things too, only that says something.

    python -m tests.benchmarks.operations [NAME ...] [--runs N] [--threads N]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

THREADS = next((b for a, b in zip(sys.argv, sys.argv[1:], strict=False) if a == "--threads"), "2")
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = THREADS  # read when NumPy is imported

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as functional  # noqa: E402

from initaudit.network import Attribute  # noqa: E402
from initaudit.replica.ops import OPS  # noqa: E402

Shape = tuple[int, ...]
Torch = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Timed:
    """An operation at a size; ``counts`` says how often networks hold one like it."""

    name: str
    op: str
    inputs: tuple[Shape, ...]
    torch: Torch
    params: Mapping[str, Shape] = field(default_factory=dict)
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)


def _norm(x: Any, p: Mapping[str, Any]) -> Any:
    return functional.layer_norm(x, (x.shape[-1],), p["weight"], p["bias"])


def _batch(x: Any, p: Mapping[str, Any]) -> Any:
    return functional.batch_norm(x, None, None, p["weight"], p["bias"], training=True)


def _attend(*, causal: bool) -> Torch:
    def call(q: Any, k: Any, v: Any, p: Mapping[str, Any]) -> Any:
        q, k, v = (x.unflatten(-1, (12, -1)).transpose(1, 2) for x in (q, k, v))
        attended = functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return attended.transpose(1, 2).flatten(2)

    return call


def _conv(stride: int, padding: int) -> Torch:
    return lambda x, p: functional.conv2d(x, p["weight"], None, stride, padding)


def _linear(x: Any, p: Mapping[str, Any]) -> Any:
    return functional.linear(x, p["weight"], p["bias"])


def conv(name: str, x: Shape, weight: Shape, stride: int = 1, count: int = 1) -> Timed:
    padding = weight[-1] // 2
    attributes: dict[str, Attribute] = {"stride": stride, "padding": padding}
    return Timed(f"conv {name}", "conv", (x,), _conv(stride, padding), {"weight": weight},
                 attributes, {"resnet50": count})  # fmt: skip


TOKENS = (32, 128, 768)
WIDE = (32, 128, 3072)
MAPS = (32, 64, 56, 56)
AFFINE = {"weight": (768,), "bias": (768,)}

TIMED = [
    Timed("linear 768", "linear", (TOKENS,), _linear, {"weight": (768, 768), "bias": (768,)}, {},
          {"bert": 48}),
    Timed("linear up", "linear", (TOKENS,), _linear, {"weight": (3072, 768), "bias": (3072,)}, {},
          {"bert": 12, "gpt2": 12}),
    Timed("linear down", "linear", (WIDE,), _linear, {"weight": (768, 3072), "bias": (768,)}, {},
          {"bert": 12, "gpt2": 12}),
    Timed("linear fused", "linear", (TOKENS,), lambda x, p: x @ p["weight"] + p["bias"],
          {"weight": (768, 2304), "bias": (2304,)}, {"layout": "io"}, {"gpt2": 12}),
    Timed("attention", "attention", (TOKENS,) * 3, _attend(causal=False), {}, {"heads": 12},
          {"bert": 12}),
    Timed("attention causal", "attention", (TOKENS,) * 3, _attend(causal=True), {},
          {"heads": 12, "causal": True}, {"gpt2": 12}),
    Timed("attention long", "attention", ((2, 1024, 768),) * 3, _attend(causal=True), {},
          {"heads": 12, "causal": True}),
    Timed("layer_norm", "layer_norm", (TOKENS,), _norm, AFFINE, {"axis": 2},
          {"bert": 25, "gpt2": 25}),
    Timed("rms_norm", "rms_norm", (TOKENS,),
          lambda x, p: functional.rms_norm(x, (768,), p["weight"], 1e-5), {"weight": (768,)}),
    Timed("gelu", "activation", (WIDE,), lambda x, p: functional.gelu(x), {},
          {"function": "gelu"}, {"bert": 12}),
    Timed("gelu_tanh", "activation", (WIDE,), lambda x, p: functional.gelu(x, approximate="tanh"),
          {}, {"function": "gelu_tanh"}, {"gpt2": 12}),
    Timed("silu", "activation", (WIDE,), lambda x, p: functional.silu(x), {},
          {"function": "silu"}),
    Timed("add", "add", (TOKENS,) * 2, lambda x, y, p: x + y, {}, {}, {"bert": 24, "gpt2": 24}),
    Timed("slice", "slice", ((32, 128, 2304),), lambda x, p: x[..., 768:1536].contiguous(), {},
          {"start": 768, "stop": 1536}, {"gpt2": 36}),
    conv("7x7 stem", (32, 3, 224, 224), (64, 3, 7, 7), 2),
    conv("1x1 64 to 64", MAPS, (64, 64, 1, 1)),
    conv("1x1 256 to 64", (32, 256, 56, 56), (64, 256, 1, 1), count=2),
    conv("1x1 64 to 256", MAPS, (256, 64, 1, 1), count=4),
    conv("3x3 64", MAPS, (64, 64, 3, 3), count=3),
    conv("3x3 128", (32, 128, 28, 28), (128, 128, 3, 3), count=3),
    conv("3x3 128 strided", (32, 128, 56, 56), (128, 128, 3, 3), 2),
    conv("1x1 strided", (32, 256, 56, 56), (512, 256, 1, 1), 2),
    conv("1x1 512 to 128", (32, 512, 28, 28), (128, 512, 1, 1), count=3),
    conv("1x1 128 to 512", (32, 128, 28, 28), (512, 128, 1, 1), count=4),
    conv("3x3 256", (32, 256, 14, 14), (256, 256, 3, 3), count=6),
    conv("1x1 1024 to 256", (32, 1024, 14, 14), (256, 1024, 1, 1), count=5),
    conv("1x1 256 to 1024", (32, 256, 14, 14), (1024, 256, 1, 1), count=6),
    conv("3x3 512", (32, 512, 7, 7), (512, 512, 3, 3), count=3),
    conv("1x1 2048 to 512", (32, 2048, 7, 7), (512, 2048, 1, 1), count=2),
    conv("1x1 512 to 2048", (32, 512, 7, 7), (2048, 512, 1, 1), count=3),
    Timed("batch_norm", "batch_norm", (MAPS,), _batch, {"weight": (64,), "bias": (64,)}, {},
          {"resnet50": 53}),
    Timed("relu", "activation", (MAPS,), lambda x, p: functional.relu(x), {},
          {"function": "relu"}, {"resnet50": 49}),
    Timed("max_pool", "max_pool", ((32, 64, 112, 112),),
          lambda x, p: functional.max_pool2d(x, 3, 2, 1), {},
          {"kernel": 3, "stride": 2, "padding": 1}, {"resnet50": 1}),
    Timed("residual", "add", ((32, 256, 56, 56),) * 2, lambda x, y, p: x + y, {}, {},
          {"resnet50": 8}),
    Timed("depthwise 3x3", "conv", ((32, 96, 56, 56),),
          lambda x, p: functional.conv2d(x, p["weight"], None, 1, 1, 1, 96),
          {"weight": (96, 1, 3, 3)}, {"padding": 1, "groups": 96}),
]  # fmt: skip


def _drawn(timed: Timed) -> tuple[list[Any], dict[str, Any], Any]:
    generator = np.random.default_rng(0)

    def draw(shape: Shape, std: float = 1.0) -> Any:
        return generator.standard_normal(shape, np.float32) * np.float32(std)

    inputs = [draw(shape) for shape in timed.inputs]
    params = {role: draw(shape, 0.02) for role, shape in timed.params.items()}
    y, _ = OPS[timed.op].forward(timed.attributes, tuple(inputs), params)
    return inputs, params, draw(y.shape)


def measured(timed: Timed, runs: int) -> tuple[float, float]:
    """Return our seconds and PyTorch's, each forward and backward, the best of some runs."""
    inputs, params, d_y = _drawn(timed)
    op = OPS[timed.op]
    given = [torch.from_numpy(x).requires_grad_() for x in inputs]
    held = {role: torch.from_numpy(x).requires_grad_() for role, x in params.items()}
    wanted, cotangent = [*given, *held.values()], torch.from_numpy(d_y)
    best = [float("inf"), float("inf")]
    clock = time.process_time if THREADS == "1" else time.perf_counter
    for _ in range(runs):
        start = clock()
        _, cache = op.forward(timed.attributes, tuple(inputs), params)
        op.backward(cache, params, d_y)
        middle = clock()
        torch.autograd.grad(timed.torch(*given, held), wanted, cotangent)
        end = clock()
        best = [min(best[0], middle - start), min(best[1], end - middle)]
    return best[0], best[1]


def main() -> int:
    """Print a line for each operation and one for each network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", help="only operations whose names begin with these")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    totals: dict[str, list[float]] = {}
    print(f"{'operation':20}{'ours ms':>10}{'torch ms':>10}{'ratio':>8}")
    for timed in TIMED:
        if asked.names and not timed.name.startswith(tuple(asked.names)):
            continue
        ours, theirs = measured(timed, asked.runs)
        print(
            f"{timed.name:20}{ours * 1e3:10.1f}{theirs * 1e3:10.1f}{ours / theirs:8.2f}", flush=True
        )
        for network, count in timed.counts.items():
            total = totals.setdefault(network, [0.0, 0.0])
            total[0] += count * ours
            total[1] += count * theirs
    for network, (ours, theirs) in totals.items():
        print(f"all of {network:13}{ours * 1e3:10.1f}{theirs * 1e3:10.1f}{ours / theirs:8.2f}")
    return int(not asked.names and any(ours > 2.0 * theirs for ours, theirs in totals.values()))


if __name__ == "__main__":
    sys.exit(main())
