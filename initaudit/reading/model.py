"""A model class as it is read: its parameters and where they start, its forward pass, its gaps."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from initaudit.catalogue import Catalogue
from initaudit.network import Site
from initaudit.reading import (
    constructing,
    evaluating,
    following,
    objects,
    standing,
)
from initaudit.reading.choosing import Named, Variable
from initaudit.reading.state import State
from initaudit.reading.units import Files
from initaudit.reading.values import (
    Function,
    Module,
    Object,
    Parameter,
    Scope,
    StopError,
    Unknown,
    UserClass,
)


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

    @property
    def assumed(self) -> tuple[str, ...]:
        """What was assumed to make the model, and to follow it as far as that was done."""
        return tuple(dict.fromkeys((*self.notes, *self.state.notes)))

    @property
    def left_open(self) -> str:
        """The arguments that the source leaves open, in words."""
        return ", ".join(self.opened) or "its sizes"

    @property
    def stood_for(self) -> bool:
        """Whether numbers stand for open sizes where nothing marks what follows from them.

        Keras and Flax make weights at the first call, from sizes as plain numbers.
        """
        return self.lazy and bool(self.state.witnesses)


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
            made = constructing.construct(state, cls, (), args)
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
        made = constructing.construct(state, kind, (), {})
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
