"""Comments that ignore findings: which lines, which rules, and that strings are no comments."""

from __future__ import annotations

import pytest

from initaudit.source.suppress import covering, read_ignores

NAME = "std-passed-as-mean"


def covered(text: str, rule: str = "IA401", name: str = NAME) -> set[int]:
    """Return the lines on which a finding of a rule would be ignored."""
    ignores = read_ignores(text)
    lines = range(1, text.count("\n") + 2)
    return {line for line in lines if covering(ignores, line, rule, name)}


@pytest.mark.parametrize(
    "comment",
    [
        "# initaudit: ignore[IA401]",
        "#initaudit:ignore[IA401]",
        "# initaudit: ignore",
        "# initaudit: ignore[IA103, IA401]",
        "# initaudit: ignore[IA4]",
        "# initaudit: ignore[ia401]",
        "# initaudit: ignore[std-passed-as-mean] drawn like this on purpose",
        "# type: ignore  # initaudit: ignore[IA401]",
        "# noqa: IA401",
        "# noqa:IA401",
        "# NOQA: E501, IA401 and a reason",
        "# noqa: E501,IA401",
        "# noqa",
        "# type: ignore # noqa",
    ],
)
def test_a_comment_ignores_the_statement_it_stands_in(comment: str) -> None:
    assert covered(f"a = 1\nf(\n    w,\n    2,\n)  {comment}\nb = 2\n") == {2, 3, 4, 5}
    assert covered(f"a = 1\nf(\n    w,  {comment}\n    2,\n)\nb = 2\n") == {2, 3, 4, 5}
    assert covered(f"f(w)  {comment}\nf(w)\n") == {1}


@pytest.mark.parametrize(
    "comment",
    [
        "# initaudit: ignore[IA402]",
        "# initaudit: ignore[]",
        "# initaudit: ignore[isinstance-or]",
        "# initaudit: ignored",
        "# noqa: E501",
        "# noqa: IA402",
        "# ruff: ignore[IA401]",
    ],
)
def test_a_comment_for_something_else_ignores_nothing(comment: str) -> None:
    assert covered(f"f(w)  {comment}\n") == set()


def test_alone_on_a_line_it_speaks_of_the_statement_below() -> None:
    text = "a = 1\n# initaudit: ignore[IA401]\n# for a reason\n\nf(\n    w)\nb = 2\n"
    assert covered(text) == {5, 6}


def test_alone_on_a_line_noqa_says_nothing() -> None:
    assert covered("# noqa: IA401\nf(w)\n") == set()


def test_on_the_head_of_a_compound_statement_it_leaves_the_body_alone() -> None:
    text = "if isinstance(m, A or B):  # initaudit: ignore[IA403]\n    f(m)\n"
    assert covered(text, "IA403", "isinstance-or") == {1}


def test_a_whole_file_is_ignored_wherever_the_comment_stands() -> None:
    text = "f(w)\ng(w)\n# initaudit: file-ignore[IA401]\n"
    assert covered(text) == {1, 2, 3, 4}
    assert covered(text, "IA402", "other") == set()
    assert covered("# initaudit: file-ignore\nf(w)\n", "IA402", "other") == {1, 2, 3}


@pytest.mark.parametrize(
    "text",
    [
        'f("# initaudit: ignore[IA401]")\n',
        '"""\n# noqa: IA401\n# initaudit: file-ignore\n"""\nf(w)\n',
        "f(r'# noqa')\n",
    ],
)
def test_a_string_is_no_comment(text: str) -> None:
    assert covered(text) == set()


def test_only_comments_that_name_us_can_be_reported_as_unused() -> None:
    text = "a  # noqa\nb  # noqa: IA401\nc  # initaudit: ignore\nd  # noqa: E501\n"
    found = [(one.line, one.ours, one.text) for one in read_ignores(text)]
    assert found == [
        (1, False, "# noqa"),
        (2, True, "# noqa: IA401"),
        (3, True, "# initaudit: ignore"),
    ]


def test_a_file_without_findings_is_only_read_closer_where_it_names_us() -> None:
    text = "a  # noqa\nb  # noqa: F401\n"
    assert read_ignores(text, every=False) == ()
    assert len(read_ignores(text + "c  # noqa: IA401\n", every=False)) == 2


def test_what_tokenise_cannot_read_ends_the_reading_and_nothing_else() -> None:
    assert covered("f(w)  # noqa: IA401\nx = (\n") == {1}
