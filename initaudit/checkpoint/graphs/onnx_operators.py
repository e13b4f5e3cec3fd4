"""What the operators of ONNX are made of; adding one is adding a function to a module here."""

from __future__ import annotations

from initaudit.checkpoint.graphs import onnx_functions, onnx_modules, onnx_sequences, onnx_shapes
from initaudit.checkpoint.graphs.onnx_table import TABLE

__all__ = ["MODULES", "TABLE"]

MODULES = (onnx_functions, onnx_modules, onnx_shapes, onnx_sequences)
"""What fills the table when it is imported."""
