"""Source and the checkpoint that the framework writes from it get the same verdict."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import initaudit
from initaudit import declaring
from initaudit.network import Origin
from initaudit.options import Options, rules_for
from initaudit.running import run
from tests.declared import FOLDER, classes, followed, ids, module, verdict

NORMED = classes("torch_norms.py")
TORCH = tuple(one for one in classes("torch_*.py") if one not in NORMED)
SAMPLES = 96


def declared(path: Path, name: str, options: Options) -> initaudit.finding.Report:
    return declaring.audit_declared(f"{path}:{name}", options, rules_for(options))


@pytest.mark.oracle
@pytest.mark.parametrize(("path", "name"), TORCH, ids=ids(TORCH))
def test_a_torch_model_and_the_graph_that_torch_exports_get_one_verdict(
    path: Path, name: str, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch")
    entry = followed(path, name).entries[0]
    options: dict[str, Any] = {"input_shape": entry.shape, "samples": SAMPLES}
    source = declared(path, name, Options(**options))
    torch.manual_seed(1)
    net = getattr(module(path), name)().eval()
    size = (3, *entry.shape)
    example = torch.randint(0, 10, size) if entry.tokens else torch.randn(size)
    file = tmp_path / "model.pt2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(net, (example,), strict=False), file)
    stored = initaudit.audit(file, **options)
    assert not source.unread
    assert not stored.unread
    assert source.networks[0].origin is Origin.DECLARED
    assert source.networks[0].topology == "source"
    assert source.networks[0].coverage == 1.0
    assert verdict(source) == verdict(stored)


KERAS = ["sequential", "zeros", "too_small", "functional", "convolutional", "Mlp", "recurrent",
         "attentive", "depthwise"]  # fmt: skip
FLAX = ["Compact", "Setup", "Residual", "TinyNormal", "Convolutional", "Nnx", "Attentive",
        "Depthwise"]  # fmt: skip
EQUINOX = ["Mlp", "Listed"]
NUMPY = ["network", "positive", "Mlp", "Constant"]
KERAS_FILE, FLAX_FILE, NUMPY_FILE = (
    FOLDER / f"{name}_models.py" for name in ("keras", "flax", "numpy")
)


def agree(path: Path, name: str, arrays: dict[str, Any], tmp_path: Path, **options: Any) -> None:
    """Compare what the source declares with a checkpoint of these arrays, laid beside it."""
    file = tmp_path / "model.npz"
    stored_arrays: dict[str, Any] = {k: np.asarray(v, np.float32) for k, v in arrays.items()}
    np.savez(file, **stored_arrays)
    source = declared(path, name, Options(samples=SAMPLES, **options))
    told = Options(samples=SAMPLES, model=f"{path}:{name}", **options)
    stored = run([file], told)
    assert not source.unread
    assert not stored.unread
    assert source.networks[0].topology == stored.networks[0].topology == "source"
    assert source.networks[0].origin is Origin.DECLARED
    assert verdict(source) == verdict(stored)


@pytest.mark.oracle
@pytest.mark.parametrize(("path", "name"), NORMED, ids=ids(NORMED))
def test_a_torch_model_of_computed_weights_and_its_state_dict_get_one_verdict(
    path: Path, name: str, tmp_path: Path
) -> None:
    torch = pytest.importorskip("torch")
    shape = followed(path, name).entries[0].shape
    torch.manual_seed(1)
    arrays = getattr(module(path), name)().state_dict()
    agree(path, name, dict(arrays), tmp_path, input_shape=shape)


@pytest.mark.oracle
@pytest.mark.parametrize("name", KERAS)
def test_a_keras_model_and_its_weights_get_one_verdict(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    pytest.importorskip("jax")
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(3)
    made = getattr(module(KERAS_FILE), name)
    net = made if name == "sequential" else made()
    options: dict[str, Any] = {}
    if name == "Mlp":
        options["input_shape"] = (48,)
        net(np.zeros((1, 48), np.float32))
    agree(KERAS_FILE, name, {w.path: np.asarray(w) for w in net.weights}, tmp_path, **options)


@pytest.mark.oracle
@pytest.mark.parametrize("name", FLAX)
def test_a_flax_module_and_its_parameters_get_one_verdict(name: str, tmp_path: Path) -> None:
    jax = pytest.importorskip("jax")
    flax = pytest.importorskip("flax")
    made = getattr(module(FLAX_FILE), name)
    if name == "Nnx":
        nnx = pytest.importorskip("flax.nnx")
        flat = nnx.to_flat_state(nnx.state(made()))
        arrays = {".".join(path): np.asarray(leaf[...]) for path, leaf in flat}
        agree(FLAX_FILE, name, arrays, tmp_path)
        return
    shapes = {"Convolutional": (12, 12, 3), "Depthwise": (12, 12, 3), "Attentive": (10, 24)}
    shape = shapes.get(name, (48,))
    tree = made().init(jax.random.PRNGKey(5), np.ones((1, *shape), np.float32))
    arrays = flax.traverse_util.flatten_dict(tree, sep="/")
    agree(FLAX_FILE, name, dict(arrays), tmp_path, input_shape=shape)


@pytest.mark.parametrize("name", NUMPY)
def test_a_numpy_network_and_its_arrays_get_one_verdict(name: str, tmp_path: Path) -> None:
    np.random.seed(7)  # noqa: NPY002  (what the fixture draws from)
    made = module(NUMPY_FILE)
    if name[0].isupper():
        held = vars(getattr(made, name)())
        arrays = {key: value for key, value in held.items() if isinstance(value, np.ndarray)}
    else:
        own = {"network": "Wb", "positive": "U"}[name]
        arrays = {k: v for k, v in vars(made).items() if k[0] in own and k[1:].isdigit()}
    agree(NUMPY_FILE, name, arrays, tmp_path)


@pytest.mark.oracle
@pytest.mark.parametrize("name", EQUINOX)
def test_an_equinox_module_and_its_leaves_get_one_verdict(name: str, tmp_path: Path) -> None:
    jax = pytest.importorskip("jax")
    equinox = pytest.importorskip("equinox")
    file = FOLDER / "equinox_models.py"
    net = getattr(module(file), name)(jax.random.PRNGKey(2))
    leaves = jax.tree_util.tree_leaves_with_path(equinox.filter(net, equinox.is_array))
    arrays = {
        jax.tree_util.keystr(path).lstrip(".").replace("[", ".").replace("]", ""): leaf
        for path, leaf in leaves
    }
    agree(file, name, arrays, tmp_path)


def test_at_least_forty_models_are_compared() -> None:
    assert len(TORCH) + len(NORMED) + len(KERAS) + len(FLAX) + len(EQUINOX) + len(NUMPY) >= 40
