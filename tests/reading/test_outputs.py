"""The network that is read of a source, with the framework's own weights: it gives the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from initaudit.checkpoint import reading as stored_reading
from initaudit.checkpoint.stored import Stored
from initaudit.reading import choosing, matching, model, passing
from initaudit.reading.realising import Realised
from initaudit.reading.state import State
from initaudit.reading.units import Files
from initaudit.reading.values import Parameter
from initaudit.replica.engine import forward, loader
from tests.declared import FOLDER, catalogue, classes, followed, ids, module

pytestmark = pytest.mark.oracle
Arrays = Mapping[str, NDArray[Any]]
TORCH = classes("torch_attention.py") + classes("torch_norms.py") + classes("torch_resizing.py")


def stored(name: str, array: NDArray[Any]) -> Stored:
    raw = np.ascontiguousarray(array, np.float32)

    def pieces(step: int) -> Iterator[NDArray[np.uint8]]:
        flat = raw.reshape(-1).view(np.uint8)
        for start in range(0, flat.size, step):
            yield flat[start : start + step]

    return Stored(name, "F32", raw.shape, "", pieces)


def output(path: Path, name: str, arrays: Arrays, x: NDArray[Any]) -> NDArray[Any]:
    """Return what the network of a source gives with arrays that a framework made."""
    files = Files()
    cls = choosing.find(State(files, catalogue()), choosing.unit_of(files, path), name)
    made = model.read(files, catalogue(), cls)
    passing.grow(made, x.shape[1:])
    match = matching.match(made.parameters, made.aliases, {k: a.shape for k, a in arrays.items()})
    assert not match.missing
    assert not match.unequal
    held = {own: stored(own, arrays[other]) for own, other in match.names.items()}

    def of(parameter: Parameter) -> Stored:
        return held[parameter.name]

    reading = passing.follow(made, of, x.shape[1:])
    assert not reading.stopped
    plan, _ = passing.planned(made, reading)
    numbers = {k: stored_reading.array(s) for k, s in held.items()} | dict(plan.computed)
    network = plan.network(())
    entering = {layer.name: x for layer in network.layers if layer.op == "input"}
    tape = forward(network, loader(numbers.__getitem__), entering, batch_statistics=False)
    assert not tape.stopped
    found: NDArray[Any] = tape.outputs[network.layers[-1].name]
    return found


def same_starts(path: Path, name: str, arrays: Arrays, shape: tuple[int, ...]) -> None:
    """Compare the spread of each array with that of one drawn from the source."""
    files = Files()
    cls = choosing.find(State(files, catalogue()), choosing.unit_of(files, path), name)
    made = model.read(files, catalogue(), cls)
    passing.grow(made, shape)
    match = matching.match(made.parameters, made.aliases, {k: a.shape for k, a in arrays.items()})
    realised = Realised(made.parameters)
    for own, other in match.names.items():
        drawn, array = realised.array(own), arrays[other]
        if array.ndim < 2 or not array.any():
            np.testing.assert_array_equal(drawn, array)
        elif array.size >= 100:
            assert drawn.std() == pytest.approx(array.std(), rel=0.25), own


@pytest.mark.parametrize(("path", "name"), TORCH, ids=ids(TORCH))
def test_a_torch_model_gives_what_its_source_says(path: Path, name: str) -> None:
    torch = pytest.importorskip("torch")
    entry = followed(path, name).entries[0]
    torch.manual_seed(4)
    net = getattr(module(path), name)().eval()
    size = (3, *entry.shape)
    x = torch.randint(0, 10, size) if entry.tokens else torch.randn(size)
    arrays = {k: v.numpy() for k, v in net.state_dict().items()}
    wanted = net(x).detach().numpy()
    found = output(path, name, arrays, x.numpy())
    np.testing.assert_allclose(found, wanted, rtol=2e-4, atol=2e-5)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("recurrent", (12, 16)),
        ("resetting", (12, 16)),
        ("attentive", (10, 32)),
        ("depthwise", (12, 12, 6)),
    ],
)
def test_a_keras_model_gives_what_its_source_says(
    name: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    pytest.importorskip("jax")
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(5)
    path = FOLDER / "keras_models.py"
    net = getattr(module(path), name)()
    random = np.random.default_rng(0)
    starts = {w.path: keras.ops.convert_to_numpy(w) for w in net.weights}
    same_starts(path, name, starts, shape)
    for w in net.weights:
        w.assign(keras.ops.convert_to_numpy(w) + 0.1 * random.standard_normal(w.shape))
    x = random.standard_normal((3, *shape)).astype(np.float32)
    arrays = {w.path: keras.ops.convert_to_numpy(w) for w in net.weights}
    np.testing.assert_allclose(
        output(path, name, arrays, x), keras.ops.convert_to_numpy(net(x)), rtol=2e-4, atol=2e-5
    )


@pytest.mark.parametrize(("name", "shape"), [("Attentive", (10, 24)), ("Depthwise", (12, 12, 3))])
def test_a_flax_module_gives_what_its_source_says(name: str, shape: tuple[int, ...]) -> None:
    jax = pytest.importorskip("jax")
    flax = pytest.importorskip("flax")
    path = FOLDER / "flax_models.py"
    net = getattr(module(path), name)()
    x = np.random.default_rng(0).standard_normal((3, *shape)).astype(np.float32)
    tree = net.init(jax.random.PRNGKey(5), x)
    arrays = {k: np.asarray(v) for k, v in flax.traverse_util.flatten_dict(tree, sep="/").items()}
    wanted = np.asarray(net.apply(tree, x))
    np.testing.assert_allclose(output(path, name, arrays, x), wanted, rtol=2e-4, atol=2e-5)
