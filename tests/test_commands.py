"""The commands beside the audit: lists, pages, completion, and what a misspelt word is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from initaudit.commands import NAMES, command
from initaudit.commands.completion import resolved
from initaudit.rulebook import load
from tests.command import ROOT, run

Capsys = pytest.CaptureFixture[str]


def test_rules_as_json_hold_what_the_pages_say(capsys: Capsys) -> None:
    told = run(capsys, "rules", "--output-format", "json")
    assert told.code == 0
    known = load()
    documents = {one["id"]: one for one in json.loads(told.out)}
    assert set(documents) == set(known)
    one = documents["IA103"]
    assert one["limits"] == dict(known["IA103"].limits)
    assert one["severity"] == "warning"
    assert "## Bad" in one["page"]


@pytest.mark.parametrize("word", ["IA1O3", "ia1o3", "too-smal", "to-small"])
def test_a_misspelt_rule_is_told_its_neighbours(capsys: Capsys, word: str) -> None:
    told = run(capsys, "explain", word)
    assert told.code == 2
    near = "IA103" if word.lower().startswith("ia") else "too-small"
    assert f"did you mean {near}" in told.err or near in told.err.split("did you mean ")[1]


def test_a_misspelt_command_is_told_the_right_one(capsys: Capsys) -> None:
    told = run(capsys, "expalin", "IA103")
    assert told.code == 2
    assert "did you mean `initaudit explain`?" in told.err


def test_a_file_of_that_name_is_no_misspelt_command(
    capsys: Capsys, tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkdir("rule")  # noqa: PTH102
    told = run(capsys, "rule")
    assert "did you mean" not in told.err


def test_a_misspelt_option_is_told_the_right_one(capsys: Capsys) -> None:
    told = run(capsys, "--output-fromat", "json", ".")
    assert told.code == 2
    assert "--output-format" in told.err


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_a_help_of_its_own(capsys: Capsys, name: str) -> None:
    told = run(capsys, name, "--help")
    assert told.code == 0
    assert told.out.startswith(f"Usage: initaudit {name}")
    assert command(name).help


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_for_a_shell_is_printed(capsys: Capsys, shell: str) -> None:
    told = run(capsys, "completion", shell)
    assert told.code == 0
    assert f"_INITAUDIT_COMPLETE={shell}_complete" in told.out


@pytest.mark.parametrize(
    ("words", "at", "expected"),
    [
        ("initaudit la", 1, "plain,lab"),
        ("initaudit --output-f", 1, "plain,--output-format"),
        ("initaudit --output-format sar", 2, "plain,sarif"),
        ("initaudit rules --output-format js", 3, "plain,json"),
        ("initaudit completion fi", 2, "plain,fish"),
        ("initaudit lab ze", 2, "plain,zero"),
    ],
)
def test_words_are_completed(words: str, at: int, expected: str) -> None:
    variables = {
        **os.environ, "COMP_WORDS": words, "COMP_CWORD": str(at),
        "_INITAUDIT_COMPLETE": "bash_complete", "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    asked = [sys.executable, "-m", "initaudit"]
    told = subprocess.run(asked, env=variables, capture_output=True, text=True)
    assert expected in told.stdout.splitlines()


def test_fish_hands_over_the_word_itself() -> None:
    given = {"COMP_WORDS": "initaudit rules --out", "COMP_CWORD": "--out"}
    assert resolved(given) == ("rules", {"COMP_WORDS": "initaudit --out"})
    first = {"COMP_WORDS": "initaudit rul", "COMP_CWORD": "rul"}
    assert resolved(first) == (None, {})
