"""Operators of any format that do one thing to each element, made from the name of that thing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from initaudit.checkpoint.graphs import arithmetic, combining
from initaudit.checkpoint.graphs.calls import Call, Operator
from initaudit.checkpoint.graphs.steps import Builder
from initaudit.checkpoint.graphs.values import Value, value


def activation(function: str) -> Operator:
    """Return the operator that is an activation."""

    def run(b: Builder, c: Call) -> Value:
        return arithmetic.activation(b, function, value(c.get(0)))

    return Operator(run, rows=True)


def unary(name: str) -> Operator:
    """Return the operator of one operand."""

    def run(b: Builder, c: Call) -> Value:
        return arithmetic.unary(b, name, value(c.get(0)))

    return Operator(run, rows=True)


def binary(name: str) -> Operator:
    """Return the operator of two operands."""

    def run(b: Builder, c: Call) -> Value:
        return arithmetic.binary(b, name, value(c.get(0)), value(c.get(1)))

    return Operator(run, rows=True)


def compare(name: str) -> Operator:
    """Return the operator that compares two operands."""

    def run(b: Builder, c: Call) -> Value:
        return combining.compare(b, name, value(c.get(0)), value(c.get(1)))

    return Operator(run)


def known_only(function: Callable[..., Any]) -> Operator:
    """Return the operator that a NumPy function computes where all operands are known."""

    def run(b: Builder, c: Call) -> Value:
        return arithmetic.computed(function, *(value(i) for i in c.inputs))

    return Operator(run)
