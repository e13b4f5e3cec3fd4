"""A network sent through the replica, under one activation or, where that is open, several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from initaudit import graph
from initaudit.judge import Arrays, Sent
from initaudit.network import Network, Origin
from initaudit.options import Options
from initaudit.replica.probe import probe
from initaudit.replica.run import run

CANDIDATES = ("relu", "tanh", "sigmoid", "gelu")
"""The activations that a verdict must hold under where the true one is not known."""

MORE = 4
"""Times as many samples settle a verdict that lies close to its limit."""


@dataclass(frozen=True, slots=True)
class Propagation:
    """What was sent, and why nothing was where ``sent`` is empty: (layer, reason) each."""

    sent: tuple[Sent, ...]
    stopped: tuple[tuple[str, str], ...] = ()


def propagate(
    network: Network,
    arrays: Arrays,
    options: Options,
    step: Callable[[float], None] = lambda share: None,
    *,
    samples: int | None = None,
) -> Propagation:
    """Send random inputs and gradients through, and again after the probe.

    Nothing is sent through non-finite weights, or where no weight has a known place. A trained
    network keeps its running statistics and is not probed.
    """
    chain = graph.weighted(network)
    if not chain:
        return Propagation(())
    broken = [(x.name, "holds NaN or infinities: no signal was sent through") for x in chain
              if any(p.tensor is not None and p.tensor.nonfinite for p in x.params)]  # fmt: skip
    if broken:
        return Propagation((), tuple(broken))
    known = network.activation_known
    fresh = network.origin is not Origin.TRAINED
    sent: list[Sent] = []
    under = (None,) if known else CANDIDATES
    for i, activation in enumerate(under):
        taken = network if activation is None else network.with_activation(activation)
        count = samples or options.samples
        trace = run(taken, arrays, samples=count, seed=options.seed, batch_statistics=fresh)
        step((i + 0.5) / len(under))
        probed = None
        if options.probe and fresh and not trace.stopped:
            probed = probe(taken, arrays, samples=count, seed=options.seed)
        step((i + 1) / len(under))
        sent.append(Sent(taken, trace, probed, activation))
    return Propagation(tuple(sent), sent[0].trace.stopped)
