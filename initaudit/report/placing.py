"""Which findings belong to which network of a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from initaudit.finding import Finding, NetworkReport, Report
from initaudit.network import Origin
from initaudit.rulebook import Severity


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings by severity, then by rule, otherwise in the order given."""
    return tuple(sorted(findings, key=lambda f: (-f.severity, f.rule)))


def by_network(report: Report) -> tuple[tuple[tuple[Finding, ...], ...], tuple[Finding, ...]]:
    """Return the findings of each network, and those of none, each worst first.

    A finding belongs to the network of its path. Where one path holds several networks it
    belongs to the one that has its layer, and to none where that does not decide.
    """
    held: list[list[Finding]] = [[] for _ in report.networks]
    loose: list[Finding] = []
    names = [{layer.name for layer in network.layers} for network in report.networks]
    for finding in report.findings:
        at = [i for i, n in enumerate(report.networks) if on_path(finding, n)]
        if len(at) > 1:
            at = [i for i in at if finding.site.layer in names[i]]
        (held[at[0]] if len(at) == 1 else loose).append(finding)
    return tuple(worst_first(found) for found in held), worst_first(loose)


def on_path(finding: Finding, network: NetworkReport) -> bool:
    """Return whether a finding lies in the file, or under the folder, of a network."""
    folder = network.path.rstrip("/") + "/"
    return finding.site.path == network.path or finding.site.path.startswith(folder)


def declared_in(finding: Finding, network: NetworkReport) -> bool:
    """Return whether a finding that cites a line of source is of a layer of a declared network."""
    names = {layer.name for layer in network.layers}
    return network.origin is Origin.DECLARED and finding.site.layer in names


def worst_by_layer(findings: Iterable[Finding]) -> Mapping[str, Severity]:
    """Return the highest severity found at each layer, related places included."""
    worst: dict[str, Severity] = {}
    for finding in findings:
        for site in (finding.site, *finding.related):
            if site.layer is not None:
                worst[site.layer] = max(worst.get(site.layer, Severity.NOTE), finding.severity)
    return worst
