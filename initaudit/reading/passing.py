"""The forward pass of a model, followed with the input that lets it be followed furthest."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from initaudit.checkpoint.graphs.build import finished
from initaudit.checkpoint.graphs.naming import named
from initaudit.checkpoint.graphs.values import UnsupportedError
from initaudit.checkpoint.stored import Plan, Stored
from initaudit.network import Network, Site
from initaudit.reading import (
    following,
    modules,
    objects,
)
from initaudit.reading.entrance import Entry, candidates
from initaudit.reading.model import Model, collect
from initaudit.reading.realising import Realised
from initaudit.reading.state import BUDGET
from initaudit.reading.tape import SAMPLES, Tape
from initaudit.reading.values import (
    EndlessError,
    Function,
    Parameter,
    StopError,
    Unknown,
)

_TRIES = 14
_WEIGHTED = frozenset({"linear", "conv", "conv_transpose", "embedding", "lstm", "gru", "rnn"})


@dataclass(frozen=True, slots=True)
class Reading:
    """One forward pass: what entered, the tape, what came out, and where it ended before that."""

    entries: tuple[Entry, ...]
    tape: Tape
    outputs: frozenset[int]
    stopped: tuple[tuple[str, Site | None], ...]

    @property
    def placed(self) -> int:
        """The number of weighted steps that were reached."""
        return sum(step.op in _WEIGHTED for step in self.tape.builder.steps.values())


StoredOf = Callable[[Parameter], Stored]


def declared(model: Model, seed: int) -> tuple[Realised, StoredOf]:
    """Return the arrays that a model declares, and what gives them to a tape."""
    realised = Realised(model.parameters, seed)
    return realised, lambda parameter: realised.stored(parameter.name, model.path)


def follow(
    model: Model, stored: StoredOf, shape: tuple[int, ...] | None = None, *, training: bool = False
) -> Reading:
    """Return the forward pass of a model, with the input that lets it be followed furthest.

    Raises:
        StopError: it has no forward pass that can be followed.
    """
    inputs = _inputs(model)
    first = _attempt(model, stored, [None] * len(inputs), inputs)
    asked: list[list[Entry]] = []
    for number in range(len(inputs)):
        asked.append(candidates(first.tape.first.get(number), model.module))
    if shape is None:
        shape = model.shape
    if shape is not None and asked:
        tokens = bool(asked[0] and asked[0][0].tokens)
        asked[0] = [Entry(shape, tokens)]
    best: Reading | None = None
    for combination in _combined(asked):
        made = _attempt(model, stored, combination, inputs)
        if best is None or _score(made) > _score(best):
            best = made
        if not made.stopped:
            break
    return first if best is None else best


def _combined(asked: list[list[Entry]]) -> list[list[Entry | None]]:
    most = min(max((len(a) for a in asked), default=0), _TRIES)
    return [[a[min(i, len(a) - 1)] if a else None for a in asked] for i in range(most)]


def _score(reading: Reading) -> tuple[bool, int, int]:
    return (not reading.stopped, reading.placed, len(reading.tape.builder.steps))


def _inputs(model: Model) -> list[str]:
    """Return the arguments of forward that a caller must give."""
    cls = model.module.cls
    found = None if cls is None else objects.forward_of(model.state, cls)
    own = model.module.attrs.get("_function")
    if isinstance(own, Function) and not isinstance(own.node, ast.Lambda):
        return [p.arg for p in own.node.args.args][:1] or ["input"]
    if found is None or isinstance(found.node, ast.Lambda):
        return ["input"]
    given = found.node.args
    plain = [*given.posonlyargs, *given.args][1:]
    told = {name for name, _ in following.defaults(found.node)}
    needed = [p.arg for p in plain if p.arg not in told]
    if not needed and plain:
        needed = [plain[0].arg]
    return needed + [p.arg for p in given.kwonlyargs if p.arg not in told]


def _attempt(
    model: Model, stored: StoredOf, entries: list[Entry | None], names: list[str]
) -> Reading:
    state = replace(model.state)
    state.tape = Tape(stored)
    state.budget = BUDGET
    b = state.tape.builder
    values: dict[str, Any] = {}
    for entry, name in zip(entries, names, strict=True):
        b.stem = name
        if entry is None:
            values[name] = b.emit("input", [], None, attributes={"shape": None})
        else:
            whole = (*entry.shape[: entry.batch], SAMPLES, *entry.shape[entry.batch :])
            attributes: dict[str, Any] = {"shape": entry.shape}
            if entry.tokens:
                attributes["tokens"] = None
            values[name] = b.emit("input", [], whole, batch=entry.batch, attributes=attributes)
        b.stem = ""
    stopped: list[tuple[str, Site | None]] = []
    outputs: frozenset[int] = frozenset()
    try:
        args = tuple(values.values()) if model.module.cls is None else ()
        keywords = {} if args else values
        if objects_forward(model) is None:
            args, keywords = tuple(values.values()), {}
        made = modules.forward(state, model.module, args, keywords)
        found = modules.signals(made)
        outputs = frozenset(state.tape.now(s).step for s in found)
        if not found:
            reason = made.reason if isinstance(made, Unknown) else "it returns no tensor"
            stopped.append((reason, state.at))
    except EndlessError:
        raise
    except StopError as stop:
        stopped.append((stop.reason, stop.site or state.at))
    except UnsupportedError as error:
        stopped.append((str(error), state.at))
    except RecursionError:
        stopped.append(("it is nested too deeply", state.at))
    stopped = [*state.tape.broken, *stopped]
    known = tuple(e for e in entries if e is not None)
    return Reading(known, state.tape, outputs, tuple(stopped))


def objects_forward(model: Model) -> Function | None:
    """Return the forward method of the project that a model has, None where it has none."""
    cls = model.module.cls
    return None if cls is None else objects.forward_of(model.state, cls)


def told(model: Model, reading: Reading) -> tuple[str, ...]:
    """Return what was assumed to follow a forward pass, as sentences."""
    shapes = [
        f"the input has the shape {entry.shape}, which the source leaves open"
        for entry in reading.entries
    ]
    return (*model.assumed, *shapes, *reading.tape.builder.notes)


def planned(
    model: Model, reading: Reading, path: str | None = None
) -> tuple[Plan, Mapping[str, Site]]:
    """Return the plan of a followed model's network, and the site of each layer by its name.

    ``path`` is the file that the network is reported for, the source's own by default.
    """
    b = reading.tape.builder
    b.notes = list(told(model, reading))
    plan = finished(b, set(reading.outputs), name=model.name, path=path or model.path)
    names = named(b.steps)
    sites: dict[str, Site] = {}
    for number, step in b.steps.items():
        keys = [part.alias or part.key for part in step.parts]
        held = [model.parameters[k].site for k in keys if k in model.parameters]
        place = held[0] if held else reading.tape.sites.get(number)
        if place is not None:
            sites[names[number]] = place

    def network(tensors: Any) -> Network:
        made = plan.network(tensors)
        layers = tuple(replace(x, site=sites.get(x.name)) for x in made.layers)
        return replace(made, layers=layers, topology="source")

    return replace(plan, network=network), sites


def grow(model: Model, shape: tuple[int, ...] | None) -> None:
    """Make the weights of layers that only learn their width from what they read.

    Raises:
        StopError: the source does not tell what enters, and nor does ``shape``.
    """
    if not model.lazy:
        return
    shape = shape or model.shape
    if shape is None:
        raise StopError(
            "the shape of its input is not in the source: --input-shape tells it", model.site
        )
    follow(model, _alone, shape)
    collect(model)
    if not model.parameters:
        raise StopError("no layer with weights was reached", model.site)


def _alone(parameter: Parameter) -> Stored:
    return Realised({parameter.name: parameter}).stored(parameter.name, "")


def shapes(reading: Reading) -> Mapping[str, tuple[int, ...] | None]:
    """Return the shapes of the layers' outputs, samples first, by the names of a planned network.

    Call it after `planned`, which folds steps into layers.
    """
    steps = reading.tape.builder.steps
    names = named(steps)
    return {names[number]: step.shape for number, step in steps.items()}
