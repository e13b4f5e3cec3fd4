"""Exported graphs against the framework: outputs by hooks, gradients by autograd, in float64."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.graphs.seen import end, gradients, hooked, read, sent

STD = 1e-4
POWER = 1e-3
NORMED = ("lenet", "resnet", "mobile")
"""Their batch norms would be folded into the convolutions, whose outputs are then others."""

NAMES = (
    "mlp", "lenet", "resnet", "mobile", "unet", "lstm", "encoder",
    "gpt2", "bert", "vit", "llama", "phi3", "t5",
)  # fmt: skip
NOT_EXPORTED = {
    ("t5", "dynamo"): "torch cannot export it: an operator is missing in its own decomposition",
    ("gpt2", "legacy"): "torch's old exporter has no aten::diff",
    ("llama", "legacy"): "torch's old exporter has no aten::diff",
    ("phi3", "legacy"): "torch's old exporter has no aten::diff",
}

pytestmark = [
    pytest.mark.oracle,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.timeout(600),
]


def exported(model: Any, x: Any, name: str, form: str, folder: Path) -> Path:
    import torch

    path = folder / f"{name}.{'pt2' if form == 'pt2' else 'onnx'}"
    if form == "pt2":
        torch.export.save(torch.export.export(model, (x,)), path)
    elif form == "dynamo":
        more = {"optimize": name not in NORMED, "external_data": False, "verbose": False}
        torch.onnx.export(model, (x,), path, dynamo=True, **more)
    else:
        kept = torch.onnx.TrainingMode.PRESERVE if name in NORMED else torch.onnx.TrainingMode.EVAL
        words = x.dtype == torch.int64
        called = "input_ids" if words else "pixel_values"
        axes = {0: "batch", 1: "sequence"} if words else {0: "batch"}
        torch.onnx.export(
            model, (x,), str(path), dynamo=False, input_names=[called], training=kept,
            dynamic_axes={called: axes}, do_constant_folding=name not in NORMED,
        )  # fmt: skip
    return path


@pytest.mark.parametrize("form", ["pt2", "dynamo", "legacy"])
@pytest.mark.parametrize("name", NAMES)
def test_every_named_layer_is_what_hooks_see(name: str, form: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    if form != "pt2":
        pytest.importorskip("onnxscript")
    if (name, form) in NOT_EXPORTED:
        pytest.skip(NOT_EXPORTED[name, form])
    from tests.graphs.models import built

    model, x = built(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = exported(model, x, name, form, tmp_path)
    model = model.double()
    numbers = x.numpy() if not x.is_floating_point() else x.double()
    shape = tuple(x.shape[1:])
    one = read(path, shape)
    assert one.reasons == ()
    entering = np.asarray(numbers)
    tape = sent(one, entering)
    assert tape.stopped == {}
    last = end(one, tape)
    cotangent = np.random.default_rng(0).standard_normal(tape.outputs[last].shape)
    theirs, d_theirs, output = hooked(model, x.double() if x.is_floating_point() else x, cotangent)
    assert np.abs(tape.outputs[last] - output).max() <= STD * np.abs(output).max()
    errors = {
        key: abs(float(tape.outputs[key].std()) / float(y.std()) - 1.0)
        for key, y in theirs.items()
        if key in tape.outputs
    }
    ours = gradients(one, tape, last, cotangent)
    powers = {
        key: abs(float(np.square(ours[key]).mean()) / float(np.square(d).mean()) - 1.0)
        for key, d in d_theirs.items()
        if key in ours and ours[key].size == d.size and np.abs(d).max() > 1e-10
    }
    worst, steepest = max(errors.values()), max(powers.values())
    table = f"{name:8} {form:7} {len(errors):3} layers {worst:.1e}"
    print(f"{table} {len(powers):3} weights {steepest:.1e}")  # noqa: T201
    # Rows of a table at places that are known may be a constant of the file.
    tables = {key for key, m in model.named_modules() if "Embedding" in type(m).__name__}
    weighted = {key.removesuffix(".weight") for key in d_theirs if key.endswith(".weight")}
    assert weighted & set(theirs) - tables <= set(errors)
    assert worst <= STD, max(errors, key=lambda key: errors[key])
    assert steepest <= POWER, max(powers, key=lambda key: powers[key])
