"""Source and the checkpoint that the framework writes from it get the same verdict."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

import initaudit
from initaudit import declaring
from initaudit.network import Origin
from initaudit.options import Options, rules_for
from tests.declared import classes, followed, ids, module, verdict

TORCH = classes("torch_*.py")
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
