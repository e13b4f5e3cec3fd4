"""Stored tensors beside what their model's source declares."""

from __future__ import annotations

from collections.abc import Iterator

from initaudit.claims import Hit, Limits, check
from initaudit.network import Site, Tensor
from initaudit.reading.matching import Pair, fits
from initaudit.reading.values import Event, Parameter


@check("IA304", "pair")
def not_as_declared(subject: Pair, limits: Limits) -> Iterator[Hit]:
    """A tensor whose spread is not that of the last initialisation that its source declares."""
    found: list[tuple[str, Parameter, Tensor, Event]] = []
    for name, stored in subject.match.names.items():
        parameter, tensor = subject.model.parameters[name], subject.tensors.get(stored)
        event = parameter.chain[-1] if parameter.chain else None
        if tensor is None or event is None or not event.whole or parameter.buffer:
            continue
        if fits(event, tensor, limits["errors"], limits["ratio"]) is False:
            found.append((name, parameter, tensor, event))
    if not found:
        return
    name, parameter, tensor, event = found[0]
    earlier = next(
        (e for e in parameter.chain[:-1] if fits(e, tensor, limits["errors"], limits["ratio"])),
        None,
    )
    if earlier is not None:
        why = f"it fits {earlier.text}: what line {event.site.line} says was never applied"
    else:
        why = "another initialisation was applied, it was applied twice, or the file is trained"
    yield Hit(
        Site(subject.model.path, event.site.line, event.site.column, tensor=tensor.name),
        {
            "tensors": len(found),
            "declared": event.text,
            "line": event.site.line or 0,
            "wanted": event.std if event.std is not None else 0.0,
            "std": tensor.std or 0.0,
            "looks": "no law that is known" if tensor.law is None else tensor.law.label,
            "why": why,
        },
        related=tuple(
            Site(subject.model.path, e.site.line, tensor=t.name) for _, _, t, e in found[1:]
        ),
    )
