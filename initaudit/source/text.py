"""Bytes of a source file to text, as Python itself reads them (PEP 263)."""

from __future__ import annotations

import io
import tokenize


class NotTextError(ValueError):
    """Bytes that are no Python source: why, and in which line."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


def decode(content: bytes) -> str:
    """Return the text of a source file, its lines ended by a newline alone.

    Raises:
        NotTextError: for NUL bytes, an encoding that does not exist, or bytes that are not in it.
    """
    zero = content.find(b"\0")
    if zero >= 0:
        raise NotTextError("holds NUL bytes: it is no Python source", _line(content, zero))
    try:
        encoding = _encoding(content)
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        byte = content[error.start]
        reason = f"is not {encoding}: byte 0x{byte:02x} cannot be decoded"
        raise NotTextError(reason, _line(content, error.start)) from None
    except SyntaxError as error:
        raise NotTextError(*_declared(content, str(error.msg))) from None
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text


def _encoding(content: bytes) -> str:
    """Return the encoding of a file; most declare none in the two lines where one may stand."""
    second = content.find(b"\n", content.find(b"\n") + 1)
    if b"coding" not in content[: second if second >= 0 else None] and content[:1] != b"\xef":
        return "utf-8"
    return tokenize.detect_encoding(io.BytesIO(content).readline)[0]


def _declared(content: bytes, message: str) -> tuple[str, int | None]:
    """Return what is wrong with a file whose first two lines settle no encoding."""
    try:
        content.decode()
    except UnicodeDecodeError as error:
        line = _line(content, error.start)
        if "unknown encoding" not in message:
            byte = content[error.start]
            return f"is not utf-8: byte 0x{byte:02x} cannot be decoded", line
    head = content.splitlines()[:2]
    declares = (i for i, text in enumerate(head, start=1) if b"coding" in text)
    return f"declares an encoding that cannot be used: {message}", next(declares, None)


def _line(content: bytes, offset: int) -> int:
    return content.count(b"\n", 0, offset) + 1
