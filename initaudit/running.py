"""Paths to one report: source and checkpoints, each read by what they need and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from initaudit.finding import Report
from initaudit.inputs import STDIN, Exclude, Input, Inputs, Within, expand, matches
from initaudit.network import Site, Unread
from initaudit.options import Options, OptionsError, Progress, every_rule, quiet, rules_for
from initaudit.rulebook import Rule
from initaudit.version import VERSION


def run(
    paths: Sequence[Path],
    options: Options,
    progress: Progress = quiet,
    stdin: tuple[str, bytes] | None = None,
) -> Report:
    """Judge files and folders; what cannot be read is an `Unread` and the rest is judged.

    ``stdin`` is the source that the path ``-`` stands for, with the name it is reported under.

    Raises:
        OptionsError: for options that cannot be used.
    """
    rules = rules_for(options)
    exclude = Exclude(options.exclude, options.base, options.force_exclude)
    if stdin is not None and exclude.force and exclude(stdin[0]):
        paths = [path for path in paths if path != STDIN]
    found = expand(paths, _within, exclude)
    reports = [_unread(found)]
    if found.sources:
        reports.append(_lint(found.sources, options, rules, progress, stdin))
    if options.model is not None:
        reports.append(_modelled(found, options, rules, progress))
    elif found.checkpoints:
        reports.append(_checkpoints(found, options, rules, progress))
    judged = tuple(str(one.path) for one in (*found.sources, *found.checkpoints))
    pages = tuple(rules.values())
    report = replace(_joined(reports), judged=judged, rules=frozenset(rules), pages=pages)
    nothing = not report.networks and not found.sources and options.model is None
    if report.unread and nothing:
        # A folder may hold files that cannot be judged, but not nothing else.
        return replace(report, failed=True)
    return report


def _modelled(
    found: Inputs, options: Options, rules: Mapping[str, Rule], progress: Progress
) -> Report:
    """Judge the model that ``--model`` names: beside each checkpoint, else as it is declared."""
    from initaudit import declaring
    from initaudit.reading.units import Files

    assert options.model is not None  # noqa: S101
    if not found.checkpoints:
        return declaring.audit_declared(options.model, options, rules, progress)
    files = Files()
    chosen = declaring.chosen(files, options)
    pairs = [
        declaring.audit_pair(one.path, chosen, files, options, rules, progress)
        for one in found.checkpoints
    ]
    return replace(_joined(pairs), files=len(pairs))


def _checkpoints(
    found: Inputs, options: Options, rules: Mapping[str, Rule], progress: Progress
) -> Report:
    """Judge checkpoints; one beside a source whose one class matches it is judged by that."""
    from initaudit.auditing import audit_files

    if not found.sources or not any(one.named for one in found.checkpoints):
        return audit_files(found.checkpoints, options, rules, progress)
    from initaudit import declaring
    from initaudit.reading.units import Files

    files = Files()
    sources = [one.path for one in found.sources if one.path.suffix == ".py"]
    reports: list[Report] = []
    for one in found.checkpoints:
        matching = declaring.classes_matching(one.path, sources, files, options)
        if len(matching) == 1:
            made = declaring.audit_pair(one.path, matching[0], files, options, rules, progress)
            reports.append(made)
        else:
            reports.append(audit_files([one], options, rules, progress))
    return _joined(reports)


def _within() -> Within:
    # Imported where a folder holds a checkpoint, for it needs NumPy.
    from initaudit.checkpoint.reading import within

    return within


def _unread(found: Inputs) -> Report:
    """Return what is wrong with the paths themselves; an empty folder was named for nothing."""
    unread = list(found.unread)
    for folder in found.empty:
        from initaudit.checkpoint.reading import find_checkpoints
        from initaudit.checkpoint.stored import CheckpointError

        reason = "holds nothing to judge"
        try:
            find_checkpoints(folder)
        except CheckpointError as error:
            reason = error.reason
        unread.append(Unread(Site(str(folder)), reason))
    return Report(unread=tuple(unread), failed=bool(found.empty) or found.closed)


def _lint(
    inputs: Sequence[Input],
    options: Options,
    rules: Mapping[str, Rule],
    progress: Progress,
    stdin: tuple[str, bytes] | None,
) -> Report:
    from initaudit.catalogue import CatalogueError
    from initaudit.source.batch import Source, Work, check_files
    from initaudit.source.linting import settled

    sources = [
        Source(stdin[0], always=True, content=stdin[1])
        if one.path == STDIN and stdin is not None
        else Source(str(one.path), always=one.named or options.strict)
        for one in inputs
    ]
    try:
        checked = check_files(
            sources,
            Work(every_rule(options), options.rules),
            cache=options.cache,
            jobs=options.jobs,
            progress=lambda share: progress("reading source", share),
        )
    except CatalogueError as error:
        raise OptionsError([str(error)]) from None
    result = settled(checked, rules, _off(options, rules))
    named = {source.path for source, one in zip(sources, inputs, strict=True) if one.named}
    unread = tuple(entry for one in checked for entry in one.unread)
    return Report(
        findings=result.findings,
        unread=unread,
        files=len(sources),
        failed=any(entry.lost and entry.site.path in named for entry in unread),
        ignored=result.ignored,
        unused=result.unused if options.unused_ignores else (),
    )


def _off(options: Options, rules: Mapping[str, Rule]) -> Callable[[str, str], bool]:
    """Return whether the settings ignore a rule in a file."""
    ignored = [
        (
            (pattern,),
            {r.id for r in rules.values() if any(r.name == n or r.id.startswith(n) for n in names)},
        )
        for pattern, names in options.per_file_ignores.items()
    ]
    return lambda path, rule: any(
        rule in off and matches(pattern, path, options.base) for pattern, off in ignored
    )


def _joined(reports: Sequence[Report]) -> Report:
    return Report(
        version=VERSION,
        findings=tuple(f for r in reports for f in r.findings),
        unread=tuple(u for r in reports for u in r.unread),
        networks=tuple(n for r in reports for n in r.networks),
        files=sum(r.files for r in reports),
        failed=any(r.failed for r in reports),
        ignored=sum(r.ignored for r in reports),
        unused=tuple(u for r in reports for u in r.unused),
    )
