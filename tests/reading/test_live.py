"""Live objects: modules of PyTorch by their source, models of Keras and trees of Flax by name."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

import numpy as np
import pytest

import initaudit
from tests.declared import FOLDER, module

pytest_plugins = ("pytester",)
PLAIN = FOLDER / "torch_plain.py"


@pytest.mark.oracle
@pytest.mark.parametrize("depth", [3, 20])
def test_a_live_module_is_judged_in_the_network_of_its_source(depth: int) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    report = initaudit.audit(module(PLAIN).DefaultDeep(width=48, depth=depth))
    assert report.networks[0].topology == "source"
    assert report.networks[0].activations == ("relu",)
    assert ("IA205" in {f.rule for f in report.findings}) == (depth == 20)


@pytest.mark.oracle
def test_a_live_sequential_needs_no_source() -> None:
    nn = pytest.importorskip("torch.nn")
    hidden = [nn.Linear(32, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh()]
    net = nn.Sequential(*hidden, nn.Linear(64, 2))
    report = initaudit.audit(net)
    assert report.networks[0].topology == "source"
    assert report.networks[0].activations == ("tanh",)
    initaudit.assert_healthy(net)


@pytest.mark.oracle
def test_a_live_module_whose_forward_is_not_followed_is_judged_by_its_names() -> None:
    nn = pytest.importorskip("torch.nn")

    class Local(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.fc2 = nn.Linear(8, 8), nn.Linear(8, 8)

        def forward(self, x: Any) -> Any:
            return self.fc2(self.fc1(x))

    assert initaudit.audit(Local()).networks[0].topology == "names"


@pytest.mark.oracle
def test_an_unhealthy_live_module_fails_an_assertion() -> None:
    pytest.importorskip("torch")
    with pytest.raises(initaudit.UnhealthyError, match="IA101"):
        initaudit.assert_healthy(module(PLAIN).AllZeros())


def test_a_tree_of_arrays_is_flattened() -> None:
    rng = np.random.default_rng(0)
    layers = {
        f"Dense_{i}": {"kernel": rng.normal(0, 0.3, (16, 16)).astype(np.float32)} for i in range(2)
    }
    report = initaudit.audit({"params": layers}, activation="relu")
    names = {x.tensor.name for x in report.networks[0].layers if x.tensor is not None}
    assert names == {"params/Dense_0/kernel", "params/Dense_1/kernel"}


def test_an_object_with_weights_is_read_as_keras_has_it() -> None:
    class Weight:
        def __init__(self, path: str) -> None:
            self.path = path

        def numpy(self) -> Any:
            return np.random.default_rng(0).normal(0, 0.2, (16, 16)).astype(np.float32)

    class Model:
        weights = [Weight("dense/kernel"), Weight("dense_1/kernel")]  # noqa: RUF012

    assert len(initaudit.audit(Model(), activation="relu").networks) == 1


def test_the_plugin_gives_a_fixture(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import numpy as np

        def test_zeros(assert_healthy):
            assert_healthy({f"fc{i}.weight": np.zeros((8, 8), np.float32) for i in range(3)})

        def test_sound(assert_healthy):
            rng = np.random.default_rng(0)
            assert_healthy({"fc.weight": rng.normal(0, 0.2, (32, 32)).astype(np.float32)})
        """
    )
    # An installed package registers it by its entry point, and it may be registered only once.
    installed = any(p.name == "initaudit" for p in entry_points(group="pytest11"))
    words = () if installed else ("-p", "initaudit.pytest_plugin")
    result = pytester.runpytest_inprocess(*words)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*IA101*"])
