"""The cure for a layer: which initialiser, and its line of code in the framework at hand."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from keyword import iskeyword

from initaudit import fans, graph
from initaudit.finding import Fact
from initaudit.network import Layer, Network
from initaudit.signal import Activation, Recommendation, recommended

Code = Callable[[Recommendation, str, Layer], str]


def cure(network: Network, layer: Layer | None) -> tuple[Mapping[str, Fact], str]:
    """Return the facts that a cure's template may name, and a line of code if a layer is given.

    The facts: ``activation``, ``initialiser`` and ``wanted`` (its standard deviation here).
    """
    asked = layer is not None
    if layer is None or layer.op not in graph.WEIGHTED:
        layer = next(iter(graph.hidden(network)), None) or graph.head(network)
    activation = _activation(network, layer)
    write = _FRAMEWORKS[framework(network)]
    name = "model" if layer is None else layer.name
    if activation is None or layer is None:
        facts: dict[str, Fact] = {
            "activation": "not known",
            "initialiser": "He for ReLU and its kin, Xavier for tanh",
            "wanted": "sqrt(2 / fan_in) for ReLU",
        }
        return facts, write(_HE, name, layer) if asked and layer is not None else ""
    advice = recommended(activation, len(graph.hidden(network)))
    both = fans.fans(layer)
    fan = _fan(advice, both)
    wanted = f"{advice.gain / math.sqrt(fan):.3g}" if fan else "its gain / sqrt(fan_in)"
    return (
        {"activation": activation.name, "initialiser": advice.initialiser, "wanted": wanted},
        write(advice, name, layer) if asked else "",
    )


def wanted_std(network: Network, layer: Layer) -> float | None:
    """Return the standard deviation that the cure suggests; None where it is not known."""
    activation = _activation(network, layer)
    if activation is None:
        return None
    advice = recommended(activation, len(graph.hidden(network)))
    fan = _fan(advice, fans.fans(layer))
    return advice.gain / math.sqrt(fan) if fan else None


def framework(network: Network) -> str:
    """Return the framework whose names the checkpoint has: torch, keras, flax or numpy."""
    names = [p.tensor.name for x in network.layers for p in x.params if p.tensor is not None]
    for label, pattern in (
        ("keras", r"(/vars/\d+|kernel:0)$"),
        ("flax", r"[./]kernel$"),
        ("torch", r"\.weight$|weight_[ih]h"),
    ):
        if any(re.search(pattern, name) for name in names):
            return label
    return "numpy"


_HE = Recommendation("He", math.sqrt(2.0), 2.0)


def _activation(network: Network, layer: Layer | None) -> Activation | None:
    """Return the activation that the layers around this one use, None where it is not known."""
    if layer is None:
        return None
    behind = graph.activation_after(network, layer.name) if layer.inputs else None
    found = fans.function_of(behind) if behind is not None else None
    if found is None:
        found = fans.activation_before(network, layer)
    return found if isinstance(found, Activation) else None


def _fan(advice: Recommendation, both: tuple[int, int] | None) -> float:
    if both is None:
        return 0.0
    return sum(both) / 2 if "Xavier" in advice.initialiser else both[0]


def _torch(advice: Recommendation, name: str, layer: Layer) -> str:
    target = f"{_attribute(name)}.weight"
    if "Xavier" in advice.initialiser:
        gain = "" if advice.gain == 1 else f", gain={advice.gain:g}"
        return f"nn.init.xavier_uniform_({target}{gain})"
    if advice.initialiser == "He":
        return f'nn.init.kaiming_normal_({target}, nonlinearity="relu")'
    if advice.initialiser == "LeCun":
        return f'nn.init.kaiming_normal_({target}, nonlinearity="linear")'
    return f"nn.init.normal_({target}, std={advice.gain:.4g} / math.sqrt({_fan_in(layer)}))"


def _keras(advice: Recommendation, name: str, layer: Layer) -> str:
    if "Xavier" in advice.initialiser and advice.gain == 1:
        return 'kernel_initializer="glorot_uniform"'
    if advice.initialiser in {"He", "LeCun"}:
        return f'kernel_initializer="{advice.initialiser.lower()}_normal"'
    mode = "fan_avg" if "Xavier" in advice.initialiser else "fan_in"
    return (
        "kernel_initializer=keras.initializers.VarianceScaling("
        f'{advice.variance:.4g}, mode="{mode}")'
    )


def _flax(advice: Recommendation, name: str, layer: Layer) -> str:
    if "Xavier" in advice.initialiser and advice.gain == 1:
        return "kernel_init=nn.initializers.xavier_uniform()"
    if advice.initialiser in {"He", "LeCun"}:
        return f"kernel_init=nn.initializers.{advice.initialiser.lower()}_normal()"
    mode = "fan_avg" if "Xavier" in advice.initialiser else "fan_in"
    return (
        f'kernel_init=nn.initializers.variance_scaling({advice.variance:.4g}, "{mode}", '
        '"truncated_normal")'
    )


def _numpy(advice: Recommendation, name: str, layer: Layer) -> str:
    weight = layer.param("weight")
    tensor = None if weight is None else weight.tensor
    target = _identifier(name if tensor is None else tensor.name)
    shape = () if tensor is None else tensor.shape
    fan_in, fan_out = fans.fans(layer) or (1, 1)
    if "Xavier" in advice.initialiser:
        return (
            f"{target} = rng.normal(0, np.sqrt({2 * advice.variance:.4g} / {fan_in + fan_out}),"
            f" {shape})"
        )
    return f"{target} = rng.normal(0, np.sqrt({advice.variance:.4g} / {fan_in}), {shape})"


_FRAMEWORKS: Mapping[str, Code] = {
    "torch": _torch,
    "keras": _keras,
    "flax": _flax,
    "numpy": _numpy,
}


def _fan_in(layer: Layer) -> int:
    return (fans.fans(layer) or (1, 1))[0]


def _attribute(name: str) -> str:
    """Return a module path as Python writes it: ``layers.0.fc`` is ``layers[0].fc``."""
    parts = name.split(".")
    if any(iskeyword(part) or not (part.isidentifier() or part.isdecimal()) for part in parts):
        return "layer"
    if parts[0].isdecimal():
        parts.insert(0, "model")
    return parts[0] + "".join(f"[{p}]" if p.isdecimal() else f".{p}" for p in parts[1:])


def _identifier(name: str) -> str:
    return name if name.isidentifier() else "W"
