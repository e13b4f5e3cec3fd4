"""Why a parameter starts as it does: the chain of initialisations, in words."""

from __future__ import annotations

from initaudit.nearest import meant
from initaudit.network import Weights
from initaudit.reading.choosing import ModelError
from initaudit.reading.model import Model
from initaudit.reading.realising import live
from initaudit.reading.values import Event, Parameter


def explain(model: Model, name: str) -> str:
    """Return the chain of a parameter, one line each, what decides it last.

    Raises:
        ModelError: the model has no parameter of that name.
    """
    full = model.aliases.get(name, name)
    parameter = model.parameters.get(full)
    if parameter is None:
        hint = meant(name, model.parameters, cutoff=0.3)
        what = f"{model.path}: {model.name} has no parameter {name}"
        raise ModelError(f"{what}: {hint}" if hint else what)
    shape = ", ".join(str(int(n)) if not parameter.open else _extent(n) for n in parameter.shape)
    lines = [f"{model.name}.{name} ({shape}), made at {_place(parameter)}"]
    if full != name:
        lines.append(f"  the same parameter as {full}")
    alive = {id(event) for event in live(parameter.chain)}
    for number, event in enumerate(parameter.chain, 1):
        over = "" if id(event) in alive else "  [overwritten]"
        lines.append(
            f"  {number}. {event.site.path}:{event.site.line}: {event.text} -> {law(event)}{over}"
        )
    if not parameter.chain:
        lines.append("  it holds numbers that are computed, not drawn")
    lines += [f"  not certain: {doubt}" for doubt in model.doubts]
    return "\n".join(lines) + "\n"


def _extent(value: int) -> str:
    key = getattr(value, "key", None)
    return str(value) if key is None else key or "?"


def _place(parameter: Parameter) -> str:
    return f"{parameter.site.path}:{parameter.site.line}"


def law(event: Event) -> str:
    """Return an initialisation's law in words."""
    weights: Weights = event.weights
    part = "" if event.whole else " (a part, or a change of what is there)"
    mean, scale = weights.mean, weights.scale
    if weights.law in {"zeros", "constant"} and mean.lo == mean.hi:
        return (f"all {mean.lo:.6g}" if weights.law == "constant" else "zeros") + part
    if weights.law in {"unknown", "empirical", "empty"} or scale.lo != scale.hi:
        return f"{weights.law}, its scale is not told{part}"
    fan = {"none": "", "in": " / fan_in", "out": " / fan_out", "average": " / fan_avg"}
    std = "" if event.std is None else f", standard deviation {event.std:.4g}"
    centre = "" if mean.lo == mean.hi == 0.0 else f", mean {mean.lo:.4g}"
    return f"{weights.law}, variance {scale.lo:.4g}{fan[weights.fan]}{std}{centre}{part}"
