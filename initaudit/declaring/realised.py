"""A model's weights as its source declares them, drawn with the seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from initaudit.catalogue import Catalogue
from initaudit.checkpoint.stored import Checkpoint, Plan
from initaudit.declaring import guarding, targets
from initaudit.network import Site
from initaudit.options import Options, OptionsError
from initaudit.reading import choosing, model, passing, realising
from initaudit.reading.units import Files
from initaudit.reading.values import StopError


def read(files: Files, catalogue: Catalogue, cls: choosing.Named, options: Options) -> model.Model:
    """Return a model whose parameters' starts are certain; `StopError` says why there is none."""
    made = model.read(files, catalogue, cls)
    passing.grow(made, options.input_shape)
    for doubt, site in made.doubts.items():
        raise StopError(f"what its parameters start from is not certain: {doubt}", site)
    if made.opened and made.state.guesses:
        raise StopError(guessed(made), made.state.guesses[0])
    return made


def guessed(made: model.Model) -> str:
    """Return why a model of open sizes cannot be read for all of them."""
    return f"{made.left_open} left open, and what is built depends on it"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A model's weights as a checkpoint, and the network that its source tells for them."""

    checkpoint: Checkpoint
    reading: passing.Reading
    plan: Plan
    sites: Mapping[str, Site]


def drawn(made: model.Model, options: Options, *, sized: bool = True) -> Drawn:
    """Return a model's weights, drawn with the seed, with the network that its source tells.

    Where it need not be ``sized``, the numbers that stand for open sizes are taken.

    Raises:
        StopError: they cannot be drawn, or there is no forward pass.
    """
    blocked = realising.obstacle(made.parameters, sized=sized)
    if blocked is not None:
        raise StopError(*blocked)
    realised, stored_of = passing.declared(made, options.seed)
    arrays = tuple(realised.stored(name, made.path) for name in made.parameters)
    reading, plan, sites = planned(made, stored_of, options)
    checkpoint = Checkpoint(
        path=made.path, arrays=arrays, aliases=made.aliases, graph=lambda shape: plan
    )
    return Drawn(checkpoint, reading, plan, sites)


def declared_checkpoint(text: str, options: Options) -> Checkpoint:
    """Return what ``FILE.py:NAME`` declares as a checkpoint, its weights drawn with the seed.

    Raises:
        OptionsError: the text names no model, or one that cannot be drawn, with the reason.
    """
    files, catalogue = Files(), targets.catalogue(options)
    cls = targets.chosen(files, replace(options, model=text))
    try:
        with guarding.deep():
            made = read(files, catalogue, cls, options)
            if made.open or made.stood_for:
                raise StopError(f"{made.left_open} left open", made.site)
            return drawn(made, options).checkpoint
    except StopError as stop:
        where = f"{stop.site.path}:{stop.site.line}: " if stop.site is not None else ""
        raise OptionsError([f"{where}{cls.name} cannot be drawn: {stop.reason}"]) from None


def planned(
    made: model.Model, stored_of: passing.StoredOf, options: Options, path: str | None = None
) -> tuple[passing.Reading, Plan, Mapping[str, Site]]:
    """Return a followed forward pass, the plan of its network, and the sites of its layers."""
    reading = passing.follow(made, stored_of, options.input_shape or made.entered)
    plan, sites = passing.planned(made, reading, path)
    return reading, plan, sites
