"""Where findings point: sites of layers and tensors in a network's file."""

from __future__ import annotations

from collections.abc import Iterable

from initaudit.network import Layer, Network, Site, Tensor


def site_of(network: Network, layer: Layer, tensor: Tensor | None = None) -> Site:
    """Return the site of a layer: of the given tensor, else of its weight, else of itself."""
    if tensor is None:
        weight = layer.param("weight")
        tensor = None if weight is None else weight.tensor
    return Site(network.site.path, tensor=None if tensor is None else tensor.name, layer=layer.name)


def sites(network: Network, layers: Iterable[Layer]) -> tuple[Site, ...]:
    """Return the sites of several layers."""
    return tuple(site_of(network, layer) for layer in layers)
