from __future__ import annotations

from typing import Any

import pytest

from initaudit.network import Network
from tests.checkpoint.shapes import assumptions, chain, linear, network, reasons

LENET = (
    "conv1.weight 6 1 5 5; conv1.bias 6; conv2.weight 16 6 5 5; conv2.bias 16;"
    + linear("fc1", 120, 400)
    + linear("fc2", 10, 120)
)
VGG = "".join(
    f"features.{i}.weight {out} {fan} 3 3; features.{i}.bias {out};"
    for i, out, fan in ((0, 8, 3), (3, 16, 8), (6, 32, 16), (8, 32, 32), (11, 64, 32))
) + linear("classifier.0", 10, 64 * 49)


def shape(found: Network) -> Any:
    return found.layer("input").attributes["shape"]


@pytest.mark.parametrize(
    ("spec", "given", "expected"),
    [
        pytest.param(linear("0", 4, 784), None, (784,), id="features of a linear layer"),
        pytest.param(linear("0", 4, 784), (1, 28, 28), (784,), id="an image read as features"),
        pytest.param("emb.weight 50 8;" + linear("fc", 2, 8), None, (16,), id="tokens"),
        pytest.param("emb.weight 50 8;" + linear("fc", 2, 8), (32,), (32,), id="tokens given"),
        pytest.param("emb.weight 50 8;" + linear("fc", 2, 24), None, (3,), id="tokens joined"),
        pytest.param("gru.weight_ih_l0 12 5; gru.weight_hh_l0 12 4", None, (35, 5), id="steps"),
        pytest.param(
            "gru.weight_ih_l0 12 5; gru.weight_hh_l0 12 4", (7, 5), (7, 5), id="steps given"
        ),
        pytest.param(LENET, None, (1, 5, 5), id="the places that the first linear layer reads"),
        pytest.param(LENET, (1, 32, 32), (1, 32, 32), id="an image with pools between"),
        pytest.param(LENET, (32, 32), (1, 32, 32), id="one channel need not be said"),
        pytest.param(LENET, (32, 32, 1), (1, 32, 32), id="channels last"),
        pytest.param(LENET, (8, 1, 32, 32), (1, 32, 32), id="with a batch"),
        pytest.param(VGG, (3, 224, 224), (3, 224, 224), id="a deep image network"),
        pytest.param(
            "c.weight 4 1 3; c.bias 4;" + linear("fc", 2, 40), None, (1, 10), id="one dimension"
        ),
        pytest.param(
            "c.weight 4 1 3 3; c.bias 4;" + linear("fc", 2, 24), None, (1, 2, 3), id="a rectangle"
        ),
        pytest.param(
            "c.weight 4 3 4 4; c.bias 4;" + linear("fc", 2, 64),
            None,
            (3, 8, 8),
            id="an even kernel halves",
        ),
    ],
)
def test_the_shape_of_the_input(
    spec: str, given: tuple[int, ...] | None, expected: tuple[int, ...]
) -> None:
    assert shape(network(spec, input_shape=given)) == expected


def test_pools_are_found_between_an_image_and_what_is_read_of_it() -> None:
    found = network(LENET, input_shape=(1, 32, 32))
    assert chain(found) == "conv1 > (max_pool) conv2 > (max_pool) (flatten) fc1 > fc2"
    assert found.layer("conv1").attributes["padding"] == 0
    assert "without padding and a maximum pool of 2 behind conv1, conv2" in assumptions(found)


def test_pools_stand_where_a_numbered_container_has_room() -> None:
    found = network(VGG, input_shape=(3, 224, 224))
    pools = [layer.name for layer in found.layers if layer.op == "max_pool"]
    assert pools == [f"features.{i}.pool" for i in (0, 3, 6, 8, 11)]
    found = network(VGG, input_shape=(3, 112, 112))
    pools = [layer.name for layer in found.layers if layer.op == "max_pool"]
    assert pools == [f"features.{i}.pool" for i in (0, 3, 8, 11)]


def test_places_are_averaged_where_one_is_read_a_channel() -> None:
    spec = "c.weight 4 3 3 3; c.bias 4;" + linear("fc", 2, 4)
    found = network(spec)
    assert chain(found) == "c > (global_avg_pool) (flatten) fc"
    assert "averaged in front of fc" in assumptions(found)


@pytest.mark.parametrize("given", [(3, 30, 30), (1, 7), (5,), (2, 32, 32)])
def test_a_shape_that_does_not_fit_is_said_and_not_used(given: tuple[int, ...]) -> None:
    found = network(LENET, input_shape=given)
    assert shape(found) == (1, 5, 5)
    assert "not used" in assumptions(found)


def test_places_that_no_input_leads_to_leave_the_network_unconnected() -> None:
    spec = "c.weight 4 1 3 3 3; c.bias 4;" + linear("fc", 2, 4 * 7)
    assert "no input size leads to the 7 places" in reasons(network(spec))["fc"]


def test_tokens_of_an_embedding_are_counted() -> None:
    found = network("emb.weight 50 8;" + linear("fc", 2, 8))
    assert found.layer("input").attributes["tokens"] == 50
