"""Rules as data: one Markdown page each, with TOML front matter."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from pathlib import Path
from typing import Any

HEADINGS = ("Bad", "Good", "When it is right", "References")
SUBJECTS = frozenset({"tensor", "network", "signal", "draw", "pair"})
ORIGINS = frozenset({"declared", "measured", "trained"})

_ID = re.compile(r"IA[1-4]\d\d")
_NAME = re.compile(r"[a-z]+(-[a-z]+)*")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_IDENTIFIER = re.compile(r"[a-z_]+")
_KEYS = frozenset(
    {"id", "name", "severity", "confidence", "judges", "origins", "message", "cure", "limits",
     "yields_to", "enabled", "source"}
)  # fmt: skip
_OPTIONAL = frozenset({"limits", "yields_to", "enabled", "source"})


class Severity(IntEnum):
    """How bad a finding is; the order is the order of ``--fail-on``."""

    NOTE = 1
    WARNING = 2
    ERROR = 3


class Confidence(IntEnum):
    """How sure a finding is."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3


class RulebookError(Exception):
    """A rule page that cannot be used; the text names the page and what is wrong."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule as its page states it.

    ``judges`` are the subjects that its check sees, ``origins`` the networks it applies to.
    ``message`` and ``cure`` are templates over the facts of a finding. ``limits`` holds every
    threshold. ``yields_to`` are rules whose finding on the same layer says it all, so that this
    one keeps quiet. ``summary`` is the text before the first heading, ``sections`` the rest.
    ``source`` holds the ``message`` and ``cure`` for a finding in source, where a page that also
    judges networks needs others.
    A rule that is not ``enabled`` is off until it is selected by its full id or its name.
    """

    id: str
    name: str
    severity: Severity
    confidence: Confidence
    judges: tuple[str, ...]
    origins: tuple[str, ...]
    message: str
    cure: str
    limits: Mapping[str, float]
    yields_to: tuple[str, ...]
    summary: str
    sections: Mapping[str, str]
    enabled: bool = True
    source: Mapping[str, str] = field(default_factory=dict)

    @property
    def markdown(self) -> str:
        """The page as a person reads it."""
        body = [f"# {self.name} ({self.id})", "", self.summary]
        for heading, text in self.sections.items():
            body += ["", f"## {heading}", "", text]
        return "\n".join(body) + "\n"


def rules_folder() -> Path:
    """Return the folder of the built-in rules: packed into the wheel, or beside the package."""
    packed = Path(__file__).parent / "rules"
    return packed if packed.is_dir() else Path(__file__).parent.parent / "rules"


def parse_page(text: str, where: str) -> Rule:
    """Read one page.

    Raises:
        RulebookError: for anything that is missing, unknown or of the wrong type.
    """
    match = re.match(r"\+\+\+\n(.*?)\n\+\+\+\n(.*)\Z", text, re.DOTALL)
    if match is None:
        raise RulebookError(f"{where}: a page begins with TOML between +++ lines")
    try:
        front = tomllib.loads(match[1])
    except tomllib.TOMLDecodeError as error:
        raise RulebookError(f"{where}: front matter is not TOML: {error}") from None
    _check_front(front, where)
    summary, sections = _sections(match[2], where)
    return Rule(
        id=front["id"],
        name=front["name"],
        severity=Severity[front["severity"].upper()],
        confidence=Confidence[front["confidence"].upper()],
        judges=tuple(front["judges"]),
        origins=tuple(front["origins"]),
        message=front["message"],
        cure=front["cure"],
        limits={key: float(value) for key, value in front.get("limits", {}).items()},
        yields_to=tuple(front.get("yields_to", ())),
        summary=summary,
        sections=sections,
        enabled=front.get("enabled", True),
        source=front.get("source", {}),
    )


def load(folders: Iterable[Path] = ()) -> Mapping[str, Rule]:
    """Return the built-in rules, by id, with the pages of ``folders`` merged over them in order.

    Raises:
        RulebookError: for a broken page, or two pages of one id in a folder.
    """
    rules: dict[str, Rule] = {}
    for folder in (rules_folder(), *folders):
        found: dict[str, Rule] = {}
        for page in sorted(folder.glob("IA*.md")):
            try:
                text = page.read_text(encoding="utf-8-sig")
            except (OSError, UnicodeDecodeError) as error:
                raise RulebookError(f"{page}: cannot be read: {error}") from None
            rule = parse_page(text, str(page))
            if page.stem != f"{rule.id}-{rule.name}":
                raise RulebookError(f"{page}: the file must be named {rule.id}-{rule.name}.md")
            if rule.id in found:
                raise RulebookError(f"{page}: {rule.id} has two pages in one folder")
            found[rule.id] = rule
        rules |= found
    return dict(sorted(rules.items()))


def with_limits(
    rules: Mapping[str, Rule], overrides: Mapping[str, Mapping[str, float]]
) -> Mapping[str, Rule]:
    """Return the rules with some limits replaced; keys must exist (see `config`)."""
    return {
        key: replace(rule, limits={**rule.limits, **overrides.get(key, {})})
        for key, rule in rules.items()
    }


def chosen(
    rules: Mapping[str, Rule], select: Sequence[str] = (), ignore: Sequence[str] = ()
) -> frozenset[str]:
    """Return the ids that are on: prefixes or names; the longer, more exact prefix wins.

    A rule whose page says ``enabled = false`` is on only where its id or name is selected.
    """

    def weight(rule: Rule, patterns: Sequence[str]) -> int:
        exact = [len(rule.id) + 1 for p in patterns if p == rule.name]
        prefix = [len(p) for p in patterns if rule.id.startswith(p)]
        return max([-1, *exact, *prefix])

    return frozenset(
        rule.id
        for rule in rules.values()
        if (rule.enabled or rule.id in select or rule.name in select)
        and (weight(rule, select) if select else 0) > weight(rule, ignore)
    )


def unmatched(rules: Mapping[str, Rule], patterns: Sequence[str]) -> list[str]:
    """Return the patterns that select no rule."""
    names = {rule.name for rule in rules.values()}
    return [
        p for p in patterns if p not in names and not (p and any(i.startswith(p) for i in rules))
    ]


def placeholders(template: str) -> list[str]:
    """Return the names in a message template, in order."""
    return _PLACEHOLDER.findall(template)


def fill(template: str, facts: Mapping[str, float | str]) -> str:
    """Return the template with each ``{name}`` replaced by its fact, numbers in short form.

    Raises:
        KeyError: when a fact is missing.
    """
    return _PLACEHOLDER.sub(lambda m: show(facts[m[1]]), template)


def show(value: float | str) -> str:
    """Return a number in at most three significant digits; text unchanged."""
    if isinstance(value, str):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.3g}"


def _check_front(front: Mapping[str, Any], where: str) -> None:
    if unknown := sorted(set(front) - _KEYS):
        raise RulebookError(f"{where}: unknown key {unknown[0]!r}")
    if missing := sorted(_KEYS - _OPTIONAL - set(front)):
        raise RulebookError(f"{where}: key {missing[0]!r} is missing")
    for key in ("id", "name", "severity", "confidence", "message", "cure"):
        if not isinstance(front[key], str):
            raise RulebookError(f"{where}: {key!r} must be a string")
    words = (
        (_ID.fullmatch(front["id"]), "id must be IA1xx to IA4xx"),
        (_NAME.fullmatch(front["name"]), "name must be lower-case words and hyphens"),
        (front["severity"].upper() in Severity.__members__, "severity is error, warning or note"),
        (
            front["confidence"].upper() in Confidence.__members__,
            "confidence is high, medium or low",
        ),
        (_lists(front["judges"], SUBJECTS), f"judges must list some of {sorted(SUBJECTS)}"),
        (_lists(front["origins"], ORIGINS), f"origins must list some of {sorted(ORIGINS)}"),
        (_numbers(front.get("limits", {})), "[limits] must hold numbers"),
        (_ids(front.get("yields_to", [])), "yields_to must list rule ids"),
        (isinstance(front.get("enabled", True), bool), "enabled must be true or false"),
        (_texts(front.get("source", {})), "[source] must hold the strings message and cure"),
    )
    for held, complaint in words:
        if not held:
            raise RulebookError(f"{where}: {complaint}")
    for name in placeholders(
        "".join([front["message"], front["cure"], *front.get("source", {}).values()])
    ):
        if not _IDENTIFIER.fullmatch(name):
            raise RulebookError(f"{where}: placeholder {{{name}}} is not a plain identifier")


def _lists(value: object, known: frozenset[str]) -> bool:
    return isinstance(value, list) and bool(value) and set(map(str, value)) <= known


def _texts(value: object) -> bool:
    return isinstance(value, dict) and (
        not value
        or (set(value) == {"message", "cure"} and all(isinstance(v, str) for v in value.values()))
    )


def _ids(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(v, str) and _ID.fullmatch(v) is not None for v in value
    )


def _numbers(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v)
        for v in value.values()
    )


def _sections(body: str, where: str) -> tuple[str, Mapping[str, str]]:
    parts = re.split(r"^## (.+)$", body, flags=re.MULTILINE)
    summary = re.sub(r"^# .*\n", "", parts[0].strip() + "\n").strip()
    sections = {h.strip(): t.strip() for h, t in zip(parts[1::2], parts[2::2], strict=True)}
    if tuple(sections) != HEADINGS:
        raise RulebookError(f"{where}: the headings must be {', '.join(HEADINGS)}, in this order")
    if not summary or not all(sections.values()):
        raise RulebookError(f"{where}: a section is empty")
    return summary, sections
