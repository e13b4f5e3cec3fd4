from __future__ import annotations

from pathlib import Path

import pytest

from initaudit.architecture import ArchitectureError, architectures_folder, load
from initaudit.architecture.reading import read
from initaudit.auditing import audit_mapping
from initaudit.options import Options, OptionsError
from tests.architecture.toy import TOY, arrays, written
from tests.command import run, saved

MISTAKES = [
    ('name = "toy"\n', "name = 3\n", "name must be a string"),
    ('name = "toy"\n', 'name = "toy"\ncolour = 1\n', "unknown key 'colour'"),
    ('marks = ["words.weight", "h.0.up.weight"]\n', "", "key 'marks' is missing"),
    ('marks = ["words.weight", "h.0.up.weight"]\n', 'marks = "words"\n', "marks must list strings"),
    ('block = ["gated", "block"]', 'block = "absent"', "there is no block 'absent'"),
    (', op = "embedding" }', " }", "steps[0]: a step has an op"),
    ('op = "embedding" }', 'op = "embedding", as = "both" }', "steps[0]: a step has an op"),
    ('{ as = "added",', '{ as = "added", when = 3,', "blocks.block[3] must be a table"),
    ('role = "head"', "role = 3", "role must be a string"),
    ('heads = "$heads" }', 'heads = "$hands" }', "there is no setting 'hands'"),
    ('shape = ["$length"]', 'shape = ["$depth"]', "there is no setting 'depth'"),
    ('shape = ["$length"]', "shape = 4", "shape must list numbers"),
    ('quotient = ["width", 4]', 'quotient = ["breadth", 4]', "there is no setting 'breadth'"),
    ('quotient = ["width", 4]', "quotient = 4", "works on a list"),
    ('divides = "width"', 'divide = "width"', "settings.heads: unknown key 'divide'"),
    ('["words.weight", 1]', '["words.weight"]', "extent must be a stored name and an axis"),
    ("length = 5", "length = { default = { a = 1 } }", "is no number, word, truth value"),
    ("length = 5", 'length = { less = "many" }', "many"),
    ("[settings]", "[settings", "toy.toml"),
]


@pytest.mark.parametrize(("old", "new", "said"), MISTAKES, ids=[m[2] for m in MISTAKES])
def test_a_mistake_is_named_with_its_file_and_place(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert old in TOY
    folder = written(tmp_path, TOY.replace(old, new, 1))
    with pytest.raises(ArchitectureError) as caught:
        read(folder / "architectures" / "toy.toml")
    text = str(caught.value)
    assert str(folder / "architectures" / "toy.toml") in text
    assert said in text
    assert "\n" not in text


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path) / "architectures" / "toy.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ArchitectureError, match=r"toy\.toml"):
        read(path)


def test_a_users_file_with_a_mistake_ends_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = written(tmp_path, TOY.replace('name = "toy"\n', "colour = 1\n", 1))
    with pytest.raises(OptionsError, match=r"toy\.toml: unknown key 'colour'"):
        audit_mapping(arrays(), "memory", Options(rules=(folder,)))
    ran = run(capsys, saved(tmp_path / "m.safetensors", arrays()), "--rules", folder)
    assert ran.code == 2
    assert "toy.toml: unknown key 'colour'" in ran.err


@pytest.mark.parametrize(
    "path", sorted(architectures_folder().glob("*.toml")), ids=lambda p: p.stem
)
def test_every_built_in_file_can_be_read(path: Path) -> None:
    made = read(path)
    assert made.marks or made.either
    assert made.steps


def test_no_two_built_in_files_have_a_name() -> None:
    assert len(load()) == len(list(architectures_folder().glob("*.toml")))
