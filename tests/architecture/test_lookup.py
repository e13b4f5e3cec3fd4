from __future__ import annotations

from pathlib import Path

import numpy as np

from initaudit.architecture import load
from tests.architecture.toy import TOY, arrays, assumed, network, written


def test_a_users_file_replaces_the_built_in_one_of_its_name(tmp_path: Path) -> None:
    own = TOY.replace('name = "toy"', 'name = "llama"', 1)
    found = {one.name: one for one in load((written(tmp_path, own),))}
    assert found["llama"].path == tmp_path / "architectures" / "toy.toml"
    assert len(found) == len(load())


def test_the_last_folder_counts(tmp_path: Path) -> None:
    first = written(tmp_path / "a")
    second = written(tmp_path / "b", TOY.replace("length = 5", "length = 7"))
    made = network(arrays(1), first, second)
    assert made.layer("input").attributes["shape"] == (7,)


def test_a_folder_without_architectures_is_fine(tmp_path: Path) -> None:
    assert load((tmp_path,)) == load()


def test_marks_are_looked_for_below_the_prefix(tmp_path: Path) -> None:
    rules = written(tmp_path)
    assert "taken for toy" in assumed(network(arrays(1, "toy."), rules))
    assert "taken for toy" not in assumed(network(arrays(1, "other."), rules))


def test_a_name_that_must_not_be_there_rules_it_out(tmp_path: Path) -> None:
    rules = written(tmp_path, TOY.replace("inputs =", 'without = ["h.1.up.weight"]\ninputs =', 1))
    assert "taken for toy" in assumed(network(arrays(1), rules))
    assert "taken for toy" not in assumed(network(arrays(2), rules))


def test_one_of_either_is_enough(tmp_path: Path) -> None:
    text = TOY.replace("inputs =", 'either = ["absent.weight", "h.1.up.weight"]\ninputs =', 1)
    rules = written(tmp_path, text)
    assert "taken for toy" not in assumed(network(arrays(1), rules))
    assert "taken for toy" in assumed(network(arrays(2), rules))


def test_zeros_tell_a_family_apart_where_names_do_not(tmp_path: Path) -> None:
    other = TOY.replace('"toy"', '"twin"').replace(
        "inputs =", 'zeros = ["h.0.up.weight"]\ninputs =', 1
    )
    rules = written(written(tmp_path), other, "twin.toml")
    held = arrays(1)
    assert "taken for toy" in assumed(network(held, rules))
    assert "taken for twin" in assumed(network(held, rules, config={"model_type": "twin"}))
    held["h.0.up.weight"] = np.zeros_like(held["h.0.up.weight"])
    assert "taken for twin" in assumed(network(held, rules))


def test_the_type_of_the_configuration_comes_before_the_number_of_marks(tmp_path: Path) -> None:
    more = TOY.replace('"toy"', '"more"').replace(
        '"h.0.up.weight"]', '"h.0.up.weight", "h.1.up.weight"]', 1
    )
    rules = written(written(tmp_path), more, "more.toml")
    assert "taken for more" in assumed(network(arrays(2), rules))
    assert "taken for toy" in assumed(network(arrays(2), rules, config={"model_type": "toy"}))
