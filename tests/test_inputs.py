"""What the paths of a command line come to: folders, links, .gitignore, exclusions."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from initaudit.checkpoint.reading import within
from initaudit.inputs import Exclude, Inputs, expand, matches


def tree(root: Path, files: Iterable[str]) -> Path:
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    return root


def found(*paths: Path, exclude: Exclude | None = None) -> Inputs:
    return expand(paths, lambda: within, exclude or Exclude())


def names(inputs: Inputs, root: Path) -> list[str]:
    return [str(one.path.relative_to(root)) for one in inputs.sources]


def test_a_folder_gives_its_sources_sorted_and_none_is_named(tmp_path: Path) -> None:
    tree(tmp_path, ["b.py", "a.ipynb", "sub/c.py", "note.txt", "sub/d.pyc", "e.pyi"])
    inputs = found(tmp_path)
    assert names(inputs, tmp_path) == ["a.ipynb", "b.py", "sub/c.py"]
    assert not any(one.named for one in inputs.sources)
    assert (inputs.checkpoints, inputs.unread, inputs.empty) == ([], [], [])


def test_a_file_is_a_source_by_its_ending_else_a_checkpoint(tmp_path: Path) -> None:
    tree(tmp_path, ["a.py", "b.ipynb", "c.safetensors"])
    paths = [tmp_path / "a.py", tmp_path / "b.ipynb", Path("-"), tmp_path / "missing.py",
             tmp_path / "c.safetensors", tmp_path / "missing"]  # fmt: skip
    inputs = found(*paths)
    assert [one.path for one in inputs.sources] == paths[:4]
    assert [one.path for one in inputs.checkpoints] == paths[4:]
    assert all(one.named for one in (*inputs.sources, *inputs.checkpoints))


def test_a_file_that_is_reached_twice_counts_once_and_stays_named(tmp_path: Path) -> None:
    tree(tmp_path, ["a.py", "b.py"])
    inputs = found(tmp_path, tmp_path / "a.py", tmp_path / "." / "a.py")
    assert names(inputs, tmp_path) == ["a.py", "b.py"]
    assert [one.named for one in inputs.sources] == [True, False]


def test_a_checkpoint_alone_in_a_folder_is_as_good_as_named(tmp_path: Path) -> None:
    tree(tmp_path, ["model.safetensors"])
    assert [one.named for one in found(tmp_path).checkpoints] == [True]
    tree(tmp_path, ["net.py"])
    assert [one.named for one in found(tmp_path).checkpoints] == [False]


def test_what_others_wrote_is_left_out_of_folders_but_not_where_it_is_named(
    tmp_path: Path,
) -> None:
    left = [".venv/a.py", "venv/a.py", "node_modules/a.py", "x/__pycache__/a.py", ".git/a.py",
            "lib/site-packages/a.py", "build/a.py", "dist/a.py"]  # fmt: skip
    tree(tmp_path, ["a.py", *left])
    assert names(found(tmp_path), tmp_path) == ["a.py"]
    assert names(found(tmp_path / "build"), tmp_path) == ["build/a.py"]


def test_a_folder_with_nothing_to_judge_is_empty(tmp_path: Path) -> None:
    tree(tmp_path, ["a.txt"])
    assert found(tmp_path).empty == [tmp_path]


def test_a_folder_named_like_a_source_is_a_folder(tmp_path: Path) -> None:
    tree(tmp_path, ["net.py/a.py"])
    assert names(found(tmp_path / "net.py"), tmp_path) == ["net.py/a.py"]


def test_links_to_folders_are_not_followed_and_loops_end(tmp_path: Path) -> None:
    tree(tmp_path, ["a.py", "sub/b.py"])
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    (tmp_path / "loop.py").symlink_to("loop.py")
    assert names(found(tmp_path), tmp_path) == ["a.py", "loop.py", "sub/b.py"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may enter every folder")
def test_a_folder_that_cannot_be_entered_is_unread(tmp_path: Path) -> None:
    tree(tmp_path, ["a.py", "closed/b.py"])
    (tmp_path / "closed").chmod(0)
    inputs = found(tmp_path)
    (tmp_path / "closed").chmod(0o700)
    assert names(inputs, tmp_path) == ["a.py"]
    assert [u.reason for u in inputs.unread] == ["cannot be entered: Permission denied"]
    assert not inputs.closed


GITIGNORE = {
    "plain": ("gen.py", ["gen.py", "a/gen.py"], ["my_gen.py"]),
    "anchored": ("/gen.py", ["gen.py"], ["a/gen.py"]),
    "folder": ("gen/", ["gen/a.py", "a/gen/b.py"], ["gen.py"]),
    "wildcard": ("*_pb2.py", ["x_pb2.py", "a/y_pb2.py"], ["pb2.py"]),
    "double star": ("a/**/gen.py", ["a/gen.py", "a/b/c/gen.py"], ["gen.py"]),
    "negated": ("*.py\n!keep.py", ["a.py"], ["keep.py", "a/keep.py"]),
    "comment and blank": ("# keep.py\n\nx.py", ["x.py"], ["keep.py"]),
}


@pytest.mark.parametrize("case", GITIGNORE)
def test_a_gitignore_is_respected(case: str, tmp_path: Path) -> None:
    text, ignored, kept = GITIGNORE[case]
    tree(tmp_path, [*ignored, *kept])
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text(text)
    assert set(names(found(tmp_path), tmp_path)) == set(kept)


def test_a_nearer_gitignore_decides_and_one_above_the_named_folder_counts(tmp_path: Path) -> None:
    tree(tmp_path, ["src/a.py", "src/b.py", "src/deep/a.py"])
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text("a.py\n")
    (tmp_path / "src/deep/.gitignore").write_text("!a.py\n")
    assert names(found(tmp_path / "src"), tmp_path) == ["src/b.py", "src/deep/a.py"]
    assert names(found(tmp_path / "src/a.py"), tmp_path) == ["src/a.py"]


def test_without_a_repository_a_gitignore_is_a_file_like_any_other(tmp_path: Path) -> None:
    tree(tmp_path, ["a.py"])
    (tmp_path / ".gitignore").write_text("a.py\n")
    assert names(found(tmp_path), tmp_path) == ["a.py"]


def test_a_repository_inside_of_a_folder_has_its_own(tmp_path: Path) -> None:
    tree(tmp_path, ["a.py", "repo/a.py", "repo/b.py"])
    (tmp_path / "repo/.git").mkdir()
    (tmp_path / "repo/.gitignore").write_text("a.py\n")
    assert names(found(tmp_path), tmp_path) == ["a.py", "repo/b.py"]


def test_exclusions_are_read_from_the_base_whatever_folder_is_named(tmp_path: Path) -> None:
    tree(tmp_path, ["src/gen/a.py", "src/b.py", "src/c_test.py"])
    exclude = Exclude(("src/gen/", "*_test.py"), tmp_path)
    for root in (tmp_path, tmp_path / "src"):
        assert names(found(root, exclude=exclude), tmp_path) == ["src/b.py"]


def test_a_named_file_is_excluded_only_by_force(tmp_path: Path) -> None:
    tree(tmp_path, ["gen.py", "b.py"])
    paths = [tmp_path / "gen.py", tmp_path / "b.py"]
    plain = Exclude(("gen.py",), tmp_path)
    assert len(found(*paths, exclude=plain).sources) == 2
    forced = Exclude(("gen.py",), tmp_path, force=True)
    assert names(found(*paths, exclude=forced), tmp_path) == ["b.py"]


def test_a_pattern_matches_outside_of_the_base_by_the_whole_path(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    assert matches(["*.py"], str(tmp_path / "a.py"), base)
    assert not matches(["base/*.py"], str(tmp_path / "a.py"), base)
