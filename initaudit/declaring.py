"""Models as their source declares them, alone and beside a checkpoint, to a report."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from initaudit import auditing, remedy
from initaudit.catalogue import Catalogue, CatalogueError, load
from initaudit.checkpoint import reading as stored_reading
from initaudit.checkpoint.stored import Checkpoint, CheckpointError, Plan, PlanError, Stored
from initaudit.claims import Hit, finding
from initaudit.finding import Fact, Finding, Report, unexpected
from initaudit.network import Network, Origin, Site, Unread
from initaudit.options import Options, OptionsError, Progress, rules_for
from initaudit.reading import choosing, matching, model, passing, predicting, realising
from initaudit.reading.state import State
from initaudit.reading.units import Files
from initaudit.reading.values import Parameter, StopError
from initaudit.rulebook import Rule
from initaudit.version import VERSION


@dataclass(frozen=True, slots=True)
class Target:
    """What ``--model FILE.py:NAME`` names; without a name, every model of the file."""

    path: Path
    name: str | None = None


def target(text: str) -> Target:
    """Return what ``FILE.py:NAME`` names."""
    path, colon, name = text.rpartition(":")
    if colon and name.isidentifier() and path:
        return Target(Path(path), name)
    return Target(Path(text))


def classes(files: Files, catalogue: Catalogue, wanted: Target) -> list[choosing.Named]:
    """Return the classes that a target names.

    Raises:
        OptionsError: it names nothing that is there.
    """
    state = State(files, catalogue)
    try:
        unit = choosing.unit_of(files, wanted.path)
        if wanted.name is not None:
            return [choosing.find(state, unit, wanted.name)]
    except choosing.ModelError as error:
        raise OptionsError([f"model: {error}"]) from None
    found: list[choosing.Named] = [*choosing.models(state, unit)]
    if not found:
        raise OptionsError([f"model: {wanted.path} has no model class of a framework"])
    return found


def chosen(files: Files, options: Options) -> choosing.Named:
    """Return the one class that ``--model`` names.

    Raises:
        OptionsError: it names none, or a file of several.
    """
    wanted = target(options.model or "")
    found = classes(files, _catalogue(options), wanted)
    if len(found) > 1:
        names = ", ".join(cls.name for cls in found)
        raise OptionsError([f"model: {wanted.path} has several models: add one of :{names}"])
    return found[0]


def audit_declared(
    text: str, options: Options, rules: Mapping[str, Rule], progress: Progress = auditing.quiet
) -> Report:
    """Judge what a model's source declares: drawn with the seed, sent through the replica.

    Raises:
        OptionsError: the text names no model.
    """
    files, catalogue = Files(), _catalogue(options)
    wanted = target(text)
    reports = [
        _guarded(cls, partial(_declared, files, catalogue, cls, options, rules, progress))
        for cls in classes(files, catalogue, wanted)
    ]
    if wanted.name is None and any(r.networks for r in reports):
        reports = [replace(r, failed=False) for r in reports]
    return _joined(reports, 1)


_FRAMES = 8000
"""Python's own limit of calls within calls while a source is followed."""


@contextmanager
def _deep() -> Iterator[None]:
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(max(limit, _FRAMES))
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def _guarded(cls: choosing.Named, audit: partial[Report]) -> Report:
    """Return a report whatever a source holds: the other models are still judged."""
    try:
        with _deep():
            return audit()
    except (OptionsError, CheckpointError):
        raise
    except StopError as stop:
        return _left(cls, stop.reason, stop.site)
    except RecursionError:
        reason = "it is nested too deeply"
    except Exception as error:
        reason = unexpected(error)
    return _left(cls, reason, None)


def _left(cls: choosing.Named, reason: str, site: Site | None) -> Report:
    place = site or cls.unit.site(cls.node)
    unread = Unread(_line(place), f"{cls.name} is not judged: {reason}")
    return Report(unread=(unread,), failed=True, version=VERSION)


def _line(site: Site) -> Site:
    return Site(site.path, site.line)


def _catalogue(options: Options) -> Catalogue:
    try:
        return _loaded(tuple(options.rules))
    except CatalogueError as error:
        raise OptionsError([str(error)]) from None


@lru_cache(maxsize=4)
def _loaded(folders: tuple[Path, ...]) -> Catalogue:
    return load(folders)


def _read(files: Files, catalogue: Catalogue, cls: choosing.Named, options: Options) -> model.Model:
    """Return a model whose parameters' starts are certain; `StopError` says why there is none."""
    made = model.read(files, catalogue, cls)
    passing.grow(made, options.input_shape)
    for doubt, site in made.doubts.items():
        raise StopError(f"what its parameters start from is not certain: {doubt}", site)
    if made.opened and made.state.guesses:
        named = ", ".join(made.opened)
        reason = f"{named} left open, and what is built depends on it"
        raise StopError(reason, made.state.guesses[0])
    return made


def _drawn(
    made: model.Model, options: Options
) -> tuple[Checkpoint, passing.Reading, Mapping[str, Site]]:
    """Return a model's weights, drawn with the seed, with the network that its source tells."""
    blocked = realising.obstacle(made.parameters)
    if blocked is not None:
        raise StopError(*blocked)
    realised, stored_of = passing.declared(made, options.seed)
    arrays = tuple(realised.stored(name, made.path) for name in made.parameters)
    reading, plan, sites = _planned(made, stored_of, options)
    checkpoint = Checkpoint(
        path=made.path, arrays=arrays, aliases=made.aliases, graph=lambda shape: plan
    )
    return checkpoint, reading, sites


def declared_checkpoint(text: str, options: Options) -> Checkpoint:
    """Return what ``FILE.py:NAME`` declares as a checkpoint, its weights drawn with the seed.

    Raises:
        OptionsError: the text names no model, or one that cannot be drawn, with the reason.
    """
    files, catalogue = Files(), _catalogue(options)
    cls = chosen(files, replace(options, model=text))
    try:
        with _deep():
            made = _read(files, catalogue, cls, options)
            if made.open:
                named = ", ".join(made.opened) or "its sizes"
                raise StopError(f"{named} left open", made.site)
            return _drawn(made, options)[0]
    except StopError as stop:
        where = f"{stop.site.path}:{stop.site.line}: " if stop.site is not None else ""
        raise OptionsError([f"{where}{cls.name} cannot be drawn: {stop.reason}"]) from None


def _declared(
    files: Files,
    catalogue: Catalogue,
    cls: choosing.Named,
    options: Options,
    rules: Mapping[str, Rule],
    progress: Progress,
) -> Report:
    try:
        made = _read(files, catalogue, cls, options)
        if made.open:
            return _by_arithmetic(made, options, rules)
        checkpoint, reading, sites = _drawn(made, options)
    except StopError as stop:
        return _left(cls, stop.reason, stop.site)
    report = auditing.audit_one(
        lambda: checkpoint, made.path, options, rules, progress, Origin.DECLARED
    )
    return _placed(report, made, sites, reading)


_JUDGED = {
    "IA203": ("forward", -1), "IA204": ("forward", 1),
    "IA205": ("backward", -1), "IA206": ("backward", 1),
}  # fmt: skip
"""Rules that arithmetic can settle: which ratio, and whether a small or a large one is a fault."""


def _by_arithmetic(made: model.Model, options: Options, rules: Mapping[str, Rule]) -> Report:
    """Judge a model of open sizes by the moments of its signal, where it is one plain stack."""
    named = ", ".join(made.opened) or "its sizes"
    _, stored_of = passing.declared(made, options.seed)
    _, plan, sites = _planned(made, stored_of, options)
    network = replace(plan.network(()), origin=Origin.DECLARED)
    told = predicting.predict(network, made.parameters)
    if told is None:
        return _left(made.cls, f"{named} left open, and it is no plain stack of layers", made.site)
    findings = []
    for key, (which, sign) in _JUDGED.items():
        rule = rules.get(key)
        ratio = told.forward if which == "forward" else told.backward
        if rule is None:
            continue
        limit = rule.limits["ratio"]
        beyond = ratio.hi < limit if sign < 0 else ratio.lo > limit
        if beyond:
            value = ratio.hi if sign < 0 else ratio.lo
            findings.append(_settled(rule, network, told, value, limit, made, sites))
    bounds = f"signal power x[{told.forward.lo:.3g}, {told.forward.hi:.3g}]"
    bounds += f", gradient power x[{told.backward.lo:.3g}, {told.backward.hi:.3g}]"
    text = f"{made.name}: {named} left open: judged by arithmetic alone, {bounds}"
    note = Unread(_line(made.site), f"{text} over {len(told.hidden)} hidden layers", lost=False)
    return Report(findings=tuple(findings), unread=(note,), version=VERSION)


def _settled(
    rule: Rule,
    network: Network,
    told: predicting.Prediction,
    ratio: float,
    limit: float,
    made: model.Model,
    sites: Mapping[str, Site],
) -> Finding:
    first, last = told.hidden[0], told.hidden[-1]
    backwards = rule.id in {"IA205", "IA206"}
    layer = network.layer(first if backwards else last)
    ends = [math.sqrt(min(q.hi, 1e30)) for q in (told.powers[0], told.powers[-1])]
    if backwards:
        ends = [math.sqrt(min(ratio, 1e30)), 1.0]
    facts: dict[str, Fact] = {
        "ratio": ratio, "first": first, "last": last, "first_std": ends[0], "last_std": ends[1],
        "layers": len(told.hidden),
    }  # fmt: skip
    margin = abs(math.log10(max(ratio, 1e-300) / limit))
    more, code = remedy.cure(network, layer)
    more = {**more, "wanted": "its gain / sqrt(fan_in)"}
    hit = Hit(Site(made.path, layer=layer.name), facts, layer, margin=margin)
    one = finding(rule, hit, more, code)
    place = _at(Site(made.path, layer=layer.name), made, sites)
    return replace(one, site=place, excerpts=(_excerpt(place),))


def _planned(
    made: model.Model, stored_of: passing.StoredOf, options: Options, path: str | None = None
) -> tuple[passing.Reading, Plan, Mapping[str, Site]]:
    reading = passing.follow(made, stored_of, options.input_shape or made.entered)
    plan, sites = passing.planned(made, reading, path)
    return reading, plan, sites


def _placed(
    report: Report,
    made: model.Model,
    sites: Mapping[str, Site],
    reading: passing.Reading,
) -> Report:
    """Give findings the lines of their layers, and say where the forward pass was not followed."""
    findings = tuple(
        replace(
            f,
            site=_at(f.site, made, sites),
            related=tuple(_at(s, made, sites) for s in f.related),
            excerpts=_excerpts(f, made, sites),
        )
        for f in report.findings
    )
    stops = tuple(
        Unread(_line(site or made.site), f"{made.name} is not followed further: {reason}")
        for reason, site in dict.fromkeys(reading.stopped)
    )
    return replace(
        report, findings=findings, unread=(*report.unread, *stops),
        failed=report.failed or bool(stops),
    )  # fmt: skip


def _at(site: Site, made: model.Model, sites: Mapping[str, Site]) -> Site:
    parameter = made.parameters.get(site.tensor or "")
    place = parameter.site if parameter is not None else sites.get(site.layer or "", made.site)
    return replace(place, tensor=site.tensor, layer=site.layer)


def _excerpts(finding: Finding, made: model.Model, sites: Mapping[str, Site]) -> tuple[str, ...]:
    places = [_at(s, made, sites) for s in (finding.site, *finding.related)]
    return tuple(_excerpt(place) for place in places)


@lru_cache(maxsize=16)
def _lines(path: str) -> tuple[str, ...]:
    try:
        return tuple(Path(path).read_text(encoding="utf-8-sig", errors="replace").splitlines())
    except OSError:
        return ()


def _excerpt(site: Site) -> str:
    lines = _lines(site.path)
    return lines[site.line - 1] if site.line is not None and site.line <= len(lines) else ""


def audit_pair(
    path: Path,
    cls: choosing.Named,
    files: Files,
    options: Options,
    rules: Mapping[str, Rule],
    progress: Progress = auditing.quiet,
) -> Report:
    """Judge a checkpoint by its model's source: topology from there, each tensor by its law."""
    return _guarded(
        cls, partial(_pair, path, cls, files, _catalogue(options), options, rules, progress)
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
    made, reason = fitted(files, catalogue, cls, shapes, options.input_shape)
    if made is None:
        alone = auditing.audit_one(lambda: checkpoint, str(path), options, rules, progress)
        more = Unread(_line(cls.unit.site(cls.node)), f"{cls.name} is not laid beside it: {reason}")
        return replace(alone, unread=(*alone.unread, more), failed=True)
    match = matching.match(made.parameters, made.aliases, shapes)
    if made.opened and made.state.guesses and not match.exact:
        alone = auditing.audit_one(lambda: checkpoint, str(path), options, rules, progress)
        named = ", ".join(made.opened)
        text = f"{cls.name} is not laid beside it: {named} left open, and the shapes do not tell it"
        more = Unread(_line(made.state.guesses[0] or made.site), text)
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
        reading, plan, _ = _planned(made, stored_of, options, path)
        if reading.placed:
            checkpoint = replace(checkpoint, graph=lambda shape: plan)
    except (PlanError, StopError) as error:
        reason = str(error)
    report = auditing.audit_one(lambda: checkpoint, path, options, rules, progress)
    left = _differences(match, made, path)
    for why, site in dict.fromkeys(reading.stopped if reading is not None else ((reason, None),)):
        text = f"{made.name} is not followed further: {why}"
        left.append(Unread(_line(site or made.site), text))
    findings = report.findings
    if report.networks and report.networks[0].origin is not Origin.TRAINED:
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
        made = of_live(State(files, _catalogue(options)), obj)
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
        return _beside(checkpoint, made, match, options, rules, auditing.quiet)
    except (StopError, CheckpointError, RecursionError, choosing.ModelError):
        return None


def _differences(match: matching.Match, made: model.Model, path: str) -> list[Unread]:
    found = [
        Unread(_line(made.parameters[name].site), f"{made.name} declares {name}; {path} lacks it")
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


def fitted(
    files: Files,
    catalogue: Catalogue,
    cls: choosing.Named,
    shapes: Mapping[str, tuple[int, ...]],
    shape: tuple[int, ...] | None = None,
) -> tuple[model.Model | None, str]:
    """Return a model with the sizes that its source leaves open taken from a checkpoint's shapes.

    ``shape`` is that of an input. None with the reason where its constructor cannot be followed.
    """
    try:
        made = model.read(files, catalogue, cls)
        if made.lazy:
            return _grown(files, catalogue, cls, shapes, shape or made.shape)
        given = matching.solved(made.parameters, shapes)
        if made.opened and given:
            made = model.read(files, catalogue, cls, given)
            note = ", ".join(f"{key} = {value}" for key, value in given.items())
            made.notes = (*made.notes, f"by the shapes of the checkpoint: {note}")
    except StopError as stop:
        where = "" if stop.site is None or stop.site.line is None else f" (line {stop.site.line})"
        return None, stop.reason + where
    return made, ""


def _grown(
    files: Files,
    catalogue: Catalogue,
    cls: choosing.Named,
    shapes: Mapping[str, tuple[int, ...]],
    shape: tuple[int, ...] | None,
) -> tuple[model.Model | None, str]:
    """Return a model whose layers take their width from the input, told by a checkpoint's kernels.

    Raises:
        StopError: its source does not tell how its layers are made.
    """
    matrices = [(there[-2],) for there in shapes.values() if len(there) == 2]
    images = [(16, 16, there[-2]) for there in shapes.values() if len(there) == 4]
    tried = [shape] if shape is not None else list(dict.fromkeys([*images, *matrices]))
    best = None
    for entry in tried:
        made = model.read(files, catalogue, cls)
        passing.grow(made, entry)
        best = best or made
        if matching.match(made.parameters, made.aliases, shapes).exact:
            made.entered = entry
            return made, ""
    if best is None:
        return None, "the shape of its input is not in the source: --input-shape tells it"
    return best, ""


def classes_matching(
    path: Path, sources: Sequence[Path], files: Files, options: Options
) -> list[choosing.Named]:
    """Return the model classes of some files whose names and shapes are those of a checkpoint.

    A file is only parsed where its text holds the first word of each stored name.
    """
    catalogue = _catalogue(options)
    try:
        checkpoint = stored_reading.read_checkpoint(path)
    except CheckpointError:
        return []
    shapes = {stored.name: stored.shape for stored in checkpoint.arrays}
    for alias, real in checkpoint.aliases.items():
        shapes.setdefault(alias, shapes[real])
    words = {name.partition(".")[0] for name in shapes}
    words = {word for word in words if not word.isdecimal()}
    found: list[choosing.Named] = []
    for source in sources:
        try:
            text = source.read_text(encoding="utf-8-sig", errors="replace")
        except OSError:
            continue
        if "class " not in text or not all(word in text for word in words):
            continue
        unit = files.unit(source)
        if unit is None:
            continue
        for cls in choosing.models(State(files, catalogue), unit):
            made, _ = fitted(files, catalogue, cls, shapes)
            if made is not None and matching.match(made.parameters, made.aliases, shapes).exact:
                found.append(cls)
    return found


def _joined(reports: Sequence[Report], count: int) -> Report:
    return Report(
        version=VERSION,
        findings=tuple(f for r in reports for f in r.findings),
        unread=tuple(u for r in reports for u in r.unread),
        networks=tuple(n for r in reports for n in r.networks),
        files=count,
        failed=any(r.failed for r in reports),
    )


def explained(text: str, options: Options) -> str:
    """Return why a parameter, ``FILE.py:Class.path.to.weight``, starts as it does.

    Raises:
        OptionsError: there is no such file, class or parameter.
    """
    from initaudit.reading.explaining import explain

    path, _, rest = text.rpartition(":")
    name, dot, parameter = rest.partition(".")
    if not dot or not parameter:
        raise OptionsError([f"{text}: write FILE.py:Class.parameter, such as net.py:Net.fc.weight"])
    files, catalogue = Files(), _catalogue(options)
    cls = classes(files, catalogue, Target(Path(path), name))[0]
    try:
        return explain(model.read(files, catalogue, cls), parameter)
    except StopError as stop:
        where = "" if stop.site is None else f"{stop.site.path}:{stop.site.line}: "
        raise OptionsError([f"{where}{name} is not followed: {stop.reason}"]) from None
    except choosing.ModelError as error:
        raise OptionsError([str(error)]) from None
