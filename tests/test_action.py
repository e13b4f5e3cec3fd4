"""The step of the GitHub Action that audits, with the variables that a runner sets."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.command import FIXTURES, ROOT

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="the step is a bash script")

BAD = "import torch.nn as nn\n\nlayer = nn.Linear(3, 4)\nnn.init.normal_(layer.weight, 0.02)\n"


@dataclass(frozen=True, slots=True)
class Step:
    """What the step printed, its outputs and the summary."""

    out: str
    outputs: dict[str, str]
    summary: str


def step(folder: Path, **given: str) -> Step:
    """Run the step in a folder."""
    temporary = folder / "runner temp"
    temporary.mkdir(exist_ok=True)
    command = temporary / "initaudit"
    command.write_text(
        f'#!/bin/sh\necho run >>"$RUNNER_TEMP/runs"\nexec "{sys.executable}" -m initaudit "$@"\n'
    )
    command.chmod(0o755)
    output, summary = temporary / "output", temporary / "summary"
    output.write_text("")
    summary.write_text("")
    variables = {
        **os.environ, "RUNNER_TEMP": str(temporary), "GITHUB_OUTPUT": str(output),
        "GITHUB_STEP_SUMMARY": str(summary), "PYTHONPATH": str(ROOT), **given,
    }  # fmt: skip
    script = [shutil.which("bash") or "bash", str(ROOT / ".ci" / "action"), str(command)]
    ran = subprocess.run(script, cwd=folder, env=variables, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    told = dict(line.split("=", 1) for line in output.read_text().splitlines())
    return Step(ran.stdout, told, summary.read_text())


def git(folder: Path, *words: str) -> None:
    """Run git as somebody."""
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", *words]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def test_findings_are_annotations_sarif_and_a_summary(tmp_path: Path) -> None:
    (tmp_path / "my model.py").write_text(BAD)
    shutil.copytree(FIXTURES / "too-small-tanh", tmp_path / "runs")
    seen = step(tmp_path, PATHS=".")
    assert "::error file=my model.py,line=4" in seen.out
    assert "::warning file=runs/model.safetensors,title=IA103" in seen.out
    assert seen.outputs["exit-code"] == "1"
    results = json.loads(Path(seen.outputs["sarif"]).read_text())["runs"][0]["results"]
    assert {r["ruleId"] for r in results} >= {"IA401", "IA103"}
    assert "std-passed-as-mean" in seen.summary
    assert (tmp_path / "runner temp" / "runs").read_text() == "run\n"


def test_a_healthy_checkpoint_passes(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "healthy-he-relu", tmp_path / "runs")
    seen = step(tmp_path, PATHS="runs")
    assert seen.outputs["exit-code"] == "0"


def test_what_cannot_be_judged_is_no_pass(tmp_path: Path) -> None:
    assert step(tmp_path, PATHS="absent.safetensors").outputs["exit-code"] == "2"


@pytest.mark.skipif(shutil.which("git") is None, reason="changes are told by git")
def test_only_what_a_pull_request_changes_is_judged(tmp_path: Path) -> None:
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    origin.mkdir()
    git(origin, "init", "-q", "-b", "main")
    (origin / "old.py").write_text(BAD)
    git(origin, "add", ".")
    git(origin, "commit", "-qm", "old")
    git(tmp_path, "clone", "-q", "origin", "clone")
    unchanged = step(clone, CHANGED_ONLY="true", BASE="main")
    assert unchanged.outputs == {"exit-code": "0"}
    assert "nothing to judge" in unchanged.summary
    # Names that a shell or an option parser could take for something else.
    for name in ("new $(touch pwned).py", "-q.py"):
        (clone / name).write_text(BAD)
    git(clone, "add", "--", "new $(touch pwned).py", "./-q.py")
    git(clone, "commit", "-qm", "new")
    changed = step(clone, CHANGED_ONLY="true", BASE="main")
    assert "old.py" not in changed.out
    assert changed.out.count("::error ") == 2
    assert changed.outputs["exit-code"] == "1"
    assert not (clone / "pwned").exists()
    lost = step(clone, CHANGED_ONLY="true", BASE="absent")
    assert lost.outputs == {"exit-code": "2"}
    assert "fetch-depth" in lost.out


def test_the_action_hands_over_every_input_as_data() -> None:
    text = (ROOT / "action.yml").read_text()
    inputs = set(re.findall(r"^  ([a-z-]+):$", text.split("outputs:")[0], re.MULTILINE))
    used = set(re.findall(r"\$\{\{ (?:[^}]*?)inputs\.([a-z-]+)", text))
    assert inputs - {"icon"} == used
    scripts = re.findall(r"run: (?:\|\n((?:        .*\n)+)|(.*)\n)", text)
    assert scripts
    assert not any("${{" in line for pair in scripts for line in pair)
