"""The text report: snapshots (``pytest tests/report --update`` writes them anew) and properties."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from initaudit.finding import Finding, LayerReport, NetworkReport, Report
from initaudit.network import Origin, Site, Unread
from initaudit.report import FORMATS, Style
from initaudit.report.bars import LEAST_DECADES, bar, scale
from initaudit.report.rows import MOST, Gap, Row, cut, rows
from initaudit.report.wording import count, percent, short_name
from initaudit.rulebook import Confidence, Severity, load

SNAPSHOTS = Path(__file__).parent / "snapshots"
NAMES = (
    "vanishing",
    "exploding",
    "zero",
    "healthy",
    "deep",
    "apart",
    "source",
    "hostile",
    "trained",
    "nothing",
    "several",
)
PLAIN = Style(width=80, colour=False)


def text(report: Report, style: Style = PLAIN) -> str:
    return FORMATS["text"](report, style)


def lines_of(report: Report, style: Style = PLAIN) -> list[str]:
    return text(report, style).splitlines()


def is_code(line: str, report: Report) -> bool:
    return line.startswith("      ") and any(f.code for f in report.findings)


@pytest.mark.parametrize("width", [40, 80, 160])
@pytest.mark.parametrize("name", NAMES)
def test_text_is_what_its_snapshot_shows(
    reports: Mapping[str, Report], name: str, width: int, request: pytest.FixtureRequest
) -> None:
    shown = text(reports[name], Style(width, colour=False))
    kept = SNAPSHOTS / f"{name}-{width}.txt"
    if request.config.getoption("--update"):
        kept.write_text(shown, encoding="utf-8")
    assert shown == kept.read_text(encoding="utf-8")


def test_every_snapshot_belongs_to_a_report() -> None:
    expected = {f"{name}-{width}.txt" for name in NAMES for width in (40, 80, 160)}
    assert {path.name for path in SNAPSHOTS.iterdir()} == expected


def test_every_report_is_looked_at(reports: Mapping[str, Report]) -> None:
    assert set(NAMES) == set(reports)


@pytest.mark.parametrize("width", [40, 41, 47, 53, 60, 72, 80, 100, 132, 160, 240])
@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_no_line_but_code_is_wider_than_the_terminal_or_ends_in_blanks(
    reports: Mapping[str, Report], name: str, width: int, verbose: bool
) -> None:
    report = reports[name]
    for line in lines_of(report, Style(width, colour=False, verbose=verbose)):
        assert cell_len(line) <= width or is_code(line, report)
        assert line == line.rstrip()


@pytest.mark.parametrize("name", NAMES)
def test_colour_changes_nothing_but_colour(reports: Mapping[str, Report], name: str) -> None:
    coloured = text(reports[name], replace(PLAIN, colour=True))
    assert "\x1b[" in coloured
    bare = [line.rstrip() for line in Text.from_ansi(coloured).plain.splitlines()]
    assert bare == lines_of(reports[name])


@pytest.mark.parametrize("quiet", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_plain_text_holds_no_control_character(
    reports: Mapping[str, Report], name: str, quiet: bool
) -> None:
    shown = text(reports[name], replace(PLAIN, quiet=quiet))
    assert all(c == "\n" or c.isprintable() for c in shown)


def test_colour_passes_no_escape_of_an_input(reports: Mapping[str, Report]) -> None:
    coloured = text(reports["hostile"], replace(PLAIN, colour=True, verbose=True))
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured).count("\x1b") == 0
    assert set(re.findall(r"\x1b\[([0-9;]*)m", coloured)) <= {
        "0", "1", "2", "31", "32", "33", "35", "36", "1;31", "1;36", "1;33",
    }  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_ascii_holds_only_ascii(reports: Mapping[str, Report], name: str) -> None:
    assert text(reports[name], replace(PLAIN, ascii=True)).isascii()


def test_markup_in_a_name_is_text(reports: Mapping[str, Report]) -> None:
    assert "[bold]NaN[/bold]" in text(reports["hostile"])


def test_the_environment_changes_nothing(
    reports: Mapping[str, Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = text(reports["vanishing"]), text(reports["vanishing"], replace(PLAIN, colour=True))
    for key, value in {
        "NO_COLOR": "1",
        "FORCE_COLOR": "1",
        "COLUMNS": "33",
        "TERM": "dumb",
        "TTY_COMPATIBLE": "1",
    }.items():
        monkeypatch.setenv(key, value)
    after = text(reports["vanishing"]), text(reports["vanishing"], replace(PLAIN, colour=True))
    assert after == before


def test_rich_is_imported_by_the_text_format_alone() -> None:
    program = (
        "import sys, initaudit.report as r\n"
        "from initaudit.finding import Report\n"
        "r.FORMATS['json'](Report(), r.Style(80, False))\n"
        "assert 'rich' not in sys.modules\n"
        "r.FORMATS['text'](Report(), r.Style(80, False))\n"
        "assert 'rich' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


# The checklist.


def checklist(report: Report) -> dict[str, str]:
    wide = lines_of(report, Style(400, colour=False))
    answers = {}
    for line in wide:
        if match := re.match(r"(All zero|All the same|Too small|Too large)\? +(.*)", line):
            answers[match[1]] = match[2]
    return answers


def test_a_healthy_network_answers_no_with_numbers(reports: Mapping[str, Report]) -> None:
    answers = checklist(reports["healthy"])
    assert [a.split()[0] for a in answers.values()] == ["no"] * 4
    assert "0 of 9" in answers["All zero"]
    assert "effective rank 17.2" in answers["All the same"]
    assert "smallest gain 0.9 (fc); signal power x0.92 through 9 layers" in answers["Too small"]
    assert "largest gain 1.41 (features.0)" in answers["Too large"]


RULES_OF = {
    "All zero": ["IA101"],
    "All the same": ["IA102", "IA108", "IA201", "IA303"],
    "Too small": ["IA103", "IA203", "IA205", "IA302"],
    "Too large": ["IA104", "IA105", "IA204", "IA206", "IA207"],
}


def lone(rule: str, path: str, layer: str | None = None) -> Finding:
    site = Site(path, layer=layer)
    return Finding(rule, "a-rule", Severity.NOTE, Confidence.HIGH, site, {}, "It is so.", "")


@pytest.mark.parametrize(
    ("question", "rule"), [(q, rule) for q, found in RULES_OF.items() for rule in found]
)
def test_a_finding_says_yes_to_its_question_alone(
    reports: Mapping[str, Report], question: str, rule: str
) -> None:
    base = reports["healthy"]
    found = checklist(replace(base, findings=(lone(rule, base.networks[0].path),)))
    assert found[question].split()[:2] == ["yes", rule]
    assert [a.split()[0] for a in found.values()].count("no") == 3


def test_a_finding_at_another_path_says_nothing(reports: Mapping[str, Report]) -> None:
    found = checklist(replace(reports["healthy"], findings=(lone("IA103", "other.safetensors"),)))
    assert [a.split()[0] for a in found.values()] == ["no"] * 4


def test_nothing_measured_is_not_answered_no(reports: Mapping[str, Report]) -> None:
    bare = replace(
        reports["healthy"].networks[0],
        layers=(),
        forward_ratio=None,
        backward_ratio=None,
        effective_rank_min=None,
        sensitivity=None,
    )
    found = checklist(Report(networks=(bare,)))
    assert [a.split()[0] for a in found.values()] == ["?"] * 4


def test_an_unjudged_network_is_not_answered_no(reports: Mapping[str, Report]) -> None:
    unjudged = replace(reports["healthy"].networks[0], verdict="unjudged")
    found = checklist(Report(networks=(unjudged,)))
    assert [a.split()[0] for a in found.values()] == ["?"] * 4


def test_a_number_that_is_not_finite_backs_no_no(reports: Mapping[str, Report]) -> None:
    odd = replace(reports["healthy"].networks[0], forward_ratio=math.inf)
    found = checklist(Report(networks=(odd,)))
    assert found["Too large"].startswith("?")
    assert found["Too small"].startswith("no")


def test_a_network_of_zeros_is_not_called_too_small_as_well(reports: Mapping[str, Report]) -> None:
    found = checklist(reports["zero"])
    assert found["All zero"].split()[:2] == ["yes", "IA101"]
    assert found["Too small"].startswith("?")


def test_a_trained_network_says_that_scale_is_not_judged(reports: Mapping[str, Report]) -> None:
    found = checklist(reports["trained"])
    assert "not judged once trained" in found["Too small"]
    assert "not judged once trained" in found["Too large"]
    assert "once trained" not in found["All zero"]


# The table.


def table_rows(report: Report, width: int, **options: bool) -> list[str]:
    shown = lines_of(report, Style(width, colour=False, **options))
    start = next(i for i, line in enumerate(shown) if line.split()[:1] == ["layer"])
    return shown[start : shown.index("", start)]


def test_vanishing_is_seen_in_the_length_of_the_bars(reports: Mapping[str, Report]) -> None:
    table = table_rows(reports["vanishing"], 80, ascii=True)[1:11]
    lengths = [[len(run) for run in re.findall(r"#+", line)] for line in table]
    outputs, gradients = [x[0] for x in lengths], [x[1] for x in lengths]
    assert outputs == sorted(outputs, reverse=True)
    assert gradients == sorted(gradients)
    assert outputs[0] >= 4 * outputs[-1]
    assert gradients[-1] >= 4 * gradients[0]


def test_healthy_bars_are_all_long(reports: Mapping[str, Report]) -> None:
    table = table_rows(reports["healthy"], 160, ascii=True)[1:9]
    assert all(min(len(run) for run in re.findall(r"#+", line)) >= 20 for line in table)


def test_exact_zero_is_a_word(reports: Mapping[str, Report]) -> None:
    assert sum(line.count("0 zero") for line in table_rows(reports["zero"], 80)) == 8


@pytest.mark.parametrize(
    ("width", "columns"),
    [
        (40, ["layer", "output std", "gradient std"]),
        (60, ["layer", "gain", "output std", "gradient std", "rank"]),
        (
            160,
            [
                "layer",
                "operation",
                "activation",
                "looks like",
                "gain",
                "output std",
                "gradient std",
                "rank",
            ],
        ),
    ],
)
def test_a_narrow_table_drops_columns_and_keeps_names_and_bars(
    reports: Mapping[str, Report], width: int, columns: list[str]
) -> None:
    header = table_rows(reports["vanishing"], width)[0]
    assert re.split(r"  +", header.strip()) == columns


def test_columns_without_values_are_not_shown(reports: Mapping[str, Report]) -> None:
    header = table_rows(reports["apart"], 160)[0]
    assert "output std" not in header
    assert "gain" in header


def test_an_activation_shares_its_layers_row_unless_verbose(
    reports: Mapping[str, Report],
) -> None:
    folded = table_rows(reports["vanishing"], 160)
    assert len(folded) == 1 + 11 + 1
    assert not any("fc1.tanh" in line for line in folded)
    full = table_rows(reports["vanishing"], 160, verbose=True)
    assert len(full) == 1 + 21 + 1
    assert sum("fc1.tanh" in line for line in full) == 1


def test_many_dead_units_are_told_and_few_are_not(reports: Mapping[str, Report]) -> None:
    deep = table_rows(reports["deep"], 160)
    assert [i for i, line in enumerate(deep) if "dead" in line] == [4]
    assert not any("dead" in line for line in table_rows(reports["healthy"], 160))


def test_a_long_table_keeps_its_ends_and_its_findings(reports: Mapping[str, Report]) -> None:
    table = table_rows(reports["deep"], 160)
    shown = [int(m[1]) for line in table if (m := re.search(r"blocks\.(\d+)\.", line))]
    assert shown == [*range(10), 123, 250, *range(490, 500)]
    gaps = [line.strip() for line in table if "..." in line]
    assert gaps == [
        "... 113 layers like these (use --verbose)",
        "... 126 layers like these",
        "... 239 layers like these",
    ]


def test_verbose_cuts_nothing(reports: Mapping[str, Report]) -> None:
    table = table_rows(reports["deep"], 160, verbose=True)
    assert len(table) == 1 + 1000 + 1


def linear(name: str) -> LayerReport:
    return LayerReport(name, "linear", (2, 2), None, None, None, None, None, None)


@pytest.mark.parametrize("total", [1, MOST, MOST + 1, 500])
@pytest.mark.parametrize("every", [1, 2, 3, 1000])
def test_a_cut_table_is_short_in_order_and_accounts_for_every_row(total: int, every: int) -> None:
    worst = {f"l{i}": Severity.NOTE for i in range(0, total, every)}
    all_rows = rows([linear(f"l{i}") for i in range(total)], worst)
    shown = cut(all_rows)
    kept = [item for item in shown if isinstance(item, Row)]
    gaps = [item for item in shown if isinstance(item, Gap)]
    assert len(kept) + sum(g.rows for g in gaps) == total
    assert [all_rows.index(row) for row in kept] == sorted(all_rows.index(row) for row in kept)
    found = sum(row.severity is not None for row in kept) + sum(g.found for g in gaps)
    assert found == len(worst)
    assert all(g.rows > 1 for g in gaps)
    if total <= MOST:
        assert not gaps


def test_a_cut_keeps_the_worst_where_not_all_fit() -> None:
    worst = {f"l{i}": Severity.NOTE for i in range(500)} | {"l300": Severity.ERROR}
    shown = cut(rows([linear(f"l{i}") for i in range(500)], worst))
    assert any(isinstance(item, Row) and item.layer.name == "l300" for item in shown)


# Findings and the rest.


def test_findings_come_worst_first(reports: Mapping[str, Report]) -> None:
    shown = lines_of(reports["vanishing"])
    heads = [line.split()[0] for line in shown if re.match(r"(error|warning|note) IA", line)]
    assert heads == ["warning", "warning", "note"]


def test_related_places_are_cut_unless_verbose(reports: Mapping[str, Report]) -> None:
    assert "also in: fc2.weight, fc3.weight, fc4.weight, fc5.weight, +5 more" in text(
        reports["vanishing"]
    )
    full = text(reports["vanishing"], replace(PLAIN, verbose=True))
    assert "more" not in full
    assert "fc10.weight" in full


def test_code_is_never_broken(reports: Mapping[str, Report]) -> None:
    code = reports["vanishing"].findings[1].code
    assert len(code) > 40
    assert f"      {code}" in lines_of(reports["vanishing"], Style(40, colour=False))


def test_quiet_leaves_findings_and_the_closing_line(reports: Mapping[str, Report]) -> None:
    shown = text(reports["several"], Style(200, colour=False, quiet=True))
    assert len(re.findall(r"^(?:error|warning|note) IA\d{3} ", shown, re.MULTILINE)) == 5
    for absent in ("All zero?", "bars:", "Assumptions", "coverage:", "Not read"):
        assert absent not in shown
        assert absent in text(reports["several"], Style(200, colour=False))
    assert shown.splitlines()[-1].startswith("2 errors, 2 warnings, 1 note in 2 networks")


def test_every_finding_is_shown_once(reports: Mapping[str, Report]) -> None:
    for report in reports.values():
        shown = text(report, Style(400, colour=False))
        heads = re.findall(r"^(?:error|warning|note) IA\d{3} ", shown, re.MULTILINE)
        assert len(heads) == len(report.findings)


def test_networks_of_one_path_get_the_findings_of_their_layers(
    reports: Mapping[str, Report],
) -> None:
    base = reports["healthy"].networks[0]
    first = replace(base, name="First", layers=(linear("a"),))
    second = replace(base, name="Second", layers=(linear("b"),))
    report = Report((lone("IA103", base.path, "b"),), (), (first, second), files=1)
    shown = lines_of(report, Style(200, colour=False))
    place = next(i for i, line in enumerate(shown) if line.startswith("note IA103"))
    titles = [i for i, line in enumerate(shown) if base.path in line and "topology" in line]
    assert titles[1] < place


def test_reasons_are_grouped_with_counts(reports: Mapping[str, Report]) -> None:
    shown = " ".join(text(reports["apart"]).split())
    assert "6 layers by weights alone: the order of the layers is not known" in shown
    assert "1 layer: op is not known (transformer.rotary)" in shown
    assert "2 places: a pickle is not opened: gpt/optimizer.pt, gpt/scheduler.pt" in shown
    assert "the signal stopped at transformer.wte: the input is not a number" in shown


def test_weights_alone_are_not_praised_as_a_network(reports: Mapping[str, Report]) -> None:
    shown = " ".join(text(reports["apart"]).split())
    assert "judging by weights alone" in shown
    assert "coverage: 0 % of 124,439,808 weight elements" in shown


def closing(report: Report) -> str:
    return lines_of(report, Style(400, colour=False))[-1]


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("vanishing", "2 warnings, 1 note in 1 network (11 layers judged) in 1 file."),
        ("healthy", "No findings in 1 network (10 layers judged) in 1 file."),
        (
            "apart",
            "1 note in 1 network (7 layers judged, all by weights alone, 1 not) in 3 files, "
            "3 not read.",
        ),
        ("source", "2 errors in 2 files."),
        ("nothing", "No findings in 2 files."),
        (
            "hostile",
            "1 error in 1 network (2 layers judged) in 1 file, 1 not read; an input could not "
            "be judged.",
        ),
    ],
)
def test_the_last_line_counts(reports: Mapping[str, Report], name: str, line: str) -> None:
    assert closing(reports[name]) == line


def test_time_is_told_only_when_verbose_and_known(reports: Mapping[str, Report]) -> None:
    verbose = replace(PLAIN, verbose=True)
    assert "0.42 s" not in text(reports["healthy"])
    assert "0.42 s" in text(reports["healthy"], verbose)
    assert not re.search(r"\d s\.", text(reports["vanishing"], verbose))


# Numbers and bars.


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.982, "98.2 %"),
        (0.99999, ">99.9 %"),
        (1e-9, "<0.1 %"),
        (0.0005, "0.05 %"),
        (0.99949, "99.9 %"),
        (None, "-"),
        (math.nan, "-"),
    ],
)
def test_a_share_is_never_rounded_to_all_or_nothing(share: float | None, shown: str) -> None:
    assert percent(share) == shown


def test_counts_have_their_plural() -> None:
    assert [count(n, "layer") for n in (0, 1, 1200)] == ["0 layers", "1 layer", "1,200 layers"]


@given(st.floats(min_value=5e-324, max_value=1.7e308), st.integers(4, 24), st.booleans())
def test_a_positive_number_always_has_a_bar_that_fits(
    value: float, width: int, ascii_only: bool
) -> None:
    on = scale([value, 1.0])
    drawn = bar(value, on, width, ascii_only=ascii_only)
    assert 1 <= len(drawn) <= width


@given(
    st.lists(st.floats(min_value=1e-300, max_value=1e300), min_size=2, max_size=9),
    st.integers(4, 24),
)
def test_longer_bars_are_larger_numbers(values: list[float], width: int) -> None:
    on = scale(values)
    lengths = [len(bar(v, on, width, ascii_only=True)) for v in sorted(values)]
    assert lengths == sorted(lengths)
    assert lengths[-1] == width


def test_a_scale_spans_some_decades_even_for_equal_numbers() -> None:
    on = scale([2.0, 2.0, None, math.nan, math.inf, 0.0])
    assert on is not None
    assert on.high == 2.0
    assert math.log10(on.high / on.low) == pytest.approx(LEAST_DECADES)


def test_no_positive_number_makes_no_scale() -> None:
    assert scale([0.0, None, math.nan, math.inf]) is None


@pytest.mark.parametrize(
    ("value", "drawn"), [(None, ""), (math.nan, "nan"), (0.0, "zero"), (math.inf, "███>")]
)
def test_what_has_no_length_is_a_word(value: float | None, drawn: str) -> None:
    assert bar(value, scale([1.0]), 4) == drawn


@pytest.mark.parametrize(
    ("longest", "shown"),
    [
        (27, "blocks.123.mixer.projection"),
        (26, "b.123.mixer.projection"),
        (20, "b.123.m.projection"),
        (12, "b.123.m.pro…"),
    ],
)
def test_a_short_name_keeps_the_number_that_tells_layers_apart(longest: int, shown: str) -> None:
    assert short_name("blocks.123.mixer.projection", longest, PLAIN) == shown


@settings(deadline=None)  # a busy machine is no fault of the table
@given(
    st.text(st.characters(), max_size=60),
    st.text(st.characters(), max_size=60),
    st.integers(20, 120),
    st.one_of(st.none(), st.floats()),
)
def test_any_name_and_number_can_be_shown(
    name: str, reason: str, width: int, value: float | None
) -> None:
    site = Site(name, layer=name)
    found = Finding("IA103", "a-rule", Severity.ERROR, Confidence.LOW, site, {}, reason, name)
    layer = LayerReport(name, name, (None,), name, None, value, None, None, None, reason)
    network = NetworkReport(
        name, reason, Origin.DECLARED, "source", (name,), (reason,), "error", name, (name,),
        value, value, value, value, value, value, value or 0.0, 0, (layer,), ((name, reason),),
    )  # fmt: skip
    report = Report((found,), (Unread(site, reason),), (network,))
    shown = text(report, Style(width, colour=False))
    assert all(c == "\n" or c.isprintable() for c in shown)
    for line in shown.splitlines():
        assert cell_len(line) <= max(width, 40) or is_code(line, report)


def test_the_checklist_asks_only_for_rules_that_have_a_page() -> None:
    known = set(load())
    if not known:
        pytest.skip("no rule has a page yet")
    assert {rule for found in RULES_OF.values() for rule in found} <= known
