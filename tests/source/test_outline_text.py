"""What is told of a file that is not parsed: at least what its syntax tree would tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from initaudit.catalogue import load
from initaudit.source.file import File
from initaudit.source.outline import Outline
from initaudit.source.outline_text import outline_text
from initaudit.source.parsing import parse
from initaudit.source.project import outline

FIXTURES = Path(__file__).parents[2] / "fixtures" / "source"
FILES = sorted(FIXTURES.rglob("*.py"))
CATALOGUE = load()


def tree(text: str) -> Outline:
    return outline(File(parse(text, "f.py"), CATALOGUE))


def plain(text: str) -> Outline:
    return outline_text(text, "f.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_text_tells_no_less_of_classes_and_methods_than_the_tree(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    told, known = plain(text), tree(text)
    assert told.tested == known.tested
    assert told.classes.keys() == known.classes.keys()
    for name, (bases, methods) in known.classes.items():
        assert told.classes[name][0] == bases
        assert told.classes[name][1] >= {m for m in methods if "init" in m and m[-2:] != "__"}
    for part, by in known.makers.items():
        # Code behind a class counts as the class's, and what calls a class of that name does not.
        assert told.makers[part] >= by - {"", part}
    for owner, names in known.on_self.items():
        assert told.on_self[owner] >= names
    for word, number, _ in known.dispatched:
        assert {(word, number, ""), (word, -1, "")} & told.dispatched
    for heir, words in known.held.items():
        assert told.held[heir] >= words


@pytest.mark.parametrize(
    ("line", "passes"),
    [
        ("self.apply(fill)", True),
        ("net.apply(fill)", True),
        ("init_all(self)", True),
        ("self.post_init()", True),
        ("super().__post_init__()", True),
        ("self.load_state_dict(held)", True),
        ("self.net.load_state_dict(held)", False),
        ("super().__init__()", False),
        ("initial = 3", False),
        ("Base.from_pretrained(name)", False),
    ],
)
def test_a_call_that_may_fill_all_parts_counts_as_a_pass(line: str, *, passes: bool) -> None:
    text = f"class A(Base):\n    def build(self):\n        {line}\n"
    assert plain(text).passes == ({"A": {"call"}} if passes else {})


@pytest.mark.parametrize(
    ("call", "told"),
    [
        ("x.init_weights()", {("init_weights", 0, "")}),
        ("x.init_weights(a, b)", {("init_weights", 2, "")}),
        ("x.init_weights(f(a), b)", {("init_weights", -1, "")}),
        ("x[0].init_weights(*a)", {("init_weights", -1, "")}),
        ('hooks["init_weights"]', {("init_weights", -1, "")}),
        ("self.init_weights()", set()),
        ("super().init_weights()", set()),
        ("Base.init_weights(self)", set()),
        ("init_weights(self)", set()),
    ],
)
def test_a_method_that_fills_is_told_with_the_number_of_its_arguments(
    call: str, told: set[tuple[str, int, str]]
) -> None:
    assert plain(f"def f(x):\n    {call}\n").dispatched == told


@pytest.mark.parametrize(
    ("call", "written"),
    [
        ("x.scores.copy_(y)", {"scores"}),
        ("x.scores.data.copy_(y)", {"scores"}),
        ("x.scores[0].copy_(y)", {"scores"}),
        ("tree.copy_(x.scores, y)", {"scores"}),
        ("scores.copy_(y)", set()),
    ],
)
def test_an_attribute_that_values_are_copied_to_is_written(call: str, written: set[str]) -> None:
    assert plain(f"def f(x):\n    {call}\n").written == written


def test_forward_passes_hold_nothing() -> None:
    text = (
        "class A(Base):\n    def build(self):\n        fill(self.fc)\n\n"
        "    def forward(self, x):\n        return self.mix(x)\n"
    )
    assert plain(text).held == {"A": {"fc"}}
    assert plain(text.replace("(Base)", "")).held == {}


def test_a_class_within_a_class_is_told() -> None:
    told = plain("class A(Base):\n    class B(Other[int], metaclass=M):\n        pass\n")
    assert told.classes == {"A": (("Base",), frozenset()), "B": (("Other",), frozenset())}
