"""``initaudit lab`` as it is run."""

from __future__ import annotations

import re
import resource
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from rich.cells import cell_len
from safetensors.numpy import save_file

from initaudit.lab import experiments, png, svg
from initaudit.lab.nets import opened, stack
from initaudit.lab.settings import Settings
from initaudit.lab.sweep import SENSIBLE, ranked, redrawn
from tests.command import FIXTURES, ROOT, run
from tests.nets import cnn, he

Capsys = pytest.CaptureFixture[str]
VOID = {"meta", "br", "path", "rect", "link"}


def test_alone_it_lists_the_experiments(capsys: Capsys) -> None:
    ran = run(capsys, "lab")
    assert ran.code == 0
    assert all(f"  {name} " in ran.out for name in experiments.NAMES)


def test_an_experiment_prints_claims_pictures_and_rules(capsys: Capsys) -> None:
    ran = run(capsys, "lab", "zero", "--steps", "50")
    assert ran.code == 0
    assert "every weight is still exactly zero" in ran.out
    assert "measured: largest |weight| at any of 50 steps from 0: 0" in ran.out
    assert "error IA101 zero-weights" in " ".join(ran.out.split())
    assert "(step)" in ran.out
    assert "(step)" not in run(capsys, "lab", "zero", "--steps", "50", "--quiet").out


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("name", ["zero", "constant", "mixed"])
def test_no_line_is_wider_than_the_terminal(
    capsys: Capsys, monkeypatch: pytest.MonkeyPatch, name: str, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = run(capsys, "lab", name, "--steps", "30", "--seed", "3").out.splitlines()
    assert max(map(cell_len, lines)) <= width


class Reader(HTMLParser):
    """Checks that tags close and collects what a page would fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.fetched: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids += [str(given["id"])] if "id" in given else []
        if tag in {"script", "link", "img", "iframe"} or "src" in given:
            self.fetched.append(tag)
        if not str(given.get("href", "#")).startswith("#"):
            self.fetched.append(str(given["href"]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_all_makes_one_page_in_two_core_minutes(tmp_path: Path) -> None:
    page = tmp_path / "lab.html"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "initaudit", "lab", "--all", "--output-file", page],
        check=True,
        cwd=ROOT,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent < 120.0
    reader = Reader()
    text = page.read_text(encoding="utf-8")
    reader.feed(text)
    assert reader.open == []
    assert reader.ids == list(experiments.NAMES)
    assert reader.fetched == []
    assert "prefers-color-scheme:dark" in text
    assert 'class="no"' not in text


def test_pictures_are_written_as_png(capsys: Capsys, tmp_path: Path) -> None:
    pytest.importorskip("resvg_py")
    if not png._writes():
        pytest.skip("no font to write with")
    path = tmp_path / "pictures.png"
    ran = run(capsys, "lab", "zero", "--output-file", path)
    assert (ran.code, ran.out) == (0, "")
    made = path.read_bytes()
    assert made.startswith(b"\x89PNG\r\n\x1a\n")
    assert int.from_bytes(made[16:20], "big") == svg.WIDTH * png.ZOOM


def test_a_png_has_the_colours_of_the_light_theme_in_it() -> None:
    told = png.plain(svg.STYLE)
    assert "var(" not in told
    assert "#0072b2" in told
    assert "prefers-color-scheme" not in told


def test_without_resvg_a_png_is_refused_with_what_to_install(
    capsys: Capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    ran = run(capsys, "lab", "zero", "--output-file", tmp_path / "pictures.png")
    assert ran.code == 2
    assert "pip install 'initaudit[lab]'" in " ".join(ran.err.split())
    assert not (tmp_path / "pictures.png").exists()


def test_pictures_are_written_as_svg(capsys: Capsys, tmp_path: Path) -> None:
    path = tmp_path / "pictures.svg"
    assert run(capsys, "lab", "constant", "--steps", "20", "--output-file", path).code == 0
    tree = ElementTree.fromstring(path.read_text(encoding="utf-8"))  # noqa: S314
    assert tree.tag.endswith("svg")
    assert len(list(tree)) > 5


def test_text_is_written_to_a_file(capsys: Capsys, tmp_path: Path) -> None:
    path = tmp_path / "lab.txt"
    assert run(capsys, "lab", "zero", "--steps", "9", "--output-file", path).out == ""
    assert "exactly zero" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nope",), "No such command 'nope'"),
        (("zero", "--init", "hee"), "did you mean he?"),
        (("zero", "--activation", "rleu"), "Did you mean relu?"),
        (("zero", "--output-file", "lab.pdf"), "must end in one of .html, .svg, .png, .txt"),
        (("--all", "zero"), "leave the command out"),
        (("--seed", "2", "zero"), "behind zero"),
        (("--output-file", "lab.html"), "goes with --all"),
        (("mixed", "--depth", "1"), "4 hidden layers"),
        (("large", "--activation", "exp", "--width", "30"), "cannot be trained"),
        (("sweep",), "name a checkpoint"),
        (("sweep", "--widths", "3"), "at least inputs and outputs"),
        (("sweep", "--widths", "a,b"), "is not a list of whole numbers"),
        (("replay", "nothing.safetensors"), "no such file"),
        (("replay", "README.md"), "is not a checkpoint"),
        (("replay", FIXTURES / "zeros-relu", "--depth", "3"), "the checkpoint tells it"),
        (("replay", FIXTURES / "healthy-lora"), "reaches no layer"),
    ],
)
def test_misuse_is_one_line_and_exit_code_2(
    capsys: Capsys, monkeypatch: pytest.MonkeyPatch, words: tuple[object, ...], said: str
) -> None:
    monkeypatch.chdir(ROOT)
    ran = run(capsys, "lab", *words)
    assert ran.code == 2
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert "unexpected" not in ran.err


@pytest.mark.parametrize(
    ("fixture", "learns", "rule"),
    [
        ("healthy-xavier-tanh", "yes", None),
        ("healthy-batch-norm-cnn", "yes", None),
        ("zeros-relu", "no", "IA101"),
        ("constant-sigmoid", "no", "IA102"),
    ],
)
def test_a_checkpoint_is_replayed(
    capsys: Capsys, fixture: str, learns: str, rule: str | None
) -> None:
    ran = run(capsys, "lab", "replay", FIXTURES / fixture, "--steps", "60")
    assert ran.code == 0
    assert f"  {learns:<3} the loss falls by a tenth or more" in ran.out
    assert (rule is None and ": clean" in ran.out) or f" {rule} " in ran.out
    assert "units alike" in ran.out


@pytest.mark.parametrize("file", ["block.onnx", "block.pt2"])
def test_an_exact_graph_is_replayed(capsys: Capsys, file: str) -> None:
    if file.endswith(".onnx"):
        pytest.importorskip("onnx")
    ran = run(capsys, "lab", "replay", FIXTURES / "graphs" / file, "--steps", "20")
    assert ran.code == 0
    assert "trained on" in ran.out


def test_a_checkpoint_of_nan_is_not_replayed(capsys: Capsys, tmp_path: Path) -> None:
    arrays = stack(4, 8, 2, 3, "relu", "he").arrays()
    arrays["fc2.weight"][0, 0] = np.nan
    save_file(arrays, tmp_path / "model.safetensors")
    ran = run(capsys, "lab", "replay", tmp_path / "model.safetensors")
    assert ran.code == 2
    assert "fc2.weight holds NaN" in ran.err


def ranking(out: str) -> list[tuple[str, float]]:
    lines = out.split("Best first\n", 1)[1].splitlines()[1:]
    cells = [line.strip().split("  ") for line in lines[: lines.index("")]]
    return [(row[0], float(next(cell for cell in row[1:] if cell.strip()))) for row in cells]


def test_a_sweep_of_a_deep_relu_network_measures_each_start() -> None:
    net = stack(64, 64, 8, 10, "relu", "he")
    arrays = net.arrays()
    tried = ("he", "0.5", "normal_(0, 0.02)", "xavier")
    found = ranked(opened(arrays, "relu"), arrays, Settings(), tried)
    by_name = {one.initialiser: one for one in found}
    losses = [one.loss for one in found if one.loss is not None]
    assert losses == sorted(losses)
    assert found[0].initialiser in {"he", "xavier"}
    # Seven layers of He keep the power, of Xavier halve it, of N(0, 0.02^2) take 0.0128 of it.
    he, xavier, small = (by_name[t].forward for t in ("he", "xavier", "normal_(0, 0.02)"))
    assert he == pytest.approx(0.0, abs=1.0)
    assert xavier == pytest.approx(7 * np.log10(0.5), abs=1.0)
    assert small == pytest.approx(7 * np.log10(0.0128), abs=1.0)
    assert by_name["0.5"].rank == pytest.approx(1.0, abs=0.01)


def test_a_sweep_leaves_the_arrays_alone_and_draws_biases_and_kernels() -> None:
    arrays = cnn(np.random.default_rng(0), [3, 8, 16], he, norm=True)
    before = {name: a.copy() for name, a in arrays.items()}
    network = opened(arrays, "relu")
    made = redrawn(network, arrays, "default", 0)
    assert all((arrays[name] == a).all() for name, a in before.items())
    assert {name: a.shape for name, a in made.items()} == {n: a.shape for n, a in arrays.items()}
    assert np.abs(made["conv2.weight"]).max() <= 1 / (8 * 9) ** 0.5
    assert made["conv2.weight"].std() == pytest.approx((1 / (3 * 8 * 9)) ** 0.5, rel=0.1)
    assert (made["conv2.bias"] != 0.0).all()
    assert (made["bn1.weight"] == 1.0).all()


def test_a_sweep_of_a_checkpoint_ranks_by_the_loss_that_is_left(capsys: Capsys) -> None:
    ran = run(capsys, "lab", "sweep", FIXTURES / "too-small-tanh", "--steps", "20")
    assert ran.code == 0
    assert "11 layers drawn anew" in ran.out
    order = ranking(ran.out)
    assert {name for name, _ in order} == set(SENSIBLE)
    assert [loss for _, loss in order] == sorted(loss for _, loss in order)


def test_a_sweep_of_widths_takes_an_initialiser_of_ones_own(capsys: Capsys) -> None:
    ran = run(capsys, "lab", "sweep", "--widths", "8,16,16,2", "--init", "3 x he", "--steps", "5")
    assert ran.code == 0
    assert "3 x he" in {name for name, _ in ranking(ran.out)}


SOURCE = """\
import torch.nn as nn


class Net(nn.Module):
    def __init__(self, width=32, depth=12):
        super().__init__()
        layers = []
        for _ in range(depth):
            layers += [nn.Linear(width, width), nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        return self.head(self.body(x))


class Open(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc = nn.Linear(width, width)

    def forward(self, x):
        return self.fc(x)
"""


def test_a_network_read_from_source_is_swept(capsys: Capsys, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(SOURCE)
    ran = run(capsys, "lab", "sweep", f"{tmp_path / 'net.py'}:Net", "--steps", "30")
    assert ran.code == 0
    assert "13 layers drawn anew" in ran.out
    ranked = re.findall(r"^  (\S.*?)  +\d\S* +[-+]\d", ran.out, re.MULTILINE)
    assert ranked.index("he") < ranked.index("default")
    assert ranked.index("he") < ranked.index("normal_(0, 0.02)")


@pytest.mark.parametrize(
    ("name", "told"),
    [("Nat", "did you mean Net"), ("Open", "Open cannot be drawn: width left open")],
)
def test_a_model_that_cannot_be_drawn_is_one_line(
    capsys: Capsys, tmp_path: Path, name: str, told: str
) -> None:
    (tmp_path / "net.py").write_text(SOURCE)
    ran = run(capsys, "lab", "sweep", f"{tmp_path / 'net.py'}:{name}")
    assert ran.code == 2
    assert told in ran.err
