from __future__ import annotations

from pathlib import Path

import pytest

from initaudit.catalogue import (
    Catalogue,
    CatalogueError,
    frameworks_folder,
    load,
    reading,
    weights,
)
from initaudit.network import Interval
from tests.catalogue.known import ENTRIES

OWN = """\
framework = "ours"
packages = ["ours", "torch"]

[modules]
"ours.layers.init" = "ours.init"

[initialisers."ours.init".small_]
form = "inplace"
law = "normal"
parameters = ["tensor", ["std", 0.01]]
numbers = { std = "std" }
fixed = { mean = 0.0 }

[initialisers."torch.nn.init"]
normal_ = { form = "inplace", law = "zeros", parameters = ["tensor"] }
"""


def write(folder: Path, text: str) -> Path:
    (folder / "frameworks").mkdir()
    (folder / "frameworks" / "ours.toml").write_text(text)
    return folder


def test_a_folder_adds_a_framework_and_overrides_a_name(tmp_path: Path) -> None:
    own = load([write(tmp_path, OWN)])
    small = own.initialiser("ours.layers.init.small_")
    assert small is not None
    assert (small.framework, weights(small, {}).scale) == ("ours", Interval.point(0.0001))
    normal, uniform = (own.initialiser(f"torch.nn.init.{n}_") for n in ("normal", "uniform"))
    assert normal is not None
    assert uniform is not None
    assert (normal.law, uniform.law) == ("zeros", "uniform")
    assert "ours" in own.packages
    assert own.frameworks[-1] == "ours"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('framework = "ours"', "", "key 'framework' is missing"),
        ('packages = ["ours", "torch"]', 'packages = "ours"', "'packages' must be of type list"),
        ("[modules]", "[module]", "unknown key 'module'"),
        ("fixed = ", "fix = ", "unknown key 'fix'"),
        ('law = "normal"', 'law = "gaussian"', "law is one of"),
        ('form = "inplace"', 'form = "function"', "form is one of"),
        ('{ std = "std" }', '{ deviation = "std" }', "roles are"),
        ('{ std = "std" }', '{ std = "stdev" }', "numbers name parameters"),
        ('{ std = "std" }', "{ std = 1.0 }", "must be a string"),
        ("mean = 0.0", "mean = nan", "not a number, text, list"),
        ("mean = 0.0", "mean = { lo = 2, hi = 1 }", "not a number, text, list"),
        ("mean = 0.0", "mean = 2020-01-01", "not a number, text, list"),
        ('["std", 0.01]', '["std", 0.01, 1]', "a parameter is a name"),
        ('["std", 0.01]', "3", "a parameter is a name"),
        ('parameters = ["tensor", ["std", 0.01]]', "parameters = 3", "must be of type list"),
        ('law = "normal"', 'like = "ours.init.big_"', "no full entry"),
        ("normal_ = {", "normal_ = {{", "not TOML"),
        ('"ours.layers.init" = "ours.init"', '"ours.layers.init" = 3', "must be a string"),
        ("normal_ = {", "normal_ = 3\nother = {", "must be a table"),
    ],
)
def test_a_fault_in_a_file_is_one_line_that_names_it(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    assert old in OWN
    with pytest.raises(CatalogueError) as caught:
        load([write(tmp_path, OWN.replace(old, new))])
    assert complaint in str(caught.value)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("layer", "complaint"),
    [
        ('op = "linear"\nunits = 3', "unknown key 'units'"),
        ('parameters = ["x"]', "key 'op' is missing"),
        ('op = "linear"\noutputs = "units"', "'units' is not a parameter"),
        ('op = "linear"\ndims = true', "'dims' must be of type int"),
        ('op = "linear"\nweights.w = 3', "must be a table"),
        ('op = "linear"\nweights.w = { init = "he", shape = [] }', "'he' is not in [laws]"),
        ('op = "linear"\nweights.w = { init = "ones", shape = [[]] }', "an axis is"),
        ('op = "linear"\noptions = { slope = "a" }', "'a' is not a parameter"),
    ],
)
def test_a_fault_in_a_layer_is_named(tmp_path: Path, layer: str, complaint: str) -> None:
    with pytest.raises(CatalogueError) as caught:
        load([write(tmp_path, f"{OWN}\n[layers.ours.Block]\n{layer}\n")])
    assert complaint in str(caught.value)


def test_names_in_a_circle_are_an_error(tmp_path: Path) -> None:
    circle = OWN.replace('"ours.init"\n', '"ours.round"\n"ours.round" = "ours.layers.init"\n', 1)
    own = load([write(tmp_path, circle)])
    with pytest.raises(CatalogueError, match="circle"):
        own.initialiser("ours.layers.init.x")


def test_a_file_that_is_not_text_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, "")
    (tmp_path / "frameworks" / "ours.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(CatalogueError, match="cannot be read"):
        load([tmp_path])


def test_only_the_files_of_the_packages_asked_for_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[str] = []
    whole = reading.framework

    def spy(file: reading.Head) -> reading.Framework:
        read.append(file.path.name)
        return whole(file)

    monkeypatch.setattr(reading, "framework", spy)
    fresh: Catalogue = load()
    assert read == []
    assert fresh.initialiser("project.normal_") is None
    assert read == []
    assert fresh.initialiser("torch.nn.init.normal_") is not None
    assert fresh.layer("torch.nn.Linear") is not None
    assert read == ["torch.toml"]


def test_the_built_in_files_are_all_described() -> None:
    assert set(ENTRIES) == {p.name for p in frameworks_folder().glob("*.toml")}
    assert all(f.initialisers or f.layers for f in ENTRIES.values())
