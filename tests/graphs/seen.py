"""What a framework's hooks see, and what the replica of an exported graph makes of the same."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from initaudit.checkpoint import reading, statistics
from initaudit.network import Network
from initaudit.replica.engine import Arrays, Tape, backward, forward, loader

Seen = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Read:
    """An exact network, how its arrays are read, and what could not be read of its file."""

    network: Network
    arrays: Arrays
    reasons: tuple[str, ...]


def read(path: Path, input_shape: tuple[int, ...] | None = None) -> Read:
    """Return the network of a file that tells its graph, as an audit makes it."""
    checkpoint = reading.read_checkpoint(path)
    assert checkpoint.graph is not None, checkpoint.unread
    plan = checkpoint.graph(input_shape)
    judged = [stored for stored in checkpoint.arrays if stored.name not in plan.aside]
    judged += plan.copies
    tensors, _ = statistics.measure_all(judged, lambda name, _: plan.axes.get(name, 0))
    by_name = {stored.name: stored for stored in checkpoint.arrays}

    def arrays(name: str) -> NDArray[Any]:
        held = plan.computed.get(name)
        return reading.array(by_name[name]) if held is None else held

    return Read(plan.network(tensors), arrays, tuple(u.reason for u in checkpoint.unread))


def given(network: Network, x: NDArray[Any]) -> Seen:
    """Return an array as what enters; token types are all 0."""
    found: Seen = {}
    for layer in network.layers:
        if layer.op == "input":
            shape = layer.attributes["shape"]
            assert isinstance(shape, tuple)
            types = layer.attributes.get("tokens") == 1
            found[layer.name] = np.zeros((len(x), *shape), np.int64) if types else x
    return found


def sent(one: Read, x: NDArray[Any]) -> Tape:
    """Return what a network makes of an array, with running statistics."""
    entering = given(one.network, x)
    return forward(one.network, loader(one.arrays), entering, batch_statistics=False)


def end(one: Read, tape: Tape) -> str:
    """Return the last layer that gives an output."""
    return [layer.name for layer in one.network.layers if layer.name in tape.outputs][-1]


def gradients(one: Read, tape: Tape, last: str, cotangent: NDArray[Any]) -> Seen:
    """Return the gradients of the weights by ``layer.role``."""
    found: Seen = {}
    for step in backward(one.network, loader(one.arrays), tape, {last: cotangent}):
        for role, gradient in step.d_params.items():
            key = f"{step.layer.name}.{role}"
            found[key] = found[key] + gradient if key in found else gradient
    return found


def hooked(model: Any, x: Any, cotangent: NDArray[Any] | None) -> tuple[Seen, Seen, NDArray[Any]]:
    """Return the outputs of the modules that run once, the weights' gradients, and the output.

    x is one input or a tuple of them. A weight that two modules share is left out, for its
    gradient is the sum of both; without a cotangent there are no gradients.
    """
    import torch

    seen: Seen = {}
    calls: Counter[str] = Counter()

    def watch(name: str) -> Any:
        def hook(module: Any, inputs: Any, output: Any) -> None:
            first = output[0] if isinstance(output, tuple) else output
            calls[name] += 1
            if isinstance(first, torch.Tensor):
                seen[name] = first.detach().numpy().copy()

        return hook

    handles = [m.register_forward_hook(watch(name)) for name, m in model.named_modules()]
    output = model(*x) if isinstance(x, tuple) else model(x)
    for handle in handles:
        handle.remove()
    if cotangent is not None:
        output.backward(torch.from_numpy(cotangent))
    every = Counter(id(p) for _, p in model.named_parameters(remove_duplicate=False))
    grads = {
        name: p.grad.numpy()
        for name, p in model.named_parameters()
        if p.grad is not None and p.ndim > 1 and every[id(p)] == 1
    }
    return {n: y for n, y in seen.items() if n and calls[n] == 1}, grads, output.detach().numpy()
