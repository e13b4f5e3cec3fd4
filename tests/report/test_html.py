"""The page: what it holds, what it escapes, and how a browser takes it."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import time
import unicodedata
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import initaudit
from initaudit.finding import Report
from initaudit.report import FORMATS, Style
from initaudit.report.html.histograms import histograms
from initaudit.report.html.signal import signal_plot
from initaudit.report.html.svg import Line, Point, histogram, plot
from initaudit.rulebook import load
from tests.command import FIXTURES
from tests.report.conftest import forward, hostile, network, plain, vanishing

STYLE = Style(width=80, colour=False)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
VOID = {"meta", "link", "input", "br", "hr", "img", "circle", "path"}


class Page(HTMLParser):
    """Tags, ids and links of a page; unbalanced tags are an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("id"):
            self.ids.append(str(given["id"]))
        href = given.get("href") or ""
        (self.links if href.startswith("#") else self.addresses).append(href.lstrip("#"))
        self.addresses += [str(given[k]) for k in ("src", "srcset", "action") if k in given]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def page(report: Report) -> str:
    return FORMATS["html"](replace(report, pages=tuple(load().values())), STYLE)


def audited(name: str) -> Report:
    return initaudit.audit(FIXTURES / name)


@pytest.mark.parametrize(
    "name", ["too-small-tanh", "too-large-sigmoid", "zeros-relu", "healthy-he-relu"]
)
def test_a_page_is_whole_and_leads_nowhere_else(name: str) -> None:
    text = page(audited(name))
    seen = Page(text)
    assert len(set(seen.ids)) == len(seen.ids)
    assert set(filter(None, seen.links)) <= set(seen.ids)
    assert set(filter(None, seen.addresses)) <= {"data:,"}
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest", text)


def test_it_says_what_the_report_says() -> None:
    report = audited("too-small-tanh")
    text = page(report)
    assert "4 warnings in 1 network" in text
    for question in ("All zero?", "All the same?", "Too small?", "Too large?"):
        assert question in text
    for finding in report.findings:
        assert finding.rule in text
        assert f"What {finding.rule} means" in text
    (network,) = report.networks
    rows = re.findall(r'<tr id="n0l\d+">', text)
    assert len(rows) == len(network.layers)
    points = re.findall(r'<a href="#n0l(\d+)" tabindex="-1"><title>', text)
    assert {int(at) for at in points} == set(range(len(network.layers)))
    assert text.count('role="img"') >= len(network.layers)


@pytest.mark.parametrize("name", ["too-small-tanh", "too-large-relu"])
def test_the_suggested_initialiser_is_measured_on_the_same_network(name: str) -> None:
    (plain,) = audited(name).networks
    (network,) = initaudit.audit(FIXTURES / name, suggest=True).networks
    assert not plain.suggested
    assert set(network.suggested) >= {x.name for x in network.layers}
    last = network.layers[-2]
    assert last.forward is not None
    std = network.suggested[last.name].std
    assert std is not None
    assert 0.1 < std < 10 < max(std / (last.forward.std or 1), (last.forward.std or 1) / std)
    text = page(initaudit.audit(FIXTURES / name, suggest=True))
    assert text.count("suggested from ") == len(network.layers)


def test_names_of_an_input_are_only_text() -> None:
    nasty = "<script>alert(1)</script>\"'><b>\x1b"
    report = vanishing()
    (network,) = report.networks
    layers = tuple(replace(x, name=nasty + x.name) for x in network.layers)
    findings = tuple(
        replace(f, message=nasty, cure=nasty, code=nasty, site=replace(f.site, tensor=nasty))
        for f in report.findings
    )
    network = replace(network, path=nasty, layers=layers, assumptions=(nasty,), evidence=(nasty,))
    text = page(replace(report, networks=(network,), findings=findings))
    assert "<script>alert" not in text
    assert "<b>\x1b" not in text
    Page(text)


def test_nothing_of_an_input_moves_or_turns_what_is_read() -> None:
    text = page(hostile())
    odd = {c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Cs"}}
    assert odd <= {"\n"}
    assert "\\u202e" in text
    Page(text)


def test_code_keeps_its_lines_and_indent() -> None:
    report = vanishing()
    code = "    if x < 1:\n        y()\x1b"
    text = page(replace(report, findings=(replace(report.findings[0], code=code),)))
    assert "<pre><code>if x &lt; 1:\n    y()\\x1b</code></pre>" in text


def points(*values: float | None, aside: bool = False) -> list[Point]:
    return [Point(i, v, f"l{i}", "told", f"n0l{i}", aside) for i, v in enumerate(values)]


def marks(drawn: str) -> list[str]:
    return re.findall(r'text-anchor="end">([^<]*)<', drawn)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((3.0, 4.0), ["1", "10"]),
        ((1e-3, 1.0), ["0.001", "0.01", "0.1", "1"]),
        ((1e-23, 1.0), ["1e-24", "1e-20", "1e-16", "1e-12", "1e-8", "1e-4", "1"]),
        ((5e-324, 1.7e308), None),
        ((0.0, 1.0), ["1", "10", "0"]),
        ((0.0, 0.0), ["1", "10", "0"]),
    ],
)
def test_marks_are_whole_powers_of_ten(
    values: tuple[float, ...], expected: list[str] | None
) -> None:
    found = marks(plot([Line(0, points(*values))], "t"))
    assert len(found) <= 9
    if expected is not None:
        assert found == expected


def test_what_is_not_finite_is_not_drawn_and_breaks_the_line() -> None:
    drawn = plot([Line(0, points(1.0, math.nan, math.inf, 2.0, None))], "t")
    assert drawn.count("<circle") == 2
    assert re.search(r'class="s0"[^>]* d="M[\d. ]+M[\d. ]+"', drawn)
    assert plot([Line(0, points(None, math.nan))], "t") == ""


def test_a_histogram_is_one_outline_or_one_spike() -> None:
    two = histogram((4, 0, 0, 4), (-1.0, 1.0), (-1.0, 1.0), 0, "t")
    assert 'd="M0.0 60V0H40.0V60H80.0H120.0V0H160.0V60z"' in two
    spike = histogram((1, 2, 1), (-1e-9, 1e-9), (-1.0, 1.0), 0, "t")
    assert 'd="M79.0 60V0h2V60z"' in spike


def test_layers_of_one_role_share_an_axis() -> None:
    found = audited("too-small-tanh").networks[0]
    ends = {
        x.name: (x.forward.low or 0.0, x.forward.high or 0.0)
        for x in found.layers
        if re.fullmatch(r"layers\.\d", x.name) and x.forward is not None
    }
    most = max(max(map(abs, both)) for both in ends.values())
    # 160 units wide from -most to most; below two units it is a spike.
    narrow = [name for name, (low, high) in ends.items() if (high - low) / (2 * most) * 160 < 2]
    assert 0 < len(narrow) < len(ends) == 10
    spike = r'aria-label="(layers\.\d): activations[^"]*"><path class="f0" d="M\d+\.\d 60V0h2V60z"'
    assert re.findall(spike, histograms(found, 0)) == narrow


def test_layers_of_another_role_have_another_axis() -> None:
    layers = [
        plain(f"h.{i}.{role}", "linear", replace(forward(edge / 2), low=-edge, high=edge), 1.0)
        for i in range(2)
        for role, edge in (("up", 4.0), ("down", 0.004))
    ]
    text = histograms(network("a", layers, "clean"), 0)
    assert len(re.findall(r'aria-label="h\.\d\.down', text)) == 2
    assert "h2V60z" not in text


def test_residual_networks_are_drawn_along_their_stream() -> None:
    layers = []
    for i in range(3):
        layers.append(plain(f"h.{i}.branch", "linear", forward(0.001), 1.0))
        layers.append(plain(f"h.{i}.sum", "add", forward(1.0 + i), 2.0))
    stream = signal_plot(network("a", layers, "clean"), 0)
    assert "follow the residual stream" in stream
    assert stream.count(" aside") == 6
    (line,) = re.findall(r'class="s0"[^>]* d="M([^"]*)"', stream)
    assert line.count("L") == 2
    fewer = signal_plot(network("a", layers[:4], "clean"), 0)
    assert "residual stream" not in fewer
    assert " aside" not in fewer


def test_the_same_report_gives_the_same_bytes() -> None:
    assert page(audited("too-large-relu")) == page(audited("too-large-relu"))


def test_a_report_of_nothing_is_a_page() -> None:
    Page(page(Report(version="0.1.0")))


def deep(layers: int) -> dict[str, Any]:
    random = np.random.default_rng(0)
    return {
        f"layers.{i}.weight": random.normal(0, 0.35, (16, 16)).astype(np.float32)
        for i in range(layers)
    }


def browsed(path: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [
        str(CHROMIUM), "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
        "--virtual-time-budget=4000", *options, path.as_uri(),
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_a_browser_sorts_and_filters_without_an_error(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    done = """<script>
    document.querySelectorAll('th button')[5].click();
    document.querySelectorAll('th button')[5].click();
    const field = document.querySelector('input');
    field.value = 'tanh';
    field.dispatchEvent(new Event('input'));
    </script></body>"""
    path.write_text(page(audited("too-small-tanh")).replace("</body>", done))
    seen = browsed(path, "--dump-dom")
    assert "Uncaught" not in seen.stderr
    rows = re.findall(r'<tr id="n0l\d+"( hidden="")?>(.*?)</tr>', seen.stdout)
    assert rows
    stds = []
    for hidden, row in rows:
        cells = re.findall(r'<td(?: class="text")?(?: data-v="([^"]*)")?>(.*?)</td>', row)
        assert ("tanh" in re.sub("<[^>]*>", " ", row)) == (not hidden)
        stds.append(float(cells[5][0]))
    assert stds == sorted(stds, reverse=True)
    assert f"10 of {len(rows)}" in seen.stdout


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
def test_five_hundred_layers_open_as_fast_as_a_browser_starts(tmp_path: Path) -> None:
    report = initaudit.audit(deep(500), activation="tanh", samples=32, probe=False)
    large, small = tmp_path / "large.html", tmp_path / "small.html"
    large.write_text(page(report))
    small.write_text("<!doctype html><title>nothing</title>")
    seconds = []
    for path in (small, large):
        start = time.monotonic()
        seen = browsed(path, "--dump-dom")
        seconds.append(time.monotonic() - start)
    assert seen.stdout.count('<tr id="n0l') == len(report.networks[0].layers)
    # An empty page takes 0.5 to 1 s on the machines at hand, most of it the browser's own start.
    assert seconds[1] < 5 * seconds[0]
