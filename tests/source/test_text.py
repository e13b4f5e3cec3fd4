"""Bytes to text: what Python itself would read, and a line for what it would not."""

from __future__ import annotations

import ast

import pytest

from initaudit.source.text import NotTextError, decode


@pytest.mark.parametrize(
    ("content", "text"),
    [
        pytest.param(b"", "", id="nothing"),
        pytest.param("w = 'é'\n".encode(), "w = 'é'\n", id="UTF-8"),
        pytest.param(b"\xef\xbb\xbfx = 1\n", "x = 1\n", id="byte order mark"),
        pytest.param(b"# -*- coding: latin-1 -*-\nw = '\xe9'\n",
                     "# -*- coding: latin-1 -*-\nw = 'é'\n", id="declared encoding"),
        pytest.param(b"#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\nw = '\x80'\n",
                     "#!/usr/bin/python\n# vim: set fileencoding=cp1252 :\nw = '€'\n",
                     id="declared on the second line"),
        pytest.param(b"a = 1\r\nb = 2\rc = 3\n", "a = 1\nb = 2\nc = 3\n", id="line ends"),
        pytest.param(b"a = '\x0c'\n", "a = '\x0c'\n", id="form feed is no line end"),
    ],
)  # fmt: skip
def test_what_python_reads_is_read_as_python_reads_it(content: bytes, text: str) -> None:
    assert decode(content) == text
    assert ast.dump(ast.parse(decode(content))) == ast.dump(ast.parse(content))


@pytest.mark.parametrize(
    ("content", "reason", "line"),
    [
        pytest.param(b"x = 1\ny = '\0'\n", "NUL", 2, id="NUL"),
        pytest.param("import torch\n".encode("utf-16"), "NUL", 1, id="UTF-16"),
        pytest.param(b"x = 1\n\nw = '\xe9'\n", "is not utf-8: byte 0xe9", 3, id="not UTF-8"),
        pytest.param(b"w = '\xe9'\n", "is not utf-8: byte 0xe9", 1, id="not UTF-8 in line 1"),
        pytest.param(b"\n# coding: klingon\n", "unknown encoding: klingon", 2, id="unknown"),
        pytest.param(b"\xef\xbb\xbf# coding: latin-1\n", "encoding", 1, id="mark and another"),
        pytest.param(b"# coding: ascii\nw = '\xe9'\n", "is not ascii", 2, id="not as declared"),
    ],
)
def test_what_python_refuses_has_a_reason_and_a_line(
    content: bytes, reason: str, line: int
) -> None:
    with pytest.raises(NotTextError, match=reason) as refused:
        decode(content)
    assert refused.value.line == line
    with pytest.raises((SyntaxError, ValueError)):
        compile(content, "x.py", "exec")
