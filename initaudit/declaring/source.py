"""What a model's source declares, judged alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from initaudit import auditing
from initaudit.catalogue import Catalogue
from initaudit.declaring import arithmetic, guarding, placing, predicted, realised, targets
from initaudit.finding import Report
from initaudit.network import Origin
from initaudit.options import Options, Progress, quiet
from initaudit.reading import choosing
from initaudit.reading.units import Files
from initaudit.reading.values import StopError
from initaudit.rulebook import Rule
from initaudit.version import VERSION


def audit_declared(
    text: str, options: Options, rules: Mapping[str, Rule], progress: Progress = quiet
) -> Report:
    """Judge what a model's source declares: by arithmetic, and drawn and sent through the replica.

    Raises:
        OptionsError: the text names no model.
    """
    files, catalogue = Files(), targets.catalogue(options)
    wanted = targets.target(text)
    reports = [
        guarding.guarded(cls, partial(_declared, files, catalogue, cls, options, rules, progress))
        for cls in targets.classes(files, catalogue, wanted)
    ]
    if wanted.name is None and any(r.networks for r in reports):
        reports = [replace(r, failed=False) for r in reports]
    return _joined(reports, 1)


def _declared(
    files: Files,
    catalogue: Catalogue,
    cls: choosing.Named,
    options: Options,
    rules: Mapping[str, Rule],
    progress: Progress,
) -> Report:
    try:
        made = realised.read(files, catalogue, cls, options)
        if made.stood_for:
            reason = f"{made.left_open} left open: they decide its weights"
            return guarding.left(cls, reason, made.site)
        if made.open:
            return arithmetic.by_arithmetic(made, options, rules, progress)
        drawn = realised.drawn(made, options)
    except StopError as stop:
        return guarding.left(cls, stop.reason, stop.site)
    report = auditing.audit_one(
        lambda: drawn.checkpoint, made.path, options, rules, progress, Origin.DECLARED
    )
    network = drawn.plan.network(())
    networks = tuple(predicted.beside(x, network, made, drawn.reading) for x in report.networks)
    report = replace(report, networks=networks)
    return placing.placed(report, made, drawn.sites, drawn.reading)


def _joined(reports: Sequence[Report], count: int) -> Report:
    return Report(
        version=VERSION,
        findings=tuple(f for r in reports for f in r.findings),
        unread=tuple(u for r in reports for u in r.unread),
        networks=tuple(n for r in reports for n in r.networks),
        files=count,
        failed=any(r.failed for r in reports),
    )
