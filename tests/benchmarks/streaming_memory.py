"""How much memory an audit of a large BF16 checkpoint takes, beside what it is allowed to.

Run ``python -m tests.benchmarks.streaming_memory [--layers 32] [--kind llama]``. A checkpoint of
the shapes of a 7-billion-parameter Llama (or ``--kind chain``: square linear layers) is written
to a temporary folder, N(0, 0.02) from one random block over and over, and audited by the installed
command in a process of its own. The bound on its peak is the largest tensor in float32, the
activations as the replica counts them, 300 MiB, and what the imports alone take. Exits 1 above it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from math import prod
from pathlib import Path

import numpy as np

SPARE = 300.0
WIDTH, INNER, VOCABULARY, HEADS = 4096, 11008, 32000, 32
_MIB = 2**20
_DRAWN = 1 << 24
_SHARD = 7 * 10**9

Shapes = dict[str, tuple[int, ...]]

_PEAK = """
def peak():
    # Not ru_maxrss: that of a child begins with what its parent held.
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
"""
_AUDIT = (
    _PEAK
    + """
import sys
import initaudit.replica.run as run
import initaudit.propagate as propagate
seen = []
def measured(*args, **kw):
    trace = run.run(*args, **kw)
    seen.append(trace)
    return trace
propagate.run = measured
from initaudit.__main__ import run as command
sys.argv = ["initaudit", *sys.argv[1:]]
try:
    command()
finally:
    held = max((t.activation_bytes for t in seen), default=0)
    samples = seen[0].samples if seen else 0
    print("PEAK", peak(), held, samples, len(seen), file=sys.stderr)
"""
)
_IMPORTS = (
    _PEAK
    + """
import initaudit.auditing, initaudit.cli, initaudit.running
print(peak())
"""
)


def llama(layers: int) -> Shapes:
    """Return the arrays of a Llama of this depth and their shapes."""
    found: Shapes = {"model.embed_tokens.weight": (VOCABULARY, WIDTH)}
    for i in range(layers):
        at = f"model.layers.{i}."
        found[at + "input_layernorm.weight"] = (WIDTH,)
        for name in "qkvo":
            found[f"{at}self_attn.{name}_proj.weight"] = (WIDTH, WIDTH)
        found[at + "post_attention_layernorm.weight"] = (WIDTH,)
        found[at + "mlp.gate_proj.weight"] = found[at + "mlp.up_proj.weight"] = (INNER, WIDTH)
        found[at + "mlp.down_proj.weight"] = (WIDTH, INNER)
    return found | {"model.norm.weight": (WIDTH,), "lm_head.weight": (VOCABULARY, WIDTH)}


def chain(layers: int) -> Shapes:
    """Return square linear layers one behind the other, and a head."""
    square: Shapes = {f"layers.{i}.weight": (WIDTH, WIDTH) for i in range(layers)}
    return square | {f"layers.{layers}.weight": (10, WIDTH)}


def shards(shapes: Shapes) -> Iterator[Shapes]:
    """Yield the arrays of one shard after the other, two shards at least."""
    most = min(_SHARD, sum(2 * prod(s) for s in shapes.values()) * 2 // 3)
    part: Shapes = {}
    for name, shape in shapes.items():
        if part and sum(2 * prod(s) for s in part.values()) + 2 * prod(shape) > most:
            yield part
            part = {}
        part[name] = shape
    yield part


def write(folder: Path, shapes: Shapes, config: dict[str, object]) -> None:
    """Write sharded safetensors files with their index, and a config.json."""
    drawn = np.random.default_rng(0).standard_normal(_DRAWN + 997, dtype=np.float32) * 0.02
    block = (drawn.view(np.uint32) >> 16).astype(np.uint16)
    ones = np.full(WIDTH, 0x3F80, np.uint16)
    parts = list(shards(shapes))
    index: dict[str, str] = {}
    for number, part in enumerate(parts, 1):
        file = f"model-{number:05d}-of-{len(parts):05d}.safetensors"
        index |= dict.fromkeys(part, file)
        header: dict[str, object] = {}
        end = 0
        for name, shape in part.items():
            header[name] = {
                "dtype": "BF16",
                "shape": shape,
                "data_offsets": [end, end := end + 2 * prod(shape)],
            }
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with (folder / file).open("wb") as stream:
            stream.write(struct.pack("<Q", len(text)) + text)
            for shape in part.values():
                left = prod(shape)
                if len(shape) == 1:
                    stream.write(ones[:left].data)
                    continue
                while left:
                    # A block of odd length: rows of the same array do not repeat.
                    count = min(left, block.size)
                    stream.write(block[:count].data)
                    left -= count
    total = sum(2 * prod(s) for s in shapes.values())
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": total}, "weight_map": index})
    )
    (folder / "config.json").write_text(json.dumps(config))


def config_of(layers: int) -> dict[str, object]:
    """Return the settings of the Llama."""
    return {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "hidden_size": WIDTH, "intermediate_size": INNER, "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS, "num_hidden_layers": layers, "vocab_size": VOCABULARY,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "initializer_range": 0.02,
        "tie_word_embeddings": False, "torch_dtype": "bfloat16",
    }  # fmt: skip


def main() -> int:
    """Write, audit, compare; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=32)
    parser.add_argument("--kind", choices=("llama", "chain"), default="llama")
    parser.add_argument("--folder", type=Path, help="where to write; it is deleted afterwards")
    options = parser.parse_args()
    shapes = llama(options.layers) if options.kind == "llama" else chain(options.layers)
    config: dict[str, object] = {"hidden_act": "relu"}
    if options.kind == "llama":
        config = config_of(options.layers)
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    try:
        began = time.perf_counter()
        write(folder, shapes, config)
        parameters = sum(prod(s) for s in shapes.values())
        print(f"{parameters / 1e9:.2f} billion parameters, BF16, written in "
              f"{time.perf_counter() - began:.0f} s")  # fmt: skip
        began = time.perf_counter()
        child = subprocess.run(
            [sys.executable, "-c", _AUDIT, str(folder)], capture_output=True, text=True
        )
        seconds = time.perf_counter() - began
        print(child.stdout[-3000:])
        words = next((line.split() for line in reversed(child.stderr.splitlines())
                      if line.startswith("PEAK")), None)  # fmt: skip
        if words is None:
            print(child.stderr)
            return 1
        peak, held, samples, runs = (int(word) for word in words[1:])
        bare = int(subprocess.run([sys.executable, "-c", _IMPORTS],
                                  capture_output=True, text=True, check=True).stdout)  # fmt: skip
    finally:
        shutil.rmtree(folder)
    largest = 4 * max(prod(s) for s in shapes.values()) / _MIB
    activations = held / _MIB
    bound = largest + activations + SPARE + bare / 1024
    print(f"audit           {seconds:8.0f} s (exit {child.returncode}; {runs} x {samples} inputs)")
    print(f"largest tensor  {largest:8.0f} MiB in float32")
    print(f"activations     {activations:8.0f} MiB")
    print(f"imports         {bare / 1024:8.0f} MiB")
    print(f"bound           {bound:8.0f} MiB")
    print(f"peak            {peak / 1024:8.0f} MiB")
    return int(peak / 1024 > bound or not runs)


if __name__ == "__main__":
    sys.exit(main())
