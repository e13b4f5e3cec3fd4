"""The contract of the command line: exit codes, streams, options, and nothing but the report."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from itertools import product
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

import initaudit
from initaudit import terminal
from initaudit.rulebook import Severity, load
from tests.command import FIXTURES, ROOT, Ran, good, process, reporting, run, saved
from tests.nets import he, mlp, normal

SCHEMA = json.loads((Path(initaudit.__file__).parent / "report/report.schema.json").read_text())
ESCAPE = "\x1b["
LEVELS = {"error": Severity.ERROR, "warning": Severity.WARNING, "note": Severity.NOTE}
WORST = (None, *LEVELS.values())
FAULTY = FIXTURES / "zeros-relu" / "model.safetensors"
QUICK = ("--no-probe", "--samples", "16")


@pytest.fixture(autouse=True)
def _away_from_any_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("NO_COLOR", "COLUMNS", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


# Exit codes


@pytest.mark.parametrize("fail_on", [None, *LEVELS])
@pytest.mark.parametrize("worst", WORST)
def test_exit_codes_of_every_combination(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    worst: Severity | None,
    fail_on: str | None,
) -> None:
    limit = LEVELS[fail_on or "warning"]
    for zero, strict, unread, failed, form in product(
        (False, True), (False, True), (False, True), (False, True), ("text", "json")
    ):
        if failed and not unread:
            continue
        reporting(monkeypatch, worst, unread=unread, failed=failed)
        words = ["m", "--output-format", form]
        words += ["--fail-on", fail_on] if fail_on else []
        words += ["--exit-zero"] * zero + ["--strict"] * strict
        found = worst is not None and worst >= limit
        wanted = 2 if failed or (strict and unread) else 1 if found and not zero else 0
        assert run(capsys, *words).code == wanted, words


@pytest.mark.parametrize(
    ("name", "words", "code"),
    [
        ("zeros-relu", [], 1),
        ("zeros-relu", ["--exit-zero"], 0),
        ("too-small-relu", ["--fail-on", "error"], 0),
        ("too-small-relu", [], 1),
        ("healthy-he-relu", ["--fail-on", "note"], 0),
        ("healthy-lora", [], 0),
    ],
)
def test_exit_codes_of_real_checkpoints(
    capsys: pytest.CaptureFixture[str], name: str, words: list[str], code: int
) -> None:
    assert run(capsys, FIXTURES / name, "--output-format", "json", *words).code == code
    assert run(capsys, FIXTURES / name, *words).code == code


def test_an_input_that_cannot_be_read_beats_findings(capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(capsys, FAULTY, "absent.safetensors", "--output-format", "json", "--exit-zero")
    assert ran.code == 2
    assert {f["rule"] for f in ran.report["findings"]} >= {"IA101"}


def test_without_a_path_it_says_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(capsys)
    assert (ran.code, ran.out) == (2, "")
    assert "name a file or a folder" in ran.err


def test_an_empty_path_is_not_the_working_folder(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    good(tmp_path / "model.safetensors")
    ran = run(capsys, "")
    assert (ran.code, ran.out) == (2, "")
    assert "a PATH is empty" in ran.err


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--no-such-option"], "--no-such-option"),
        (["--fail-on", "fatal"], "fatal"),
        (["--stage", "later"], "later"),
        (["--output-format", "pdf"], "pdf"),
        (["--seed", "-1"], "-1"),
        (["--seed", "one"], "one"),
        (["--samples", "1"], "samples 1: must lie between"),
        (["--samples", "0"], "0"),
        (["--samples", "100000"], "samples 100000: must lie between"),
        (["--activation", "rleu"], "activation 'rleu' is not known"),
        (["--input-shape", "3,0,32"], "3,0,32"),
        (["--input-shape", "3x32x32"], "3x32x32"),
        (["--input-shape", ""], "''"),
        (["--select", "IA999"], "'IA999' names no rule"),
        (["--ignore", "to-small"], "'to-small' names no rule"),
        (["--rules", "absent"], "absent"),
        (["--config", "absent.toml"], "absent.toml: cannot be read"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_misuse_is_told_in_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str], wanted: str
) -> None:
    good(tmp_path / "m.safetensors")
    ran = run(capsys, "m.safetensors", *words)
    assert (ran.code, ran.out) == (2, "")
    errors = [line for line in ran.err.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert wanted in errors[0]
    assert "Traceback" not in ran.err


def test_several_mistakes_are_told_together(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    good(tmp_path / "m.safetensors")
    ran = run(capsys, "m.safetensors", "--select", "IA999,nothing", "--samples", "3",
              "--activation", "rleu")  # fmt: skip
    assert ran.code == 2
    for wanted in ("'IA999'", "'nothing'", "samples 3", "'rleu'"):
        assert ran.err.count(wanted) == 1


def test_an_unforeseen_failure_is_one_line_and_the_others_are_judged(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from initaudit.checkpoint import topology

    build = topology.build

    def broken(*args: Any, **options: Any) -> Any:
        if "bad" in options["path"]:
            raise ZeroDivisionError("two\nlines")
        return build(*args, **options)

    monkeypatch.setattr(topology, "build", broken)
    paths = good(tmp_path / "bad.safetensors"), good(tmp_path / "fine.safetensors")
    ran = run(capsys, *paths, "--output-format", "json", *QUICK)
    assert ran.code == 2
    (reason,) = ran.unread.pop(str(paths[0]))
    assert reason.endswith("please report it: ZeroDivisionError: two lines")
    assert [n["path"] for n in ran.report["networks"]] == [str(paths[1])]


def test_an_unforeseen_failure_outside_of_any_input_is_no_traceback(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("initaudit.commands.audit.terminal.style", lambda **_: 1 / 0)
    ran = run(capsys, good(tmp_path / "m.safetensors"), *QUICK)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.count("\n") == 1
    assert "please report it: ZeroDivisionError" in ran.err


# Streams


def test_a_pipe_gets_no_colour_and_no_progress() -> None:
    ran = process(FAULTY, *QUICK)
    assert ran.returncode == 1
    assert ESCAPE not in ran.stdout
    assert ran.stderr == ""


def on_terminal(
    code: str, *, columns: int = 100, env: dict[str, str] | None = None, both: bool = True
) -> tuple[int, str, bytes]:
    """Run Python with standard error, and if ``both`` also standard output, on a terminal."""
    leader, follower = pty.openpty()
    run = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=follower if both else subprocess.PIPE,
        stderr=follower,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": str(columns),
             **(env or {})},
    )  # fmt: skip
    os.close(follower)
    seen = b""
    while True:
        try:
            piece = os.read(leader, 1 << 16)
        except OSError:
            break
        if not piece:
            break
        seen += piece
    os.close(leader)
    piped = run.stdout.read() if run.stdout else b""
    if run.stdout:
        run.stdout.close()
    return run.wait(), seen.decode(), piped


def main_code(*words: object, delay: float = 1e9) -> str:
    return (
        f"from initaudit import cli, terminal; terminal.Watcher.DELAY = {delay!r}; "
        f"cli.main({[str(w) for w in words]!r})"
    )


def test_a_terminal_gets_colour() -> None:
    code, shown, _ = on_terminal(main_code(FAULTY, *QUICK))
    assert code == 1
    assert ESCAPE in shown


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_a_terminal_that_wants_no_colour_gets_none(env: dict[str, str]) -> None:
    code, shown, _ = on_terminal(main_code(FAULTY, *QUICK), env=env)
    assert code == 1
    assert ESCAPE not in shown


def test_a_terminal_gets_lines_of_its_width() -> None:
    _, shown, _ = on_terminal(main_code(FAULTY, *QUICK), columns=60, env={"NO_COLOR": "1"})
    lines = [line for line in shown.splitlines() if "nn.init" not in line]
    assert max(map(len, lines)) <= 60


def test_progress_is_shown_to_a_person_when_it_takes_long_and_leaves_the_report_alone() -> None:
    words = FAULTY, *QUICK, "--output-format", "json"
    code, shown, piped = on_terminal(main_code(*words, delay=0.0), both=False)
    assert code == 1
    assert "reading model.safetensors" in shown
    assert json.loads(piped)["version"] == 1
    code, shown, again = on_terminal(main_code(*words), both=False)
    assert (code, shown, again) == (1, "", piped)


def test_no_progress_on_a_dumb_terminal() -> None:
    words = FAULTY, *QUICK
    code, shown, _ = on_terminal(main_code(*words, delay=0.0), both=False, env={"TERM": "dumb"})
    assert (code, shown) == (1, "")


def test_progress_waits_a_second() -> None:
    assert terminal.Watcher.DELAY == 1.0


def test_output_that_is_not_utf8_gets_ascii() -> None:
    for words in ((FAULTY, *QUICK), ("rules",), ("explain", "IA101")):
        for encoding in ("ascii", "latin-1"):
            ran = subprocess.run(
                [sys.executable, "-m", "initaudit", *map(str, words)],
                env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding},
                capture_output=True, check=False, timeout=60,
            )  # fmt: skip
            assert ran.returncode in (0, 1)
            assert ran.stderr == b""
            assert ran.stdout.decode(encoding)


def test_a_reader_that_leaves_changes_neither_the_code_nor_standard_error() -> None:
    command = f"{sys.executable} -m initaudit {FAULTY} {' '.join(QUICK)} -v; echo $? >&2"
    ran = subprocess.run(
        ["bash", "-c", f"({command}) | true"],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
        timeout=60,
    )  # fmt: skip
    assert ran.stderr == "1\n"


@pytest.mark.parametrize("redirection", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_failure(redirection: str) -> None:
    command = f"{sys.executable} -m initaudit {FAULTY} {' '.join(QUICK)} {redirection}"
    ran = subprocess.run(
        ["bash", "-c", command], env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 1
    assert ran.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_is_told_in_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "initaudit", str(FAULTY), *QUICK],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60,
        )  # fmt: skip
    assert ran.returncode == 2
    assert ran.stderr == "Error: standard output: cannot be written: No space left on device\n"


def test_ctrl_c_ends_without_a_traceback() -> None:
    code = (
        "import signal\n"
        "from initaudit import auditing, cli\n"
        "auditing.statistics.measure_all = lambda *a, **o: signal.raise_signal(signal.SIGINT)\n"
        f"cli.main([{str(FAULTY)!r}])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 128 + signal.SIGINT
    assert (ran.stdout, ran.stderr.strip()) == ("", "")


def test_it_runs_without_a_home_or_any_other_variable() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", main_code(FAULTY, *QUICK)], env={"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (1, "")


# The report


@pytest.mark.parametrize("fixture", sorted(p.name for p in FIXTURES.iterdir() if p.is_dir()))
def test_json_of_every_fixture_follows_its_schema(
    capsys: pytest.CaptureFixture[str], fixture: str
) -> None:
    if not (FIXTURES / fixture / "model.safetensors").exists():
        pytest.skip("not a checkpoint")
    ran = run(capsys, FIXTURES / fixture, "--output-format", "json", "--samples", "64")
    jsonschema.validate(ran.report, SCHEMA)
    assert ran.report["networks"]
    assert ran.err == ""


def test_the_same_seed_gives_the_same_bytes_and_another_one_others() -> None:
    words = FIXTURES / "healthy-he-relu", FIXTURES / "healthy-batch-norm-cnn"
    for form in ("text", "json"):
        options = ("--samples", "16", "--output-format", form)
        first, again, other = (
            process(*words, "--seed", seed, *options).stdout for seed in (3, 3, 4)
        )
        assert first == again
        assert first != other


def test_an_output_file_gets_what_would_be_printed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for form in ("text", "json"):
        words = FAULTY, *QUICK, "--output-format", form
        printed = run(capsys, *words)
        target = tmp_path / "report"
        ran = run(capsys, *words, "--output-file", target)
        assert (ran.code, ran.out, ran.err) == (1, "", "")
        assert target.read_text("utf-8") == printed.out


def test_other_formats_are_written_from_the_same_report(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    wanted = {form: tmp_path / form for form in ("sarif", "markdown", "html", "text")}
    also = [word for form, file in wanted.items() for word in ("--also", f"{form}={file}")]
    ran = run(capsys, FAULTY, *QUICK, "--output-format", "json", *also)
    alone = run(capsys, FAULTY, *QUICK, "--output-format", "json")
    assert (ran.code, ran.out) == (alone.code, alone.out)
    for form, file in wanted.items():
        assert file.read_text("utf-8") == run(capsys, FAULTY, *QUICK, "--output-format", form).out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--also", "srif=x"], "Did you mean sarif?"),
        (["--also", "sarif"], "write FORMAT=FILE"),
        (["--also", "json=x", "--output-file", "./x"], "two reports cannot be written to one file"),
        (["--also", "json=m.safetensors"], "may not replace it"),
        (["--also", "json=x", "--diff"], "--also goes with a report"),
        (["--output-format", "jsn"], "Did you mean json?"),
        (["--stage", "trian"], "Did you mean trained?"),
        (["--select", "too-smal"], "did you mean too-small"),
        (["--per-file-ignores", "a.py:too-smal"], "did you mean too-small"),
        (["--activation", "Rleu"], "did you mean relu?"),
    ],
)
def test_a_mistake_of_usage_is_told_with_what_was_meant(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, words: list[str], told: str
) -> None:
    good(tmp_path / "m.safetensors")
    before = (tmp_path / "m.safetensors").read_bytes()
    ran = run(capsys, "m.safetensors", *words)
    assert (ran.code, ran.out) == (2, "")
    assert told in " ".join(ran.err.split())
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]
    assert (tmp_path / "m.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("target", "inputs"),
    [
        ("m.safetensors", ["m.safetensors"]),
        ("m.safetensors", ["."]),
        ("link", ["m.safetensors"]),
        ("m.safetensors", ["other.npz"]),
        ("config.json", ["m.safetensors"]),
        ("model.safetensors.index.json", ["m.safetensors"]),
    ],
)
def test_an_output_file_never_replaces_a_checkpoint(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, target: str, inputs: list[str]
) -> None:
    good(tmp_path / "m.safetensors")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    np.savez(tmp_path / "other.npz", a=np.eye(3))
    (tmp_path / "link").symlink_to("m.safetensors")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    ran = run(capsys, *inputs, "--output-file", target)
    assert (ran.code, ran.out) == (2, "")
    assert re.search(rf"Error: {re.escape(target)}: is .*; the report may not replace it", ran.err)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


@pytest.mark.parametrize("target", ["absent/report", "."])
def test_an_output_file_that_cannot_be_written_is_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, target: str
) -> None:
    good(tmp_path / "m.safetensors")
    ran = run(capsys, "m.safetensors", "--output-file", target, *QUICK)
    assert (ran.code, ran.out) == (2, "")
    assert target in ran.err
    assert "Traceback" not in ran.err


def test_quiet_still_says_what_could_not_be_judged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ran = run(capsys, "absent.safetensors", "-q")
    assert ran.code == 2
    assert "absent.safetensors: no such file" in ran.out


def test_every_input_that_is_lost_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"absent{i}.safetensors" for i in range(30)]
    ran = run(capsys, *names)
    assert ran.code == 2
    assert [ran.out.count(name) for name in names] == [1] * 30


def test_a_path_given_twice_is_judged_once(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    good(tmp_path / "m.safetensors")
    paths = "m.safetensors", "./m.safetensors", tmp_path / "m.safetensors", "."
    ran = run(capsys, *paths, *QUICK, "--output-format", "json")
    assert ran.code == 0
    assert ran.report["summary"]["networks"] == 1


def test_a_folder_none_of_whose_checkpoints_can_be_judged_is_no_success(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in ("a.safetensors", "b.safetensors"):
        (tmp_path / name).write_bytes(b"")
    assert run(capsys, tmp_path).code == 2
    good(tmp_path / "c.safetensors")
    assert run(capsys, tmp_path, *QUICK).code == 0
    assert run(capsys, tmp_path, *QUICK, "--strict").code == 2


# Options


def rules_of(ran: Ran) -> set[str]:
    return {f["rule"] for f in ran.report["findings"]}


def test_rules_are_selected_and_ignored_by_id_prefix_and_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = FAULTY, "--output-format", "json", "--samples", "64"
    every = rules_of(run(capsys, *words))
    assert {"IA101", "IA201", "IA202"} <= every
    assert rules_of(run(capsys, *words, "--select", "IA101")) == {"IA101"}
    assert rules_of(run(capsys, *words, "--select", "zero-weights,IA202")) == {"IA101", "IA202"}
    second = rules_of(run(capsys, *words, "--select", "IA2"))
    assert second >= {"IA201", "IA202"}
    assert all(rule.startswith("IA2") for rule in second)
    assert rules_of(run(capsys, *words, "--ignore", "IA2")) == {"IA101"}
    both = rules_of(run(capsys, *words, "--select", "IA1", "--select", "IA2", "--ignore", "IA101"))
    assert both == second
    assert run(capsys, *words, "--select", "IA101", "--ignore", "IA101").code == 0


def test_no_probe_leaves_out_the_training_steps(capsys: pytest.CaptureFixture[str]) -> None:
    words = FIXTURES / "healthy-he-relu", "--output-format", "json", "--samples", "64"
    (with_probe,) = run(capsys, *words).report["networks"]
    (without,) = run(capsys, *words, "--no-probe").report["networks"]
    assert with_probe["effective_rank_min_after_probe"] is not None
    assert without["effective_rank_min_after_probe"] is None
    assert with_probe["effective_rank_min"] == without["effective_rank_min"]


def test_the_stage_is_as_told(capsys: pytest.CaptureFixture[str]) -> None:
    words = FIXTURES / "too-small-relu", "--output-format", "json", *QUICK
    for stage, origin in (("auto", "measured"), ("init", "measured"), ("trained", "trained")):
        ran = run(capsys, *words, "--stage", stage)
        (network,) = ran.report["networks"]
        assert network["origin"] == origin
        assert ("IA103" in rules_of(ran)) == (origin == "measured")
    assert network["evidence"] == ["as told: --stage trained"]


def test_the_activation_told_beats_the_one_in_the_configuration(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = FIXTURES / "healthy-he-relu", "--output-format", "json", *QUICK
    (network,) = run(capsys, *words).report["networks"]
    assert network["activations"] == ["relu"]
    (network,) = run(capsys, *words, "--activation", "tanh").report["networks"]
    assert network["activations"] == ["tanh"]
    assert any("tanh" in text for text in network["assumptions"])


def test_the_input_shape_is_as_told(capsys: pytest.CaptureFixture[str]) -> None:
    words = FIXTURES / "healthy-batch-norm-cnn", "--output-format", "json", *QUICK
    wide = run(capsys, *words, "--input-shape", "3,32,32")
    narrow = run(capsys, *words, "--input-shape", "3,4,4")
    assert wide.code == narrow.code == 0
    assert wide.report["networks"] != narrow.report["networks"]


def test_samples_are_as_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arrays = mlp(np.random.default_rng(0), [256, 256, 256, 4], he)
    path = saved(tmp_path / "m.safetensors", arrays)
    ranks = []
    for samples in (16, 64):
        ran = run(capsys, path, "--activation", "tanh", "--no-probe", "--samples", samples,
                  "--output-format", "json")  # fmt: skip
        ranks.append(ran.report["networks"][0]["input_rank"])
    assert ranks[0] <= 16 < ranks[1] <= 64


# Subcommands


def test_the_first_word_is_a_subcommand_if_it_is_the_name_of_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    good(tmp_path / "rules")
    (tmp_path / "rules").rename(tmp_path / "rules.safetensors")
    (tmp_path / "rules").mkdir()
    shutil.move(tmp_path / "rules.safetensors", tmp_path / "rules" / "m.safetensors")
    listed = run(capsys, "rules")
    assert listed.code == 0
    assert "IA101  zero-weights" in listed.out
    for path in ("./rules", "rules/"):
        ran = run(capsys, path, *QUICK, "--output-format", "json")
        assert ran.code == 0
        assert ran.report["summary"]["networks"] == 1
    both = run(capsys, *QUICK, "rules", "--output-format", "json")
    assert both.report["summary"]["networks"] == 1


def test_rules_lists_every_rule_once(capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(capsys, "rules").out.splitlines()
    known = load()
    assert [line.split()[:2] for line in lines] == [[r.id, r.name] for r in known.values()]


@pytest.mark.parametrize("word", ["IA103", "ia103", "too-small"])
def test_explain_takes_an_id_or_a_name(capsys: pytest.CaptureFixture[str], word: str) -> None:
    ran = run(capsys, "explain", word)
    assert ran.code == 0
    assert "# too-small" in ran.out
    assert "Severity: warning" in ran.out


@pytest.mark.parametrize("words", [["explain", "IA999"], ["explain"], ["rules", "IA101"]])
def test_a_subcommand_used_wrongly_says_so(
    capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    ran = run(capsys, *words)
    assert (ran.code, ran.out) == (2, "")
    assert len([line for line in ran.err.splitlines() if line.startswith("Error: ")]) == 1


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    for word in ("--help", "-h"):
        ran = run(capsys, word)
        assert ran.code == 0
        assert "PATH..." in ran.out
        assert "explain" in ran.out
    ran = run(capsys, "--version")
    assert (ran.code, ran.out.split()[-1]) == (0, initaudit.__version__)


# Nothing but the report is written


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(p.relative_to(folder)): (p.stat().st_mtime_ns, p.stat().st_size)
        for p in folder.rglob("*")
    }


def test_nothing_is_written_but_the_report(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "zeros-relu", tmp_path / "in" / "zeros")
    (tmp_path / "in" / "empty.safetensors").write_bytes(b"")
    before = listing(tmp_path)
    home = tmp_path / "home"
    env = {"HOME": str(home), "XDG_CACHE_HOME": str(home), "TMPDIR": str(home)}
    ran = process(tmp_path / "in", *QUICK, cwd=tmp_path, env=env)
    assert ran.returncode == 1
    assert listing(tmp_path) == before
    ran = process(tmp_path / "in", *QUICK, "--output-file", "report.txt", cwd=tmp_path, env=env)
    assert ran.returncode == 1
    assert listing(tmp_path).keys() - before.keys() == {"report.txt"}


def test_standard_output_without_an_encoding_is_written_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    terminal.write("caf\u00e9 \u2192\n")
    assert re.fullmatch(r"caf\\xe9 \\u2192\n", stream.getvalue())


def test_small_weights_are_named_by_the_command_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arrays = mlp(np.random.default_rng(0), [64, *[64] * 6, 10], normal(1e-3))
    ran = run(capsys, saved(tmp_path / "m.safetensors", arrays), "--activation", "relu")
    assert ran.code == 1
    assert "IA103" in ran.out
    assert "kaiming_normal_" in ran.out
