"""Reports built by hand: each is a network, or a lack of one, that a user could meet."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest

from initaudit.finding import Backward, Finding, Forward, LayerReport, NetworkReport, Report
from initaudit.network import Law, Lines, Origin, Site, Tensor, Unread
from initaudit.rulebook import Confidence, Severity

HE = Law("normal", "He normal, fan_in", ("N(0, 0.177)",))
GLOROT = Law("uniform", "Glorot uniform")
SMALL = Law("normal", "N(0, 0.01)")
LARGE = Law("uniform", "U[0, 1)")
ZEROS = Law("zeros", "zeros")


def forward(
    std: float | None,
    rank: float | None = None,
    saturated: float | None = None,
    dead: float | None = None,
) -> Forward:
    power = None if std is None else std * std
    return Forward(0.0, std, power, saturated, dead, rank, 0.1, (1, 2, 1), -1.0, 1.0)


def tensor(name: str, shape: tuple[int, ...], law: Law, std: float = 0.1) -> Tensor:
    count = math.prod(shape)
    zero = law.family == "zeros"
    equal = shape[0] if zero else 0
    rows = Lines(shape[0], equal, equal, max(equal, 1)) if len(shape) > 1 else None
    return Tensor(
        name=name,
        dtype="F32",
        shape=shape,
        count=count,
        mean=0.0,
        variance=0.0 if zero else std * std,
        minimum=0.0 if zero else -3 * std,
        maximum=0.0 if zero else 3 * std,
        zeros=count if zero else 0,
        nans=0,
        infs=0,
        subnormals=0,
        histogram=(1, 4, 6, 4, 1),
        sampled=16,
        rows=rows,
        columns=Lines(shape[1], 0, 0, 1) if len(shape) > 1 else None,
        law=law,
    )


def weighted(
    name: str,
    op: str,
    shape: tuple[int, ...],
    law: Law,
    gain: float,
    out: Forward | None = None,
    back: float | None = None,
    activation: str | None = None,
    apart: str | None = None,
) -> LayerReport:
    backward = None if out is None else Backward(back, None if back is None else back * 0.9)
    stored = tensor(f"{name}.weight", shape, law)
    return LayerReport(name, op, shape, activation, stored, gain, law, out, backward, apart)


def active(name: str, function: str, out: Forward, back: float | None = None) -> LayerReport:
    return LayerReport(
        f"{name}.{function}",
        "activation",
        (),
        function,
        None,
        None,
        None,
        out,
        Backward(back, None),
    )


def plain(name: str, op: str, out: Forward | None, back: float | None = None) -> LayerReport:
    backward = None if out is None else Backward(back, None)
    return LayerReport(name, op, (), None, None, None, None, out, backward)


def network(path: str, layers: list[LayerReport], verdict: str) -> NetworkReport:
    return NetworkReport(
        path=path,
        name="",
        origin=Origin.MEASURED,
        topology="names",
        assumptions=(),
        evidence=("all biases are exactly zero", "10 of 10 weights fit a named law"),
        verdict=verdict,
        measured_under=None,
        activations=(),
        input_rank=63.1,
        forward_ratio=None,
        backward_ratio=None,
        effective_rank_min=None,
        effective_rank_min_after_probe=None,
        sensitivity=None,
        coverage=1.0,
        parameters=sum(x.tensor.count for x in layers if x.tensor is not None),
        layers=tuple(layers),
    )


def finding(
    rule: str,
    name: str,
    severity: Severity,
    site: Site,
    message: str,
    cure: str = "",
    code: str = "",
    related: tuple[Site, ...] = (),
    confidence: Confidence = Confidence.HIGH,
    facts: Mapping[str, float | int | str] | None = None,
) -> Finding:
    return Finding(
        rule, name, severity, confidence, site, facts or {}, message, cure, code, related
    )


def at(path: str, layer: str) -> Site:
    return Site(path, tensor=f"{layer}.weight", layer=layer)


def mlp(
    path: str, function: str, law: Law, gain: float, growth: float, shrink: float, rank: float
) -> list[LayerReport]:
    layers = []
    for i in range(10):
        out = gain * growth**i
        back = shrink ** (9 - i)
        layers.append(
            weighted(
                f"fc{i + 1}", "linear", (64, 64), law, gain, forward(out, rank), back, function
            )
        )
        layers.append(
            active(f"fc{i + 1}", function, forward(out * 0.6, 0.99 * rank, 0.0, 0.0), back)
        )
    layers.append(weighted("head", "linear", (10, 64), law, gain, forward(growth**10, 9.1), 1.0))
    return layers


def vanishing() -> Report:
    path = "runs/vanishing.safetensors"
    layers = mlp(path, "tanh", SMALL, 0.08, 0.08, 0.08, 31.2)
    net = replace(
        network(path, layers, "warning"),
        forward_ratio=1.8e-20,
        backward_ratio=2.1e-20,
        effective_rank_min=21.4,
        effective_rank_min_after_probe=20.7,
        sensitivity=1.02,
        assumptions=("the order of the layers is that of the numbers in their names",),
    )
    findings = (
        finding(
            "IA305",
            "off-the-rule",
            Severity.NOTE,
            at(path, "head"),
            "head.weight has a gain of 0.08 where its place asks for 1.",
        ),
        finding(
            "IA103",
            "too-small",
            Severity.WARNING,
            at(path, "fc1"),
            "fc1.weight has a standard deviation of 0.01 over a fan-in of 64: a gain of 0.08, "
            "where tanh needs about 1.67 to keep the signal.",
            "Draw the weights with Xavier/Glorot for tanh: standard deviation 0.125.",
            "nn.init.xavier_normal_(self.fc1.weight, gain=nn.init.calculate_gain('tanh'))",
            tuple(at(path, f"fc{i}") for i in range(2, 11)),
            facts={"std": 0.01, "fan_in": 64, "gain": 0.08, "activation": "tanh"},
        ),
        finding(
            "IA203",
            "vanishing-signal",
            Severity.WARNING,
            Site(path),
            "The signal's power falls to 1.8e-20 of itself through 10 layers.",
            "Raise the gain of every layer to that of its activation.",
            confidence=Confidence.MEDIUM,
            facts={"ratio": 1.8e-20, "layers": 10},
        ),
    )
    return Report(findings, (), (net,), files=1, version="0.1.0")


def exploding() -> Report:
    path = "exploding.safetensors"
    layers = mlp(path, "relu", LARGE, 4.6, 18.0, 18.0, 1.01)
    net = replace(
        network(path, layers, "error"),
        topology="graph",
        forward_ratio=3.9e22,
        backward_ratio=4.4e22,
        effective_rank_min=1.0004,
        effective_rank_min_after_probe=1.0002,
        sensitivity=0.4,
    )
    findings = (
        finding(
            "IA201",
            "collapsed-features",
            Severity.ERROR,
            at(path, "fc4"),
            "The features of fc4 have an effective rank of 1.0004 before "
            "and 1.0002 after the probe.",
            "Draw the weights about zero, He normal for relu: standard deviation 0.177.",
        ),
        finding(
            "IA104",
            "too-large",
            Severity.WARNING,
            at(path, "fc1"),
            "fc1.weight has a gain of 4.6 where relu needs 1.41.",
            "Use He normal.",
            "nn.init.kaiming_normal_(self.fc1.weight, nonlinearity='relu')",
        ),
    )
    return Report(findings, (), (net,), files=1, version="0.1.0")


def zero() -> Report:
    path = "zero.safetensors"
    layers: list[LayerReport] = []
    for i in range(4):
        out = forward(0.0, 0.0, None, 1.0)
        layers.append(weighted(f"fc{i + 1}", "linear", (32, 32), ZEROS, 0.0, out, 0.0, "relu"))
        layers.append(active(f"fc{i + 1}", "relu", forward(0.0, 0.0, None, 1.0), 0.0))
    net = replace(
        network(path, layers, "error"),
        topology="shapes",
        forward_ratio=math.nan,
        backward_ratio=0.0,
        effective_rank_min=0.0,
        effective_rank_min_after_probe=0.0,
        measured_under="relu",
        activations=("relu", "tanh", "sigmoid", "gelu"),
        assumptions=("no activation is stored with the weights",),
    )
    findings = (
        finding(
            "IA101",
            "all-zero",
            Severity.ERROR,
            at(path, "fc1"),
            "4 layers that follow each other hold only zeros: no gradient passes.",
            "Draw every weight but the biases at random.",
            related=tuple(at(path, f"fc{i}") for i in (2, 3, 4)),
        ),
    )
    return Report(findings, (), (net,), files=1, version="0.1.0")


def healthy() -> Report:
    path = "models/cnn.safetensors"
    layers: list[LayerReport] = []
    shapes = [(16, 3, 3, 3), (32, 16, 3, 3), (32, 32, 3, 3), (64, 32, 3, 3)]
    for i, shape in enumerate(shapes):
        name = f"features.{3 * i}"
        layers.append(weighted(name, "conv", shape, HE, 1.41, forward(1.4 - 0.05 * i, 40.0), 0.9))
        layers.append(
            weighted(
                f"features.{3 * i + 1}",
                "batch_norm",
                (shape[0],),
                Law("constant", "ones"),
                1.0,
                forward(1.0, 40.0),
                0.9,
                "relu",
            )
        )
        layers.append(active(f"features.{3 * i + 1}", "relu", forward(0.58, 33.0, None, 0.02), 0.9))
    layers.append(plain("pool", "global_average", forward(0.11, 17.0), 0.05))
    layers.append(weighted("fc", "linear", (10, 64), GLOROT, 0.9, forward(0.3, 8.2), 1.0))
    net = replace(
        network(path, layers, "clean"),
        topology="config",
        forward_ratio=0.92,
        backward_ratio=1.07,
        effective_rank_min=17.2,
        effective_rank_min_after_probe=16.8,
        sensitivity=1.4,
        parameters=1_234_567,
        coverage=0.982,
    )
    return Report((), (), (net,), files=1, seconds=0.42, version="0.1.0")


def deep() -> Report:
    path = "deep.safetensors"
    layers: list[LayerReport] = []
    for i in range(500):
        name = f"blocks.{i}.mixer.projection"
        bad = i in (123, 250)
        out = forward(math.nan if bad else 1.0 + 0.001 * i, 50.0)
        layers.append(weighted(name, "linear", (256, 256), HE, 1.41, out, 1.0, "relu"))
        layers.append(active(name, "relu", forward(0.6, 44.0, None, 0.4 if i == 3 else 0.0), 1.0))
    net = replace(
        network(path, layers, "error"),
        forward_ratio=1.5,
        backward_ratio=1.0,
        effective_rank_min=44.0,
    )
    findings = tuple(
        finding(
            "IA301",
            "non-finite",
            Severity.ERROR,
            at(path, f"blocks.{i}.mixer.projection"),
            f"3 of 65,536 elements of blocks.{i}.mixer.projection.weight are NaN.",
            "Find the step that wrote them.",
        )
        for i in (250, 123)
    )
    return Report(findings, (), (net,), files=1, version="0.1.0")


def apart() -> Report:
    path = "gpt/model.safetensors"
    layers = [
        weighted(
            "transformer.wte",
            "embedding",
            (50257, 768),
            Law("normal", "N(0, 0.02)"),
            0.02,
            apart="the order of the layers is not known",
        )
    ]
    for i in range(3):
        for part, shape in (("attn.c_attn", (768, 2304)), ("mlp.c_fc", (768, 3072))):
            layers.append(
                weighted(
                    f"transformer.h.{i}.{part}",
                    "linear",
                    shape,
                    Law("normal", "N(0, 0.02)"),
                    0.55,
                    apart="the order of the layers is not known",
                )
            )
    layers.append(
        LayerReport(
            "transformer.rotary",
            "unknown",
            (64,),
            None,
            None,
            None,
            None,
            None,
            None,
            "op is not known",
        )
    )
    net = replace(
        network(path, layers, "note"),
        coverage=0.0,
        input_rank=None,
        parameters=124_439_808,
        stopped=(("transformer.wte", "the input is not a number"),),
    )
    findings = (
        finding(
            "IA304",
            "reduced-precision",
            Severity.NOTE,
            at(path, "transformer.wte"),
            "transformer.wte.weight is stored in BF16.",
            confidence=Confidence.LOW,
        ),
    )
    unread = (
        Unread(Site("gpt/optimizer.pt"), "a pickle is not opened"),
        Unread(Site("gpt/scheduler.pt"), "a pickle is not opened"),
        Unread(Site(path, tensor="transformer.extra"), "dtype F4 is not known"),
    )
    return Report(findings, unread, (net,), files=3, version="0.1.0")


def source() -> Report:
    site = Site("src/net.py", 12, 9, 12, 48)
    findings = (
        finding(
            "IA401",
            "std-as-mean",
            Severity.ERROR,
            site,
            "nn.init.normal_(w, 0.02) sets the mean to 0.02 and leaves the "
            "standard deviation at 1.",
            "Name the argument.",
            "nn.init.normal_(w, std=0.02)",
            facts={"mean": 0.02, "std": 1},
        ),
        finding(
            "IA401",
            "std-as-mean",
            Severity.ERROR,
            replace(site, line=31, end_line=31),
            "nn.init.normal_(w, 0.01) sets the mean to 0.01 and leaves the "
            "standard deviation at 1.",
            "Name the argument.",
        ),
    )
    return Report(findings, (), (), files=2, version="0.1.0")


def hostile() -> Report:
    path = "evil\x1b[2J\nNo findings.\r/модель.safetensors"
    bad = "layer\x1b[31m[red]{gain}\u202e\udc80.weight"
    layers = [
        weighted(
            bad,
            "linear\x07",
            (2, 2),
            Law("normal", "law\n\x1b[0m"),
            math.inf,
            forward(math.inf),
            0.0,
        ),
        weighted("層" * 40, "linear", (2, 2), HE, math.nan, forward(None, math.nan), math.nan),
        active("層" * 40, "tanh\x9b", forward(1e-300, math.nan, 0.9, 0.3), 1e300),
    ]
    net = replace(
        network(path, layers, "error"),
        name="[bold]net\x00",
        forward_ratio=math.inf,
        backward_ratio=-math.inf,
        effective_rank_min=math.nan,
        sensitivity=math.nan,
        coverage=math.nan,
        assumptions=("guess\x1b]0;title\x07",),
        stopped=((bad, "overflow\x1b[1A"),),
    )
    findings = (
        finding(
            "IA301",
            "non-finite",
            Severity.ERROR,
            Site(path, tensor=bad, layer=bad),
            f"{bad} holds [bold]NaN[/bold]\x1b[5m.",
            "Do\nnot.\x85",
            f"x = '{bad}'\n    y = 1\x1b[7m",
            (Site("other\x1b.py", 3), Site(path, layer="q\n")),
            facts={"gain": math.nan, "note\x1b": "\x1b[0m", "count": 3},
        ),
    )
    unread = (Unread(Site("a\x1b[1mb", 3), "broken\nERROR\x1b[0m"),)
    return Report(findings, unread, (net,), files=1, failed=True, version="0.1.0")


def trained() -> Report:
    base = healthy()
    net = replace(base.networks[0], origin=Origin.TRAINED, path="models/trained.safetensors")
    return replace(base, networks=(net,))


def nothing() -> Report:
    return Report(files=2, version="0.1.0")


def several() -> Report:
    parts = [vanishing(), healthy(), source()]
    return Report(
        tuple(f for p in parts for f in p.findings),
        (Unread(Site("weights.bin"), "not a format that is read"),),
        tuple(n for p in parts for n in p.networks),
        files=5,
        version="0.1.0",
    )


BUILDERS = (
    vanishing,
    exploding,
    zero,
    healthy,
    deep,
    apart,
    source,
    hostile,
    trained,
    nothing,
    several,
)


@pytest.fixture(scope="session")
def reports() -> Mapping[str, Report]:
    return {build.__name__: build() for build in BUILDERS}
