"""Weights that are all zero or all one value, where that keeps a network from training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from initaudit import fans, graph, lora
from initaudit.claims import Hit, Limits, check
from initaudit.judge import Built, Sent, Stored
from initaudit.network import Layer, Network, Tensor
from initaudit.places import site_of, sites
from initaudit.rulebook import Severity

# At exactly 0 a rectifier passes neither signal nor gradient (theory.md 4.6).
_DEAD_AT_ZERO = frozenset({"relu", "relu6", "relu2"})


@check("IA101", "network")
def zero_weights(subject: Built, limits: Limits) -> Iterator[Hit]:
    """Two zero weights on one path, or one in front of a rectifier, stop all learning."""
    network = subject.network
    chain = _every_path(network)
    zero = [layer for layer in chain if _all_zero(layer)]
    if len(zero) >= limits["chain"]:
        inner = zero[:-1]
        drawn = [x for x in inner if not _bias_constant(x)]
        yield _zero_hit(network, zero, len(chain), Severity.WARNING if drawn else None)
    elif zero and (dead := _before_rectifier(network, zero[0])):
        yield _zero_hit(network, zero, len(chain), None, dead)
    held = [pair for pair in lora.pairs(network) if pair.zero == 2]
    if held:
        first, *rest = [layer for pair in held for layer in (pair.a, pair.b)]
        factors = 2 * len(lora.pairs(network))
        reason = "both factors of a low-rank pair are zero, so neither gets a gradient"
        yield Hit(
            site_of(network, first),
            {"layers": 2 * len(held), "of": factors, "reason": reason},
            first,
            related=sites(network, rest),
        )


@check("IA101", "signal")
def zero_branches(subject: Sent, limits: Limits) -> Iterator[Hit]:
    """Zero weights in a branch that no gradient reaches: their neighbours on it are zero too.

    A branch that ends in zeros on purpose hands its last layer a gradient at once, so a zero weight
    with a gradient of exactly zero is held down by another factor. Where that factor has a gradient
    (a bias lets a signal through to it), the first step frees both.
    """
    network = subject.network
    crossed = {layer.name for layer in _every_path(network)}
    signals = subject.trace.signals
    zero = {
        layer.name: signal.weight_grad_power
        for layer in graph.multiplying(network)
        if layer.name not in crossed
        and _all_zero(layer)
        and (signal := signals.get(layer.name)) is not None
    }
    moved = {name for name, power in zero.items() if power}
    freed = {name for way in graph.branches(network, moved) for name in way}
    dead = [
        layer
        for layer in graph.multiplying(network)
        if zero.get(layer.name) == 0.0
        and layer.attributes.get("role") is None
        and layer.name not in freed
    ]
    if dead:
        reason = "in a branch, each with a gradient of exactly zero: what they multiply is zero too"
        drawn = not all(map(_bias_constant, dead))
        severity = Severity.WARNING if drawn else None
        yield _zero_hit(network, dead, len(graph.multiplying(network)), severity, reason)


@check("IA102", "network")
def constant_weights(subject: Built, limits: Limits) -> Iterator[Hit]:
    """Constant weights in a row make all units between them compute the same."""
    network = subject.network
    chain = graph.multiplying(network)
    flat = [(x, t) for x in chain if (t := _factor(x)) is not None and t.constant]
    runs = _runs(network, [layer for layer, _ in flat])
    long = [run for run in runs if len(run) >= limits["chain"] and not all(map(_all_zero, run))]
    if not long:
        return
    found = [layer for run in long for layer in run]
    values = sorted({t.mean for layer, t in flat if layer in found and t.mean is not None})
    shown = " and ".join(f"{v:.3g}" for v in values[:3])
    crossed = graph.bottlenecks(network)
    shared = all(_bias_constant(layer) and layer.name in crossed for layer in found)
    yield Hit(
        site_of(network, found[0]),
        {"layers": len(found), "of": len(chain), "value": shown},
        found[0],
        severity=None if shared else Severity.WARNING,
        related=sites(network, found[1:]),
    )


@check("IA303", "tensor")
def all_equal(subject: Stored, limits: Limits) -> Iterator[Hit]:
    """A lone constant matrix where neither its role nor its place makes that right."""
    network = subject.network
    inside = graph.placed(network)
    reported = {x.name for x in _in_chains(network)}
    found: list[tuple[Tensor, Layer, bool]] = []
    for tensor in subject.tensors:
        layer = subject.holder.get(tensor.name)
        if layer is None or not _may_not_be_flat(tensor, layer, network, limits):
            continue
        if layer.name not in reported and not _single_rectified(network, layer, reported):
            found.append((tensor, layer, layer.name in inside))
    firm = [f for f in found if f[2] or network.origin == "trained"]
    for group, severity in ((firm, None), ([f for f in found if f not in firm], Severity.NOTE)):
        if group:
            tensor, layer, _ = group[0]
            value = tensor.minimum or 0.0
            yield Hit(
                site_of(network, layer, tensor),
                {"value": value, "elements": tensor.count, "tensors": len(group)},
                layer,
                severity=severity,
                related=tuple(site_of(network, x, t) for t, x, _ in group[1:]),
            )


def _zero(tensor: Tensor | None) -> bool:
    return tensor is not None and tensor.count > 0 and tensor.zeros == tensor.count


def _factor(layer: Layer) -> Tensor | None:
    """Return the matrix that a layer's input is multiplied by."""
    if layer.op in graph.RECURRENT:
        param = layer.param("weight_ih")
        return None if param is None else param.tensor
    return fans.weight_of(layer)


def _all_zero(layer: Layer) -> bool:
    return _zero(_factor(layer))


def _bias_constant(layer: Layer) -> bool:
    biases = [p.tensor for p in layer.params if p.name.startswith("bias")]
    return all(tensor is None or tensor.constant for tensor in biases)


def _bias_zero(layer: Layer) -> bool:
    bias = layer.param("bias")
    return bias is None or _zero(bias.tensor)


def _zero_hit(
    network: Network,
    zero: list[Layer],
    of: int,
    severity: Severity | None,
    reason: str = "they multiply, so at first none of them gets a gradient",
) -> Hit:
    return Hit(
        site_of(network, zero[0]),
        {"layers": len(zero), "of": of, "reason": reason},
        zero[0],
        severity=severity,
        related=sites(network, zero[1:]),
    )


def _before_rectifier(network: Network, layer: Layer) -> str:
    """Return why one zero layer is enough: a rectifier at exactly 0 passes no gradient."""
    following = graph.activation_after(network, layer.name)
    if following is None or not _bias_zero(layer) or graph.normed(network, layer.name):
        return ""
    function = str(following.attributes.get("function"))
    if function not in _DEAD_AT_ZERO:
        return ""
    return f"its outputs are exactly 0, where the derivative of {function} is 0"


def _single_rectified(network: Network, layer: Layer, reported: Iterable[str]) -> bool:
    return (
        layer.name in graph.placed(network)
        and not reported
        and _all_zero(layer)
        and bool(_before_rectifier(network, layer))
    )


def _every_path(network: Network) -> list[Layer]:
    """Return the weighted layers that every path crosses: factors of one product."""
    crossed = graph.bottlenecks(network)
    return [layer for layer in graph.multiplying(network) if layer.name in crossed]


def _runs(network: Network, some: list[Layer]) -> list[list[Layer]]:
    """Return the runs of layers that read one another, where two or more units lie between."""
    runs: list[list[Layer]] = []
    for layer in some:
        for run in runs:
            following = graph.after(network, run[-1].name)
            reads = bool(following) and following[-1].name == layer.name
            if reads and (fans.units(run[-1]) or 0) > 1:
                run.append(layer)
                break
        else:
            runs.append([layer])
    return runs


def _in_chains(network: Network) -> list[Layer]:
    """Return the layers that the chain rules above speak of."""
    flat = [x for x in graph.multiplying(network) if (t := _factor(x)) is not None and t.constant]
    zero = [x for x in _every_path(network) if _all_zero(x)]
    return [
        *(zero if len(zero) > 1 else []),
        *(
            x
            for run in _runs(network, flat)
            if len(run) > 1 and not all(map(_all_zero, run))
            for x in run
        ),
    ]


def _may_not_be_flat(tensor: Tensor, layer: Layer, network: Network, limits: Limits) -> bool:
    """Return whether a matrix is constant although nothing in its name or place allows that."""
    if not tensor.constant or len(tensor.shape) < 2 or tensor.count < limits["elements"]:
        return False
    if layer.attributes.get("role") is not None:
        return False
    if layer.op in graph.RECURRENT:
        # Zeros between steps are a published start (xLSTM's scalar memory).
        return tensor is _factor(layer) or not _zero(tensor)
    if layer.op not in graph.WEIGHTED:
        return False
    if _zero(tensor) and graph.ends_branch(network, layer.name):
        return False
    depthwise = layer.op != "linear" and 1 in tensor.shape[:2]
    weight = layer.param("weight")
    return weight is not None and weight.tensor is tensor and not depthwise
