"""`initaudit compare`: what moved, what came and went, and what cannot be laid side by side."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from initaudit.comparing import compare, findings_of
from initaudit.finding import Finding
from initaudit.network import Site
from initaudit.options import Options
from initaudit.rulebook import Confidence, Severity
from tests.command import FIXTURES, run

HEALTHY = FIXTURES / "healthy-xavier-tanh" / "model.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A healthy checkpoint with its settings, to be changed."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for file in HEALTHY.parent.iterdir():
            (tmp_path / name / file.name).write_bytes(file.read_bytes())
    return tmp_path


def changed(folder: Path, **factors: float) -> Path:
    """Scale weights of the second checkpoint."""
    path = folder / "b" / "model.safetensors"
    arrays = load_file(path)
    for name, factor in factors.items():
        arrays[f"{name.replace('_', '.')}.weight"] *= np.float32(factor)
    save_file(arrays, path)
    return path


def test_equal_checkpoints_have_not_moved(folder: Path) -> None:
    found = compare(folder / "a", folder / "b", Options())
    assert all(one.same and one.distance == 0.0 for one in found.moved)
    assert not any((found.came, found.went, found.lost, found.gained, found.reshaped))


def test_what_moved_is_measured(folder: Path) -> None:
    path = changed(folder, layers_1=3.0, layers_2=-1.0)
    found = {one.name: one for one in compare(folder / "a", path, Options()).moved}
    assert [name for name, one in found.items() if not one.same] == [
        "layers.1.weight", "layers.2.weight"
    ]  # fmt: skip
    scaled, turned = found["layers.1.weight"], found["layers.2.weight"]
    assert scaled.ratio == pytest.approx(3.0, rel=1e-6)
    assert scaled.distance == pytest.approx(2.0, rel=1e-6)
    assert scaled.cosine == pytest.approx(1.0, rel=1e-6)
    assert turned.distance == pytest.approx(2.0, rel=1e-6)
    assert turned.cosine == pytest.approx(-1.0, rel=1e-6)


def test_a_finding_that_came_fails_and_one_that_went_does_not(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = {f"layers_{i}": 0.03 for i in range(1, 9)}
    changed(folder, **small)
    worse = run(capsys, "compare", folder / "a", folder / "b")
    assert worse.code == 1
    assert "\nCame\n" in worse.out
    assert "IA203" in worse.out
    better = run(capsys, "compare", folder / "b", folder / "a")
    assert better.code == 0
    assert "\nWent\n" in better.out
    told = run(capsys, "compare", folder / "a", folder / "b", "--output-format", "json")
    assert told.code == 1
    document = json.loads(told.out)
    assert "IA203" in {f["rule"] for f in document["came"]}
    assert document["went"] == []
    page = run(capsys, "compare", folder / "a", folder / "b", "--output-format", "html")
    assert page.code == 1
    assert "Findings that came" in page.out
    assert "http" not in page.out.replace("http-equiv", "")


def test_a_finding_that_grew_worse_came() -> None:
    where = Site("a", layer="fc")
    note, warning = (
        Finding("IA104", "too-large", severity, Confidence.HIGH, where, {}, "", "")
        for severity in (Severity.NOTE, Severity.WARNING)
    )
    assert findings_of([note], [warning]) == ((warning,), (), ())
    assert findings_of([warning], [note]) == ((), (), (note,))


def test_checkpoints_that_are_not_judged_alike_are_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arrays = load_file(folder / "b" / "model.safetensors")
    rng = np.random.default_rng(0)
    for name, values in arrays.items():
        # What training leaves: a few directions grown far over the others.
        if values.ndim == 2:
            u, v = (rng.standard_normal(n) for n in values.shape)
            arrays[name] = values + np.outer(u, v).astype(np.float32) / 4
        else:
            arrays[name] = rng.standard_normal(values.shape).astype(np.float32) / 4
    save_file(arrays, folder / "b" / "model.safetensors")
    ran = run(capsys, "compare", folder / "a", folder / "b")
    assert "caution: the first was judged as fresh, the second as trained" in ran.out
    alike = run(capsys, "compare", folder / "a", folder / "b", "--stage", "trained")
    assert "caution" not in alike.out


def test_tensors_of_one_alone_are_told(folder: Path) -> None:
    path = folder / "b" / "model.safetensors"
    arrays = load_file(path)
    arrays["extra.weight"] = np.ones((3, 3), np.float32)
    arrays["layers.1.weight"] = arrays["layers.1.weight"][:, :5].copy()
    del arrays["layers.2.bias"]
    save_file(arrays, path)
    found = compare(folder / "a", path, Options())
    assert found.gained == ("extra.weight",)
    assert found.lost == ("layers.2.bias",)
    assert found.reshaped == ("layers.1.weight",)


def test_broken_and_zero_values_have_no_cosine(folder: Path) -> None:
    path = folder / "b" / "model.safetensors"
    arrays = load_file(path)
    arrays["layers.1.weight"][0, 0] = np.nan
    arrays["layers.2.weight"][:] = 0
    save_file(arrays, path)
    found = {one.name: one for one in compare(folder / "a", path, Options()).moved}
    broken, zero = found["layers.1.weight"], found["layers.2.weight"]
    assert (broken.distance, broken.cosine, broken.after) == (None, None, None)
    assert zero.distance == pytest.approx(1.0)
    assert (zero.cosine, zero.after) == (None, 0.0)


def test_where_one_fails_no_finding_came_or_went(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faulty, broken = FIXTURES / "too-small-tanh", folder / "broken.safetensors"
    broken.write_bytes(b"junk")
    for pair in ((faulty, broken), (broken, faulty)):
        found = compare(*pair, Options())
        assert found.failed
        assert (found.came, found.went, found.stayed, found.moved) == ((), (), (), ())
        for form in ("text", "json", "html"):
            seen = run(capsys, "compare", *pair, "--output-format", form)
            assert seen.code == 2
            assert "not a safetensors file" in seen.out
            assert "IA103" not in seen.out


def test_the_text_tells_ratio_distance_and_cosine(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(folder, layers_1=0.25)
    seen = run(capsys, "compare", folder / "a", folder / "b", "--fail-on", "error")
    head, row = (line.split() for line in seen.out.splitlines()[2:4])
    assert head == ["tensor", "std", "before", "std", "after", "ratio", "moved", "by", "cosine"]
    assert row[0] == "layers.1.weight"
    assert row[3:] == ["0.25", "0.75", "1"]


def test_the_same_pair_gives_the_same_page(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(folder, layers_1=0.5)
    ask = ("compare", folder / "a", folder / "b", "--output-format", "html")
    assert run(capsys, *ask).out == run(capsys, *ask).out


@pytest.mark.parametrize("absent", ["first", "second"])
def test_what_cannot_be_read_is_one_line(
    absent: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [folder / "a", folder / "b"]
    paths[absent == "second"] = folder / "absent.safetensors"
    seen = run(capsys, "compare", *paths)
    assert seen.code == 2
    assert "no such file" in seen.out + seen.err
    assert "moved" not in seen.out
    assert "Traceback" not in seen.out + seen.err
