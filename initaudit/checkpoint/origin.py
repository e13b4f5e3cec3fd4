"""Whether a checkpoint holds an initialisation or the result of training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from initaudit import lora
from initaudit.checkpoint.stored import FLOATS
from initaudit.network import Layer, Network, Origin, Tensor

Stage = Literal["auto", "init", "trained"]

NAMED = frozenset(
    {"zeros", "constant", "uniform", "normal", "truncated", "orthogonal", "identity", "sparse"}
)
"""Families of laws that an initialiser draws from, faulty ones included."""

RULE = (
    "each kind of evidence (norms, running statistics, biases, LoRA pairs, matrices) counts once, "
    "by the majority of its tensors; a tie between kinds is read as trained, no evidence as fresh"
)

_NORMS = frozenset({"batch_norm", "layer_norm", "group_norm", "rms_norm"})


def decide(
    tensors: Sequence[Tensor],
    network: Network,
    stage: Stage = "auto",
    adapter: Mapping[str, Any] | None = None,
) -> tuple[Origin, tuple[str, ...]]:
    """Return `Origin.MEASURED` for fresh weights or `Origin.TRAINED`, with the evidence.

    `RULE` says how the evidence is weighed; ``stage`` overrides it. A tensor with a NaN or an
    infinity is no evidence. ``adapter`` is what an ``adapter_config.json`` says.
    """
    if stage != "auto":
        origin = Origin.MEASURED if stage == "init" else Origin.TRAINED
        return origin, (f"as told: --stage {stage}",)
    kinds = (
        _tally("norms", "gains and shifts still at their start", _norms(network.layers)),
        _tally("running statistics", "still at mean 0 and variance 1", _running(network.layers)),
        _tally("biases", "zero or of a uniform law", _biases(network.layers)),
        _tally("LoRA pairs", "with a factor still at zero", lora.votes(network, adapter)),
        _tally("weight matrices", "like a named initialiser", _matrices(tensors)),
    )
    votes = [fresh for fresh, _ in kinds if fresh is not None]
    evidence = tuple(sentence for _, sentence in kinds if sentence)
    if not votes:
        return Origin.MEASURED, ("no evidence of training: read as fresh",)
    origin = Origin.MEASURED if sum(votes) * 2 > len(votes) else Origin.TRAINED
    return origin, evidence


def _tally(kind: str, fresh: str, found: Iterable[bool | None]) -> tuple[bool | None, str]:
    """Return how the tensors of one kind vote, and the sentence that says it."""
    votes = [vote for vote in found if vote is not None]
    if not votes:
        return None, ""
    count = sum(votes)
    return count * 2 > len(votes), f"{kind}: {count} of {len(votes)} {fresh}"


def _judged(
    layers: Sequence[Layer],
    roles: frozenset[str],
    vote: Callable[[Layer, Tensor, str], bool | None],
) -> list[bool | None]:
    return [
        vote(layer, param.tensor, param.name)
        for layer in layers
        for param in layer.params
        if param.name in roles and param.tensor is not None and param.tensor.nonfinite == 0
    ]


def _norms(layers: Sequence[Layer]) -> list[bool | None]:
    def vote(_: Layer, tensor: Tensor, role: str) -> bool | None:
        if tensor.count == 1:
            return True if tensor.minimum == (1.0 if role == "weight" else 0.0) else None
        return tensor.constant or (tensor.law is not None and tensor.law.family in NAMED)

    norms = [layer for layer in layers if layer.op in _NORMS]
    return _judged(norms, frozenset({"weight", "bias"}), vote)


def _running(layers: Sequence[Layer]) -> list[bool | None]:
    def vote(_: Layer, tensor: Tensor, role: str) -> bool | None:
        return tensor.constant and tensor.minimum == (1.0 if role == "running_var" else 0.0)

    return _judged(layers, frozenset({"running_mean", "running_var"}), vote)


def _biases(layers: Sequence[Layer]) -> list[bool | None]:
    def vote(layer: Layer, tensor: Tensor, _: str) -> bool | None:
        if tensor.count == 1 and tensor.zeros == 0:
            return None
        if tensor.constant or _two_valued(tensor):
            return True
        if tensor.law is not None:
            return tensor.law.family in NAMED
        # torch.nn.Linear draws biases from U(-1/sqrt(fan_in), 1/sqrt(fan_in)): within it, a
        # vector too short for a law tells nothing.
        bound = _bound(layer)
        largest = max(abs(tensor.minimum or 0.0), abs(tensor.maximum or 0.0))
        return None if bound is None or largest <= bound else False

    weighted = [layer for layer in layers if layer.op not in _NORMS]
    return _judged(weighted, frozenset({"bias", "bias_ih", "bias_hh"}), vote)


def _two_valued(tensor: Tensor) -> bool:
    """Return whether a bias holds only zeros and one other value, such as a forget gate's."""
    if tensor.mean is None or tensor.variance is None or not tensor.zeros:
        return False
    other = tensor.maximum if tensor.maximum else tensor.minimum
    if not other or (tensor.minimum and tensor.maximum):
        return False
    share = 1 - tensor.zeros / tensor.count
    expected = other * other * share * (1 - share)
    return math.isclose(tensor.mean, other * share, rel_tol=1e-6) and math.isclose(
        tensor.variance, expected, rel_tol=1e-6
    )


def _bound(layer: Layer) -> float | None:
    weight = layer.param("weight") or layer.param("weight_hh")
    if weight is None or weight.tensor is None or len(weight.tensor.shape) < 2:
        return None
    shape = weight.tensor.shape
    fan = weight.tensor.count // (shape[-1] if layer.attributes.get("layout") == "io" else shape[0])
    return 1.0 / math.sqrt(fan) if fan else None


def _matrices(tensors: Sequence[Tensor]) -> list[bool | None]:
    return [
        True if tensor.constant else None if tensor.law is None else tensor.law.family in NAMED
        for tensor in tensors
        if len(tensor.shape) > 1
        and tensor.count > 1
        and tensor.dtype in FLOATS
        and tensor.nonfinite == 0
        and not _disfigured(tensor)
    ]


def _disfigured(tensor: Tensor) -> bool:
    """Return whether a law can no longer be told: digits lost to underflow, or copied rows."""
    if tensor.constant:
        return False
    alive = tensor.count - tensor.zeros
    copied = tensor.rows is not None and tensor.rows.duplicated * 4 >= tensor.rows.count
    return copied or tensor.subnormals * 4 >= alive > 0
