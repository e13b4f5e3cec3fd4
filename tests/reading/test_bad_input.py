"""Sources that cannot be followed: a clear line each, and never a number that is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from initaudit.declaring import audit_declared
from initaudit.options import Options, OptionsError, rules_for
from tests.command import Ran, process

HEAD = "import torch\nimport torch.nn as nn\nimport torch.nn.functional as F\n\n"
NET = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(16, 16)
        self.fc2 = nn.Linear(16, 4)

    def forward(self, x):
        return self.fc2(F.relu(self.fc1(x)))
"""


def written(tmp_path: Path, text: str, name: str = "net.py") -> Path:
    file = tmp_path / name
    file.write_text(HEAD + text)
    return file


def audit(*arguments: str) -> Ran:
    run = process(*arguments)
    return Ran(run.returncode, run.stdout + run.stderr, "")


BACK = "return self.fc2("
SECOND = "self.fc2 = "


def ahead(*lines: str, of: str = BACK) -> str:
    """Return the network with lines put in front of a place."""
    return NET.replace(of, "".join(f"{line}\n        " for line in lines) + of)


UNREAD = {
    "a module within itself": (
        """
class Net(nn.Module):
    def __init__(self, depth=0):
        super().__init__()
        self.inner = Net(depth + 1)

    def forward(self, x):
        return self.inner(x)
""",
        "contains itself without an end",
    ),
    "an unknown base": (
        """
from elsewhere import Base

class Net(Base, nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(x)
""",
        "the base Base of Net is not known",
    ),
    "a base that is nobody's": (
        "from elsewhere import Base\n" + NET.replace("(nn.Module)", "(Base)"),
        "the base Base of Net is not known",
    ),
    "a forward pass that calls itself": (
        NET.replace("return self.fc2(F", "return self.forward(self.fc1(x))\n        return (F"),
        "forward calls itself",
    ),
    "a module that is its own part": (
        NET.replace("self.fc2 = nn.Linear(16, 4)", "self.fc2 = self"),
        "forward calls itself",
    ),
    "a metaclass": (
        "class Zeroed(type):\n    pass\n"
        + NET.replace("(nn.Module)", "(nn.Module, metaclass=Zeroed)"),
        "the metaclass Zeroed of Net may change it",
    ),
    "a decorator that changes the class": (
        "def zeroed(cls):\n    cls.__init__ = None\n    return cls\n\n@zeroed" + NET,
        "the decorator zeroed of Net may change it",
    ),
    "a method set from outside": (
        NET + "\ndef other(self, x):\n    return x\n\nNet.forward = other\n",
        "Net is changed behind its body",
    ),
    "two classes of one name, of which a branch decides": (
        "try:\n    import fast\n" + NET.replace("\n", "\n    ")
        + "\nexcept ImportError:\n" + NET.replace("\n", "\n    ").replace("16, 4", "16, 5"),
        "several classes named Net (lines 8, 19), and a branch decides which",
    ),
    "code made while it runs": (
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        exec("self.fc = nn.Linear(4, 4)")

    def forward(self, x):
        return self.fc(x)
""",
        "code is made while it runs",
    ),
    "a class made by type": (
        """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = type("Made", (nn.Linear,), {})(4, 4)

    def forward(self, x):
        return self.fc(x)
""",
        "a class is made by type",
    ),
    "a branch on the data": (
        ahead("if x.sum() > 0:", "    return x"),
        "a branch depends on the numbers in a tensor",
    ),
    "a loop without a bound": (
        ahead("while True:", "    x = x + 1"),
        "a loop without a bound",
    ),
    "a loop whose end the data decides": (
        ahead("while x.sum() > 1:", "    x = x / 2"),
        "a loop whose end is not known",
    ),
    "weights that come from a file": (
        NET.replace(
            "self.fc2 = nn.Linear(16, 4)",
            "self.fc2 = nn.Linear(16, 4)\n        self.load_state_dict(torch.load('w.pt'))",
        ),
        "weights are loaded",
    ),
    "a width from elsewhere": (
        NET.replace("nn.Linear(16, 4)", "nn.Linear(16, WIDTH)"),
        "left open",
    ),
    "a fork that nothing decides": (
        ahead("if FLAG:", "    nn.init.zeros_(self.fc1.weight)", of=SECOND),
        "a branch is not decided",
    ),
    "a depth that is not told": (
        NET.replace("def __init__(self):", "def __init__(self, depth):").replace(
            "self.fc2 =", "self.more = [nn.Linear(4, 4) for _ in range(depth)]\n        self.fc2 ="
        ),
        "depth left open, and what is built depends on it",
    ),
    "a constructor that fails": (
        NET.replace("super().__init__()", "super().__init__()\n        raise ValueError('no')"),
        "raises an error",
    ),
    "shapes that do not fit": (
        NET.replace("nn.Linear(16, 4)", "nn.Linear(24, 4)"),
        "reads a signal",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "reason"), UNREAD.values(), ids=UNREAD)
def test_what_cannot_be_followed_is_told_in_one_line_with_its_place(
    text: str, reason: str, tmp_path: Path
) -> None:
    file = written(tmp_path, text)
    options = Options()
    report = audit_declared(f"{file}:Net", options, rules_for(options))
    assert report.failed
    assert any(reason in entry.reason for entry in report.unread), report.unread
    assert all("\n" not in e.reason and "unexpected" not in e.reason for e in report.unread)
    assert report.unread[0].site.line is not None
    assert not [f for f in report.findings if f.severity.name == "ERROR"]


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ("net.py:Nett", "did you mean Net?"),
        ("nett.py:Net", "no such file"),
        ("net.py:Net.fc1", "has no model class Net.fc1: did you mean Net?"),
        (".", "is a folder"),
        ("nulls.py:Net", "cannot be read: source code"),
        ("twice.py:Net", "2 classes named Net"),
        ("plain.py:Net", "no module of a framework"),
        ("plain.py", "has no model class"),
        ("broken.py:Net", "cannot be read"),
    ],
)
def test_a_model_that_is_not_there_is_misuse(named: str, said: str, tmp_path: Path) -> None:
    written(tmp_path, NET)
    written(tmp_path, NET + NET, "twice.py")
    written(tmp_path, "class Net:\n    pass\n", "plain.py")
    written(tmp_path, "class Net(\n", "broken.py")
    (tmp_path / "nulls.py").write_bytes(b"\0")
    result = audit("--model", str(tmp_path / named))
    assert result.code == 2
    assert said in " ".join(result.out.split())
    assert "Traceback" not in result.out


def test_an_option_of_a_model_needs_no_path(tmp_path: Path) -> None:
    result = audit("--model", f"{written(tmp_path, NET)}:Net")
    assert result.code == 0
    assert "as declared in source" in " ".join(result.out.split())


def test_a_checkpoint_of_another_model_is_told_and_not_judged(tmp_path: Path) -> None:
    file = written(tmp_path, NET)
    stored = tmp_path / "model.safetensors"
    save_file({"encoder.weight": np.zeros((8, 8), np.float32)}, stored)
    result = audit(str(stored), "--model", f"{file}:Net")
    assert result.code == 2
    assert "is no checkpoint of" in " ".join(result.out.split())
    assert "IA1" not in result.out


def arrays(seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    shapes = {"fc1.weight": (16, 16), "fc1.bias": (16,), "fc2.weight": (4, 16), "fc2.bias": (4,)}
    return {k: rng.uniform(-0.25, 0.25, s).astype(np.float32) for k, s in shapes.items()}


HARMLESS = {
    "a decorator that registers": "KNOWN = []\ndef known(cls):\n    KNOWN.append(cls)\n"
    "    cls.__doc__ = 'x'\n    return cls\n\n@known" + NET,
    "an abstract class": "import abc\n" + NET.replace("Module)", "Module, metaclass=abc.ABCMeta)"),
    "a description set from outside": NET + "\nNet.__doc__ = 'a network'\n",
    "the last of two classes": NET.replace("16, 4", "16, 5") + "\nclass Other:\n    pass\n",
}


@pytest.mark.parametrize("text", HARMLESS.values(), ids=HARMLESS)
def test_what_changes_no_class_is_no_doubt(text: str, tmp_path: Path) -> None:
    options = Options()
    report = audit_declared(f"{written(tmp_path, text)}:Net", options, rules_for(options))
    assert not report.unread
    assert report.networks[0].coverage == 1.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (NET + "\nNet.forward = print\n", "not laid beside it: Net is changed behind its body"),
        (
            ahead("if FLAG:", "    nn.init.zeros_(self.fc1.weight)", of=SECOND),
            "is not certain, and not compared: a branch is not decided",
        ),
    ],
)
def test_a_checkpoint_is_not_held_against_what_is_not_certain(
    text: str, said: str, tmp_path: Path
) -> None:
    stored = tmp_path / "model.safetensors"
    save_file({**arrays(), "fc1.weight": np.zeros((16, 16), np.float32)}, stored)
    result = audit(str(stored), "--model", f"{written(tmp_path, text)}:Net")
    assert result.code == 2
    assert said in " ".join(result.out.split())
    assert "IA304" not in result.out


def test_what_only_one_side_has_is_told_by_name(tmp_path: Path) -> None:
    file, stored = written(tmp_path, NET), tmp_path / "model.safetensors"
    held = arrays()
    held["fc3.weight"] = held["fc2.weight"]
    del held["fc2.bias"]
    save_file(held, stored)
    result = audit(str(stored), "--model", f"{file}:Net")
    words = " ".join(result.out.split())
    assert result.code == 2
    assert "Net declares fc2.bias" in words
    assert "fc3.weight: " in words
    assert "does not declare it" in words


def test_a_shape_that_differs_is_told(tmp_path: Path) -> None:
    file, stored = written(tmp_path, NET), tmp_path / "model.safetensors"
    save_file(arrays() | {"fc2.weight": np.ones((5, 16), np.float32)}, stored)
    result = audit(str(stored), "--model", f"{file}:Net")
    assert result.code == 2
    assert "has the shape (5, 16)" in " ".join(result.out.split())


def test_a_file_of_several_models_asks_which(tmp_path: Path) -> None:
    file = written(tmp_path, NET + NET.replace("Net", "Other"))
    stored = tmp_path / "model.safetensors"
    save_file(arrays(), stored)
    result = audit(str(stored), "--model", str(file))
    assert result.code == 2
    assert "has several models" in " ".join(result.out.split())


def test_a_target_is_a_file_and_a_name() -> None:
    with pytest.raises(OptionsError, match="no such file"):
        audit_declared("nowhere.py:Net", Options(), {})
