"""What an audit returns: findings, measured networks and what was not judged, as plain values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from initaudit.network import Interval, Law, Origin, Site, Tensor, Topology, Unread
from initaudit.rulebook import Confidence, Rule, Severity

Fact = float | int | str


@dataclass(frozen=True, slots=True)
class Edit:
    """Text to put in place of what lies between two places of a file.

    Lines and columns count from 1, columns in characters; the end is the first place behind.
    """

    line: int
    column: int
    end_line: int
    end_column: int
    replacement: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault at one place.

    ``message`` says what was found with its numbers, ``cure`` what to do about it; both are the
    rule page's templates filled with ``facts``. ``related`` are other places of the same cause.
    ``code`` is a line of code in the framework at hand, empty where none applies.
    In source, ``symbol`` is the class and function around the place (``Net.__init__``),
    ``excerpts`` are the lines of the place and of the related ones, and ``fix`` names the fixer;
    ``edits`` are what it changes, where that was asked for.
    """

    rule: str
    name: str
    severity: Severity
    confidence: Confidence
    site: Site
    facts: Mapping[str, Fact]
    message: str
    cure: str
    code: str = ""
    related: tuple[Site, ...] = ()
    symbol: str = ""
    excerpts: tuple[str, ...] = ()
    fix: str | None = None
    edits: tuple[Edit, ...] = ()


@dataclass(frozen=True, slots=True)
class Unused:
    """A comment that ignores findings and matched none."""

    site: Site
    text: str


@dataclass(frozen=True, slots=True)
class Stale:
    """An entry of the baseline that no finding matches any more."""

    path: str
    rule: str
    place: str


@dataclass(frozen=True, slots=True)
class Forward:
    """The signal at a layer's output over random inputs; shares are of units or of entries."""

    mean: float | None
    std: float | None
    second_moment: float | None
    saturated: float | None
    dead: float | None
    effective_rank: float | None
    cosine: float | None
    histogram: tuple[int, ...] = ()
    low: float | None = None
    high: float | None = None
    token_cosine: float | None = None
    entropy: float | None = None


@dataclass(frozen=True, slots=True)
class Backward:
    """The gradient at a layer's output and of its weight, for a unit Gaussian cotangent."""

    std: float | None
    weight_grad_std: float | None


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """What mean-field arithmetic tells of a plain stack, as intervals, before any weight is drawn.

    ``forward`` is the signal's power at the last hidden layer over that at the first, ``backward``
    the gradient's at the first over that at the last; ``chi`` is the factor of the gradient's power
    at the last hidden layer and ``depth`` its depth scale 1 / |ln chi|, in layers.
    """

    forward: Interval
    backward: Interval
    chi: Interval
    depth: Interval
    layers: int


@dataclass(frozen=True, slots=True)
class LayerReport:
    """One layer as measured.

    ``gain`` is std(W) * sqrt(fan_in); ``apart`` says why the layer has no place in the network;
    ``predicted`` is what arithmetic tells of the second moment of its output.
    """

    name: str
    op: str
    shape: tuple[int | None, ...]
    activation: str | None
    tensor: Tensor | None
    gain: float | None
    law: Law | None
    forward: Forward | None
    backward: Backward | None
    apart: str | None = None
    predicted: Interval | None = None


@dataclass(frozen=True, slots=True)
class NetworkReport:
    """One network: what it is taken to be, what was measured, and the verdict.

    ``measured_under`` names the activation put in place of unknown ones for the numbers shown,
    None where all are known. ``coverage`` is the share of weight elements that took part in the
    propagation; it is not a number, and ``parameters`` None, where sizes are left open.
    ``suggested`` is the signal by layer under the suggested initialisers, where that
    was asked for. ``arithmetic`` is what a declared network's laws alone tell of it.
    """

    path: str
    name: str
    origin: Origin
    topology: Topology
    assumptions: tuple[str, ...]
    evidence: tuple[str, ...]
    verdict: str
    measured_under: str | None
    activations: tuple[str, ...]
    input_rank: float | None
    forward_ratio: float | None
    backward_ratio: float | None
    effective_rank_min: float | None
    effective_rank_min_after_probe: float | None
    sensitivity: float | None
    coverage: float
    parameters: int | None
    layers: tuple[LayerReport, ...]
    stopped: tuple[tuple[str, str], ...] = ()
    suggested: Mapping[str, Forward] = field(default_factory=dict)
    arithmetic: Arithmetic | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts over a report; ``seconds`` is wall time, or None where it must not vary.

    ``ignored`` findings have a comment that says so, ``known`` ones stand in the baseline; neither
    counts among the others. ``rules`` counts findings by rule.
    """

    files: int
    networks: int
    layers: int
    errors: int
    warnings: int
    notes: int
    unread: int
    seconds: float | None = None
    ignored: int = 0
    known: int = 0
    rules: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """All that one run of the audit has to say.

    ``unused`` and ``stale`` are comments and entries of the baseline that matched no finding.
    ``fixed`` counts what was put right before; ``judged`` are the paths of the inputs, ``rules``
    the ids of the rules that were on, ``pages`` what their pages say. ``compared`` is whether a
    baseline was at hand: findings are then new ones, and ``stale`` those that are gone.
    """

    findings: tuple[Finding, ...] = ()
    unread: tuple[Unread, ...] = ()
    networks: tuple[NetworkReport, ...] = ()
    files: int = 0
    failed: bool = False
    seconds: float | None = None
    version: str = field(default="")
    ignored: int = 0
    known: int = 0
    unused: tuple[Unused, ...] = ()
    stale: tuple[Stale, ...] = ()
    fixed: int = 0
    judged: tuple[str, ...] = ()
    rules: frozenset[str] = frozenset()
    pages: tuple[Rule, ...] = ()
    compared: bool = False

    @property
    def worst(self) -> Severity | None:
        """The highest severity found."""
        return max((f.severity for f in self.findings), default=None)

    @property
    def summary(self) -> Summary:
        """The counts of the closing line."""
        severities = [f.severity for f in self.findings]
        return Summary(
            files=self.files,
            networks=len(self.networks),
            layers=sum(len(n.layers) for n in self.networks),
            errors=severities.count(Severity.ERROR),
            warnings=severities.count(Severity.WARNING),
            notes=severities.count(Severity.NOTE),
            unread=len(self.unread),
            seconds=self.seconds,
            ignored=self.ignored,
            known=self.known,
            rules=dict(sorted(Counter(f.rule for f in self.findings).items())),
        )


def unexpected(error: BaseException) -> str:
    """Return one line for a failure that nothing foresaw."""
    what = " ".join(str(error).split()) or "no details"
    return f"an unexpected failure, please report it: {type(error).__name__}: {what}"
