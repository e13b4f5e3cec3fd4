"""What the operators of torch.export are made of; one more is a function in a module here."""

from __future__ import annotations

from initaudit.checkpoint.graphs import aten_constants, aten_functions, aten_modules, aten_shapes
from initaudit.checkpoint.graphs.aten_table import TABLE

__all__ = ["MODULES", "TABLE"]

MODULES = (aten_functions, aten_modules, aten_shapes, aten_constants)
"""What fills the table when it is imported."""
