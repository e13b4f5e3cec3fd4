"""``[tool.initaudit]``: what it sets, what beats it, and all that is wrong with it at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from initaudit.config import ConfigError, find, read
from tests.command import FIXTURES, good, run

QUICK = ("--no-probe", "--samples", "16")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(text: str, path: str = "pyproject.toml") -> Path:
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    return target


def wrong(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(written(text))
    return list(caught.value.mistakes)


def test_every_key_is_read() -> None:
    Path("pages").mkdir()
    config = read(
        written(
            "[tool.initaudit]\n"
            'select = ["IA1", "IA2"]\nignore = ["IA106"]\nrules = ["pages"]\nfail-on = "note"\n'
            'stage = "init"\nactivation = "tanh"\ninput-shape = [3, 8, 8]\n'
            'output-format = "json"\nseed = 7\nsamples = 64\nprobe = false\nstrict = true\n'
            "[tool.initaudit.limits.IA103]\nlayer = 0.05\n"
        )
    )
    assert config.values["select"] == ["IA1", "IA2"]
    assert config.values["fail_on"] == "note"
    assert config.values["input_shape"] == [3, 8, 8]
    assert config.values["rules"] == ["pages"]
    assert config.limits == {"IA103": {"layer": 0.05}}


def test_all_mistakes_are_told_at_once_with_their_keys() -> None:
    mistakes = wrong(
        "[tool.initaudit]\n"
        'selct = ["IA101"]\nignore = "IA106"\nfail-on = "fatal"\nstage = 3\nactivation = "rleu"\n'
        'input-shape = [3, 0]\nseed = -1\nsamples = 1\nprobe = "no"\nselect = ["IA999"]\n'
        "[tool.initaudit.limits]\nIA101 = 3\n"
        "[tool.initaudit.limits.IA998]\nx = 1\n"
        '[tool.initaudit.limits.IA103]\nno-such = 1\nlayer = "small"\n'
    )
    assert all(m.startswith("pyproject.toml: tool.initaudit") for m in mistakes)
    assert all("\n" not in m for m in mistakes)
    for part in (
        "selct: unknown", "ignore: must be", "fail-on: must be one of", "stage: must be one of",
        "activation 'rleu'", "input-shape: must be", "seed -1", "samples 1", "probe: must be",
        "select: 'IA999' names no rule", "limits.IA101: must be", "limits.IA998: there is no",
        "limits.IA103.no-such", "limits.IA103.layer: must be a number",
    ):  # fmt: skip
        assert sum(part in m for m in mistakes) == 1, part
    assert len(mistakes) == 14


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[tool.initaudit\n", "is not TOML"),
        ("[tool]\ninitaudit = 3\n", "tool.initaudit: must be a table"),
        ("[tool.initaudit]\nlimits = 3\n", "tool.initaudit.limits: must be a table"),
        ("[tool.initaudit]\nseed = true\n", "seed: must be a whole number"),
        ("[tool.initaudit]\nseed = 1.5\n", "seed: must be a whole number"),
        ("[tool.initaudit]\nselect = [1]\n", "select: must be a list of strings"),
        ('[tool.initaudit]\nrules = ["absent"]\n', "absent"),
        ("[tool.initaudit.limits.IA105]\nspike = 0\n", "limits.IA105.spike: must be above zero"),
        ("[tool.initaudit.limits.IA105]\nspike = nan\n", "limits.IA105.spike: must be above zero"),
        ("[tool.other]\n", "has no [tool.initaudit]"),
    ],
)
def test_one_mistake_is_one_line(text: str, reason: str) -> None:
    (mistake,) = wrong(text)
    assert mistake.startswith("pyproject.toml: ")
    assert reason in mistake


def test_bytes_that_are_no_text() -> None:
    Path("pyproject.toml").write_bytes(b"[tool.initaudit]\n# \xff\n")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        read(Path("pyproject.toml"))


def test_mistakes_reach_the_user_as_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    good(Path("m.safetensors"))
    written('[tool.initaudit]\nselct = ["IA101"]\nseed = "one"\n')
    ran = run(capsys, "m.safetensors")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.count("pyproject.toml: tool.initaudit.") == 2
    assert run(capsys, "m.safetensors", "--config", "pyproject.toml").code == 2


def test_the_nearest_file_with_a_table_counts() -> None:
    written("[tool.initaudit]\nseed = 1\n")
    written("[tool.other]\n", "inner/pyproject.toml")
    deep = Path("inner/deep").absolute()
    deep.mkdir()
    assert find(deep) == Path("pyproject.toml").absolute()
    nearer = written("[tool.initaudit]\nseed = 2\n", "inner/pyproject.toml")
    assert find(deep) == nearer.absolute()


@pytest.mark.parametrize("content", [b"[tool\n", b"\xff\xfe", b""])
def test_a_broken_file_that_does_not_name_us_is_another_tools_to_report(
    content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    good(Path("m.safetensors"))
    Path("pyproject.toml").write_bytes(content)
    assert run(capsys, "m.safetensors", *QUICK).code == 0


def test_a_broken_file_that_names_us_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    good(Path("m.safetensors"))
    written("[tool.initaudit]\nseed = \n")
    ran = run(capsys, "m.safetensors", *QUICK)
    assert ran.code == 2
    assert "is not TOML" in ran.err


def test_a_folder_of_that_name_is_no_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    good(Path("m.safetensors"))
    Path("pyproject.toml").mkdir()
    assert run(capsys, "m.safetensors", *QUICK).code == 0
    assert run(capsys, "m.safetensors", "--config", "pyproject.toml").code == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_passed_over(capsys: pytest.CaptureFixture[str]) -> None:
    good(Path("m.safetensors"))
    written("[tool.initaudit]\n").chmod(0)
    assert run(capsys, "m.safetensors", *QUICK).code == 0


def test_the_file_sets_and_the_command_line_beats_it(capsys: pytest.CaptureFixture[str]) -> None:
    written(
        '[tool.initaudit]\noutput-format = "json"\nactivation = "tanh"\nfail-on = "error"\n'
        'probe = false\nsamples = 16\nselect = ["IA103"]\n'
    )
    small = FIXTURES / "too-small-relu"
    ran = run(capsys, small)
    assert ran.code == 0
    assert {f["rule"] for f in ran.report["findings"]} == {"IA103"}
    (network,) = ran.report["networks"]
    assert network["activations"] == ["tanh"]
    assert network["effective_rank_min_after_probe"] is None
    told = run(capsys, small, "--fail-on", "warning", "--activation", "relu", "--select", "IA203")
    assert told.code == 1
    assert {f["rule"] for f in told.report["findings"]} == {"IA203"}
    assert told.report["networks"][0]["activations"] == ["relu"]
    assert not run(capsys, small, "--output-format", "text").out.startswith("{")


def test_limits_replace_those_of_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    small = FIXTURES / "too-small-relu", "--output-format", "json", "--select", "IA103", *QUICK
    assert run(capsys, *small).code == 1
    written("[tool.initaudit.limits.IA103]\ndecades = 1000\nsingle = 1e-300\n")
    ran = run(capsys, *small)
    assert (ran.code, ran.report["findings"]) == (0, [])


def test_strict_in_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    Path("models").mkdir()
    good(Path("models/a.safetensors"))
    Path("models/b.safetensors").write_bytes(b"")
    assert run(capsys, "models", *QUICK).code == 0
    written("[tool.initaudit]\nstrict = true\n")
    assert run(capsys, "models", *QUICK).code == 2
