"""Files replaced as a whole: a reader sees the old or the new one, never a part."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file's content in one step, its mode kept; a link's target is what is replaced.

    Raises:
        OSError: where the file or its folder cannot be written; the file is then as it was.
    """
    target = path.resolve(strict=True)
    mode = target.stat().st_mode
    if not os.access(target, os.W_OK):
        raise PermissionError(13, "is not writable", str(path))
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode & 0o7777)
        Path(name).replace(target)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
