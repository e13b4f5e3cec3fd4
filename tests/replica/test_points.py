from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from initaudit.replica.points import Point, below_heads, hidden, stretches
from tests.replica.build import Builder, mlp, xavier


def weight(out: int, into: int, *kernel: int) -> dict[str, NDArray[Any]]:
    return {"weight": np.ones((out, into, *kernel))}


def test_hidden_layers_of_an_mlp_are_pre_activation_and_activation() -> None:
    network = mlp((4, 5, 6, 2), "tanh", xavier()).network
    assert hidden(network) == (Point("fc0", "fc0.tanh"), Point("fc1", "fc1.tanh"))
    assert below_heads(network) == ("fc1.tanh",)


def test_a_norm_in_between_gives_the_pre_activation() -> None:
    built = Builder((3, 8, 8)).add("conv", "conv", weight(4, 3, 3, 3))
    built.add("norm", "batch_norm").add("act", "activation", function="relu")
    built.add("pool", "global_avg_pool").add("head", "linear", weight(2, 4))
    assert hidden(built.network) == (Point("norm", "act"),)
    assert below_heads(built.network) == ("pool",)


def test_layers_without_an_activation_stand_for_themselves() -> None:
    built = Builder((4,)).add("a", "linear", weight(5, 4)).add("b", "linear", weight(5, 5))
    built.add("head", "linear", weight(2, 5))
    assert hidden(built.network) == (Point("a", "a"), Point("b", "b"))


def test_a_branch_beside_a_skip_connection_is_left_out() -> None:
    built = Builder((4,)).add("stem", "linear", weight(4, 4))
    built.add("act", "activation", function="relu")
    built.add("inner", "linear", weight(4, 4)).add("inner.act", "activation", function="relu")
    built.add("last", "linear", weight(4, 4)).add("add", "add", None, ["act", "last"])
    built.add("out", "activation", function="relu").add("head", "linear", weight(2, 4))
    assert hidden(built.network) == (Point("stem", "act"), Point("add", "out"))


def test_the_stream_of_a_pre_activation_network_is_measured_at_its_sums() -> None:
    built = Builder((4,)).add("stem", "linear", weight(4, 4))
    for i, stream in enumerate(["stem", "add0"]):
        built.add(f"act{i}", "activation", None, [stream], function="relu")
        built.add(f"fc{i}", "linear", weight(4, 4)).add(f"add{i}", "add", None, [stream, f"fc{i}"])
    built.add("head", "linear", weight(2, 4))
    assert [p.behind for p in hidden(built.network)] == ["stem", "add0", "add1"]


def test_recurrent_layers_stand_for_themselves() -> None:
    built = Builder((5,), tokens=7).add("table", "embedding", {"weight": np.ones((7, 3))})
    built.add("lstm", "lstm", {"weight_ih": np.ones((8, 3)), "weight_hh": np.ones((8, 2))})
    built.add("head", "linear", weight(4, 2))
    assert hidden(built.network) == (Point("lstm", "lstm"),)


def test_what_follows_the_head_is_no_hidden_layer() -> None:
    built = Builder((4,)).add("fc", "linear", weight(5, 4))
    built.add("act", "activation", function="relu").add("head", "linear", weight(2, 5))
    built.add("end", "activation", function="sigmoid")
    assert hidden(built.network) == (Point("fc", "act"),)


def test_a_network_of_one_layer_has_no_hidden_layer() -> None:
    built = Builder((4,)).add("head", "linear", weight(2, 4))
    assert hidden(built.network) == ()
    assert below_heads(built.network) == ("input",)


def test_an_encoder_is_followed_to_where_a_decoder_reads_it_as_keys_and_values() -> None:
    built = Builder((3, 4))
    built.add("enc", "linear", weight(4, 4))
    built.add("target", "input", None, [], shape=(2, 4))
    built.add("dec", "linear", weight(4, 4), ["target"])
    built.add("cross", "attention", None, ["dec", "enc", "enc"], heads=1, kv_heads=1)
    built.add("sum", "add", None, ["dec", "cross"])
    built.add("head", "linear", weight(2, 4), ["sum"])
    ways = [[p.behind for p in way] for way in stretches(built.network)]
    assert ways == [["enc"], ["dec", "sum"]]


def test_the_tokens_of_one_input_are_followed_through_self_attention() -> None:
    built = Builder((3, 4)).add("first", "linear", weight(4, 4))
    built.add("self", "attention", None, ["first", "first", "first"], heads=1, kv_heads=1)
    built.add("last", "linear", weight(4, 4)).add("head", "linear", weight(2, 4))
    assert [[p.behind for p in way] for way in stretches(built.network)] == [["first", "last"]]
