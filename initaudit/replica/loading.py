"""Weights on demand: read when a layer's turn comes, dropped after it, small ones kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from initaudit.graph import NORMS
from initaudit.network import Layer
from initaudit.replica.ops.op import OpError
from initaudit.special import Array

Arrays = Callable[[str], NDArray[Any]]
Load = Callable[[Layer], Mapping[str, Array]]
Real = type[np.float32] | type[np.float64]

KEPT = 128 * 2**20
"""Bytes of weights that are kept for their next use; what was used longest ago goes first."""

_SINGLE = 1 << 22
"""Elements above which float32 weights are kept as they are and widened product by product."""

# Hand-written code and Equinox store these with axes of one element, as (n, 1) or (n, 1, 1).
_VECTORS = frozenset({"bias", "bias_ih", "bias_hh", "running_mean", "running_var"})


def loader(arrays: Arrays, dtype: Real = np.float64, kept: int = KEPT) -> Load:
    """Return a function that gives a layer's parameters by role.

    An array is read when it is asked for. Up to ``kept`` bytes of arrays stay for the next time,
    so that those of a small network are read once; of a large one, none outlives its layer.

    Raises:
        OpError: from the returned function, where a stored array is missing or holds no reals.
    """
    shelf: OrderedDict[str, Array] = OrderedDict()
    held = 0

    def get(name: str) -> Array:
        nonlocal held
        array = shelf.get(name)
        if array is not None:
            shelf.move_to_end(name)
            return array
        array = _read(name, arrays, dtype)
        if array.nbytes <= kept:
            shelf[name] = array
            held += array.nbytes
            while held > kept:
                held -= shelf.popitem(last=False)[1].nbytes
        return array

    def load(layer: Layer) -> Mapping[str, Array]:
        found = {}
        for param in layer.params:
            if param.tensor is None:
                continue
            array = get(param.tensor.name)
            flat = param.name in _VECTORS or layer.op in NORMS
            found[param.name] = array.ravel() if flat else array
        return found

    return load


def _read(name: str, arrays: Arrays, dtype: Real) -> Array:
    try:
        array = arrays(name)
    except KeyError:
        raise OpError(f"the array {name} is not stored") from None
    if np.iscomplexobj(array):
        raise OpError(f"the array {name} holds complex numbers")
    if dtype is np.float64 and array.dtype == np.float32 and array.size > _SINGLE:
        return array
    with np.errstate(over="ignore"):
        return array.astype(dtype, copy=False)
