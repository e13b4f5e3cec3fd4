"""Arrays in memory as arrays of a file, to be measured like those."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from initaudit.checkpoint.stored import Stored

_NAMES = {"float16": "F16", "float32": "F32", "float64": "F64"}


def held(name: str, array: NDArray[Any], path: str) -> Stored:
    """Return an array of half, single or double precision as one that the file ``path`` stores.

    Raises:
        ValueError: it is of another dtype.
    """
    dtype = _NAMES.get(array.dtype.name)
    if dtype is None:
        raise ValueError(f"an array of {array.dtype} is not measured")
    codes = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1).view(np.uint8)

    def pieces(step: int) -> Iterator[NDArray[np.uint8]]:
        for start in range(0, codes.size, step):
            yield codes[start : start + step]

    return Stored(name, dtype, array.shape, path, pieces)
