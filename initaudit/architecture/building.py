"""An architecture's steps put in place over stored tensors: the layers of a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from initaudit.architecture import rotation
from initaudit.architecture.entries import Architecture, Nested, Step, Value
from initaudit.architecture.place import Place
from initaudit.architecture.settings import Settled, Sources, add
from initaudit.architecture.shapes import MismatchError, Widths, attributes_of, check
from initaudit.architecture.stored import Index
from initaudit.network import UNKNOWN_ACTIVATION, Attribute, Layer, Param, Tensor

Settings = Mapping[str, Value | None]

WEIGHTED = frozenset(
    {"linear", "conv", "conv_transpose", "embedding", "lstm", "gru", "rnn", "table", "constant",
     "relative_bias", "window_bias", "bias",
     "response_norm"}
)  # fmt: skip
"""Operations that are nothing without a stored weight."""

NORMS = frozenset({"layer_norm", "rms_norm", "batch_norm", "group_norm"})
_TABLES = frozenset({"embedding", "table", "constant", "relative_bias", "window_bias"})
_MOST = 1 << 16


@dataclass(frozen=True, slots=True)
class _Scope:
    """Where steps stand, what ``x`` is there, and the settings in force."""

    place: Place
    x: str
    settings: Settings


@dataclass(slots=True)
class Builder:
    """The layers so far; ``outputs`` maps a step's full name to the layer that stands for it."""

    architecture: Architecture
    sources: Sources
    prefix: str
    notes: list[str] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    widths: Widths = field(default_factory=Widths)
    taken: set[str] = field(default_factory=set)

    @property
    def index(self) -> Index:
        """The stored tensors."""
        return self.sources.index

    def run(self, settings: Settings, shape: tuple[int, ...] | None) -> tuple[Layer, ...]:
        """Return all layers; ``shape`` replaces that of the first input.

        Raises:
            MismatchError: where a tensor is missing or of an impossible shape.
        """
        _expected(self.architecture.expect, settings, self.prefix)
        self._inputs(settings, shape)
        first = self.layers[0].name
        scope = _Scope(Place(self.prefix, prefix=self.prefix), first, settings)
        self._steps(self.architecture.steps, scope, first)
        for path in self.architecture.whole:
            self._whole(self.prefix + path + ".")
        return tuple(self.layers)

    def _whole(self, path: str) -> None:
        for name, tensor in self.index.tensors.items():
            counter = name.endswith(".num_batches_tracked")
            if name.startswith(path) and tensor.name not in self.used and not counter:
                raise MismatchError(f"{name} is no part of it")

    def _inputs(self, settings: Settings, shape: tuple[int, ...] | None) -> None:
        for given in self.architecture.inputs:
            if not _holds(given.when, settings):
                continue
            extents: tuple[Value | None, ...] = shape or tuple(
                _resolved(n, settings) for n in given.shape
            )
            shape = None
            if not all(isinstance(n, int) and n > 0 for n in extents):
                raise MismatchError(f"the shape of its {given.name} is not told")
            attributes: dict[str, Attribute] = {
                "shape": tuple(n for n in extents if type(n) is int)
            }
            tokens = None if given.tokens is None else _resolved(given.tokens, settings)
            if given.tokens is not None:
                if type(tokens) is not int:
                    raise MismatchError(f"the number of tokens of its {given.name} is not told")
                attributes["tokens"] = tokens
            self._append(Layer(given.name, "input", attributes=attributes), given.name)
            self.widths.of_input(given.name, attributes)
        if not self.layers:
            raise MismatchError("none of its inputs applies")

    def _steps(self, steps: Sequence[Step | Nested], scope: _Scope, current: str) -> str:
        for step in steps:
            if not self._wanted(step, scope.settings):
                if isinstance(step, Step):
                    self.outputs.setdefault(scope.place.full(step.name), current)
                continue
            if isinstance(step, Nested):
                current = self._nested(step, scope, current)
            else:
                current = self._step(step, scope, current)
        return current

    def _wanted(self, step: Step | Nested, settings: Settings) -> bool:
        named = step.given if isinstance(step, Step) else ()
        return _holds(step.when, settings) and all(settings.get(x) is not None for x in named)

    def _nested(self, nested: Nested, scope: _Scope, current: str) -> str:
        current = self._source(nested.source, scope, current)
        places = list(self._places(nested, scope))
        if not places and not nested.optional:
            raise MismatchError(f"{scope.place.full(nested.pattern)} is missing")
        start, ends = current, []
        for ordinal, (place, name) in enumerate(places):
            block = self.architecture.blocks[name]
            settled = Settled(_settled(nested, scope.settings, ordinal), self.notes)
            add(settled, block.settings, self.sources, place)
            _expected(block.expect, settled.values, place.path)
            current = self._steps(block.steps, _Scope(place, current, settled.values), current)
            self.outputs[place.path.removesuffix(".")] = current
            if nested.join is not None:
                ends.append(current)
                current = start
        if nested.join is not None and ends:
            return self._joined(nested, scope, ends)
        self.outputs[scope.place.full(nested.pattern.partition(".{i}")[0])] = current
        return current

    def _joined(self, nested: Nested, scope: _Scope, ends: list[str]) -> str:
        """Join what repetitions beside each other give; the pattern's head names the layer."""
        full = scope.place.full(nested.pattern.partition(".{i}")[0])
        layer = Layer(full, nested.join or "add", tuple(ends))
        name = self._append(layer, full)
        self.widths.of_layer(replace(layer, name=name))
        return name

    def _places(self, nested: Nested, scope: _Scope) -> Iterator[tuple[Place, str]]:
        """Yield place and block of each repetition, in order."""
        full = scope.place.full(nested.pattern)
        if "{i}" not in full:
            place = replace(scope.place, path=full + ".", outer=scope.place.path)
            variant = self._variant(nested.blocks, place)
            if variant is not None:
                yield place, variant
            return
        found: list[int] = []
        for number in self.index.numbers(full):
            if nested.span is not None and not nested.span[0] <= number <= nested.span[1]:
                continue
            path = full.replace("{i}", str(number)) + "."
            place = Place(path, scope.place.path, self.prefix, number)
            variant = self._variant(nested.blocks, place)
            if variant is None:
                continue
            if found and number != found[-1] + 1 and not nested.gaps:
                missing = full.replace("{i}", str(found[-1] + 1))
                raise MismatchError(f"{missing} is missing")
            found.append(number)
            yield place, variant
        if found and not nested.gaps and found[0] > 1:
            raise MismatchError(f"{full.replace('{i}', '0')} is missing")

    def _variant(self, blocks: tuple[str, ...], place: Place) -> str | None:
        for name in blocks:
            block = self.architecture.blocks[name]
            if all(self.index.has(place.full(need)) for need in block.needs) and not any(
                self.index.has(place.full(word)) for word in block.without
            ):
                return name
        return None

    def _step(self, step: Step, scope: _Scope, current: str) -> str:
        full = scope.place.full(step.name)
        sources = tuple(self._source(s, scope, current) for s in step.sources)
        params = self._params(step, scope, full)
        if params is None:
            self.outputs[full] = sources[0]
            return sources[0]
        settings = {k: _resolved(v, scope.settings) for k, v in step.attributes.items()}
        attributes = attributes_of(step.op, settings, params, sources, self.widths)
        if step.op == "rotary":
            width = self.widths.known.get(sources[0])
            attributes, note = rotation.scaled(attributes, self.sources.config, width)
            self.notes += [note] if note else []
        if step.op == "activation" and attributes.get("function") is None:
            attributes["function"] = UNKNOWN_ACTIVATION
        role = step.role or ("table" if step.op in _TABLES else None)
        if role is not None:
            attributes["role"] = role
        op = "slice" if step.op == "part" else step.op
        layer = Layer(full, op, sources, params, attributes)
        check(layer, self.widths)
        name = self._append(layer, full)
        self.widths.of_layer(replace(layer, name=name))
        return name

    def _append(self, layer: Layer, full: str) -> str:
        name = layer.name
        while name in self.taken:
            name += "_"
        if len(self.layers) > _MOST:
            raise MismatchError(f"it would have more than {_MOST:,} layers")
        self.taken.add(name)
        self.layers.append(replace(layer, name=name))
        self.outputs[full] = name
        return name

    def _params(self, step: Step, scope: _Scope, full: str) -> tuple[Param, ...] | None:
        """Return the parameters of a step; None where it is passed over."""
        if step.params:
            named = {
                role: tensor
                for role, name in step.params.items()
                if (tensor := self.index.tensors.get(scope.place.full(name))) is not None
            }
        else:
            named = dict(self.index.parts(full)) if step.module else {}
        if "weight" not in named and step.tied is not None:
            tied = self._source(step.tied, scope, full)
            lender = next(x for x in self.layers if x.name == tied).param("weight")
            if lender is not None and lender.tensor is not None:
                named = {"weight": lender.tensor, **named}
        needed = step.op in WEIGHTED or (step.op in NORMS and not step.attributes.get("plain"))
        roles = {"weight", "weight_ih"} | ({"bias"} if step.op in NORMS else set())
        if needed and not named.keys() & roles:
            if step.optional:
                return None
            raise MismatchError(f"{next(iter(step.params.values()), full + '.weight')} is missing")
        if step.optional and step.op == "scale" and not named:
            return None
        self.used |= {tensor.name for tensor in named.values()}
        return tuple(
            Param(role, tensor.shape, self.index.spread(tensor), tensor)
            for role, tensor in named.items()
            if role != "num_batches_tracked"
        )

    def _source(self, name: str, scope: _Scope, current: str) -> str:
        if name == "<":
            return current
        if name == "x":
            return scope.x
        full = scope.place.full(name)
        if full not in self.outputs:
            raise MismatchError(f"{full}, which another step reads, is not there")
        return self.outputs[full]


def _holds(when: Mapping[str, Value], settings: Settings) -> bool:
    return all(
        settings.get(name) in wanted if isinstance(wanted, tuple) else settings.get(name) == wanted
        for name, wanted in when.items()
    )


def _expected(wanted: Mapping[str, Value], settings: Settings, path: str) -> None:
    """Raise MismatchError where a setting has another value than it must have."""
    for name, value in wanted.items():
        asked = _resolved(value, settings)
        if asked is None or not _holds({name: asked}, settings):
            at = f" of {path.removesuffix('.')}" if path else ""
            raise MismatchError(f"the {name}{at} is {settings.get(name)}, not {asked}")


def _resolved(value: Value, settings: Settings) -> Value | None:
    if isinstance(value, str) and value.startswith("$"):
        return settings.get(value[1:])
    if isinstance(value, tuple) and any(isinstance(v, str) and v.startswith("$") for v in value):
        found = tuple(
            settings.get(v[1:]) if isinstance(v, str) and v.startswith("$") else v for v in value
        )
        return found if all(isinstance(v, int | float | str) for v in found) else None  # type: ignore[return-value]
    return value


def _settled(nested: Nested, outer: Settings, ordinal: int) -> dict[str, Value | None]:
    """Return the settings of one repetition; of a list each repetition takes one."""
    inner: dict[str, Value | None] = dict(outer)
    inner["ordinal"], inner["next"] = ordinal, ordinal + 1
    for name, value in nested.settings.items():
        found = _resolved(value, outer)
        inner[name] = found[ordinal % len(found)] if isinstance(found, tuple) and found else found
    if ordinal == 0:
        inner |= {name: _resolved(value, outer) for name, value in nested.first.items()}
    return inner


def leftover(index: Index, used: set[str]) -> list[Tensor]:
    """Return the tensors that no layer uses, in stored order."""
    return [t for name, t in index.tensors.items() if t.name not in used and name == t.name]
