"""What fills a parameter: initialisers, methods in place, assignments of its data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from initaudit.catalogue import Initialiser, bind, scaled, shifted
from initaudit.catalogue import weights as weights_of
from initaudit.checkpoint.graphs.values import Known
from initaudit.network import Interval, Site, Weights
from initaudit.reading import (
    building,
    drawing,
    python,
    tensors,
    windows,
)
from initaudit.reading.state import State
from initaudit.reading.values import (
    EMPTY,
    HELD,
    Draw,
    Drawn,
    Event,
    Parameter,
    StopError,
    Unknown,
    View,
)


def parameter(state: State, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
    """Return what `torch.nn.Parameter` makes of a tensor."""
    data = args[0] if args else keywords.get("data")
    trained = args[1] if len(args) > 1 else keywords.get("requires_grad", True)
    if isinstance(data, Parameter):
        if data.role == "copy":
            data.role, data.buffer, data.trained = "weight", False, trained is not False
            state.made.append(data)
        return data
    made = _made(state, data)
    if isinstance(made, Parameter):
        made.trained = trained is not False
    return made


def buffer(state: State, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
    """Return what `torch.nn.Buffer` makes of a tensor."""
    return args[0] if args else keywords.get("data")


def _made(state: State, data: Any) -> Any:
    site = state.at
    if isinstance(data, Unknown):
        raise StopError(f"a parameter of unknown shape: {data.reason}", site)
    text = state.text[-1] if state.text else "nn.Parameter"
    if isinstance(data, Drawn):
        made = Parameter(data.shape, [], site or _no_site())
        std = drawing.deviation(data.weights, (1, 1))
        made.chain.append(Event(data.weights, text, made.site, data.draw, std=std))
    elif isinstance(data, Known):
        array = np.array(data.array, np.float32)
        made = Parameter(array.shape, [], site or _no_site())
        weights = _weights_of(array)
        made.chain.append(Event(weights, text, made.site, lambda random, old: array))
    else:
        raise StopError("a parameter made of what is not followed", site)
    state.made.append(made)
    return made


def _no_site() -> Any:

    return Site("")


def _weights_of(array: NDArray[Any]) -> Weights:
    if array.size and (array == array.flat[0]).all():
        number = float(array.flat[0])
        law = "constant" if number else "zeros"
        return Weights(law, Interval.point(number), Interval.point(0.0))
    return Weights("empirical", Interval.unknown(), Interval(0.0, math.inf))


def initialise(
    state: State,
    initialiser: Initialiser,
    args: tuple[Any, ...],
    keywords: Mapping[str, Any],
) -> Any:
    """Follow a call of an initialiser: it fills its first argument."""
    if initialiser.form == "factory":
        last = initialiser.name.rpartition(".")[2]
        return tensors.function(state, f"torch.{last}", args, keywords)
    if initialiser.form != "inplace":
        return Unknown(f"{initialiser.name} is not followed")
    target = args[0] if args else keywords.get("tensor")
    rest = {k: v for k, v in keywords.items() if k not in {"tensor", "generator"}}
    bound = bind(
        initialiser.parameters,
        (building.folded(None), *(building.folded(_scalar(a)) for a in args[1:])),
        {k: building.folded(_scalar(v)) for k, v in rest.items()},
    )
    if target is None or bound is None:
        state.doubt(f"{initialiser.name} is called with arguments that do not fit")
        return target
    loose = python.tainted(*args[1:], *rest.values())
    weights = weights_of(initialiser, bound)
    if isinstance(target, windows.Window):
        windows.touched(state, target)
        return target
    if isinstance(target, Unknown):
        state.doubt(f"an initialiser fills what is not known: {target.reason}")
        return target
    if isinstance(target, Drawn):
        fans = drawing.fans_of(target.shape)
        return Drawn(target.shape, weights, drawing.draw(weights, target.shape, fans))
    if not isinstance(target, HELD):
        return target
    _event(state, target, EMPTY if loose else weights)
    return target


def _scalar(value: Any) -> Any:
    return value.array.item() if isinstance(value, Known) and value.array.size == 1 else value


def _event(state: State, target: Parameter | View, weights: Weights) -> None:
    """Put an initialisation by a law into a parameter's chain."""
    whole = isinstance(target, Parameter)
    parameter = target if isinstance(target, Parameter) else target.parameter
    extents = tuple(target.shape)
    drawn = drawing.draw(weights, extents, drawing.fans_of(extents))
    if not whole and drawn is not None:
        drawn = _into(target.index, drawn)  # type: ignore[union-attr]
    text = state.text[-1] if state.text else "an initialisation"
    std = drawing.deviation(weights, drawing.fans_of(extents))
    event = Event(weights, text, state.at or parameter.site, drawn, whole, std)
    parameter.chain.append(event)


def _into(at: Any, drawn: Draw) -> Draw:
    def draw(random: np.random.Generator, old: NDArray[Any] | None) -> NDArray[Any]:
        array = np.array(old)
        array[at] = drawn(random, None)
        return array

    return draw


def filled(
    state: State,
    subject: Parameter | View,
    name: str,
    args: tuple[Any, ...],
    keywords: Mapping[str, Any],
) -> tuple[Any] | None:
    """Follow a method that fills or changes a parameter; None where it does neither."""
    if not name.endswith("_") or name.endswith("__") or name == "requires_grad_":
        return None
    if name == "copy_":
        fill(state, subject, args[0] if args else Unknown("nothing is copied"))
        return (subject,)
    known = state.catalogue.method(name)
    if known is not None:
        bound = bind(
            known.parameters,
            [building.folded(_scalar(a)) for a in args],
            {k: building.folded(_scalar(v)) for k, v in keywords.items() if k != "generator"},
        )
        loose = bound is None or python.tainted(*args, *keywords.values())
        _event(state, subject, EMPTY if loose or bound is None else weights_of(known, bound))
        return (subject,)
    operators = {"mul_": "Mult", "div_": "Div", "add_": "Add", "sub_": "Sub"}
    if name in operators and args:
        changed(state, subject, operators[name], args[0])
        return (subject,)
    _event(state, subject, EMPTY)
    return (subject,)


def changed(state: State, target: Parameter | View, operator: str, other: Any) -> None:
    """Put a change of a parameter by a number into its chain."""
    other = _scalar(other)
    parameter = target if isinstance(target, Parameter) else target.parameter
    before = parameter.chain[-1].weights if parameter.chain else EMPTY
    text = state.text[-1] if state.text and state.text[-1] else f"{operator} {other!r}"
    site = state.at or parameter.site
    fits = isinstance(other, int | float) and not isinstance(other, bool)
    if not fits or python.tainted(other) or operator not in {"Mult", "Div", "Add", "Sub"}:
        parameter.chain.append(Event(EMPTY, text, site, None, whole=False))
        return
    number = float(other)
    at = ... if isinstance(target, Parameter) else target.index

    def draw(random: np.random.Generator, old: NDArray[Any] | None) -> NDArray[Any]:
        array = np.array(old, np.float32)
        array[at] = python.BINARY[operator](array[at], np.float32(number))
        return array

    weights = EMPTY
    if isinstance(target, Parameter) and number:
        factor = Interval.point(number if operator == "Mult" else 1.0 / number)
        shift = Interval.point(number if operator == "Add" else -number)
        turned = operator in {"Mult", "Div"}
        weights = scaled(before, factor) if turned else shifted(before, shift)
    parameter.chain.append(Event(weights, text, site, draw, whole=False))


def fill(state: State, target: Any, value: Any) -> None:
    """Put an assignment of numbers, or of a random tensor, into a parameter's chain."""
    if isinstance(target, windows.Window):
        windows.touched(state, target)
        return
    if not isinstance(target, HELD):
        state.doubt("a tensor that is not followed is filled")
        return
    parameter = target if isinstance(target, Parameter) else target.parameter
    if value is target or (isinstance(value, Parameter) and value is parameter):
        return
    whole = isinstance(target, Parameter)
    text = (state.text[-1] if state.text else "") or "an assignment"
    site = state.at or parameter.site
    drawn: Draw | None = None
    source: tuple[Event, ...] = ()
    weights = EMPTY
    if isinstance(value, bool | int | float) and not python.tainted(value):
        weights = Weights("constant" if value else "zeros", Interval.point(float(value)),
                          Interval.point(0.0))  # fmt: skip
        drawn = drawing.draw(weights, tuple(target.shape), (1, 1))
    elif isinstance(value, Drawn):
        weights, drawn = value.weights, value.draw
    elif isinstance(value, Known):
        array = np.asarray(value.array, np.float32)
        weights = _weights_of(array)
        drawn = lambda random, old: np.broadcast_to(array, target.shape)  # noqa: E731
    elif isinstance(value, Parameter):
        event = value.chain[-1] if value.chain else None
        weights = EMPTY if event is None or not event.whole else event.weights
        source = tuple(value.chain)
        if source and tuple(value.shape) == tuple(target.shape) and whole:
            drawn = lambda random, old: np.array(old)  # noqa: E731
    if drawn is not None and not whole:
        drawn = _into(target.index, drawn)  # type: ignore[union-attr]
    source = source if drawn is not None else ()
    parameter.chain.append(Event(weights, text, site, drawn, whole, source=source))


def drawn_anew(
    state: State, subject: Drawn, name: str, args: tuple[Any, ...], keywords: Mapping[str, Any]
) -> Any:
    """Return a tensor that is no parameter yet after a method that fills or changes it."""
    known = state.catalogue.method(name)
    if known is not None and name != "copy_":
        bound = bind(
            known.parameters,
            [building.folded(_scalar(a)) for a in args],
            {k: building.folded(_scalar(v)) for k, v in keywords.items() if k != "generator"},
        )
        weights = EMPTY if bound is None else weights_of(known, bound)
        fans = drawing.fans_of(subject.shape)
        return Drawn(subject.shape, weights, drawing.draw(weights, subject.shape, fans))
    operators = {"mul_": "mul", "div_": "div", "add_": "add", "sub_": "sub"}
    if name in operators and args:
        return tensors.operation(state, operators[name], (subject, args[0]))
    return Drawn(subject.shape, EMPTY, None)


def gain(state: State, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
    """Return torch.nn.init.calculate_gain of what is known."""
    kind = args[0] if args else keywords.get("nonlinearity")
    param = args[1] if len(args) > 1 else keywords.get("param")
    known = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5.0 / 3.0, "relu": math.sqrt(2.0),
             "selu": 0.75, "conv1d": 1.0, "conv2d": 1.0, "conv3d": 1.0}  # fmt: skip
    if isinstance(kind, str) and kind in known:
        return known[kind]
    if kind == "leaky_relu" and (param is None or isinstance(param, int | float)):
        return math.sqrt(2.0 / (1.0 + (0.01 if param is None else param) ** 2))
    return Unknown("a gain is not known")
