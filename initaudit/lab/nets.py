"""Plain networks of the lab: drawn, opened as the audit opens a checkpoint, saved and audited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from initaudit.auditing import open_network
from initaudit.checkpoint import reading
from initaudit.finding import Report
from initaudit.lab.initialisers import Start, start
from initaudit.network import Network
from initaudit.options import Options
from initaudit.running import run
from initaudit.special import Array

SAMPLES = 128
"""Random inputs of an audit in the lab: half as many as by default; the rules need 128."""

Arrays = dict[str, Array]

_SALT = 0x1AB


@dataclass(frozen=True, slots=True)
class Plain:
    """Linear layers with one activation between them.

    ``widths`` run from the inputs to the outputs. ``starts`` holds one initialiser for all layers
    or one for each, as texts of `initaudit.lab.initialisers.start`.
    """

    widths: tuple[int, ...]
    activation: str
    starts: tuple[str, ...]
    seed: int = 0

    @property
    def depth(self) -> int:
        """Number of hidden layers."""
        return len(self.widths) - 2

    def arrays(self) -> Arrays:
        """Return the weights in single precision, in PyTorch's (out, in) and under its names."""
        random = np.random.default_rng([_SALT, self.seed])
        found: Arrays = {}
        for i, one in enumerate(self._starts()):
            shape = (self.widths[i + 1], self.widths[i])
            found[f"fc{i + 1}.weight"] = one.weight(shape, random).astype(np.float32)
            found[f"fc{i + 1}.bias"] = one.biases(shape, random).astype(np.float32)
        return found

    def _starts(self) -> Sequence[Start]:
        layers = len(self.widths) - 1
        if len(self.starts) == 1:
            return [start(self.starts[0])] * layers
        if len(self.starts) != layers:
            raise ValueError(f"{len(self.starts)} initialisers for {layers} layers")
        return [start(text) for text in self.starts]


def stack(
    inputs: int, width: int, depth: int, outputs: int, activation: str, *starts: str, seed: int = 0
) -> Plain:
    """Return a network of ``depth`` hidden layers of one width."""
    return Plain((inputs, *[width] * depth, outputs), activation, starts, seed)


def opened(arrays: Mapping[str, Array], activation: str) -> Network:
    """Return the network that the audit makes of these arrays."""
    checkpoint = reading.from_mapping(arrays, "lab")
    return open_network(checkpoint, Options(activation=activation, stage="init")).network


def audited(arrays: Mapping[str, Array], activation: str, samples: int = SAMPLES) -> Report:
    """Save the arrays as a checkpoint and return what the audit says of the file."""
    from safetensors.numpy import save_file

    with TemporaryDirectory(prefix="initaudit-lab-") as folder:
        path = Path(folder) / "model.safetensors"
        save_file({name: np.ascontiguousarray(a) for name, a in arrays.items()}, path)
        return run([path], Options(activation=activation, samples=samples))
