"""Stored values that no network can use: NaN, infinities, underflow."""

from __future__ import annotations

from collections.abc import Iterator

from initaudit.claims import Hit, Limits, check
from initaudit.judge import Stored
from initaudit.network import Network, Site, Tensor
from initaudit.places import site_of


@check("IA301", "tensor")
def non_finite(subject: Stored, limits: Limits) -> Iterator[Hit]:
    """NaN or infinite elements, but for masks of zeros and infinities."""
    found = [t for t in subject.tensors if t.nonfinite >= limits["elements"] and not _mask(t)]
    if found:
        yield Hit(
            _site(subject, found[0]),
            {
                "nans": sum(t.nans for t in found),
                "infs": sum(t.infs for t in found),
                "elements": sum(t.count for t in found),
                "tensors": len(found),
            },
            related=tuple(_site(subject, t) for t in found[1:]),
        )


@check("IA302", "tensor")
def half_precision_underflow(subject: Stored, limits: Limits) -> Iterator[Hit]:
    """Half-precision weights so small that they lost their digits, or all became zero."""
    found = []
    for tensor in subject.tensors:
        alive = tensor.count - tensor.zeros
        if tensor.dtype != "F16" or alive < limits["elements"] or len(tensor.shape) < 2:
            continue
        share = tensor.subnormals / alive
        if share >= limits["share"]:
            found.append((tensor, share))
    if found:
        tensor, share = found[0]
        yield Hit(
            _site(subject, tensor),
            {
                "share": f"{100 * share:.3g} %",
                "subnormals": tensor.subnormals,
                "std": tensor.std or 0.0,
                "tensors": len(found),
            },
            related=tuple(_site(subject, t) for t, _ in found[1:]),
        )


def _mask(tensor: Tensor) -> bool:
    """Return whether a tensor holds only zeros and infinities, as attention masks do."""
    only_zeros = tensor.zeros + tensor.infs == tensor.count
    return tensor.nans == 0 and only_zeros and tensor.zeros > 0


def _site(subject: Stored, tensor: Tensor) -> Site:
    network: Network = subject.network
    layer = subject.holder.get(tensor.name)
    if layer is None:
        return Site(network.site.path, tensor=tensor.name)
    return site_of(network, layer, tensor)
