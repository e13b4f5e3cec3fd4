"""What the rules about source say of torch, asked of torch."""

from __future__ import annotations

import copy
import importlib
import math
from collections.abc import Callable
from typing import Any

import pytest

from initaudit.source.checks.calls import _AXES, _COPIES, _VIEWS
from initaudit.source.wraps import _WRAPPERS

torch: Any = pytest.importorskip("torch")
pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("ignore::FutureWarning")]

REAL_WRAPPERS = sorted(_WRAPPERS - {"torch.nn.utils.weight_norm.weight_norm"})


def named(name: str) -> Any:
    module, _, last = name.rpartition(".")
    return getattr(importlib.import_module(module), last)


def output(wrapper: str, std: float) -> Any:
    torch.manual_seed(0)
    layer = named(wrapper)(torch.nn.Linear(4, 4, bias=False)).eval()
    torch.nn.init.normal_(layer.weight.data, std=std)
    return layer(torch.ones(1, 4))


@pytest.mark.parametrize("wrapper", REAL_WRAPPERS)
def test_filling_a_wrapped_weight_leaves_the_layer_as_it_was(wrapper: str) -> None:
    assert torch.equal(output(wrapper, 0.01), output(wrapper, 5.0))


def test_filling_the_weight_after_the_older_spectral_norm_initialises_the_layer() -> None:
    wrapper = "torch.nn.utils.spectral_norm"
    assert not torch.equal(output(wrapper, 0.01), output(wrapper, 5.0))


@pytest.mark.parametrize("function", _AXES)
def test_an_initialiser_with_fans_refuses_a_bias(function: str) -> None:
    draw = getattr(torch.nn.init, function)
    more = {"sparsity": 0.1} if function == "sparse_" else {}
    with pytest.raises(ValueError, match=r"[Dd]imension|tensor"):
        draw(torch.nn.Linear(4, 4).bias, **more)
    draw(torch.empty((4,) * _AXES[function]), **more)


@pytest.mark.parametrize("slope", [0.0, 0.2, 1.0, math.sqrt(2), 5.0])
def test_a_larger_slope_makes_smaller_weights(slope: float) -> None:
    torch.manual_seed(0)
    drawn = torch.nn.init.kaiming_normal_(torch.empty(400, 400), a=slope)
    assert drawn.std().item() == pytest.approx(math.sqrt(2 / (1 + slope**2) / 400), rel=0.02)


def test_the_slope_counts_for_no_other_nonlinearity() -> None:
    with_slope = torch.nn.init.calculate_gain("relu", 5.0)
    assert with_slope == torch.nn.init.calculate_gain("relu", 0.0)


def test_a_lone_number_is_the_mean_of_a_normal_draw_with_std_one() -> None:
    torch.manual_seed(0)
    drawn = torch.nn.init.normal_(torch.empty(400, 400), 0.02)
    assert drawn.mean().item() == pytest.approx(0.02, abs=0.01)
    assert drawn.std().item() == pytest.approx(1.0, rel=0.02)


@pytest.mark.parametrize(
    "draw",
    [
        lambda w: torch.nn.init.uniform_(w, 1.0, 0.02),
        lambda w: torch.nn.init.normal_(w, 0.0, -0.02),
    ],
)
def test_an_empty_range_and_a_negative_spread_are_errors(draw: Callable[[Any], Any]) -> None:
    with pytest.raises(RuntimeError):
        draw(torch.empty(4, 4))


def test_a_spread_of_zero_makes_all_weights_equal() -> None:
    assert torch.nn.init.normal_(torch.empty(4, 4), 0.5, 0.0).unique().tolist() == [0.5]


def copies(method: str) -> Callable[[Any], Any]:
    given: dict[str, tuple[Any, ...]] = {
        "repeat": (1, 1), "new_empty": (3,), "new_zeros": (3,), "new_ones": (3,),
        "view": (-1,), "transpose": (0, 1), "unsqueeze": (0,),
    }  # fmt: skip
    if method == "deepcopy":
        return copy.deepcopy
    return lambda w: getattr(w, method)(*given.get(method, ()))


@pytest.mark.parametrize("method", sorted(_COPIES))
def test_filling_a_copy_leaves_the_weight(method: str) -> None:
    weight = torch.ones(4, 4)
    copies(method)(weight).fill_(7)
    assert weight.eq(1).all()


@pytest.mark.parametrize(
    "index", [lambda w: w[[0, 2]], lambda w: w[w > 0]], ids=["a list", "a mask"]
)
def test_filling_what_a_list_or_a_mask_picks_leaves_the_weight(index: Callable[[Any], Any]) -> None:
    weight = torch.ones(4, 4)
    torch.nn.init.zeros_(index(weight))
    assert weight.eq(1).all()


@pytest.mark.parametrize("method", sorted(_VIEWS))
def test_filling_a_view_fills_the_weight(method: str) -> None:
    weight = torch.ones(4, 4)
    copies(method)(weight).fill_(7)
    assert weight.eq(7).all()


def test_applying_the_result_of_an_initialising_function_is_an_error() -> None:
    with pytest.raises(TypeError, match="not callable"):
        torch.nn.Linear(4, 4).apply(None)
