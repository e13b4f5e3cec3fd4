"""A checkpoint, or a live module, in the network that its source tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from initaudit import auditing
from initaudit.catalogue import Catalogue
from initaudit.checkpoint import reading as stored_reading
from initaudit.checkpoint.stored import Checkpoint, CheckpointError, PlanError, Stored
from initaudit.declaring import fitting, guarding, realised, targets
from initaudit.finding import Report
from initaudit.network import Origin, Site, Unread
from initaudit.options import Options, Progress, quiet, rules_for
from initaudit.reading import choosing, matching, model, passing, tampering
from initaudit.reading.state import State
from initaudit.reading.units import Files
from initaudit.reading.values import Parameter, StopError
from initaudit.rulebook import Rule
from initaudit.version import VERSION


def audit_pair(
    path: Path,
    cls: choosing.Named,
    files: Files,
    options: Options,
    rules: Mapping[str, Rule],
    progress: Progress = quiet,
) -> Report:
    """Judge a checkpoint by its model's source: topology from there, each tensor by its law."""
    return guarding.guarded(
        cls, partial(_pair, path, cls, files, targets.catalogue(options), options, rules, progress)
    )


def _pair(
    path: Path,
    cls: choosing.Named,
    files: Files,
    catalogue: Catalogue,
    options: Options,
    rules: Mapping[str, Rule],
    progress: Progress,
) -> Report:
    try:
        checkpoint = stored_reading.read_checkpoint(path)
    except CheckpointError as error:
        unread = Unread(Site(error.path), error.reason)
        return Report(unread=(unread,), failed=True, version=VERSION)
    shapes = {stored.name: stored.shape for stored in checkpoint.arrays}
    for alias, real in checkpoint.aliases.items():
        shapes.setdefault(alias, shapes[real])
    made, reason = fitting.fitted(files, catalogue, cls, shapes, options.input_shape)
    if made is None:
        alone = auditing.audit_one(lambda: checkpoint, str(path), options, rules, progress)
        more = Unread(
            guarding.line(cls.unit.site(cls.node)), f"{cls.name} is not laid beside it: {reason}"
        )
        return replace(alone, unread=(*alone.unread, more), failed=True)
    match = matching.match(made.parameters, made.aliases, shapes)
    if made.opened and made.state.guesses and not match.exact:
        alone = auditing.audit_one(lambda: checkpoint, str(path), options, rules, progress)
        named = ", ".join(made.opened)
        text = f"{cls.name} is not laid beside it: {named} left open, and the shapes do not tell it"
        more = Unread(guarding.line(made.state.guesses[0] or made.site), text)
        return replace(alone, unread=(*alone.unread, more), failed=True)
    changed = tampering.of_model(made.state, made.module)
    if changed is not None:
        alone = auditing.audit_one(lambda: checkpoint, str(path), options, rules, progress)
        more = Unread(guarding.line(changed[1]), f"{cls.name} is not laid beside it: {changed[0]}")
        return replace(alone, unread=(*alone.unread, more), failed=True)
    if match.foreign:
        more = Unread(
            Site(checkpoint.path),
            f"is no checkpoint of {made.path}:{made.name}: {match.summary()}",
        )
        return Report(unread=(more,), failed=True, version=VERSION)
    return _beside(checkpoint, made, match, options, rules, progress)


def _beside(
    checkpoint: Checkpoint,
    made: model.Model,
    match: matching.Match,
    options: Options,
    rules: Mapping[str, Rule],
    progress: Progress,
) -> Report:
    """Judge a checkpoint in the network of a model that fits it."""
    path, reason = checkpoint.path, ""
    stored_of = _stored(checkpoint, match)
    reading = None
    try:
        reading, plan, _ = realised.planned(made, stored_of, options, path)
        if reading.placed:
            checkpoint = replace(checkpoint, graph=lambda shape: plan)
    except (PlanError, StopError) as error:
        reason = str(error)
    report = auditing.audit_one(lambda: checkpoint, path, options, rules, progress)
    left = _differences(match, made, path)
    for why, site in dict.fromkeys(reading.stopped if reading is not None else ((reason, None),)):
        text = f"{made.name} is not followed further: {why}"
        left.append(Unread(guarding.line(site or made.site), text))
    findings = report.findings
    fresh = bool(report.networks) and report.networks[0].origin is not Origin.TRAINED
    for doubt, place in made.doubts.items() if fresh else ():
        text = f"what {made.name} starts from is not certain, and not compared: {doubt}"
        left.append(Unread(guarding.line(place or made.site), text))
    if fresh and not made.doubts:
        tensors = {
            x.tensor.name: x.tensor for x in report.networks[0].layers if x.tensor is not None
        }
        findings += matching.departures(made, match, tensors, rules)
    return replace(
        report, findings=findings, unread=(*report.unread, *left),
        failed=report.failed or bool(left),
    )  # fmt: skip


def _stored(checkpoint: Checkpoint, match: matching.Match) -> passing.StoredOf:
    arrays = {stored.name: stored for stored in checkpoint.arrays}

    def stored_of(parameter: Parameter) -> Stored:
        name = match.names.get(parameter.name)
        if name is None:
            raise StopError(f"{parameter.name} is not stored in {checkpoint.path}")
        return arrays[checkpoint.aliases.get(name, name)]

    return stored_of


def audit_live(obj: Any, arrays: Mapping[str, Any], options: Options) -> Report | None:
    """Judge a live module of PyTorch by its weights and its source; None where that is not read.

    Nothing of it is run: its class is found in its file as text, and its attributes are looked at.
    """
    from initaudit.checkpoint.memory import from_mapping
    from initaudit.reading.living import of_live

    rules, files = rules_for(options), Files()
    try:
        made = of_live(State(files, targets.catalogue(options)), obj)
        checkpoint = from_mapping(arrays, type(obj).__name__)
        shapes = {stored.name: stored.shape for stored in checkpoint.arrays}
        for alias, real in checkpoint.aliases.items():
            shapes.setdefault(alias, shapes[real])
        match = matching.match(made.parameters, made.aliases, shapes)
        if not match.exact:
            return None
        reading = passing.follow(made, _stored(checkpoint, match), options.input_shape)
        if reading.stopped:
            return None
        return _beside(checkpoint, made, match, options, rules, quiet)
    except (StopError, CheckpointError, RecursionError, choosing.ModelError):
        return None


def _differences(match: matching.Match, made: model.Model, path: str) -> list[Unread]:
    found = [
        Unread(
            guarding.line(made.parameters[name].site),
            f"{made.name} declares {name}; {path} lacks it",
        )
        for name in match.missing
    ]
    found += [
        Unread(Site(path, tensor=name), f"{made.path}:{made.name} does not declare it")
        for name in match.extra
    ]
    found += [
        Unread(Site(path, tensor=name), f"has the shape {there}; {made.path} declares {here}")
        for name, here, there in match.unequal
    ]
    return found
