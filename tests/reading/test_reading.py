"""What is read of a model's source: where its parameters start, and how that is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

import initaudit
from initaudit import declaring, running
from initaudit.checkpoint.spatial import STEPS
from initaudit.finding import Report
from initaudit.network import Interval
from initaudit.options import Options, rules_for
from initaudit.reading import choosing, model, passing, predicting
from initaudit.reading.realising import Realised, live
from initaudit.reading.state import State
from initaudit.reading.units import Files
from initaudit.rulebook import load
from tests.command import process
from tests.declared import catalogue

HEAD = "import math\nimport torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n\n"


def read(tmp_path: Path, text: str, name: str = "Net", **files: str) -> model.Model:
    for other, body in files.items():
        (tmp_path / f"{other}.py").write_text(HEAD + body)
    file = tmp_path / "net.py"
    file.write_text(HEAD + text)
    found = Files()
    cls = choosing.find(State(found, catalogue()), choosing.unit_of(found, file), name)
    return model.read(found, catalogue(), cls)


def chain(made: model.Model, name: str) -> list[str]:
    return [event.weights.law for event in made.parameters[name].chain]


def test_a_chain_keeps_all_initialisations_in_their_order(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(8, 8)
        self.reset_parameters()
        self.apply(self._init_weights)
        self.fc.weight.data *= 0.5

    def reset_parameters(self):
        nn.init.xavier_uniform_(self.fc.weight)

    def _init_weights(self, module):
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)

    def forward(self, x):
        return self.fc(x)
""",
    )
    assert chain(made, "fc.weight") == ["uniform", "uniform", "normal", "normal"]
    assert chain(made, "fc.bias") == ["uniform", "zeros"]
    assert len(live(made.parameters["fc.weight"].chain)) == 2
    assert made.parameters["fc.weight"].chain[-1].weights.scale == Interval.point(0.0001)
    realised = Realised(made.parameters)
    assert realised.array("fc.weight").std() == pytest.approx(0.01, rel=0.2)
    assert not realised.array("fc.bias").any()


def test_tests_of_names_and_types_are_decided_for_each_parameter(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.norm = nn.LayerNorm(4)
        self.gate = nn.Linear(4, 4)
        for name, p in self.named_parameters():
            if "norm" in name:
                continue
            if p.dim() > 1 and not name.startswith("gate"):
                nn.init.orthogonal_(p)
            elif name.endswith(".bias"):
                p.data.fill_(0.5)

    def forward(self, x):
        return self.gate(self.norm(self.a(x)))
""",
    )
    assert chain(made, "a.weight")[-1] == "orthogonal"
    assert chain(made, "gate.weight") == ["uniform"]
    assert chain(made, "gate.bias")[-1] == "constant"
    assert len(made.parameters["norm.weight"].chain) == 1


def test_classes_are_followed_into_other_files(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        """
from blocks import Block, width
import blocks as b

class Net(nn.Module):
    def __init__(self, depth=2):
        super().__init__()
        self.blocks = nn.Sequential(*(Block(width) for _ in range(depth)))
        self.last = b.Block(width)

    def forward(self, x):
        return self.last(self.blocks(x))
""",
        blocks="""
width = 3 * 4

class Block(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.fc = nn.Linear(n, n)

    def forward(self, x):
        return x + torch.tanh(self.fc(x))
""",
    )
    assert list(made.parameters)[:2] == ["blocks.0.fc.weight", "blocks.0.fc.bias"]
    assert made.parameters["last.fc.weight"].shape == (12, 12)
    assert Path(made.parameters["last.fc.weight"].site.path).name == "blocks.py"
    reading = passing.follow(made, passing.declared(made, 0)[1])
    assert not reading.stopped
    assert reading.placed == 3


def test_copies_start_alike_and_later_draws_do_not(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        """
import copy

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        block = nn.Linear(8, 8)
        self.a = block
        self.b = copy.deepcopy(block)
        self.c = copy.deepcopy(block)
        nn.init.normal_(self.c.weight)
        self.d = nn.Linear(8, 8)
        self.d.weight = self.a.weight

    def forward(self, x):
        return self.d(self.c(self.b(self.a(x))))
""",
    )
    realised = Realised(made.parameters)
    assert np.array_equal(realised.array("a.weight"), realised.array("b.weight"))
    assert not np.array_equal(realised.array("a.weight"), realised.array("c.weight"))
    assert made.aliases == {"d.weight": "a.weight"}


def test_the_same_seed_draws_the_same_and_another_does_not(tmp_path: Path) -> None:
    head = "class Net(nn.Sequential):\n    def __init__(self):\n"
    text = f"{head}        super().__init__(nn.Linear(9, 9))\n"
    one, two = (read(tmp_path, text) for _ in range(2))
    arrays = [
        Realised(m.parameters, s).array("0.weight") for m, s in ((one, 0), (two, 0), (two, 1))
    ]
    assert np.array_equal(arrays[0], arrays[1])
    assert not np.array_equal(arrays[0], arrays[2])


DEEP = """
class Net(nn.Module):
    def __init__(self, {argument}):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(width, width) for _ in range(20)])
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        for layer in self.layers:
            x = F.relu(layer(x))
        return self.head(x)
"""


def declared(path: Path, name: str = "Net", **options: Any) -> Report:
    told = Options(**options)
    return declaring.audit_declared(f"{path}:{name}", told, rules_for(told))


@pytest.mark.parametrize("argument", ["width=64", "width"])
def test_twenty_plain_layers_at_the_default_vanish_and_the_line_is_cited(
    argument: str, tmp_path: Path
) -> None:
    file = tmp_path / "net.py"
    file.write_text(HEAD + DEEP.format(argument=argument))
    finding = next(f for f in declared(file).findings if f.rule == "IA205")
    line = file.read_text().splitlines()[(finding.site.line or 0) - 1]
    assert finding.site.path == str(file)
    assert "nn.Linear(width, width)" in line
    assert finding.excerpts[0] == line
    assert finding.severity.name == "WARNING"


def test_arithmetic_bounds_what_the_replica_measures(tmp_path: Path) -> None:
    made = read(tmp_path, DEEP.format(argument="width=64"))
    plan, _ = passing.planned(made, passing.follow(made, passing.declared(made, 0)[1]))
    told = predicting.predict(plan.network(()), made.parameters)
    assert told is not None
    report = declared(tmp_path / "net.py", seed=1)
    measured = report.networks[0].backward_ratio
    assert measured is not None
    assert told.backward.lo == pytest.approx((1 / 6) ** 19)
    assert told.backward.hi == pytest.approx((1 / 6) ** 19)
    assert abs(np.log10(measured / told.backward.hi)) < 3
    assert told.depth.hi == pytest.approx(1 / np.log(6))


def test_open_sizes_of_a_sound_stack_are_silent(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    good = DEEP.format(argument="width").replace(
        "        self.head =",
        "        for m in self.layers:\n"
        "            nn.init.kaiming_normal_(m.weight, nonlinearity='relu')\n"
        "            nn.init.zeros_(m.bias)\n"
        "        self.head =",
    )
    file.write_text(HEAD + good)
    report = declared(file)
    assert not report.findings
    assert not report.failed


def explain(text: str) -> tuple[int, str]:
    run = process("explain", text)
    return run.returncode, run.stdout + run.stderr


def test_explain_prints_the_chain_of_a_parameter(tmp_path: Path) -> None:
    zeroed = "        nn.init.zeros_(self.layers[3].weight)\n        self.head ="
    read(tmp_path, DEEP.format(argument="width=8").replace("        self.head =", zeroed))
    code, text = explain(f"{tmp_path}/net.py:Net.layers.3.weight")
    lines = text.splitlines()
    assert code == 0
    assert lines[0] == f"Net.layers.3.weight (8, 8), made at {tmp_path}/net.py:10"
    assert "the default of Linear" in lines[1]
    assert "[overwritten]" in lines[1]
    assert lines[2].endswith("nn.init.zeros_(self.layers[3].weight) -> zeros")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("net.py:Net.layers.3.wieght", "did you mean layers."),
        ("net.py:Net", "write FILE.py:Class.parameter"),
        ("net.py:Nat.fc", "did you mean Net?"),
        ("none.py:Net.fc", "no such file"),
    ],
)
def test_explain_says_what_is_not_there(asked: str, said: str, tmp_path: Path) -> None:
    read(tmp_path, DEEP.format(argument="width=8"))
    code, text = explain(f"{tmp_path}/{asked}")
    assert code == 2
    assert said in " ".join(text.split())


@pytest.mark.parametrize(("heading", "found"), [("Bad", True), ("Good", False)])
def test_the_page_of_not_as_declared_is_right(heading: str, found: bool, tmp_path: Path) -> None:
    code = load()["IA304"].sections[heading].split("```python\n")[1].split("```")[0]
    scope: dict[str, Any] = {}
    exec(code, scope)  # noqa: S102
    (tmp_path / "net.py").write_text(scope["source"])
    rng = np.random.default_rng(0)
    shapes = {"fc1.weight": (64, 64), "fc2.weight": (10, 64)}
    arrays = {
        name: rng.normal(0, std, shape).astype(np.float32)
        for (name, shape), std in zip(shapes.items(), scope["std"], strict=True)
    }
    arrays |= {"fc1.bias": np.zeros(64, np.float32), "fc2.bias": np.zeros(10, np.float32)}
    save_file(arrays, tmp_path / "model.safetensors")
    report = running.run([tmp_path / "model.safetensors"], Options(model=f"{tmp_path}/net.py:Net"))
    hits = [f for f in report.findings if f.rule == "IA304"]
    assert bool(hits) is found
    if found:
        assert hits[0].site.line == 10
        assert hits[0].facts["tensors"] == 2


def test_a_class_that_matches_a_checkpoint_is_found_among_sources(tmp_path: Path) -> None:
    folder = tmp_path / "src"
    folder.mkdir()
    (folder / "net.py").write_text(HEAD + DEEP.format(argument="width=16"))
    (folder / "other.py").write_text(HEAD + DEEP.format(argument="width=24").replace("Net", "Wide"))
    made = read(tmp_path, DEEP.format(argument="width=16"))
    realised = Realised(made.parameters)
    stored = tmp_path / "model.safetensors"
    save_file({name: realised.array(name) for name in made.parameters}, stored)
    report = running.run([folder, stored], Options())
    assert report.networks[0].topology == "source"
    assert report.networks[0].activations == ("relu",)
    assert initaudit.audit(stored).networks[0].topology == "names"


def test_a_change_in_place_is_seen_by_what_follows(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(8, 8)
        self.b = nn.Linear(8, 8)

    def forward(self, x):
        x = self.a(x)
        x.mul_(3.0)
        x.relu_()
        return self.b(x)
""",
    )
    reading = passing.follow(made, passing.declared(made, 0)[1])
    ops = [x.op for x in passing.planned(made, reading)[0].network(()).layers]
    assert ops == ["input", "linear", "scale", "activation", "linear"]


def test_a_depth_left_open_is_not_laid_beside_another(tmp_path: Path) -> None:
    text = """
class Net(nn.Module):
    def __init__(self, depth):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(8, 8) for _ in range(depth)])

    def forward(self, x):
        for layer in self.layers:
            x = F.relu(layer(x))
        return x
"""
    read(tmp_path, text)
    rng = np.random.default_rng(0)
    arrays = {f"layers.{i}.weight": rng.normal(0, 0.5, (8, 8)).astype(np.float32) for i in range(5)}
    arrays |= {f"layers.{i}.bias": np.zeros(8, np.float32) for i in range(5)}
    save_file(arrays, tmp_path / "model.safetensors")
    report = running.run([tmp_path / "model.safetensors"], Options(model=f"{tmp_path}/net.py:Net"))
    assert report.networks[0].topology == "names"
    assert "depth left open" in report.unread[0].reason


@pytest.mark.parametrize(
    ("change", "read_by_add"),
    [("F.relu(x)", "a"), ("F.relu(x, inplace=True)", "relu"), ("self.act(x)", "act"),
     ("x.clone().relu_()", "a")],
)  # fmt: skip
def test_a_change_in_place_reaches_other_names_of_the_tensor(
    change: str, read_by_add: str, tmp_path: Path
) -> None:
    made = read(
        tmp_path,
        f"""
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(8, 8)
        self.b = nn.Linear(8, 8)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.a(x)
        kept = x
        return self.b({change}) + kept
""",
    )
    reading = passing.follow(made, passing.declared(made, 0)[1])
    network = passing.planned(made, reading)[0].network(())
    last = network.layers[-1]
    assert last.op == "add"
    assert set(last.inputs) == {"b", read_by_add}


def test_what_recurs_is_sent_as_many_steps_as_its_checkpoint_is(tmp_path: Path) -> None:
    made = read(
        tmp_path,
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(50, 24)
        self.lstm = nn.LSTM(24, 32, 2, batch_first=True)
        self.fc = nn.Linear(32, 10)
        for p in self.lstm.parameters():
            if p.dim() > 1:
                nn.init.normal_(p)

    def forward(self, tokens):
        return self.fc(self.lstm(self.embedding(tokens))[0])
""",
    )
    plan, _ = passing.planned(made, passing.follow(made, passing.declared(made, 0)[1]))
    (entry,) = [layer for layer in plan.network(()).layers if layer.op == "input"]
    assert entry.attributes["shape"] == (STEPS,)
    report = declared(tmp_path / "net.py", probe=False)
    assert "IA209" in {f.rule for f in report.findings}
