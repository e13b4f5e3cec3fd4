"""The audit from Python: paths, mappings and whatever has a ``state_dict()``."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import initaudit
from initaudit import UnhealthyError
from initaudit.finding import Report
from initaudit.options import OptionsError
from initaudit.rulebook import Severity
from tests.command import FIXTURES, ROOT, good, run
from tests.nets import Arrays, he, mlp, normal

QUICK: dict[str, Any] = {"samples": 32, "probe": False}


def sound(seed: int = 0) -> Arrays:
    return mlp(np.random.default_rng(seed), [16, 24, 24, 4], he)


def faulty() -> Arrays:
    return mlp(np.random.default_rng(0), [16, *[24] * 6, 4], normal(1e-4))


def warned(report: Report) -> set[str]:
    return {f.rule for f in report.findings if f.severity >= Severity.WARNING}


class Module:
    """What a framework's module looks like."""

    def __init__(self, arrays: Arrays) -> None:
        self._arrays = arrays

    def state_dict(self) -> Arrays:
        return self._arrays


def test_all_kinds_of_object_get_one_verdict(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    arrays = faulty()
    path = tmp_path / "model.safetensors"
    save_file(arrays, path)
    kinds: tuple[object, ...] = (arrays, Module(arrays), path, str(path), tmp_path)
    reports = [initaudit.audit(kind, **QUICK) for kind in kinds]
    assert len({tuple(f.message for f in r.findings) for r in reports}) == 1
    assert warned(reports[0]) >= {"IA103"}
    assert [r.networks[0].path for r in reports[:3]] == ["mapping", "Module", str(path)]


def test_the_report_has_what_the_json_has(capsys: pytest.CaptureFixture[str]) -> None:
    path = FIXTURES / "too-small-relu" / "model.safetensors"
    report = initaudit.audit(path, **QUICK)
    ran = run(capsys, path, "--samples", "32", "--no-probe", "--output-format", "json")
    assert [f.rule for f in report.findings] == [f["rule"] for f in ran.report["findings"]]
    (here,), (there,) = report.networks, ran.report["networks"]
    assert here.forward_ratio == there["forward_ratio"]
    assert [x.name for x in here.layers] == [x["name"] for x in there["layers"]]
    assert report.summary.warnings == ran.report["summary"]["warnings"]


@pytest.mark.parametrize(
    "obj", [3, None, b"bytes", [np.eye(3)], object()], ids=lambda o: type(o).__name__
)
def test_what_cannot_be_audited_is_a_type_error(obj: object) -> None:
    with pytest.raises(TypeError, match=f"cannot audit {type(obj).__name__}"):
        initaudit.audit(obj)


def test_an_empty_path_is_not_the_working_folder() -> None:
    with pytest.raises(ValueError, match="the path is empty"):
        initaudit.audit("")


def test_an_option_that_does_not_exist_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="activaton"):
        initaudit.audit(sound(), activaton="relu")


def test_options_that_cannot_be_used_are_told_together() -> None:
    with pytest.raises(OptionsError) as caught:
        initaudit.audit(
            sound(), activation="rleu", samples=2, seed=-1, stage="later", input_shape=(0,),
            select=("IA999",), limits={"IA103": {"x": 1}},
        )  # fmt: skip
    assert len(caught.value.mistakes) == 7


def test_a_missing_path_is_a_failed_report_and_no_exception() -> None:
    report = initaudit.audit("absent.safetensors")
    assert report.failed
    assert [u.reason for u in report.unread] == ["no such file; check the path"]


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({}, "holds no weight matrix"),
        ({"a": "text"}, "not an array"),
        ({"a": None}, "not an array"),
        ({3: np.eye(3)}, "not a string"),
        ({"a": np.array([{}])}, "dtype object"),
        ({"a": np.array(["x"])}, "dtype"),
    ],
    ids=str,
)
def test_mappings_that_hold_no_weights_fail(arrays: Any, reason: str) -> None:
    report = initaudit.audit(arrays)
    assert report.failed
    assert any(reason in u.reason for u in report.unread)


@pytest.mark.parametrize(
    "turn",
    [
        lambda a: a.astype(">f4"),
        lambda a: np.asfortranarray(a),
        lambda a: np.repeat(a, 2, axis=0)[::2],
        lambda a: a.astype(np.float64),
        lambda a: np.flip(np.flip(a).copy()),
    ],
    ids=["big-endian", "Fortran", "strided", "double", "negative strides"],
)
def test_memory_layout_does_not_change_the_verdict(turn: Callable[[Any], Any]) -> None:
    plain = initaudit.audit(faulty(), **QUICK)
    turned = initaudit.audit({k: turn(v) for k, v in faulty().items()}, **QUICK)
    assert warned(turned) == warned(plain)
    assert [x.shape for x in turned.networks[0].layers] == [
        x.shape for x in plain.networks[0].layers
    ]


def test_read_only_arrays_are_audited_and_none_is_written_to() -> None:
    arrays = sound()
    before = {name: array.copy() for name, array in arrays.items()}
    for array in arrays.values():
        array.flags.writeable = False
    initaudit.audit(arrays, activation="relu")
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, before[name])


def test_the_global_random_state_is_left_alone() -> None:
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    initaudit.audit(sound(), activation="relu")
    assert (np.random.get_state()[1] == before).all()  # type: ignore[index]  # noqa: NPY002


def test_equal_calls_give_equal_reports_and_another_seed_other_numbers() -> None:
    first, again, other = (initaudit.audit(sound(), activation="relu", seed=s) for s in (1, 1, 2))
    assert first == again
    assert first.networks[0].forward_ratio != other.networks[0].forward_ratio


# assert_healthy


def test_a_healthy_model_passes() -> None:
    initaudit.assert_healthy(sound(), activation="relu", **QUICK)


def test_an_unhealthy_model_fails_with_the_report_as_its_text() -> None:
    with pytest.raises(UnhealthyError) as caught:
        initaudit.assert_healthy(faulty(), activation="relu", **QUICK)
    text = str(caught.value)
    assert isinstance(caught.value, AssertionError)
    assert "warning IA103 too-small" in text
    assert "fc1.weight" in text
    assert "kaiming_normal_" in text
    assert "\x1b" not in text
    assert warned(caught.value.report) >= {"IA103"}


def test_the_severity_that_fails_is_as_told() -> None:
    initaudit.assert_healthy(faulty(), fail_on="error", activation="tanh", **QUICK)
    with pytest.raises(UnhealthyError):
        initaudit.assert_healthy(faulty(), fail_on="note", activation="tanh", **QUICK)


@pytest.mark.parametrize("level", ["fatal", "", "Warning"])
def test_a_severity_that_does_not_exist_is_told(level: str) -> None:
    with pytest.raises(ValueError, match="must be one of"):
        initaudit.assert_healthy(sound(), fail_on=level)


def test_what_could_not_be_judged_is_not_healthy(tmp_path: Path) -> None:
    objects: tuple[object, ...] = (tmp_path / "absent.safetensors", {}, tmp_path)
    for obj in objects:
        with pytest.raises(UnhealthyError):
            initaudit.assert_healthy(obj)
    good(tmp_path / "m.safetensors")
    initaudit.assert_healthy(tmp_path, **QUICK)


# Frameworks


def loaded(code: str, *folders: Path) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys\n{code}\nprint(sorted(sys.modules))"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (*folders, ROOT)))},
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return ran.stdout


AUDIT = (
    "import numpy as np, initaudit\n"
    f"initaudit.audit({str(FIXTURES / 'healthy-he-relu')!r}, samples=16)\n"
    "initaudit.audit({'a.weight': np.eye(8), 'b.weight': np.eye(8)}, samples=16)\n"
)
FRAMEWORKS = ("'torch'", "'jax'", "'tensorflow'", "'keras'", "'ml_dtypes'", "'safetensors.torch'")


def test_no_framework_is_imported_by_an_audit() -> None:
    modules = loaded(AUDIT)
    assert "'initaudit.checkpoint.reading'" in modules
    assert not any(name in modules for name in FRAMEWORKS)


def test_the_test_above_would_see_one(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("")
    assert "'torch'" in loaded(AUDIT + "import torch", tmp_path)


@pytest.fixture
def torch() -> Any:
    module = pytest.importorskip("torch")
    module.manual_seed(0)
    module.set_num_threads(1)
    return module


def layers(torch: Any, activation: Any, *widths: int) -> Any:
    made: list[Any] = []
    for into, out in pairwise(widths):
        made += [torch.nn.Linear(into, out), activation()]
    return torch.nn.Sequential(*made[:-1])


@pytest.mark.oracle
@pytest.mark.parametrize(
    ("make", "activation"),
    [
        (lambda t: layers(t, t.nn.ReLU, 32, 64, 64, 10), "relu"),
        (lambda t: layers(t, t.nn.Tanh, 32, 64, 64, 64, 10), "tanh"),
        (lambda t: layers(t, t.nn.GELU, 32, 64, 64, 64, 64, 1), "gelu"),
        (lambda t: t.nn.LSTM(16, 32, 2), None),
        (lambda t: t.nn.GRU(16, 32), None),
        (lambda t: t.nn.Transformer(32, 4, 1, 1, 64, batch_first=True), None),
        (lambda t: t.nn.TransformerEncoderLayer(32, 4, 64), "relu"),
        (lambda t: t.nn.MultiheadAttention(32, 4), None),
        (lambda t: t.nn.Embedding(100, 32, padding_idx=0), None),
        (lambda t: t.nn.Bilinear(8, 8, 4), None),
        (lambda t: t.nn.Sequential(t.nn.Conv2d(3, 8, 3), t.nn.BatchNorm2d(8), t.nn.ReLU(),
                                   t.nn.Conv2d(8, 8, 3), t.nn.BatchNorm2d(8), t.nn.ReLU(),
                                   t.nn.AdaptiveAvgPool2d(1), t.nn.Flatten(), t.nn.Linear(8, 4)),
         "relu"),
        (lambda t: layers(t, t.nn.ReLU, 32, 64, 10).to(t.bfloat16), "relu"),
        (lambda t: layers(t, t.nn.ReLU, 32, 64, 10).half(), "relu"),
        (lambda t: layers(t, t.nn.ReLU, 32, 64, 10).double(), "relu"),
    ],
)  # fmt: skip
def test_torch_as_it_comes_is_sound(torch: Any, make: Any, activation: str | None) -> None:
    for seed in range(2):
        torch.manual_seed(seed)
        module = make(torch)
        for told in {activation, None}:
            report = initaudit.audit(module, activation=told, samples=64)
            assert not report.unread
            assert warned(report) == set()


@pytest.mark.oracle
def test_a_torch_module_drawn_too_small_is_not_healthy(torch: Any) -> None:
    module = layers(torch, torch.nn.ReLU, 32, *[64] * 6, 10)
    for layer in module:
        if isinstance(layer, torch.nn.Linear):
            torch.nn.init.normal_(layer.weight, std=1e-3)
    with pytest.raises(UnhealthyError, match=r"kaiming_normal_\(model\[0\].weight"):
        initaudit.assert_healthy(module, activation="relu", samples=64)


def trained(torch: Any, module: Any, classes: int, decay: float, steps: int = 150) -> Any:
    inputs = torch.randn(256, 16)
    target = (inputs[:, :classes] if classes > 1 else inputs[:, :2]).argmax(1)
    optimiser = torch.optim.AdamW(module.parameters(), lr=5e-3, weight_decay=decay)
    for _ in range(steps):
        out = module(inputs)
        if classes > 1:
            loss = torch.nn.functional.cross_entropy(out, target)
        else:
            loss = torch.nn.functional.mse_loss(out[:, 0], target.float())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return module


@pytest.mark.oracle
@pytest.mark.parametrize("decay", [0.0, 1.0])
@pytest.mark.parametrize("classes", [1, 2, 5])
@pytest.mark.parametrize("name", ["ReLU", "Tanh", "Sigmoid"])
def test_what_torch_trained_is_sound(torch: Any, name: str, classes: int, decay: float) -> None:
    module = layers(torch, getattr(torch.nn, name), 16, 48, 48, max(classes, 1))
    trained(torch, module, classes, decay)
    for told in (name.lower(), None):
        report = initaudit.audit(module, activation=told, samples=64)
        assert warned(report) == set()


@pytest.mark.oracle
def test_a_trained_network_with_norms_is_taken_for_trained(torch: Any) -> None:
    module = torch.nn.Sequential(
        torch.nn.Linear(16, 48), torch.nn.BatchNorm1d(48), torch.nn.ReLU(),
        torch.nn.Linear(48, 48), torch.nn.BatchNorm1d(48), torch.nn.ReLU(), torch.nn.Linear(48, 4),
    )  # fmt: skip
    report = initaudit.audit(module, samples=64)
    assert report.networks[0].origin == "measured"
    assert warned(report) == set()
    report = initaudit.audit(trained(torch, module, 4, 0.0), samples=64)
    assert report.networks[0].origin == "trained"
    assert warned(report) == set()
