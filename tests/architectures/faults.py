"""Five faults put into every example that is rebuilt, and what an audit names them as.

``python -m tests.architectures.faults`` prints the table: the fresh verdict of each example, and
for each fault the findings, with ``ok`` where one that theory asks for is among them.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

import initaudit
from initaudit import graph
from initaudit.finding import Finding, Report
from initaudit.network import Layer, Network
from initaudit.rulebook import Severity
from tests.architectures.compare import rebuilt
from tests.architectures.draws import normal, uniform
from tests.architectures.example import Example

Arrays = dict[str, NDArray[Any]]
Put = Callable[[Network, Arrays], bool]

_RECURRENT = frozenset({"lstm", "gru", "rnn"})
_MATRICES = frozenset({"weight", "weight_ih", "weight_hh"})


class NotRebuiltError(Exception):
    """An example whose graph is not known: faults have no place in it."""


@dataclass(frozen=True)
class Wanted:
    """One of ``rules`` is right, at this severity or above."""

    rules: frozenset[str]
    severity: Severity

    def met(self, findings: tuple[Finding, ...]) -> bool:
        """Whether it was found."""
        return any(f.rule in self.rules and f.severity >= self.severity for f in findings)


@dataclass(frozen=True)
class Fault:
    """A change of a checkpoint's arrays, and what is right to say of it in a network.

    ``put`` returns whether the network has what the fault changes.
    """

    name: str
    put: Put
    wanted: Callable[[Network], Wanted]


@dataclass(frozen=True)
class Outcome:
    """What was found in an example with a fault; ``met`` is None where the fault has no place."""

    fault: str
    findings: tuple[Finding, ...] = ()
    wanted: Wanted | None = None

    @property
    def met(self) -> bool | None:
        """Whether what is right was said."""
        return None if self.wanted is None else self.wanted.met(self.findings)


# What networks have.


def attended(network: Network) -> Iterator[tuple[Layer, Layer]]:
    """Yield each attention and the output projection that reads it."""
    for layer in network.layers:
        if layer.op == "attention":
            following = graph.after(network, layer.name)
            if following and following[-1].op == "linear":
                yield layer, following[-1]


def pairs(network: Network) -> Iterator[tuple[Layer, Layer]]:
    """Yield weights of branches that multiply one another, attention's apart: MLPs, kernels.

    A weight alone in its branch, such as a projected shortcut, is in none of them.
    """
    crossed, readers = graph.bottlenecks(network), graph.consumers(network)
    layers = graph.by_name(network)
    aside = {end.name for _, end in attended(network)}
    for layer in graph.weighted(network):
        if layer.name in crossed or layer.name in aside:
            continue
        waiting, seen = [layer.name], {layer.name}
        while waiting:
            for name in readers[waiting.pop()]:
                here = layers[name]
                if here.op in graph.WEIGHTED:
                    yield layer, here
                elif name not in seen and here.op not in {"add", "attention"}:
                    seen.add(name)
                    waiting.append(name)


def inner(network: Network) -> list[Layer]:
    """Return the weights that are in a pair."""
    return list({x.name: x for pair in pairs(network) for x in pair}.values())


def stored(layer: Layer) -> Iterator[str]:
    """Yield the stored names of a layer's matrices."""
    for param in layer.params:
        if param.name in _MATRICES and param.tensor is not None:
            yield param.tensor.name


def projections(network: Network) -> list[str]:
    """Return the stored names of all matrices but tables."""
    inside = graph.placed(network)
    layers = [x for x in network.layers if x.op in graph.WEIGHTED | _RECURRENT]
    tables = {n for x in network.layers if x.op == "embedding" for n in stored(x)}
    names = [n for x in layers if x.name in inside for n in stored(x)]
    return [name for name in dict.fromkeys(names) if name not in tables]


# The faults.


def zeros(network: Network, held: Arrays) -> bool:
    names = [name for layer in inner(network) for name in stored(layer)]
    for name in names:
        held[name][:] = 0
    return bool(names)


def filled(draw: Callable[[str, tuple[int, ...]], NDArray[Any]]) -> Put:
    def put(network: Network, held: Arrays) -> bool:
        for name in projections(network):
            held[name] = draw(name, held[name].shape).astype(held[name].dtype)
        return True

    return put


def twins(network: Network, held: Arrays) -> bool:
    ends = [end for _, end in attended(network)]
    for end in ends:
        for name in stored(end):
            axis = 1 if end.attributes.get("layout") == "io" else 0
            rows = np.moveaxis(held[name], axis, 0)
            rows[1::2] = rows[: len(rows) // 2 * 2 : 2]
    return bool(ends)


def nan(network: Network, held: Arrays) -> bool:
    names = projections(network)
    name = names[len(names) // 2]
    held[name].flat[held[name].size // 2] = np.nan
    return True


# What theory says of them.


def dead(network: Network) -> Wanted:
    """Two factors of zero get no gradient, unless a bias between them lets a signal through."""
    bent = all(_biased(first) for first, _ in pairs(network))
    rule = "IA303" if bent else "IA101"
    return Wanted(frozenset({rule}), Severity.WARNING if bent else Severity.ERROR)


def _biased(layer: Layer) -> bool:
    biases = [p.tensor for p in layer.params if p.name == "bias" and p.tensor]
    return any(tensor.zeros < tensor.count for tensor in biases)


def one_sided(network: Network) -> Wanted:
    """A mean far from zero is a direction that drowns all others, down to a rank of one."""
    return Wanted(frozenset({"IA105", "IA202"}), Severity.WARNING)


def copied(network: Network) -> Wanted:
    return Wanted(frozenset({"IA108", "IA201"}), Severity.WARNING)


def large(network: Network) -> Wanted:
    """Without norms the signal explodes; with them, softmax saturates, or nothing but steps change.

    Scores of N(0, 1) projections have a deviation of about the width. Where a norm follows the
    projections, or a cap the scores, only the size of the steps that Adam takes differs.
    """
    inside = [x for x in network.layers if x.name in graph.placed(network)]
    if not any(layer.op in graph.NORMS for layer in inside):
        return Wanted(frozenset({"IA104", "IA204", "IA206", "IA209"}), Severity.WARNING)
    if any(layer.op == "attention" for layer in inside):
        return Wanted(frozenset({"IA107", "IA206", "IA209", "IA212"}), Severity.NOTE)
    return Wanted(frozenset({"IA107"}), Severity.NOTE)


def broken(network: Network) -> Wanted:
    return Wanted(frozenset({"IA301"}), Severity.ERROR)


FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault("zeros", zeros, dead),
        Fault("uniform", filled(uniform), one_sided),
        Fault("twins", twins, copied),
        Fault("normal", filled(normal), large),
        Fault("nan", nan, broken),
    )
}


def audited(folder: Path, *, quick: bool) -> Report:
    return initaudit.audit(folder, **({"probe": False, "samples": 64} if quick else {}))


def outcomes(folder: Path, faults: Mapping[str, Fault] = FAULTS) -> Iterator[Outcome]:
    """Put each fault into the checkpoint of a folder in turn, and audit it."""
    network, _ = rebuilt(folder)
    if not projections(network):
        raise NotRebuiltError("is judged layer by layer: no graph is known")
    (file,) = folder.glob("*.safetensors")
    with safe_open(file, framework="np") as opened:
        metadata = opened.metadata()
        whole = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    for fault in faults.values():
        held = {name: array.copy() for name, array in whole.items()}
        if not fault.put(network, held):
            yield Outcome(fault.name)
            continue
        save_file(held, file, metadata)
        yield Outcome(fault.name, audited(folder, quick=True).findings, fault.wanted(network))
    save_file(whole, file, metadata)


def judged(example: Example, *, quick: bool = False) -> tuple[Report, list[Outcome]]:
    """Return the verdict of a fresh example, and of it with each fault.

    It is a whole audit of the fresh one unless ``quick``: then with few samples and no probe.
    """
    with tempfile.TemporaryDirectory() as folder:
        example.save(example.build(), Path(folder))
        return audited(Path(folder), quick=quick), list(outcomes(Path(folder)))


def shown(findings: tuple[Finding, ...]) -> str:
    """Return findings in short: E, W or N and the rule."""
    order = sorted(findings, key=lambda f: (-f.severity, f.rule))
    return " ".join(f"{f.severity.name[0]}{f.rule[2:]}" for f in order) or "-"


def row(name: str, fresh: Report, found: list[Outcome]) -> str:
    """Return the line of an example."""
    words = {None: "no place", True: "ok", False: "MISSED"}
    cells = [f"{one.fault}: {words[one.met]} {shown(one.findings)}" for one in found]
    return f"{name:<20} fresh: {shown(fresh.findings)} | " + " | ".join(cells)


def main() -> None:
    from tests.architectures.library import hush
    from tests.architectures.zoo import EXAMPLES

    parser = argparse.ArgumentParser(prog="python -m tests.architectures.faults")
    parser.add_argument("--only", action="append", metavar="NAME", choices=list(EXAMPLES))
    options = parser.parse_args()
    hush()
    named, missed = 0, 0
    for name in options.only or [e.name for e in EXAMPLES.values() if e.parity]:
        try:
            fresh, found = judged(EXAMPLES[name])
        except NotRebuiltError as error:
            print(f"{name:<20} {error}", flush=True)
            continue
        print(row(name, fresh, found), flush=True)
        named += sum(one.met is True for one in found)
        missed += sum(one.met is False for one in found)
    print(f"{named} of {named + missed} faults are named")
    raise SystemExit(missed > 0)


if __name__ == "__main__":
    main()
