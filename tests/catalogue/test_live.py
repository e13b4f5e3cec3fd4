"""The catalogue against the installed torch and NumPy: signatures, shapes and drawn numbers."""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from initaudit.catalogue import REQUIRED, UNKNOWN, LayerSpec, Parameter, bind, shape, weights
from initaudit.network import Interval, Weights
from tests.catalogue.known import CATALOGUE, ENTRIES, drawn, value

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

SIDES = (500, 200)
TORCH = ENTRIES["torch.toml"]


def resolve(name: str) -> Any:
    package, _, rest = name.partition(".")
    return operator.attrgetter(rest)({"torch": torch, "numpy": np}[package])


def signature(call: Callable[..., object]) -> list[inspect.Parameter] | None:
    """Return the parameters of a callable; None where Python cannot tell them all."""
    try:
        found = list(inspect.signature(call).parameters.values())
    except ValueError:
        return None
    vague = {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}
    return None if any(p.kind in vague for p in found) else found


def assert_same(known: tuple[Parameter, ...], live: list[inspect.Parameter]) -> None:
    """Older releases lack some of the parameters; none has one that is not known."""
    by_name = {p.name: p for p in known}
    assert [p.name for p in live] == [p.name for p in known if p.name in {q.name for q in live}]
    for parameter in live:
        mine = by_name[parameter.name]
        assert (mine.kind == "keyword") == (parameter.kind is inspect.Parameter.KEYWORD_ONLY)
        if parameter.default is inspect.Parameter.empty:
            assert mine.default is REQUIRED, parameter.name
        elif mine.default is not UNKNOWN:
            assert mine.default == value(parameter.default), parameter.name


def test_all_names_exist() -> None:
    for name in (*TORCH.initialisers, *TORCH.layers, *ENTRIES["numpy.toml"].initialisers):
        if name.startswith(("torch.", "numpy.")):
            assert callable(resolve(name)), name
    assert all(callable(getattr(torch.Tensor, name)) for name in TORCH.methods)


@pytest.mark.parametrize(
    "name", [n for n, i in TORCH.initialisers.items() if n.startswith("torch.nn.init.")]
)
def test_an_initialiser_has_the_parameters_of_the_live_one(name: str) -> None:
    entry = TORCH.initialisers[name]
    live = signature(resolve(entry.deprecated or name))
    assert live is not None
    assert_same(entry.parameters, live)


def test_no_initialiser_of_torch_is_missing() -> None:
    public = {
        n
        for n, f in vars(torch.nn.init).items()
        if inspect.isfunction(f) and not n.startswith("_") and n != "calculate_gain"
    }
    assert {f"torch.nn.init.{n}" for n in public} == {
        n for n in TORCH.initialisers if n.startswith("torch.nn.init.")
    }


UNREADABLE = {"RNN", "LSTM", "GRU", "Identity", "Tanh", "Sigmoid", "Softsign"}
"""Classes whose constructor is ``(*args, **kwargs)``."""

LAYERS = [
    n
    for n, layer in TORCH.layers.items()
    if layer.op not in {"module", "container", "variable", "buffer"}
]


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_has_the_parameters_of_the_live_one(name: str) -> None:
    layer, live = TORCH.layers[name], signature(resolve(name))
    if live is None:
        assert name.rpartition(".")[2] in UNREADABLE
    else:
        assert_same(layer.parameters, live)


SMALL: dict[str, int | bool] = {
    "in1_features": 60,
    "in2_features": 40,
    "in_features": 300,
    "out_features": 120,
    "in_channels": 60,
    "out_channels": 40,
    "kernel_size": 3,
    "num_features": 50,
    "normalized_shape": 50,
    "num_groups": 2,
    "num_channels": 50,
    "num_embeddings": 300,
    "embedding_dim": 200,
    "input_size": 60,
    "hidden_size": 80,
    "embed_dim": 120,
    "num_heads": 2,
}
OWNERS = [
    n
    for n, layer in TORCH.layers.items()
    if layer.weights and layer.op not in {"variable", "buffer"} and "Lazy" not in n
]


def fans(layer: LayerSpec, bound: dict[str, int | bool]) -> dict[str, float]:
    """Return the fans that the module itself reckons with."""
    if layer.op in {"rnn", "lstm", "gru"}:
        return {"out": float(bound["hidden_size"])}
    if layer.op == "attention":
        side = bound["embed_dim"]
        return {"in": side, "average": (side + 3 * side) / 2}
    if layer.op == "bilinear":
        return {"in": bound["in1_features"]}
    window = float(bound.get("kernel_size", 1)) ** (layer.dims or 0)
    first = {"conv_transpose": "out_channels"}.get(layer.op, layer.inputs or "")
    return {"in": float(bound.get(first, 1)) * window}


@pytest.mark.parametrize("name", OWNERS)
def test_a_layer_makes_the_weights_that_are_described(name: str) -> None:
    layer = TORCH.layers[name]
    given = {p.name: SMALL[p.name] for p in layer.parameters if p.name in SMALL}
    given |= {p.name: True for p in layer.parameters if p.name in {"affine", "add_bias_kv"}}
    torch.manual_seed(1)
    module = resolve(name)(**given)
    live = dict(module.named_parameters())
    bound = bind(layer.parameters, [], {k: value(v) for k, v in given.items()})
    assert bound is not None
    assert set(live) == set(layer.weights)
    for key, weight in layer.weights.items():
        numbers = live[key].detach().numpy()
        assert shape(layer, weight, bound) == numbers.shape
        fan = fans(layer, given).get(weight.default.fan, 1.0)
        if key in {"bias_k", "bias_v"}:
            continue
        compare(numbers, weight.default, fan)


def compare(numbers: NDArray[Any], law: Weights, fan: float) -> None:
    """Compare moments within five standard errors (four moments of a uniform or normal law)."""
    count = numbers.size
    assert law.mean.lo == law.mean.hi
    assert law.scale.lo == law.scale.hi
    variance = law.scale.lo / fan
    assert numbers.mean() == pytest.approx(law.mean.lo, abs=5 * math.sqrt(variance / count) + 1e-6)
    if law.scale == Interval.point(0.0):
        assert numbers.var() == pytest.approx(0.0, abs=1e-12)
    else:
        assert numbers.var() == pytest.approx(variance, rel=5 * math.sqrt(2.0 / count))


@pytest.mark.parametrize(
    ("name", "keywords"),
    [
        ("torch.nn.init.normal_", {}),
        ("torch.nn.init.normal_", {"mean": 0.02}),
        ("torch.nn.init.uniform_", {}),
        ("torch.nn.init.uniform_", {"a": -0.1, "b": 0.3}),
        ("torch.nn.init.constant_", {"val": 0.25}),
        ("torch.nn.init.ones_", {}),
        ("torch.nn.init.zeros_", {}),
        ("torch.nn.init.xavier_uniform_", {}),
        ("torch.nn.init.xavier_normal_", {"gain": 1.5}),
        ("torch.nn.init.kaiming_uniform_", {}),
        ("torch.nn.init.kaiming_uniform_", {"a": math.sqrt(5)}),
        ("torch.nn.init.kaiming_normal_", {"a": 0.2}),
        ("torch.nn.init.kaiming_normal_", {"mode": "fan_out", "nonlinearity": "relu"}),
        ("torch.nn.init.kaiming_normal_", {"nonlinearity": "tanh"}),
        ("torch.nn.init.kaiming_normal_", {"nonlinearity": "selu"}),
        ("torch.nn.init.kaiming_normal_", {"nonlinearity": "sigmoid"}),
        ("torch.nn.init.kaiming_normal_", {"nonlinearity": "linear"}),
        ("torch.nn.init.kaiming_normal_", {"nonlinearity": "conv_transpose2d"}),
        ("torch.nn.init.trunc_normal_", {}),
        ("torch.nn.init.trunc_normal_", {"std": 0.02}),
        ("torch.nn.init.trunc_normal_", {"mean": 0.5, "std": 2.0, "a": -1.0, "b": 3.0}),
        ("torch.nn.init.trunc_normal_", {"std": 3.0}),
        ("torch.nn.init.sparse_", {"sparsity": 0.5, "std": 0.1}),
    ],
)
def test_an_initialiser_of_torch_draws_the_law(name: str, keywords: dict[str, Any]) -> None:
    torch.manual_seed(2)
    out, into = SIDES
    numbers = resolve(name)(torch.empty(out, into), **keywords).numpy()
    law = drawn(name, **keywords)
    fan = {"in": into, "out": out, "average": (into + out) / 2, "none": 1}[law.fan]
    compare(numbers, law, fan)


@pytest.mark.parametrize(("rows", "columns"), [(64, 64), (64, 256)])
def test_an_orthogonal_draw_has_the_power_described(rows: int, columns: int) -> None:
    torch.manual_seed(3)
    numbers = torch.nn.init.orthogonal_(torch.empty(rows, columns), gain=2.0).numpy()
    law = drawn("torch.nn.init.orthogonal_", gain=2.0)
    assert float(np.mean(numbers**2)) * columns == pytest.approx(law.scale.lo, rel=1e-4)


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("normal_", ()),
        ("normal_", (0.02,)),
        ("normal_", (1.0, 0.02)),
        ("uniform_", ()),
        ("uniform_", (-0.1, 0.1)),
        ("fill_", (0.5,)),
        ("zero_", ()),
    ],
)
def test_a_method_of_a_tensor_draws_the_law(method: str, arguments: tuple[float, ...]) -> None:
    torch.manual_seed(4)
    numbers = getattr(torch.empty(SIDES), method)(*arguments).numpy()
    entry = CATALOGUE.method(method)
    assert entry is not None
    bound = bind(entry.parameters, [value(v) for v in arguments], {})
    assert bound is not None
    compare(numbers, weights(entry, bound), 1.0)


@pytest.mark.parametrize(
    ("name", "positional", "keywords"),
    [
        ("torch.zeros", SIDES, {}),
        ("torch.ones", (SIDES,), {}),
        ("torch.rand", SIDES, {"requires_grad": False}),
        ("torch.randn", SIDES, {}),
        ("torch.randn", (), {"size": SIDES}),
        ("torch.full", (SIDES, 0.3), {}),
        ("torch.normal", (0.5, 0.1, SIDES), {}),
        ("torch.normal", (), {"mean": 0.5, "std": 0.1, "size": SIDES}),
        ("numpy.zeros", (SIDES,), {}),
        ("numpy.ones", (SIDES,), {}),
        ("numpy.full", (SIDES, 0.3), {}),
        ("numpy.random.rand", SIDES, {}),
        ("numpy.random.randn", SIDES, {}),
        ("numpy.random.random", (SIDES,), {}),
        ("numpy.random.random_sample", (SIDES,), {}),
        ("numpy.random.uniform", (-0.5, 0.5, SIDES), {}),
        ("numpy.random.uniform", (), {"size": SIDES}),
        ("numpy.random.normal", (0.02,), {"size": SIDES}),
        ("numpy.random.normal", (0.0, 0.02, SIDES), {}),
        ("numpy.random.standard_normal", (SIDES,), {}),
    ],
)
def test_a_factory_draws_the_law(
    name: str, positional: tuple[Any, ...], keywords: dict[str, Any]
) -> None:
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002 - the legacy functions are what is compared
    numbers = np.asarray(resolve(name)(*positional, **keywords))
    assert numbers.shape == SIDES
    compare(numbers, drawn(name, *positional, **keywords), 1.0)


@pytest.mark.parametrize(
    ("method", "keywords"),
    [
        ("random", {}),
        ("uniform", {"low": -1.0}),
        ("normal", {"loc": 0.5, "scale": 0.1}),
        ("standard_normal", {}),
    ],
)
def test_a_generator_of_numpy_draws_the_law(method: str, keywords: dict[str, Any]) -> None:
    numbers = getattr(np.random.default_rng(6), method)(size=SIDES, **keywords)
    law = drawn(f"numpy.random.Generator.{method}", size=SIDES, **keywords)
    compare(numbers, law, 1.0)
