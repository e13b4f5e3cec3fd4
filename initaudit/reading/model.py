"""A model class as it is read: its parameters and where they start, its forward pass, its gaps."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from initaudit.catalogue import Catalogue
from initaudit.checkpoint.graphs.build import finished
from initaudit.checkpoint.graphs.naming import named
from initaudit.checkpoint.graphs.values import Signal, UnsupportedError
from initaudit.checkpoint.stored import Plan, Stored
from initaudit.nearest import meant
from initaudit.network import Network, Site
from initaudit.reading import building, evaluating, following, modules, objects, standing
from initaudit.reading.entrance import Entry, candidates
from initaudit.reading.realising import Realised
from initaudit.reading.state import BUDGET, State
from initaudit.reading.tape import SAMPLES, Tape
from initaudit.reading.units import Files, Unit, UnitError
from initaudit.reading.values import (
    EndlessError,
    Function,
    Module,
    Object,
    Open,
    Parameter,
    Scope,
    StopError,
    Unknown,
    UserClass,
)

_TRIES = 14
_WEIGHTED = frozenset({"linear", "conv", "conv_transpose", "embedding", "lstm", "gru", "rnn"})


@dataclass(frozen=True, eq=False, slots=True)
class Variable:
    """A name at the top of a file that is a model, a function that makes one, or a forward pass."""

    name: str
    unit: Unit
    node: ast.stmt


Named = UserClass | Variable


class ModelError(Exception):
    """Why a model cannot be read at all, as one line."""


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


@dataclass(slots=True)
class Model:
    """A model class of a source.

    ``parameters`` are by their names in a state dict, buffers included; ``aliases`` maps other
    names of one to its first. ``doubts`` say why what they start from may not be as read.
    """

    name: str
    path: str
    site: Site
    module: Module
    parameters: Mapping[str, Parameter]
    aliases: Mapping[str, str]
    doubts: Mapping[str, Site | None]
    notes: tuple[str, ...]
    state: State
    cls: Named
    opened: tuple[str, ...] = ()
    entered: tuple[int, ...] | None = None

    @property
    def lazy(self) -> bool:
        """Whether its layers make their weights at the first call, as Keras and Flax do."""
        return self.module.kind.startswith(("keras", "flax.linen"))

    @property
    def shape(self) -> tuple[int, ...] | None:
        """The shape of a sample that the source itself tells, axes as it has them."""
        found: Any = self.module.attrs.get("_shape")
        inputs = self.module.attrs.get("_inputs")
        if inputs:
            found = inputs[0].shape
        return tuple(found) if isinstance(found, tuple) else None

    @property
    def open(self) -> bool:
        """Whether a size is left open."""
        return any(parameter.open for parameter in self.parameters.values())


def unit_of(files: Files, path: Path) -> Unit:
    """Return the unit of a file that was named.

    Raises:
        ModelError: it cannot be read.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    unit = files.unit(path)
    if unit is None:
        from initaudit.reading.units import parse

        try:
            parse(path.read_text(encoding="utf-8-sig", errors="replace"), str(path))
        except (UnitError, OSError) as error:
            raise ModelError(f"{path}: cannot be read: {error}") from None
        raise ModelError(f"{path}: cannot be read")
    return unit


def find(state: State, unit: Unit, name: str) -> Named:
    """Return a model by its name: a class, or what a variable or function at the top is or makes.

    Raises:
        ModelError: there is none, several, or it is no model.
    """
    found = unit.classes.get(name, [])
    if not found and name in unit.table:
        return Variable(name, unit, unit.table[name])
    if len(found) > 1:
        lines = ", ".join(str(c.node.lineno) for c in found)
        raise ModelError(
            f"{unit.path} has {len(found)} classes named {name} (lines {lines}): rename one"
        )
    if not found:
        known = [c.name for c in models(state, unit)]
        hint = meant(name, known, cutoff=0.3) or f"it has {', '.join(known) or 'none'}"
        raise ModelError(f"{unit.path} has no model class {name}: {hint}")
    plain = objects.forward_of(state, found[0]) is not None
    if objects.kind(state, found[0]) is None and not plain:
        raise ModelError(f"{unit.path}: {name} is no module of a framework that is read")
    return found[0]


def models(state: State, unit: Unit) -> list[UserClass]:
    """Return the module classes of a file that have a forward pass, in order."""
    found = []
    for classes in unit.classes.values():
        for cls in classes:
            if objects.kind(state, cls) is not None:
                sequential = objects.kind(state, cls) == "torch.nn.Sequential"
                if sequential or objects.forward_of(state, cls) is not None:
                    found.append(cls)
    return sorted(found, key=lambda cls: cls.node.lineno)


def read(
    files: Files, catalogue: Catalogue, cls: Named, given: Mapping[str, Any] | None = None
) -> Model:
    """Return a model with its constructor followed; ``given`` are arguments of it.

    Raises:
        StopError: the constructor leads to an end.
    """
    state = State(files, catalogue)
    state.at = cls.unit.site(cls.node)
    opened: list[str] = []
    try:
        if isinstance(cls, Variable):
            made = standing.of_variable(state, cls.unit, cls.name)
        else:
            args, opened = _arguments(state, cls)
            if given:
                args |= given
                opened = [name for name in opened if name not in given]
            state.at = cls.unit.site(cls.node)
            made = building.construct(state, cls, (), args)
            if isinstance(made, Object):
                made = standing.of_object(state, made)
    except RecursionError:
        raise StopError("it is nested too deeply", state.at) from None
    if not isinstance(made, Module):
        raise StopError("it is no module", state.at)
    model = Model(
        cls.name, cls.unit.path, cls.unit.site(cls.node), made, {}, {}, {}, (), state, cls,
        tuple(opened),
    )  # fmt: skip
    collect(model)
    return model


def collect(model: Model) -> None:
    """Name the modules and parameters that a model has by now, and note them."""
    made, state = model.module, model.state
    _named(made)
    parameters = dict(made.named_parameters())
    first = {id(p): name for name, p in parameters.items()}
    aliases = {
        name: first[id(p)]
        for name, p in made.named_parameters(twice=True)
        if id(p) in first and first[id(p)] != name
    }
    for name, parameter in parameters.items():
        parameter.name = name
    model.parameters, model.aliases = parameters, aliases
    model.doubts, model.notes = dict(state.doubts), tuple(state.notes)


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


def _named(made: Module) -> None:
    for path, module in made.named_modules():
        module.path = path


def _arguments(state: State, cls: UserClass) -> tuple[dict[str, Any], list[str]]:
    """Return what a constructor is given: nothing, but for what has no default."""
    function = objects.of_class(state, cls, "__init__")
    if not isinstance(function, Function) or isinstance(function.node, ast.Lambda):
        return {}, []
    given = function.node.args
    told = {name for name, _ in following.defaults(function.node)}
    found: dict[str, Any] = {}
    opened = []
    for parameter in [*given.posonlyargs, *given.args][1:] + given.kwonlyargs:
        if parameter.arg in told:
            continue
        settings = _settings(state, function, parameter)
        if settings is not None:
            found[parameter.arg] = settings
            continue
        opened.append(parameter.arg)
        reason = f"the argument {parameter.arg} of {cls.name} is left open"
        unknown = Unknown(reason, parameter.arg)
        whole = isinstance(kind := parameter.annotation, ast.Name) and kind.id == "int"
        found[parameter.arg] = state.witness(unknown) if whole else unknown
    return found, opened


def _settings(state: State, function: Function, parameter: ast.arg) -> Any:
    """Return a configuration with its defaults, where an annotation names the project's class."""
    if parameter.annotation is None:
        return None
    kind = evaluating.evaluate(state, Scope(function.unit), _bare(parameter.annotation))
    if not isinstance(kind, UserClass) or objects.kind(state, kind) is not None:
        return None
    budget, doubts = state.budget, dict(state.doubts)
    try:
        made = building.construct(state, kind, (), {})
    except (StopError, RecursionError):
        state.budget, state.doubts = budget, doubts
        return None
    state.doubts = doubts
    if not isinstance(made, Object) or any(isinstance(v, Unknown) for v in made.attrs.values()):
        return None
    state.notes[f"{parameter.arg} is {kind.name}() with its defaults"] = None
    return made


def _bare(annotation: ast.expr) -> ast.expr:
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        try:
            return ast.parse(annotation.value, mode="eval").body
        except SyntaxError:
            return annotation
    return annotation


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
    return (*model.notes, *shapes, *reading.tape.builder.notes)


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


__all__ = [
    "Model", "ModelError", "Open", "Reading", "Signal", "declared", "find", "follow", "models",
    "planned", "read", "unit_of",
]  # fmt: skip
