"""What an architecture's file says: how it is recognised, its settings, inputs and steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

Scalar = int | float | str | bool
Value = Scalar | tuple[int | float | str, ...]


@dataclass(frozen=True, slots=True)
class Setting:
    """A number or word that steps refer to as ``$name``; the first source that tells it counts.

    ``extent`` is (stored name, axis), ``present`` a stored name or module whose presence is the
    value, ``same`` two names that may be one tensor, ``count`` a pattern (``h.{i}``) whose numbers
    are counted: names below the prefix, or below the block that the setting stands in. ``config``
    are keys of ``config.json``, dotted where nested; ``like`` is another setting, whose value it
    has where there is one. ``case`` is a setting whose value picks one of ``cases``. ``staged``
    are three settings (numbers by stage, depths by stage, a factor of the depths) that give one
    number for each block: its stage's in the first block of a stage, else 1. ``length`` is a list
    that is counted, ``among`` a number and the list that it may stand in. ``derived``
    maps operations (`settings.OPERATIONS`) to the settings and numbers that they work on, ``root``
    is a whole square root after ``less`` is taken off (which ``extent`` takes off too). A value of
    the configuration that does not divide the setting ``divides`` is not believed. ``most`` is an
    extent that the value is kept within. ``activation`` says that the word names a function.
    ``tell`` is the assumption to report where neither weights nor configuration tell the value;
    ``{value}`` in it stands for the value.
    """

    name: str
    extent: tuple[str, int] | None = None
    present: str | None = None
    same: tuple[str, ...] = ()
    count: str | None = None
    config: tuple[str, ...] = ()
    like: str | None = None
    case: str | None = None
    cases: Mapping[str, Value] = field(default_factory=dict)
    staged: tuple[str, ...] = ()
    length: str | None = None
    among: tuple[str, ...] = ()
    derived: Mapping[str, tuple[str | float, ...]] = field(default_factory=dict)
    root: str | None = None
    less: int = 0
    default: Value | None = None
    divides: str | None = None
    most: tuple[str, int] | None = None
    activation: bool = False
    tell: str | None = None


@dataclass(frozen=True, slots=True)
class Given:
    """An input: ``shape`` of one sample, of numbers or ``$settings``; ``tokens`` counts a table."""

    name: str
    shape: tuple[int | str, ...]
    tokens: int | str | None = None
    when: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """One operation.

    ``name`` is a module's path below the block it stands in (``~`` at its front: below the
    prefix, ``/``: as it stands); ``module`` tells whether it has tensors of that name. ``sources``
    are steps of the same block, ``x`` for the block's input, ``<`` for the step before; ``~`` and
    ``/`` as in names. ``params`` maps roles to stored names where they are not the module's own.
    A step that is ``optional`` is passed over where its tensors are missing, one with ``when``
    where a setting differs, or where one of ``given`` has no value. ``tied`` is a step whose
    weight it uses where it has none.
    """

    name: str
    op: str
    module: bool
    sources: tuple[str, ...] = ("<",)
    params: Mapping[str, str] = field(default_factory=dict)
    optional: bool = False
    when: Mapping[str, Value] = field(default_factory=dict)
    given: tuple[str, ...] = ()
    role: str | None = None
    tied: str | None = None
    attributes: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Nested:
    """A block put in place once (``path``) or for each number in ``pattern`` (``h.{i}``).

    Of ``blocks`` the first one counts whose needed tensors are there. ``settings`` hold for the
    block, lists give one value for each repetition; ``first`` replaces them in the first one.
    ``span`` limits the numbers, which may leave some out with ``gaps``. ``source`` is what the
    first block reads. With ``join`` all read it, and an operation of that name joins what they
    give.
    """

    pattern: str
    blocks: tuple[str, ...]
    source: str = "<"
    settings: Mapping[str, Value] = field(default_factory=dict)
    first: Mapping[str, Value] = field(default_factory=dict)
    span: tuple[int, int] | None = None
    gaps: bool = False
    optional: bool = False
    when: Mapping[str, Value] = field(default_factory=dict)
    join: str | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """Steps in order; the last one's output is the block's. ``needs`` tells variants apart.

    ``settings`` are found anew where the block is put in place, from the tensors below it;
    ``expect`` are values that they must have.
    """

    name: str
    steps: tuple[Step | Nested, ...]
    needs: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    settings: tuple[Setting, ...] = ()
    expect: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Agreement:
    """A key of ``config.json``, and what tells the same of the weights: the weights win."""

    config: str
    weights: Setting


@dataclass(frozen=True, slots=True)
class Architecture:
    """One file: a family of checkpoints and the graph that its names stand for.

    ``marks`` are stored names, below one of the ``prefixes``, that all have to be there, and
    ``without`` such as must not be; of ``either`` one is enough; ``zeros`` are marks that hold
    nothing but zeros. ``expect`` are values that settings must have, ``whole`` paths below which
    no tensor may be left over. ``notes`` are assumptions that always hold.
    """

    name: str
    path: Path
    model_types: tuple[str, ...]
    prefixes: tuple[str, ...]
    marks: tuple[str, ...]
    without: tuple[str, ...]
    settings: tuple[Setting, ...]
    inputs: tuple[Given, ...]
    steps: tuple[Step | Nested, ...]
    blocks: Mapping[str, Block]
    either: tuple[str, ...] = ()
    zeros: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    expect: Mapping[str, Value] = field(default_factory=dict)
    agree: tuple[Agreement, ...] = ()
    notes: tuple[str, ...] = ()
