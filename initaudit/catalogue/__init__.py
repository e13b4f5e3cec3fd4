"""What every framework's initialisers and layers are, and what a call of one draws."""

from initaudit.catalogue.calls import UnreadableArguments, argument, bind, filled
from initaudit.catalogue.entries import (
    REQUIRED,
    UNKNOWN,
    FirstNumber,
    Form,
    Initialiser,
    LayerSpec,
    LayerWeight,
    Parameter,
    Required,
    Unknown,
    Value,
)
from initaudit.catalogue.lookup import Catalogue, frameworks_folder, load
from initaudit.catalogue.shapes import present, shape
from initaudit.catalogue.spread import bias, scaled, shifted, weights
from initaudit.catalogue.tables import CatalogueError

__all__ = [
    "REQUIRED",
    "UNKNOWN",
    "Catalogue",
    "CatalogueError",
    "FirstNumber",
    "Form",
    "Initialiser",
    "LayerSpec",
    "LayerWeight",
    "Parameter",
    "Required",
    "Unknown",
    "UnreadableArguments",
    "Value",
    "argument",
    "bias",
    "bind",
    "filled",
    "frameworks_folder",
    "load",
    "present",
    "scaled",
    "shape",
    "shifted",
    "weights",
]
