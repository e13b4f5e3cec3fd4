"""The outline of a file that is not parsed, from its text alone."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence

from initaudit.source.outline import Outline
from initaudit.source.words import Form, word_start

# What stands before a word is asked behind it.
_CLASS = Form("class ", r"(?<=[\n\t ]class )(\w+)\s*[(:]")
_HEAD = Form("class ", r"(?<=[\n\t ]class )(\w+)\s*(?:\(([^()]*)\))?\s*:")
_PARTS = "(?:weight|param|kernel|bias|module|layer)"
_REACHED = (
    Form("init", rf"(?:iali[sz]e|\w*{_PARTS})\w*"),
    Form("reset", rf"\w*{_PARTS}\w*"),
    # weights_init
    Form("_init", r"(?<=[a-z]_init)(?:iali[sz]e)?\b"),
)
_METHOD = Form("def ", r"(\w*(?:init|reset)(?!__)\w*)\(")
# What may run over all parameters (see `traits.passes`), where the object or nothing is before it.
_PASSING = (
    # All but the constructor.
    Form("init", r"(?:(?<![\s.]__init)|(?!__\())\w*\("),
    Form("reset_param", r"\w*\("),
    Form("apply("),
    Form("load_state_dict("),
    Form("from_pretrained("),
)
_PLAIN_CALL = re.compile(r"\(([\w\s.,]*)\)")
_ATTRIBUTE = re.compile(r"self\.(\w+)")
_COPIED = Form("copy_(")
_OWNED = re.compile(r"\.(\w+)(?:\[[^\]]*\])?(?:\.data)?(?:\[[^\]]*\])?\.$")
_GIVEN = re.compile(r"\s*\w+(?:\.\w+)*?\.(\w+)(?:\.data)?[\s,\[]")
_BEFORE = re.compile(r"[\w()\[\]]")
_MADE = re.compile(r"[A-Z](?<!\w[A-Z])\w*+(?=\()")
_TESTED = Form("isinstance", r"\s*\(([^)]*(?:\([^)]*\))?[^)]*)\)")


def tested(text: str) -> frozenset[str]:
    """Return the names in `isinstance` tests."""
    return frozenset(w for match in _TESTED.matches(text) for w in re.findall(r"\w+", match[1]))


def outline_text(text: str, path: str) -> Outline:
    """Return the outline of a file that needs no closer look.

    Without a syntax tree what stands behind a class counts as made, called or run by it.
    """
    text = f"\n{text}"
    places = [(m.start(), m[1]) for m in _CLASS.matches(text)]
    methods = _by_class(places, ((m.start(), m[1]) for m in _METHOD.matches(text)))
    heads = {m[1]: _bases(m[2] or "") for m in _HEAD.matches(text)}
    classes = {name: (bases, methods.get(name, frozenset())) for name, bases in heads.items()}
    reached = [*_reached(text)]
    others = frozenset(
        (word, -1 if through == "" else _number(text, at + len(word)), "")
        for at, through, word in reached
        if through not in {"self", "super()"} and not through[:1].isupper()
    )
    on_self = _by_class(places, ((at, word) for at, through, word in reached if through == "self"))
    passing = dict.fromkeys(_by_class(places, _passing(text)), frozenset({"call"}))
    return Outline(
        path, tested(text), classes, _makers(text, places), passing, frozenset(_copied(text)),
        dispatched=others, on_self=on_self, held=_held(text, places, heads),
    )  # fmt: skip


_Places = Sequence[tuple[int, str]]


def _by_class(places: _Places, words: Iterable[tuple[int, str]]) -> dict[str, frozenset[str]]:
    """Return the words behind the head of each class; under "" those before the first one."""
    found: dict[str, set[str]] = {}
    starts = [at for at, _ in places]
    for at, word in words:
        behind = bisect_right(starts, at) - 1
        found.setdefault(places[behind][1] if behind >= 0 else "", set()).add(word)
    return {name: frozenset(words) for name, words in found.items()}


def _passing(text: str) -> Iterator[tuple[int, str]]:
    """Yield the calls, on the object itself or of a plain function, that may fill all its parts."""
    for match in (m for passing in _PASSING for m in passing.matches(text)):
        before = _line_before(text, word_start(text, match.start()))
        other = before.endswith(".") and not before.endswith((" self.", "(self.", "super()."))
        if not before.endswith("def ") and (not other or match[0] == "apply("):
            yield match.start(), match[0]


def _line_before(text: str, at: int) -> str:
    return text[text.rfind("\n", 0, at) + 1 : at]


def _number(text: str, at: int) -> int:
    """Return how many arguments a call has whose bracket opens at a place; -1 if it is not told."""
    plain = _PLAIN_CALL.match(text, at)
    if plain is None:
        return -1
    return plain[1].count(",") + 1 if plain[1].strip() else 0


def _held(
    text: str, places: _Places, heads: Mapping[str, tuple[str, ...]]
) -> dict[str, frozenset[str]]:
    """Return the attributes that classes which derive from others name outside forward passes."""
    found: dict[str, frozenset[str]] = {}
    ends = [at for at, _ in (*places, (len(text), ""))][1:]
    for (start, name), end in zip(places, ends, strict=True):
        if not heads.get(name):
            continue
        methods = text[start:end].split("    def ")
        kept = "".join(m for m in methods if not m.startswith(("forward(", "__call__(")))
        found[name] = found.get(name, frozenset()) | frozenset(_ATTRIBUTE.findall(kept))
    return found


def _copied(text: str) -> Iterator[str]:
    """Yield the attributes that values are copied to: ``x.name.copy_(v)``, ``copy_(x.name, v)``."""
    for match in _COPIED.matches(text):
        found = _OWNED.search(_line_before(text, match.start())) or _GIVEN.match(text, match.end())
        if found is not None:
            yield found[1]


def _reached(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield methods named on an object, or in strings, with their place and what is before."""
    for match in (m for reached in _REACHED for m in reached.matches(text)):
        start = word_start(text, match.start())
        before = text[start - 1 : start]
        if before in {'"', "'"}:
            yield start, "", text[start : match.end()]
        elif before == ".":
            begin = start - 1
            while begin and _BEFORE.match(text[begin - 1]):
                begin -= 1
            if begin < start - 1:
                through = text[begin : start - 1]
                # self.apply(self._init_weights)
                through = "self" if through.endswith("(self") else through
                yield start, through, text[start : match.end()]


def _bases(text: str) -> tuple[str, ...]:
    """Return the last word of each base in the brackets of a class."""
    words = (part.partition("[")[0].strip().rpartition(".")[2] for part in text.split(","))
    return tuple(word for word in words if word and "=" not in word)


def _makers(text: str, heads: _Places) -> Mapping[str, frozenset[str]]:
    """Return which classes call each capitalised name, by where the classes begin."""
    found: dict[str, set[str]] = {}
    starts = [(0, ""), *heads]
    for (start, owner), (end, _) in zip(starts, [*heads, (len(text), "")], strict=True):
        # What calls a class within its own lines stands behind it, or makes objects like itself.
        begin = start + len(f"class {owner}") if owner else start
        for name in _MADE.findall(text, begin, end):
            found.setdefault(name, set()).add("" if name == owner else owner)
    return {name: frozenset(owners) for name, owners in found.items()}
