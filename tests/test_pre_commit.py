"""The hooks, with the real pre-commit: what they are given, what they say, how they end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pre_commit", reason="pre-commit is not installed")

ROOT = Path(__file__).parent.parent
KEPT = ("initaudit", "rules", "pyproject.toml", "README.md", "LICENSE", ".pre-commit-hooks.yaml")
UNREACHABLE = ("No matching distribution found", "ConnectionError", "NewConnectionError")
BAD = "import torch.nn as nn\n\nfc = nn.Linear(8, 8)\nnn.init.normal_(fc.weight, 0.02)\n"


def git(folder: Path, *words: str) -> None:
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *author, *words], cwd=folder, check=True, capture_output=True)


def repository(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "all")
    return folder


@pytest.fixture(scope="module")
def tool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return this project as a repository of its own, whatever state the checkout is in."""
    folder = tmp_path_factory.mktemp("tool")
    for name in KEPT:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder)
    return repository(folder)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(BAD)
    (tmp_path / "good.py").write_text(BAD.replace("0.02", "std=0.02"))
    (tmp_path / "generated.py").write_text(BAD)
    (tmp_path / "note.md").write_text("nn.init.normal_(w, 0.02)\n")
    (tmp_path / "pyproject.toml").write_text('[tool.initaudit]\nexclude = ["generated.py"]\n')
    checkpoint = ROOT / "fixtures/checkpoints/too-small-tanh/model.safetensors"
    shutil.copy(checkpoint, tmp_path)
    return repository(tmp_path)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for the environment of the hooks, so that it is built once."""
    return tmp_path_factory.mktemp("home")


def tried(tool: Path, project: Path, home: Path, hook: str, *files: str) -> tuple[int, str]:
    """Return the exit code and the output of a hook on some files."""
    named = ["--files", *files] if files else ["--all-files"]
    ran = subprocess.run(
        [sys.executable, "-m", "pre_commit", "try-repo", str(tool), hook, "--verbose", *named],
        cwd=project,
        env={**os.environ, "PRE_COMMIT_HOME": str(home), "PRE_COMMIT_COLOR": "never"},
        capture_output=True,
        text=True,
    )
    said = ran.stdout + ran.stderr
    if any(word in said for word in UNREACHABLE):
        pytest.skip("no package index can be reached to build the hook's environment")
    return ran.returncode, said


def test_the_hooks_are_valid() -> None:
    command = [sys.executable, "-m", "pre_commit", "validate-manifest", ".pre-commit-hooks.yaml"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


def test_the_hook_for_source_judges_what_is_staged_and_leaves_out_what_is_excluded(
    tool: Path, project: Path, home: Path
) -> None:
    code, said = tried(tool, project, home, "initaudit")
    assert code == 1
    assert "net.py:4:1: error IA401 std-passed-as-mean" in said
    assert "1 error in 2 files" in said
    assert "IA103" not in said


def test_the_hook_passes_where_nothing_is_found_or_nothing_is_its_business(
    tool: Path, project: Path, home: Path
) -> None:
    code, said = tried(tool, project, home, "initaudit", "good.py")
    assert (code, "Passed" in said) == (0, True)
    code, said = tried(tool, project, home, "initaudit", "note.md")
    assert (code, "no files to check" in said) == (0, True)
    code, said = tried(tool, project, home, "initaudit", "generated.py")
    assert (code, "Passed" in said) == (0, True)


def test_the_hook_for_checkpoints_audits_them(tool: Path, project: Path, home: Path) -> None:
    code, said = tried(tool, project, home, "initaudit-checkpoint")
    assert code == 1
    assert "IA103" in said
    assert "IA401" not in said
