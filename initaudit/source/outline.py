"""A summary of one file: what the others may need to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Outline:
    """What other files may need to know of one.

    ``tested`` are the names in `isinstance` tests; ``classes`` maps each class to its bases (last
    word of each) and methods. ``makers`` maps each capitalised name that is called to the classes
    that call it ("" is code outside of classes), ``passes`` each class to the kinds of passes
    that it runs over all its parameters (see `traits`). ``written`` are the attributes of other
    objects that are filled. ``dispatched`` and ``on_self`` are the mentions of methods that fill
    weights, on other objects and on each class's own (see `traits`). ``fillers`` are the functions
    that set up weights, with the classes that they fill (see `targets`).
    ``branches`` are the attributes that branches for a class speak of, ``held`` those that a
    class which derives from others may fill (see `handling`).
    """

    path: str
    tested: frozenset[str] = frozenset()
    classes: Mapping[str, tuple[tuple[str, ...], frozenset[str]]] = field(default_factory=dict)
    makers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    passes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    written: frozenset[str] = frozenset()
    dispatched: frozenset[tuple[str, int, str]] = frozenset()
    on_self: Mapping[str, frozenset[str]] = field(default_factory=dict)
    fillers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    branches: Mapping[str, frozenset[str]] = field(default_factory=dict)
    held: Mapping[str, frozenset[str]] = field(default_factory=dict)
