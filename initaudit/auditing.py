"""Checkpoints to a report: read, measure, build, propagate, judge."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import initaudit.checks  # noqa: F401  (the checks register themselves)
from initaudit import architecture, graph, lora, remedy
from initaudit.assemble import network_report
from initaudit.checkpoint import origin, reading, statistics, topology
from initaudit.checkpoint.orientation import out_axes
from initaudit.checkpoint.stored import FLOATS, Checkpoint, CheckpointError, Plan, PlanError
from initaudit.finding import Finding, NetworkReport, Report, unexpected
from initaudit.inputs import Input
from initaudit.judge import Built, Stored, judge
from initaudit.network import Assumption, Network, Origin, Site, Tensor, Unread
from initaudit.options import Options, OptionsError, Progress, quiet, rules_for
from initaudit.rulebook import Rule
from initaudit.sending import own, send
from initaudit.suggesting import suggested
from initaudit.version import VERSION

NO_WEIGHTS = "holds no weight matrix: there is nothing to judge"


@dataclass(frozen=True, slots=True)
class _Audited:
    findings: tuple[Finding, ...] = ()
    unread: tuple[Unread, ...] = ()
    network: NetworkReport | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """A checkpoint as a network.

    ``arrays`` reads a stored array by its name; ``unread`` is what could not be.
    """

    network: Network
    tensors: tuple[Tensor, ...]
    arrays: Callable[[str], NDArray[Any]]
    unread: tuple[Unread, ...]


def audit_mapping(arrays: Mapping[str, Any], name: str, options: Options) -> Report:
    """Audit arrays in memory, by name.

    Raises:
        OptionsError: for options that cannot be used.
    """
    rules = rules_for(options)
    _architectures(options)
    checkpoint = reading.from_mapping(arrays, name)
    return _report([_audited(lambda: checkpoint, name, options, rules, quiet)], 1)


def audit_files(
    files: Sequence[Input],
    options: Options,
    rules: Mapping[str, Rule],
    progress: Progress = quiet,
) -> Report:
    """Audit checkpoints; what cannot be read is an `Unread` and the rest is judged.

    A file that is not ``named`` does not make the report failed.

    Raises:
        OptionsError: for a folder of rules whose architectures cannot be used.
    """
    _architectures(options)
    audited: list[_Audited] = []
    for file in files:
        read = partial(reading.read_checkpoint, file.path)
        one = _audited(read, str(file.path), options, rules, progress)
        audited.append(one if file.named else replace(one, failed=False))
    return _report(audited, len(files))


def _unreadable(path: str, reason: str) -> _Audited:
    return _Audited(unread=(Unread(Site(path), reason),), failed=True)


def _report(audited: Iterable[_Audited], files: int) -> Report:
    every = list(audited)
    return Report(
        findings=tuple(f for a in every for f in a.findings),
        unread=tuple(u for a in every for u in a.unread),
        networks=tuple(a.network for a in every if a.network is not None),
        files=files,
        failed=any(a.failed for a in every),
        version=VERSION,
    )


def audit_one(
    read: Callable[[], Checkpoint],
    path: str,
    options: Options,
    rules: Mapping[str, Rule],
    progress: Progress = quiet,
    origin: Origin | None = None,
) -> Report:
    """Audit one checkpoint in the making; ``origin`` tells what its weights are."""
    return _report([_audited(read, path, options, rules, progress, origin)], 1)


def _audited(
    read: Callable[[], Checkpoint],
    path: str,
    options: Options,
    rules: Mapping[str, Rule],
    progress: Progress,
    origin: Origin | None = None,
) -> _Audited:
    try:
        return _judged(read(), options, rules, progress, origin)
    except CheckpointError as error:
        return _unreadable(error.path, error.reason)
    except MemoryError:
        return _unreadable(path, "needs more memory than there is")
    except RecursionError:
        return _unreadable(path, "is nested too deeply")
    except Exception as error:
        # The other inputs are still judged.
        return _unreadable(path, f"could not be judged: {unexpected(error)}")


def _judged(
    checkpoint: Checkpoint,
    options: Options,
    rules: Mapping[str, Rule],
    progress: Progress,
    known: Origin | None = None,
) -> _Audited:
    opened = open_network(checkpoint, options, progress, known)
    network, tensors, arrays = opened.network, opened.tensors, opened.arrays
    unread = opened.unread
    holder = {
        p.tensor.name: layer
        for layer in network.layers
        for p in layer.params
        if p.tensor is not None
    }
    cure = partial(remedy.cure, network)
    subject = Stored(network, tensors, holder)
    findings = judge(subject, rules, cure)
    if not any(len(t.shape) > 1 and t.count and t.dtype in FLOATS for t in tensors):
        reason = Unread(Site(checkpoint.path), NO_WEIGHTS)
        return _Audited(findings, (*unread, reason), failed=True)
    findings += judge(Built(network, arrays), rules, cure)
    propagation, more = send(network, arrays, options, rules, progress)
    more = own(more, findings, network, arrays, options, rules)
    findings = one_cause((*findings, *more), rules)
    report = network_report(network, tensors, propagation, findings)
    if options.suggest and propagation.sent and report.verdict in {"error", "warning"}:
        taken = propagation.sent[0].network
        if network.origin is not Origin.TRAINED:
            report = replace(report, suggested=suggested(taken, arrays, options))
    return _Audited(findings, unread, report, failed=any(u.lost for u in unread))


def open_network(
    checkpoint: Checkpoint,
    options: Options,
    progress: Progress = quiet,
    known: Origin | None = None,
) -> Opened:
    """Return the network that a checkpoint holds, with its weights measured but not judged.

    ``known`` is the origin where it need not be decided.

    Raises:
        OptionsError: for a folder of rules whose architectures cannot be used.
    """
    plan, failed = _planned(checkpoint, options)
    tensors, broken = _measured(checkpoint, plan, options, progress)
    network = rebuilt(checkpoint, tensors, options) if plan is None else plan.network(tensors)
    stage: Any = options.stage
    decided, evidence = origin.decide(tensors, network, stage, checkpoint.adapter)
    if known is not None:
        decided, evidence = known, ()
    return Opened(
        replace(network, origin=decided, evidence=evidence),
        tuple(tensors),
        _reader(checkpoint, plan),
        (*checkpoint.unread, *failed, *broken),
    )


def _planned(checkpoint: Checkpoint, options: Options) -> tuple[Plan | None, tuple[Unread, ...]]:
    """Return the exact network where the file tells one; else why its weights' names must do."""
    if checkpoint.graph is None:
        return None, ()
    try:
        return checkpoint.graph(options.input_shape), ()
    except PlanError as error:
        reason = str(error)
    except Exception as error:
        # The weights are still judged.
        reason = f"its graph could not be followed: {unexpected(error)}"
    told = f"{reason}; its weights are judged by their names"
    return None, (Unread(Site(checkpoint.path), told),)


def _architectures(options: Options) -> Sequence[architecture.Architecture]:
    try:
        return architecture.load(options.rules)
    except architecture.ArchitectureError as error:
        raise OptionsError([str(error)]) from None


def rebuilt(checkpoint: Checkpoint, tensors: Sequence[Tensor], options: Options) -> Network:
    """Return the network of a checkpoint: by its architecture, else by names and shapes alone.

    Raises:
        OptionsError: for a folder of rules whose architectures cannot be used.
    """
    known = _architectures(options)
    name = Path(checkpoint.path).name
    built = architecture.build(
        known,
        tensors,
        name=name,
        path=checkpoint.path,
        config=checkpoint.config,
        aliases=checkpoint.aliases,
        input_shape=options.input_shape,
        activation=options.activation,
    )
    if built.network is not None:
        return built.network
    network = topology.build(
        tensors,
        name=name,
        path=checkpoint.path,
        config=checkpoint.config,
        aliases=checkpoint.aliases,
        input_shape=options.input_shape,
        activation=options.activation,
    )
    reasons = built.reasons or _foreign(checkpoint, network)
    said = tuple(Assumption(f"{reason}: judged layer by layer") for reason in reasons)
    added = map(Assumption, lora.told(network, checkpoint.adapter))
    return replace(network, assumptions=(*said, *network.assumptions, *added))


def _foreign(checkpoint: Checkpoint, network: Network) -> tuple[str, ...]:
    """Return what to say of a family that no file describes, where names tell no graph either."""
    said = None if checkpoint.config is None else checkpoint.config.model_type
    if said is None or graph.placed(network):
        return ()
    return (f"config.json says model_type {said}, whose graph is not known",)


def _measured(
    checkpoint: Checkpoint, plan: Plan | None, options: Options, progress: Progress
) -> tuple[list[Tensor], list[Unread]]:
    aside = frozenset[str]() if plan is None else plan.aside
    judged = [stored for stored in checkpoint.arrays if stored.name not in aside]
    judged += () if plan is None else plan.copies
    total = sum(stored.nbytes for stored in judged) or 1
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        progress(f"reading {Path(checkpoint.path).name}", done / total)

    guessed = out_axes((stored.name, stored.shape) for stored in checkpoint.arrays)
    told = _told_axes(checkpoint, options) if plan is None else plan.axes

    def axes(name: str, shape: tuple[int, ...]) -> int:
        axis = told.get(name)
        return guessed(name, shape) if axis is None else axis

    return statistics.measure_all(judged, axes, progress=advance, threads=options.threads)


def _told_axes(checkpoint: Checkpoint, options: Options) -> Mapping[str, int]:
    return architecture.out_axes(
        _architectures(options),
        [(stored.name, stored.dtype, stored.shape) for stored in checkpoint.arrays],
        config=checkpoint.config,
        aliases=checkpoint.aliases,
        input_shape=options.input_shape,
    )


def _reader(checkpoint: Checkpoint, plan: Plan | None) -> Callable[[str], NDArray[Any]]:
    by_name = {stored.name: stored for stored in checkpoint.arrays}

    computed = {} if plan is None else plan.computed

    def arrays(name: str) -> NDArray[Any]:
        if name in computed:
            return computed[name]
        return reading.array(by_name[checkpoint.aliases.get(name, name)], np.float32)

    return arrays


def one_cause(findings: Sequence[Finding], rules: Mapping[str, Rule]) -> tuple[Finding, ...]:
    """Leave out findings that another one at the same layer already explains."""
    at: dict[str, set[str | None]] = {}
    for finding in findings:
        layers = {site.layer for site in (finding.site, *finding.related)}
        at.setdefault(finding.rule, set()).update(layers - {None})
    return tuple(
        f
        for f in findings
        if not any(f.site.layer in at.get(other, ()) for other in rules[f.rule].yields_to)
    )
