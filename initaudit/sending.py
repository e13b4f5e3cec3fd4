"""The signal of a network, sent and judged; what another finding causes is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import initaudit.checks  # noqa: F401  (the checks register themselves)
from initaudit import graph, remedy
from initaudit.finding import Finding
from initaudit.judge import Arrays, judge, judge_open
from initaudit.network import Network
from initaudit.options import Options, Progress, quiet
from initaudit.propagate import MORE, Propagation, propagate
from initaudit.rulebook import Rule, Severity
from initaudit.suggesting import mended

NO_ROOM = "the network needs more memory than there is: no signal was sent through"
FLAT = "IA303"


def send(
    network: Network,
    arrays: Arrays,
    options: Options,
    rules: Mapping[str, Rule],
    progress: Progress = quiet,
) -> tuple[Propagation, tuple[Finding, ...]]:
    """Propagate and judge the signal, with more samples where a verdict is close to its limit."""
    if not graph.weighted(network):
        return Propagation(()), ()
    step = lambda share: progress(f"sending signals through {network.name}", share)  # noqa: E731
    try:
        propagation = propagate(network, arrays, options, step)
        findings = _signal(network, propagation, rules)
        close = any(f.severity > Severity.NOTE and "margin_decades" in f.facts for f in findings)
        if close and all(sent.trace.affordable > sent.trace.samples for sent in propagation.sent):
            propagation = propagate(network, arrays, options, step, samples=options.samples * MORE)
            findings = _signal(network, propagation, rules)
    except MemoryError:
        return Propagation((), tuple((x.name, NO_ROOM) for x in graph.weighted(network))), ()
    return propagation, findings


def _signal(
    network: Network, propagation: Propagation, rules: Mapping[str, Rule]
) -> tuple[Finding, ...]:
    if not propagation.sent:
        return ()
    if len(propagation.sent) > 1:
        return judge_open(propagation.sent, rules, partial(remedy.cure, network))
    return judge(propagation.sent[0], rules, partial(remedy.cure, network))


def own(
    signal: Sequence[Finding],
    others: Sequence[Finding],
    network: Network,
    arrays: Arrays,
    options: Options,
    rules: Mapping[str, Rule],
) -> tuple[Finding, ...]:
    """Return the findings on the signal that a lone all-equal matrix does not cause.

    Such a matrix takes the signal down to one direction, or to nothing, at the first step alone:
    the weights around it are random and tell its units apart at the second. So the signal is sent
    again with the matrix drawn at random, and what is not found then is the matrix's, which a
    finding of its own names.
    """
    sites = [site for f in others if f.rule == FLAT for site in (f.site, *f.related)]
    tensors = {site.tensor for site in sites if site.tensor is not None}
    if not signal or not tensors:
        return tuple(signal)
    if any(f.rule in rules[FLAT].yields_to for f in signal):
        # Not a lone one: what it multiplies is zero or constant too, and nothing there learns.
        return tuple(signal)
    drawn = mended(network, arrays, options, tensors)
    if drawn is None:
        return tuple(signal)
    left = {f.rule for f in send(network, drawn, options, rules)[1]}
    return tuple(f for f in signal if f.rule in left)
