"""Initialisers as objects, as Keras, JAX and NumPy hand them about, and tensors that they make."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from initaudit.catalogue import REQUIRED, Initialiser, bind
from initaudit.catalogue import weights as weights_of
from initaudit.network import Interval, Weights
from initaudit.reading import building, drawing, python
from initaudit.reading.state import State
from initaudit.reading.values import Drawn, Event, External, Parameter, Unknown

_ZEROS = Weights("zeros", Interval.point(0.0), Interval.point(0.0))
_ONES = Weights("constant", Interval.point(1.0), Interval.point(0.0))


@dataclass(frozen=True, slots=True)
class Recipe:
    """An initialiser with its arguments, before it knows a shape."""

    name: str
    weights: Weights


def recipe(
    initialiser: Initialiser, args: tuple[Any, ...], keywords: Mapping[str, Any]
) -> Recipe | Unknown:
    """Return what a call of an initialiser's class makes."""
    given = {k: building.folded(v) for k, v in keywords.items() if k not in {"seed", "dtype"}}
    bound = bind(initialiser.parameters, [building.folded(a) for a in args], given)
    if bound is None:
        return Unknown(f"{initialiser.name} is called with arguments that do not fit")
    return Recipe(initialiser.name.rpartition(".")[2], weights_of(initialiser, bound))


def told(state: State, framework: str, value: Any) -> Recipe | None:
    """Return the recipe that a layer is given: an object, a name, or a function without a call."""
    match value:
        case Recipe():
            return value
        case str():
            known = state.catalogue.string(framework, value)
            found = None if known is None else recipe(known, (), {})
            return found if isinstance(found, Recipe) else None
        case External(name=name):
            last = name.rpartition(".")[2]
            if last in {"zeros", "zeros_init"}:
                return Recipe("zeros", _ZEROS)
            if last in {"ones", "ones_init"}:
                return Recipe("ones", _ONES)
            known = state.catalogue.initialiser(name)
            found = None if known is None else recipe(known, (), {})
            return found if isinstance(found, Recipe) else None
        case _:
            return None


def event(chosen: Recipe, parameter: Parameter, text: str) -> Event:
    """Return the initialisation of a parameter by a recipe; fans as Keras and JAX count them."""
    fans = drawing.fans_of(parameter.shape, "io")
    drawn = drawing.draw(chosen.weights, parameter.shape, fans, "io")
    std = drawing.deviation(chosen.weights, fans)
    return Event(chosen.weights, text, parameter.site, drawn, std=std)


def factory(
    state: State,
    initialiser: Initialiser,
    args: tuple[Any, ...],
    keywords: Mapping[str, Any],
) -> Any:
    """Return the tensor that a function of NumPy or JAX makes of a shape."""
    names = [p.name for p in initialiser.parameters]
    variadic = next((p.name for p in initialiser.parameters if p.kind == "variadic"), None)
    role = initialiser.numbers.get("shape")
    given = dict(zip(names, args, strict=False)) | dict(keywords)
    if variadic is not None:
        given = {variadic: args, **dict(keywords)}
    size: Any = given.get(role or "")
    if role is None or initialiser.law in {"data", "unknown"}:
        return Unknown(f"{initialiser.name} is not followed")
    if isinstance(size, Unknown):
        return size
    if size is None:
        size = ()
    size = size if isinstance(size, tuple | list) else (size,)
    if variadic is not None and len(size) == 1 and isinstance(size[0], tuple | list):
        size = size[0]
    shape = tuple(size)
    if not all(isinstance(n, int) for n in shape):
        return Unknown("the shape of a tensor is not known")
    folded = {
        k: building.folded(v) for k, v in given.items()
        if k in names and k != role and not isinstance(v, External)
    }  # fmt: skip
    needed = {
        p.name: building.folded(None) for p in initialiser.parameters
        if p.default is REQUIRED and p.name not in folded and p.kind == "plain"
    }  # fmt: skip
    bound = {**needed, **folded}
    if python.tainted(*given.values()):
        bound = needed
    weights = weights_of(initialiser, bound)
    return Drawn(shape, weights, drawing.draw(weights, shape, drawing.fans_of(shape, "io"), "io"))
