"""What the replica measures, as plain numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Signal:
    """One layer over random inputs; None where it was not measured or means nothing.

    Forward, over all entries of the output (samples, features, places): ``mean``, ``std``
    (population), ``second_moment``; ``histogram`` counts them in 32 equal bins over
    [``low``, ``high``]. ``saturated`` is the share of an activation's entries on a plateau
    (`initaudit.signal.Activation`), ``dead`` the share of units that are off for all.
    ``effective_rank`` is the participation ratio of the features; ``cosine`` the mean cosine
    between the outputs for two different samples. ``shape`` is that of one sample, ``features``
    the number of units. ``token_cosine`` is that between the tokens of one sample and ``entropy``
    that of an attention's rows over the most they can have (`initaudit.replica.tokens`).

    Backward, for a standard normal cotangent below the head: ``gradient_std`` and
    ``gradient_power`` (mean square) at the output; ``weight_grad_std`` and ``weight_grad_power``
    of the layer's weight, summed over samples and places; all parameters with two dimensions or
    more count as its weight.
    """

    shape: tuple[int, ...]
    features: int
    mean: float | None = None
    std: float | None = None
    second_moment: float | None = None
    saturated: float | None = None
    dead: float | None = None
    effective_rank: float | None = None
    cosine: float | None = None
    token_cosine: float | None = None
    entropy: float | None = None
    histogram: tuple[int, ...] = ()
    low: float | None = None
    high: float | None = None
    gradient_std: float | None = None
    gradient_power: float | None = None
    weight_grad_std: float | None = None
    weight_grad_power: float | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """One pass of random inputs and random gradients through a network.

    ``signals`` are in the order of the network. ``input_rank`` is the participation ratio of the
    inputs, flattened. ``forward_ratio`` is the second moment of the last hidden pre-activation
    over that of the first, ``backward_ratio`` the gradient's power at the first over that at the
    last; 0 / 0 is 0, and both may be infinite. ``forward_ends`` and ``backward_ends`` name those
    two layers; of several inputs the way with the largest change counts. ``effective_rank_min`` is
    the smallest effective rank of a hidden layer that every path crosses, wider than two units, at
    ``effective_rank_layer``; None where the inputs' rank is below 4. ``sensitivity`` is
    E|h(x + e d) - h(x)|^2 / (e^2 Var h) at the last hidden layer, d a random direction with
    the norm of x and e = 1e-3: 1 for a linear network.

    ``hidden`` names the outputs of the hidden layers that every path crosses, in order: those that
    the effective rank is judged by. ``stopped`` are placed layers without an output, each with its
    reason. ``samples`` is the number of inputs, smaller than asked for where the network is large.
    ``notes`` say what else to know. ``activation_bytes`` is the most memory that outputs, what
    backward needs of them and gradients took at one time, ``affordable`` how many inputs a network
    of this size could be given.
    """

    signals: Mapping[str, Signal]
    samples: int
    input_rank: float | None = None
    forward_ratio: float | None = None
    backward_ratio: float | None = None
    forward_ends: tuple[str, str] | None = None
    backward_ends: tuple[str, str] | None = None
    effective_rank_min: float | None = None
    effective_rank_layer: str | None = None
    sensitivity: float | None = None
    stopped: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    activation_bytes: int = 0
    affordable: int = field(default=0, compare=False)
