from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from initaudit.checkpoint.chains import strand
from initaudit.checkpoint.groups import grouped
from initaudit.checkpoint.order import fits, natural, rank
from initaudit.checkpoint.trunk import find
from initaudit.checkpoint.units import Unit, read
from tests.checkpoint.shapes import assumptions, linear, network, tensors


def units(spec: str) -> tuple[Unit, ...]:
    return tuple(read(group) for group in grouped(tensors(spec)))


@pytest.mark.parametrize(
    "names",
    [
        ["layer9", "layer10"],
        ["fc", "fc2"],
        ["dense", "dense_1", "dense_2", "dense_10"],
        ["input", "hidden", "output"],
        ["stem", "layer1", "head"],
        ["conv2", "fc1"],
        ["encoder", "fc", "decoder", "head"],
        ["features", "classifier"],
        ["9", "10", "11"],
    ],
    ids=" ".join,
)
def test_names_sort_as_they_run(names: list[str]) -> None:
    shuffled = [names[i] for i in np.random.default_rng(0).permutation(len(names))]
    assert sorted(shuffled, key=lambda name: natural((name,))) == names


@pytest.mark.parametrize(
    ("name", "place"), [("conv1", 1), ("logits", 4), ("fc3", 2), ("wte", 0), ("Decoder_0", 3)]
)
def test_a_name_tells_a_place(name: str, place: int) -> None:
    assert rank(name) == place


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("a.weight 8 4", "b.weight 2 8", True),
        ("a.weight 8 4", "b.weight 2 4", False),
        ("a.weight 8 3 5 5", "b.weight 2 72", True),
        ("a.weight 8 3 5 5", "b.weight 2 70", False),
        ("a.weight 8 3 5 5", "b.weight 2 8 3 3", True),
        ("a.weight 8 3 5 5", "b.weight 2 8 3", False),
        ("a.weight 8 4", "b.weight 2 8 3 3", False),
        ("c1.weight 8 3 5 5", "c2.weight 8 1 3 3", True),
        ("c1.weight 8 3 5 5", "c2.weight 8 4 3 3", True),
        ("c2.weight 8 3 5 5", "c1.weight 8 4 3 3", False),
        ("c1.weight 8 1 3 5", "c2.weight 8 1 4 5", False),
        ("c1.weight 8 1 3 3", "dw.weight 8 1 3 3", True),
        ("rgb.weight 8 3 3 3", "depth.weight 8 1 3 3", False),
        ("a.weight 8 4", "emb.weight 8 4", False),
        ("emb.weight 50 8", "b.weight 2 24", True),
    ],
)
def test_one_module_reads_another_where_widths_meet(
    before: str, after: str, expected: bool
) -> None:
    (one,), (two,) = units(before), units(after)
    assert fits(one, two) is expected


@pytest.mark.parametrize(
    ("spec", "by"),
    [
        ("fc1.weight 8 4; fc2.weight 2 8", "names"),
        ("zulu.weight 8 4; alfa.weight 2 8", "widths"),
        ("zulu.weight 8 8; alfa.weight 8 8; mike.weight 8 8", "file"),
    ],
)
def test_what_told_the_order_is_kept(spec: str, by: str) -> None:
    found = strand(units(spec))
    assert found is not None
    assert found.by == by


def test_the_order_of_an_alphabetical_file_tells_nothing() -> None:
    assert find(units("alfa.weight 8 8; mike.weight 8 8; zulu.weight 8 8")) is None


@pytest.mark.parametrize(
    ("spec", "said", "topology"),
    [
        (linear("fc1", 8, 4) + linear("fc2", 2, 8), "the order of their names", "names"),
        (linear("zulu", 8, 4) + linear("alfa", 2, 8), "the only order", "shapes"),
        (linear("zulu", 8, 8) + linear("alfa", 8, 8), "the order of the file", "names"),
    ],
)
def test_the_order_is_an_assumption(spec: str, said: str, topology: str) -> None:
    found = network(spec)
    assert said in assumptions(found)
    assert found.topology == topology


def test_a_search_among_orders_that_fail_only_at_the_end_is_given_up() -> None:
    square = ";".join(f"{a}{b}.weight 8 8" for a, b in product("abcdef", "klmnopq"))
    assert find(units(f"{square}; x.weight 2 8; y.weight 3 8")) is None


@pytest.mark.parametrize("shape", ["8 8", "8 8 3 3"])
def test_twenty_thousand_tensors_are_strung_in_order(shape: str) -> None:
    count = 10_000
    numbers = np.random.default_rng(0).permutation(count)
    spec = ";".join(f"layers.{i}.weight {shape}; layers.{i}.bias 8" for i in numbers)
    found = find(units(spec))
    assert found is not None
    assert [unit.path[-1] for unit in found.units] == [str(i) for i in range(count)]
