"""The cache: what goes in comes out, what is broken in it is not believed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path

import pytest

from initaudit.catalogue import load as load_catalogue
from initaudit.rulebook import Rule, load
from initaudit.source import batch, cache, linting, parsing
from initaudit.source.batch import Source, Work, check_files
from initaudit.source.cache import Cache
from initaudit.source.linting import Checked
from initaudit.source.plain import NotPlainError, reader, writer

FIXTURES = sorted((Path(__file__).parents[2] / "fixtures" / "source").rglob("*.py"))
RULES = load()
CATALOGUE = load_catalogue()


@pytest.mark.parametrize("path", FIXTURES, ids=lambda p: p.stem)
def test_what_a_file_came_to_survives_being_written(path: Path) -> None:
    checked = linting.check_bytes(path.read_bytes(), "a.py", RULES, CATALOGUE)
    assert checked.claims or checked.outline
    assert cache.read(cache.written(checked), "a.py") == checked


def test_unread_files_and_comments_survive_being_written() -> None:
    for content in (b"import torch\ninit.x(\n", b"x = 1  # initaudit: ignore[IA401]\n"):
        checked = linting.check_bytes(content, "a.py", RULES, CATALOGUE)
        assert checked.unread or checked.ignores
        assert cache.read(cache.written(checked), "a.py") == checked


class Level(IntEnum):
    LOW = 1


@dataclass(frozen=True)
class Inner:
    number: float
    level: Level | None


@dataclass(frozen=True)
class Outer:
    inner: tuple[Inner, ...]
    pair: tuple[str, int]
    words: frozenset[str]
    table: Mapping[str, frozenset[int]]
    fact: float | int | str | None


VALUE = Outer(
    (Inner(1.5, Level.LOW), Inner(2.0, None)), ("a", 1), frozenset({"x", "y"}),
    {"k": frozenset({1, 2})}, "text",
)  # fmt: skip


def test_values_become_json_and_back_by_their_types() -> None:
    plain = json.loads(json.dumps(writer(Outer)(VALUE)))
    assert reader(Outer)(plain) == VALUE
    assert writer(Outer)(VALUE)[2] == ["x", "y"]


@pytest.mark.parametrize(
    ("at", "value"),
    [(0, {}), (0, [[1.5]]), (0, [["1", 1]]), (0, [[1.5, 7]]), (1, ["a"]), (1, ["a", "b"]),
     (2, "x"), (2, [1]), (3, []), (3, {"k": 1}), (4, [1]), (4, True)],
)  # fmt: skip
def test_what_is_not_of_its_type_is_refused(at: int, value: object) -> None:
    plain = writer(Outer)(VALUE)
    plain[at] = value
    with pytest.raises(NotPlainError):
        reader(Outer)(plain)


@pytest.mark.parametrize("kind", [object, dict[int, str], int | list[int], bytes])
def test_types_without_a_plain_form_are_an_error_of_the_program(kind: object) -> None:
    for made in (writer, reader):
        with pytest.raises(TypeError):
            made(kind)


# Runs over files.


CODE = """\
import torch.nn as nn

nn.init.normal_(layer.weight, 0.02)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a.py", "b.py"):
        Path(name).write_text(CODE)
    Path("plain.py").write_text("x = 1\n")
    return tmp_path


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the paths that are parsed from here on."""
    seen: list[str] = []
    parse = parsing.parse

    def watched(text: str, path: str) -> object:
        seen.append(path)
        return parse(text, path)

    monkeypatch.setattr(linting, "parse", watched)
    return seen


def run(*names: str, rules: Mapping[str, Rule] = RULES, always: bool = False) -> list[Checked]:
    sources = [Source(name, always) for name in names]
    return check_files(sources, Work(rules), cache=Path("cache"), jobs=1)


@pytest.mark.usefixtures("project")
def test_unchanged_files_cost_no_parse_and_changed_ones_do(parsed: list[str]) -> None:
    first = run("a.py", "b.py", "plain.py")
    assert parsed == ["a.py", "b.py"]
    parsed.clear()
    assert run("a.py", "b.py", "plain.py") == first
    assert parsed == []
    Path("b.py").write_text(CODE + "x = 1\n")
    run("a.py", "b.py", "plain.py")
    assert parsed == ["b.py"]


@pytest.mark.usefixtures("project")
def test_the_same_bytes_under_another_name_are_another_file(parsed: list[str]) -> None:
    run("a.py")
    Path("a.py").rename("test_a.py")
    parsed.clear()
    (only,) = run("test_a.py")
    assert parsed == ["test_a.py"]
    assert {claim.hit.site.path for claim in only.claims} == {"test_a.py"}


@pytest.mark.usefixtures("project")
def test_other_limits_or_another_version_start_anew(
    parsed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("a.py")
    other = {**RULES, "IA104": replace(RULES["IA104"], limits={**RULES["IA104"].limits, "x": 1.0})}
    run("a.py", rules=other)
    assert parsed == ["a.py", "a.py"]
    run("a.py", rules=other)
    assert parsed == ["a.py", "a.py"]
    monkeypatch.setattr(cache, "VERSION", "0.0.0+other")
    run("a.py", rules=other)
    assert parsed == ["a.py"] * 3


def test_a_framework_described_by_the_user_is_part_of_the_key(tmp_path: Path) -> None:
    before = cache.key(RULES, [tmp_path])
    (tmp_path / "frameworks").mkdir()
    (tmp_path / "frameworks/mine.toml").write_text("a = 1\n")
    assert cache.key(RULES, [tmp_path]) != before


@pytest.mark.usefixtures("project")
def test_a_named_file_is_not_taken_from_a_run_that_did_not_parse_it() -> None:
    Path("broken.py").write_text("def f(:\n")
    (first,) = run("broken.py")
    assert first.unread == ()
    (named,) = run("broken.py", always=True)
    assert [u.site.line for u in named.unread] == [1]
    (again,) = run("broken.py")
    assert again.unread == ()
    assert run("broken.py", always=True) == [named]


LINES = {
    "nothing": b"",
    "noise": os.urandom(4096),
    "another key": b"00\nx\ty\tz\n",
    "text": b"not a cache at all\n" * 50,
}


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("content", LINES.values(), ids=LINES)
def test_a_cache_that_is_none_is_ignored(content: bytes, parsed: list[str]) -> None:
    expected = run("a.py")
    Path("cache/lint.jsonl").write_bytes(content)
    parsed.clear()
    assert run("a.py") == expected
    assert parsed == ["a.py"]
    parsed.clear()
    assert run("a.py") == expected
    assert parsed == []


def damaged(line: bytes) -> list[bytes]:
    mark, name, value = line.split(b"\t", 2)
    kept = json.loads(value)
    wrong = [*kept]
    wrong[0] = [[*kept[0][0][:-1], [99]]]
    values = [value[:-7], b"{}", b"[]", b"null", b"[" * 5000, json.dumps(wrong).encode()]
    return [b"\t".join((mark, name, v)) for v in values] + [b"\t".join((mark, name)), mark]


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("number", range(8))
def test_a_broken_line_is_ignored_and_the_others_are_used(number: int, parsed: list[str]) -> None:
    expected = run("a.py", "b.py")
    path = Path("cache/lint.jsonl")
    head, a, b, end = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join((head, damaged(a)[number], b, end)))
    parsed.clear()
    assert run("a.py", "b.py") == expected
    assert parsed == ["a.py"]


@pytest.mark.usefixtures("project")
def test_a_folder_of_the_cache_says_what_it_is_and_stays_out_of_git() -> None:
    run("a.py")
    assert Path("cache/.gitignore").read_text() == "*\n"
    assert (
        Path("cache/CACHEDIR.TAG")
        .read_text()
        .startswith("Signature: 8a477f597d28d172789f06886806bc55")
    )
    assert sorted(p.name for p in Path("cache").iterdir()) == [
        ".gitignore", "CACHEDIR.TAG", "lint.jsonl",
    ]  # fmt: skip


@pytest.mark.usefixtures("project")
def test_a_cache_that_cannot_be_written_is_no_failure() -> None:
    Path("cache").write_text("a file stands in the way")
    assert len(run("a.py")[0].claims) == len(run("a.py")[0].claims) == 1


@pytest.mark.usefixtures("project")
def test_a_run_over_some_files_keeps_what_is_known_of_the_others(parsed: list[str]) -> None:
    run("a.py", "b.py")
    Path("a.py").write_text(CODE + "\n")
    run("a.py")
    parsed.clear()
    run("b.py")
    assert parsed == []


@pytest.mark.usefixtures("project")
def test_files_that_are_gone_leave_the_cache() -> None:
    run("a.py", "b.py")
    Path("b.py").unlink()
    Path("a.py").write_text(CODE + "\n")
    run("a.py")
    assert b"b.py" not in Path("cache/lint.jsonl").read_bytes()


@pytest.mark.usefixtures("project")
def test_nothing_is_written_where_nothing_changed() -> None:
    run("a.py")
    before = Path("cache/lint.jsonl").stat()
    run("a.py")
    assert Path("cache/lint.jsonl").stat().st_ino == before.st_ino


def test_the_cache_never_loads_what_can_run() -> None:
    names = set(vars(cache)) | set(vars(batch))
    assert not names & {"pickle", "marshal", "shelve", "eval", "exec"}
    assert isinstance(Cache.open(Path("absent"), "key"), Cache)


# Processes.


def many(folder: Path, count: int) -> list[Source]:
    for i in range(count):
        (folder / f"m{i:03}.py").write_text(CODE + f"x = {i}\n" * (i % 3))
    (folder / "m005.py").write_text("import torch\ninit.x(\n")
    return [Source(str(folder / f"m{i:03}.py")) for i in range(count)] + [Source("absent.py")]


def test_processes_change_neither_results_nor_their_order(tmp_path: Path) -> None:
    sources = many(tmp_path, 40)
    alone = check_files(sources, Work(RULES), jobs=1)
    assert sum(len(one.claims) for one in alone) == 39
    assert [len(one.unread) for one in alone].count(1) == 2
    assert check_files(sources, Work(RULES), jobs=2) == alone


def test_processes_fill_the_cache(tmp_path: Path, parsed: list[str]) -> None:
    sources = many(tmp_path, 20)
    first = check_files(sources, Work(RULES), cache=tmp_path / "c", jobs=2)
    assert check_files(sources, Work(RULES), cache=tmp_path / "c", jobs=2) == first
    assert parsed == []


@pytest.mark.parametrize(
    ("files", "environment", "more"),
    [(batch.MANY, {}, False), (batch.MANY + 1, {}, True),
     (batch.MANY + 1, {"PRE_COMMIT": "1"}, False)],
)  # fmt: skip
def test_processes_are_for_many_files_and_not_under_pre_commit(
    files: int, environment: dict[str, str], more: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PRE_COMMIT", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2}, raising=False)
    assert batch._processes(files) == (3 if more else 1)
