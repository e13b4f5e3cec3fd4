"""Faults put into examples of a few families: each is named as theory asks, none where it is not.

``python -m tests.architectures.faults`` does the same with all of them.
"""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("transformers", reason="transformers is not installed")

from initaudit.rulebook import Severity
from tests.architectures.faults import FAULTS, judged
from tests.architectures.zoo import EXAMPLES


@pytest.mark.oracle
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "no_place"),
    [
        pytest.param("llama", set(), id="gated MLPs behind norms without a mean"),
        pytest.param("distilbert", set(), id="norms behind the branches"),
        pytest.param("torch_post_norm", set(), id="random biases"),
        pytest.param("tv_resnet18", {"twins"}, id="convolutions and batch norm"),
        pytest.param("gru", {"zeros", "twins"}, id="a recurrent stack"),
        pytest.param("lstm", {"zeros", "twins"}, id="gates that keep more of the state"),
    ],
)
def test_each_fault_is_named_and_a_fresh_network_is_not(name: str, no_place: set[str]) -> None:
    fresh, found = judged(EXAMPLES[name], quick=True)
    assert [f.message for f in fresh.findings if f.severity >= Severity.WARNING] == []
    assert {one.fault for one in found} == set(FAULTS)
    assert {one.fault for one in found if one.met is None} == no_place
    assert [one.fault for one in found if one.met is False] == []
